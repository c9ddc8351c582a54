"""Whatever somebody presented: it is judged and never an error, and the answer tells nothing."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.api.asking import decision, outcome
from tests.server import Person, Server

AGENT = {"agent_slug": "whichever"}
DEMAND = {"agent": AGENT, "minimum_role": "ROLE_VIEWER"}

ASKING: dict[str, dict[str, Any]] = {
    "AuthService/Authenticate": {},
    "AuthService/Authorize": {"demand": DEMAND},
    "AuthService/BatchAuthorize": {"demands": [DEMAND, DEMAND], "include_basis": True},
    "ScopeService/ResolveScope": DEMAND,
    "ScopeService/CheckResource": {"resource": {"agent": AGENT}, "minimum_role": "ROLE_VIEWER"},
}

TEXTS = [
    pytest.param("", id="empty"),
    pytest.param(" ", id="blank"),
    pytest.param("x", id="anything"),
    pytest.param("x" * 10_240, id="10 KiB"),
    pytest.param("ü" * 200_000, id="400 KB"),
    pytest.param("\0", id="NUL"),
    pytest.param("acr_\0", id="a prefix and NUL"),
    pytest.param("\x01\x1b[31m\x7f\x85\r\n", id="control characters"),
    pytest.param("🙂" * 20, id="emoji"),
    pytest.param("\u202eevil\u2066\ufffe\uffff", id="directions and what is no character"),
    pytest.param("acr_", id="a prefix"),
    pytest.param("datamachine_bot_" + "0" * 64, id="an older form that nobody holds"),
    pytest.param("acr_" + "0" * 16 + "_" + "0" * 49, id="a wrong tag"),
    pytest.param("Bearer x", id="with its scheme"),
    pytest.param("'; DROP TABLE tokens; --", id="SQL"),
]


def _bare(answer: Any) -> Any:
    """The answer without what differs from one moment to the next."""
    for moving in ("consistency_token", "position", "judged_at"):
        answer.basis.ClearField(moving)
    return answer


@pytest.mark.parametrize("method", ASKING)
@pytest.mark.parametrize("text", TEXTS)
def test_what_is_no_token_is_a_denial_that_is_not_kept(
    server: Server, method: str, text: str
) -> None:
    answer = server.admin.call(method, token=text, **ASKING[method])

    if method == "AuthService/BatchAuthorize":
        assert [decision(one) for one in answer.decisions] == ["TOKEN_INVALID"] * 2
    else:
        assert outcome(answer) == "TOKEN_INVALID"
    assert not answer.HasField("principal")
    basis = answer.basis
    assert not basis.cacheable
    assert list(basis.depends_on) == []
    assert not basis.HasField("valid_until")
    assert basis.HasField("judged_at")
    assert basis.position.revision > 0
    assert len(basis.position.hash_prefix) == 8
    assert len(basis.position.epoch) == 32


def _changed(text: str) -> Iterator[str]:
    """The text with one character changed, cut, lengthened, and with blanks around it."""
    for place, character in enumerate(text):
        yield text[:place] + ("0" if character != "0" else "1") + text[place + 1 :]
    yield from (text[:-1], text[1:], f"{text}0", f" {text}", f"{text} ", f"{text}\n", text * 2)
    yield from (text.swapcase(), f"Bearer {text}", f"{text}\0")


def test_a_token_is_its_text_to_the_letter(server: Server) -> None:
    good = server.user().token
    asked = {
        outcome(server.admin.call("AuthService/Authenticate", token=text))
        for text in _changed(good)
    }
    assert asked == {"TOKEN_INVALID"}
    assert outcome(server.admin.call("AuthService/Authenticate", token=good)) == "ALLOWED"


def _revoked(server: Server) -> Person:
    person = server.user()
    person.call("TokenService/RevokeToken", token_id=person.token_id)
    return person


def _expired(server: Server) -> Person:
    token = server.user_token(server.user(), ttl={"seconds": 60})
    server.clock.advance(seconds=60)
    return token


def _rotated(server: Server) -> Person:
    person = server.user()
    person.call("TokenService/RotateToken", token_id=person.token_id, overlap={"seconds": 0})
    return person


def _of_nobody(server: Server) -> Person:
    person = server.user()
    server.admin.call("UserService/DeleteUser", **person.ref)
    return person


@pytest.mark.parametrize("method", ASKING)
@pytest.mark.parametrize("make", [_revoked, _expired, _rotated, _of_nobody])
def test_a_token_that_is_dead_is_answered_like_one_that_never_was(
    server: Server, method: str, make: Callable[[Server], Person]
) -> None:
    told = [
        _bare(server.admin.call(method, token=text, **ASKING[method]))
        for text in (make(server).token, "never was")
    ]
    assert told[0] == told[1]


@pytest.mark.parametrize("method", ASKING)
def test_the_other_fields_are_still_held_to_their_rules(server: Server, method: str) -> None:
    if method == "AuthService/Authenticate":
        wrong: dict[str, Any] = {"consistency": {"at_least_as_fresh": "x"}}
    else:
        wrong = {**ASKING[method]}
        for name, value in wrong.items():
            if name == "demands":
                wrong[name] = [{**value[0], "site_id": -1}]
            elif name == "demand":
                wrong[name] = {**value, "site_id": -1}
        if not {"demand", "demands"} & set(wrong):
            wrong["site_id"] = -1
    refusal = server.admin.refused(method, token="", **wrong)
    assert refusal.code.name == "INVALID_ARGUMENT"
