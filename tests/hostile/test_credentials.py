"""Credentials that are missing, malformed, guessed in masses, or good and all new at once."""

import base64
import shutil
import string
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from accredit_service.abilities.credentials import bearer
from accredit_service.abilities.credentials.keyring import Keyring
from tests.faults.racing import patiently, race, reasons, shared_out, spread
from tests.hostile.scenes import BASELINES
from tests.hostile.wire import Outcome, Wire, faults_of
from tests.minting import FOREIGN_KEY, foreign, key_of, token_id_of
from tests.server import Person, RefusedError, Server, running_server
from tests.statements import statements

GOOD = foreign()


@pytest.fixture
def guarded(sqlite_template: Path, tmp_path: Path) -> Generator[Server]:
    """A server of the test's own, with the limits that it has by default."""
    shutil.copyfile(sqlite_template, tmp_path / "accredit.db")
    with running_server(f"sqlite:///{tmp_path / 'accredit.db'}", tmp_path) as server:
        yield server


def is_look_up(statement: str) -> bool:
    """Whether it looks for a token by its digest."""
    return "tokens.digest = " in statement


def described(outcome: Outcome) -> str:
    return f"{outcome.code} {outcome.reason}"


@pytest.mark.parametrize("method", BASELINES)
def test_a_stranger_is_refused_before_anything_is_read(wire: Wire, method: str) -> None:
    with statements(wire.server) as seen:
        outcome = wire.send(method, b"\xff no message at all", token="")
    assert described(outcome) == "UNAUTHENTICATED TOKEN_MISSING"
    assert faults_of(outcome, wire.server.methods[method].input_type) == []
    assert not any(is_look_up(statement) for statement in seen)


BASIC = f"Basic {base64.b64encode(b'admin:admin').decode()}"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        pytest.param([""], "TOKEN_MISSING", id="empty"),
        pytest.param(["Bearer"], "TOKEN_MALFORMED", id="a-scheme-alone"),
        pytest.param(["Bearer "], "TOKEN_MALFORMED", id="a-scheme-and-a-blank"),
        pytest.param([GOOD], "TOKEN_MALFORMED", id="no-scheme"),
        pytest.param([BASIC], "TOKEN_MALFORMED", id="another-scheme"),
        pytest.param([f"Bearer {GOOD}"] * 2, "TOKEN_MALFORMED", id="two-headers"),
        pytest.param([f"Bearer  {GOOD}"], "TOKEN_MALFORMED", id="two-blanks"),
        pytest.param([f"Bearer {GOOD} {GOOD}"], "TOKEN_MALFORMED", id="two-tokens"),
        pytest.param([f"Bearer {GOOD},"], "TOKEN_MALFORMED", id="a-list"),
        pytest.param([f'Bearer "{GOOD}"'], "TOKEN_MALFORMED", id="quoted"),
        pytest.param([f"Bearer {GOOD}=="], "TOKEN_MALFORMED", id="padding"),
        pytest.param([f"Bearer {GOOD[:-1]}"], "TOKEN_MALFORMED", id="cut"),
        pytest.param([f"Bearer {GOOD.upper()}"], "TOKEN_MALFORMED", id="in-capitals"),
        pytest.param([f"Bearer {'x' * 6000}"], "TOKEN_MALFORMED", id="long"),
        pytest.param([f"Bearer {GOOD}"], "TOKEN_MALFORMED", id="made-up"),
        pytest.param([f"bEARER {GOOD}"], "TOKEN_MALFORMED", id="made-up-in-odd-case"),
    ],
)
def test_a_bad_credential_has_one_reason(wire: Wire, headers: Sequence[str], reason: str) -> None:
    sent = [("authorization", header) for header in headers]
    outcome = wire.send("AuthService/WhoAmI", b"", token="", metadata=sent)
    assert described(outcome) == f"UNAUTHENTICATED {reason}"
    assert GOOD not in str(outcome)


def test_the_tag_refuses_every_single_character_that_is_changed() -> None:
    keyring = Keyring()
    text = bearer.mint(FOREIGN_KEY).secret
    assert keyring.digest(text, lambda: [FOREIGN_KEY]) == bearer.digest(text)
    passed = [
        changed
        for place, character in enumerate(text)
        for other in string.printable
        if other != character
        and keyring.digest(
            changed := text[:place] + other + text[place + 1 :], lambda: [FOREIGN_KEY]
        )
    ]
    assert passed == []


def test_and_nobody_looks_in_the_database_for_it(guarded: Server) -> None:
    token = guarded.user().token
    with statements(guarded) as seen:
        for place, character in enumerate(token):
            other = "0" if character != "0" else "1"
            changed = token[:place] + other + token[place + 1 :]
            refusal = Person(guarded, changed).refused("AuthService/WhoAmI")
            assert refusal.what == "UNAUTHENTICATED TOKEN_MALFORMED"
    assert not any(is_look_up(statement) for statement in seen)


@pytest.mark.parametrize(
    "count", [20_000, pytest.param(1_000_000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])]
)
def test_no_two_secrets_are_alike(count: int) -> None:
    made = [bearer.mint(FOREIGN_KEY) for _ in range(count)]
    assert len({one.digest for one in made}) == count
    assert len({one.token_id for one in made}) == count
    # 43 characters of 62 hold more than 256 bits; all of them are used.
    assert set("".join(one.secret[21:64] for one in made)) == set(
        string.ascii_letters + string.digits
    )


ASKING: dict[str, dict[str, Any]] = {
    "AuthService/Authenticate": {},
    "AuthService/Authorize": {"demand": {"minimum_role": "ROLE_VIEWER"}},
    "AuthService/BatchAuthorize": {"demands": [{"minimum_role": "ROLE_VIEWER"}]},
    "ScopeService/ResolveScope": {"minimum_role": "ROLE_VIEWER"},
    "ScopeService/CheckResource": {"resource": {"shared": True}, "minimum_role": "ROLE_VIEWER"},
}


@pytest.mark.parametrize("key", ["a key that there is", "a key that there is not"])
def test_texts_that_somebody_made_up_cost_the_database_nothing(guarded: Server, key: str) -> None:
    token = guarded.user().token
    service = guarded.user("SERVICE")
    service.call("AuthService/WhoAmI")
    key_id = key_of(token) if key == "a key that there is" else next_id(key_of(token))
    with statements(guarded) as seen:
        for _ in range(20):
            refused = Person(guarded, foreign(key_id)).refused("AuthService/WhoAmI")
            assert refused.what == "UNAUTHENTICATED TOKEN_MALFORMED"
    assert [one for one in seen if "token_keys" not in one] == []
    # Anybody can name a key that there is not. It is looked for once in a while, not each time.
    assert len(seen) <= 1
    for method, request in ASKING.items():
        with statements(guarded) as seen:
            service.call(method, token=foreign(key_id), **request)
        # Where the log stands, for those that memory does not answer.
        assert len(seen) <= 1, method
        assert not any(map(is_look_up, seen)), f"{method} looks up somebody"


def next_id(key_id: str) -> str:
    """The id of a key that there is not."""
    return ("1" if key_id[0] == "0" else "0") + key_id[1:]


@pytest.mark.parametrize("end", ["revoked", "expired", "replaced"])
def test_a_token_that_is_dead_for_good_is_looked_up_once(guarded: Server, end: str) -> None:
    dead, service = guarded.user(), guarded.user("SERVICE")
    if end == "expired":
        made = dead.call(
            "TokenService/CreateToken",
            user={"user_id": dead.user_id},
            full_rights=True,
            ttl=timedelta(seconds=5),
        )
        dead = Person(guarded, made.secret)
        dead.call("AuthService/WhoAmI")
        guarded.clock.advance(seconds=5)
    elif end == "replaced":
        dead.call(
            "TokenService/RotateToken", token_id=token_id_of(dead.token), overlap=timedelta(0)
        )
    else:
        dead.call("TokenService/RevokeToken", token_id=token_id_of(dead.token))

    with statements(guarded) as seen:
        for _ in range(5):
            refused = dead.refused("AuthService/WhoAmI")
            assert refused.what == "UNAUTHENTICATED TOKEN_INVALID"
    look_ups = sum(map(is_look_up, seen))
    service.call("AuthService/WhoAmI")
    with statements(guarded) as seen:
        for method, request in ASKING.items():
            service.call(method, token=dead.token, **request)
    # Of one that has expired memory knew the end.
    assert look_ups == (0 if end == "expired" else 1)
    assert not any(map(is_look_up, seen))


def test_as_somebody_elses_too_a_dead_token_is_looked_up_once(guarded: Server) -> None:
    dead, service = guarded.user(), guarded.user("SERVICE")
    dead.call("TokenService/RevokeToken", token_id=token_id_of(dead.token))
    service.call("AuthService/WhoAmI")
    with statements(guarded) as seen:
        for method, request in ASKING.items():
            service.call(method, token=dead.token, **request)
    assert sum(map(is_look_up, seen)) == 1


def test_many_who_present_one_dead_token_at_once_wait_for_one_look_up(guarded: Server) -> None:
    dead = guarded.user()
    dead.call("TokenService/RevokeToken", token_id=token_id_of(dead.token))
    with statements(guarded) as seen:
        refusals = all_at_once(guarded, [dead] * 64)
    assert [f"{code} {reason}" for code, reason in refusals] == [
        "UNAUTHENTICATED TOKEN_INVALID"
    ] * 64
    assert sum(map(is_look_up, seen)) == 1


@contextmanager
def slow_look_ups(server: Server) -> Generator[threading.Event]:
    """The first look-ups of the block last until the event is set, or 0.3 s."""
    over = threading.Event()

    def hold(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if is_look_up(statement):
            over.wait(0.3)
            over.set()

    engine = server.app.store.engine
    event.listen(engine, "before_cursor_execute", hold)
    yield over
    event.remove(engine, "before_cursor_execute", hold)


def all_at_once(server: Server, people: Sequence[Person]) -> list[tuple[str, str]]:
    """What is refused where all of them call while the first are being looked up."""

    def call(person: Person, over: Server, refused: threading.Event) -> None:
        try:
            patiently(partial(replace(person, server=over).call, "AuthService/WhoAmI"))
        except RefusedError:
            refused.set()
            raise

    with (
        spread(server.admin, connections=8) as connections,
        slow_look_ups(server) as refused,
    ):
        return reasons(
            race(
                [
                    partial(call, person, over.server, refused)
                    for person, over in zip(
                        people, shared_out(connections, len(people)), strict=True
                    )
                ]
            )
        )


def test_a_client_that_begins_with_many_calls_at_once_is_not_taken_for_a_guesser(
    guarded: Server,
) -> None:
    new = guarded.user()
    assert all_at_once(guarded, [new] * 64) == []


def test_nor_are_many_clients_behind_one_address(guarded: Server) -> None:
    new = [guarded.user() for _ in range(40)]
    assert all_at_once(guarded, new) == []
