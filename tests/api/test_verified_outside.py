"""Whoever has nothing but replies finds out whether the log is as it was written."""

import base64
import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from accredit_service.abilities.changes import redact
from accredit_service.background import Housekeeping
from tests.server import Person, Server
from tests.verifying import as_grpcurl, as_list, as_values, verified

# What JSON has several spellings for, and what is lost where somebody is careless.
CONFIG: Mapping[str, Any] = {
    "numbers": [0, -0.0, 1, -1.5, 0.1, 1 / 3, 1e-6, 1e-7, 1.25e-10, 5e-324, 2**53 - 1, 1e15],
    "more numbers": [333333333.3333332, 123456.789, -0.0000033333333333333333, 4503599627370495.5],
    "texts": [
        "",
        "\0",
        "\x01\x1f\x7f",
        '"\\/\b\t\n\f\r',
        "é\u2028\ufeff",
        "\U0001f916\U0001f469‍🔬",
    ],
    # By UTF-16 the emoji is before U+FB33, by code points after it.
    "\ufb33": {"\U0001f600": None, "\ufb33": True, "é": False, "e": [], "": {}},
    "deep": [{"a": [{"b": [{"c": [[[]]]}]}]}],
}


@pytest.fixture
def history(own_server: Server) -> Server:
    """A log with what is hard to write down; the fifth change is redacted."""
    server = own_server
    owner = server.user(display_name="Zoë \U0001f469🔬", email="zoe@example.org")
    made = server.agent(owner, config=CONFIG)
    agent: dict[str, Any] = {"agent": {"agent_id": made.agent_id}}
    for config in ({**CONFIG, "texts": []}, {}, CONFIG):
        owner.call("AgentService/UpdateAgent", **agent, update={"config": config})
    itself = server.agent_token(owner, made.agent_id, ceiling={"max_role": "ROLE_ADMIN"})
    itself.call("AgentService/UpdateAgent", **agent, update={"agent_name": "\U0001f916"})
    owner.call("AgentService/DeleteAgent", **agent)
    redact(server.app, [5])
    return server


def replies(person: Person, **query: Any) -> list[Any]:
    """Every page, four changes each."""
    found, token = [], ""
    while True:
        page = person.call("ChangeService/ListChanges", page_size=4, page_token=token, **query)
        found.append(page)
        if not (token := page.next_page_token):
            return found


def head_of(change: Mapping[str, Any]) -> str:
    return f"{change['revision']}:{base64.b64decode(change['hash']).hex()}"


def test_a_log_is_verified_from_replies_alone(history: Server) -> None:
    pages = replies(history.admin)
    changes = as_values(pages)
    (redacted,) = (one for one in changes if one["revision"] == "5")
    assert "after" not in redacted
    assert redacted["afterDigest"]
    said = (
        0,
        f"verified {len(changes)} of revisions 1 to {len(changes)}; "
        f"keep the head: {head_of(changes[-1])}",
    )
    assert verified(as_grpcurl(pages)) == said
    assert verified(as_list(changes), head_of(changes[2]), head_of(changes[-1])) == said
    assert verified(as_grpcurl(replies(history.admin, newest_first=True))) == said
    with history.app.store.read() as tx:
        assert tx.changes.verify().first_broken is None


def test_some_of_a_log_are_verified(history: Server) -> None:
    pages = replies(history.admin, filter={"kinds": ["CHANGE_KIND_AGENT_UPDATED"]})
    changes = as_values(pages)
    assert verified(as_list(changes), "--filtered")[0] == 0
    code, said = verified(as_list(changes))
    assert (code, said) == (1, "revision 9: it does not follow the change before it")
    changes[1]["actor"]["userId"] = "99"
    assert verified(as_list(changes), "--filtered")[0] == 1


def test_what_is_left_after_pruning_is_verified(history: Server) -> None:
    history.clock.advance(days=401)
    last = as_values(replies(history.admin))[-1]
    history.site()
    history.site()
    Housekeeping(history.app).sweep()
    kept = as_values(replies(history.admin))
    assert kept[0]["previousHash"] == last["hash"]
    assert verified(as_list(kept))[0] == 0
    assert verified(as_list([last, *kept]))[0] == 0


def test_a_head_kept_elsewhere_shows_that_all_was_written_anew(history: Server) -> None:
    changes = as_values(replies(history.admin))
    other = f"3:{'ab' * 32}"
    assert verified(as_list(changes), other) == (1, f"not among them: {other}")
    cut = changes[:-1]
    assert verified(as_list(cut))[0] == 0
    assert verified(as_list(cut), head_of(changes[-1]))[0] == 1


Tamper = Callable[[dict[str, Any]], object]


def _set(name: str, value: Any) -> Tamper:
    return lambda change: change.__setitem__(name, value)


def _shift(change: dict[str, Any]) -> None:
    time = change["createTime"]
    # By one microsecond at least: the last digit that is written.
    digit = str((int(time[-2]) + 1) % 10)
    change["createTime"] = f"{time[:-2]}{digit}Z"


def _less(change: dict[str, Any]) -> None:
    change["before"]["config"]["numbers"][4] = 0.10000000000000002


TAMPERED: Mapping[str, Tamper] = {
    "its revision": _set("revision", "60"),
    "its time": _shift,
    "its kind": _set("kind", "CHANGE_KIND_AGENT_RENAMED"),
    "its user": lambda change: change["actor"].__setitem__("userId", "99"),
    "an agent": lambda change: change["actor"].__setitem__("agentId", "1"),
    "its token": lambda change: change["actor"].pop("tokenId"),
    "its request": _set("requestId", "123e4567-e89b-12d3-a456-426614174000"),
    "no subjects": lambda change: change.pop("subjects"),
    "the order of its subjects": lambda change: change["subjects"].reverse(),
    "a subject": lambda change: change["subjects"][0].__setitem__("kind", "SUBJECT_KIND_SITE"),
    "an empty payload": _set("after", {}),
    "the last digit of a number": _less,
    "a payload and its digest": lambda change: (change.pop("after"), change.pop("afterDigest")),
    "its digest": lambda change: change.__setitem__("afterDigest", change["beforeDigest"]),
    "its hash": lambda change: change.__setitem__("hash", change["afterDigest"]),
    "the hash before it": lambda change: change.__setitem__("previousHash", change["hash"]),
    "its view": _set("view", "CHANGE_VIEW_KEYS"),
}


def test_replies_that_were_tampered_with_are_found_out(history: Server) -> None:
    changes = as_values(replies(history.admin))
    place = 5
    assert changes[place]["kind"] == "CHANGE_KIND_AGENT_UPDATED"
    assert verified(as_list(changes))[0] == 0
    found = {}
    for what, tamper in TAMPERED.items():
        altered = copy.deepcopy(changes)
        tamper(altered[place])
        found[what] = verified(as_list(altered))[0]
    assert found == dict.fromkeys(TAMPERED, 1)


def test_changes_that_are_missing_or_made_up_are_found_out(history: Server) -> None:
    changes = as_values(replies(history.admin))
    for gone in range(1, len(changes) - 1):
        code, said = verified(as_list(changes[:gone] + changes[gone + 1 :]))
        assert code == 1
        assert said.startswith(f"revision {gone + 2}: ")
    made_up = copy.deepcopy(changes)
    made_up[4]["after"] = {"agent_name": "invented"}
    assert verified(as_list(made_up)) == (1, "revision 5: after is not what its digest says")
    first = copy.deepcopy(changes)
    first[0]["previousHash"] = first[0]["hash"]
    assert verified(as_list(first))[0] == 1
