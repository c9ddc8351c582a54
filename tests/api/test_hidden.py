"""An agent that the caller may not view is as one that is not there: in words and in work."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor

from accredit_storage.records import UserId
from tests.server import Person, RefusedError, Server
from tests.statements import statements

Request = Callable[[Person, dict[str, Any]], dict[str, Any]]

VIEWER = {"minimum_role": "ROLE_VIEWER"}
FILE = {"path": "SOUL.md"}


def _about(**more: Any) -> Request:
    return lambda caller, ref: {"agent": ref, **more}


def _in_directory(**more: Any) -> Request:
    return lambda caller, ref: {"directory": {"agent": ref}, **more}


def _other(caller: Person) -> dict[str, Any]:
    return {"user_id": caller.server.admin.user_id}


#: What a stranger asks of an agent, for each call that names one.
CASES: Mapping[str, Request] = {
    "AgentService/GetAgent": _about(),
    "AgentService/BatchGetAgents": lambda caller, ref: {"agents": [ref]},
    "AgentService/UpdateAgent": _about(update={"agent_name": "Another"}),
    "AgentService/SetAgentStatus": _about(status="AGENT_STATUS_INACTIVE"),
    "AgentService/RenameAgent": _about(new_slug="another-slug"),
    "AgentService/DeleteAgent": _about(),
    "AgentService/TransferAgent": lambda caller, ref: {"agent": ref, "new_owner": _other(caller)},
    "AgentService/SetDefaultAgent": _about(),
    "AgentService/ResolveAgent": _about(),
    "AccessService/GrantAccess": lambda caller, ref: {
        "agent": ref,
        "principal": _other(caller),
        "role": "ROLE_VIEWER",
    },
    "AccessService/RevokeAccess": lambda caller, ref: {
        "agent": ref,
        "principal": {"user_id": caller.user_id},
    },
    "AccessService/GetAccess": lambda caller, ref: {"agent": ref, "principal": _other(caller)},
    "AccessService/ListAgentAccess": _about(),
    "AccessService/CheckAccess": lambda caller, ref: {
        "check": {"caller": True, "agent": ref, **VIEWER}
    },
    "AccessService/BatchCheckAccess": lambda caller, ref: {
        "checks": [{"caller": True, "agent": ref, **VIEWER}],
        "include_basis": True,
    },
    "TokenService/CreateToken": _about(full_rights=True),
    "TokenService/ListTokens": _about(),
    "TokenService/RevokeAgentTokens": _about(),
    "ScopeService/ResolveScope": _about(**VIEWER),
    "ScopeService/CheckResource": lambda caller, ref: {"resource": {"agent": ref}, **VIEWER},
    "DirectoryService/ResolveDirectory": _about(),
    "DirectoryService/ListFiles": _in_directory(),
    "DirectoryService/ReadFile": _in_directory(**FILE),
    "DirectoryService/WriteFile": _in_directory(**FILE, content=b"x"),
    "DirectoryService/AppendFile": _in_directory(**FILE, content=b"x"),
    "DirectoryService/DeleteFile": _in_directory(**FILE),
    "DirectoryService/ScaffoldFiles": _in_directory(),
    "DirectoryService/AppendDailyMemory": _about(text="x"),
    "DirectoryService/ReadDailyMemory": _about(date="2026-02-28"),
    "DirectoryService/WriteDailyMemory": _about(date="2026-02-28", content=b"x"),
    "DirectoryService/DeleteDailyMemory": _about(date="2026-02-28"),
    "DirectoryService/ListDailyMemory": _about(),
    "DirectoryService/SearchDailyMemory": _about(text="x"),
}
#: These take `authenticate`: whoever has it may know of every agent.
FOR_SERVICES = {"AuthService/Authorize", "AuthService/BatchAuthorize"}


def _names_an_agent(message: Descriptor, seen: frozenset[str] = frozenset()) -> bool:
    if message.full_name == "accredit.v1.AgentRef":
        return True
    if message.full_name in seen or not message.full_name.startswith("accredit."):
        return False
    return any(
        _names_an_agent(field.message_type, seen | {message.full_name})
        for field in message.fields
        if field.message_type is not None
    )


def test_every_call_that_names_an_agent_is_looked_at(server: Server) -> None:
    naming = {name for name, method in server.methods.items() if _names_an_agent(method.input_type)}
    assert naming == {*CASES, *FOR_SERVICES}


def _answer(caller: Person, method: str, request: dict[str, Any]) -> Any:
    try:
        answer = caller.call(method, **request)
        # A stream is refused when it is read.
        answer = answer if hasattr(answer, "DESCRIPTOR") else list(answer)
    except RefusedError as error:
        return error
    for part in ("basis", "consistency_token"):
        if not isinstance(answer, list) and part in answer.DESCRIPTOR.fields_by_name:
            answer.ClearField(part)
    return answer


def _asked(
    caller: Person, method: str, ref: dict[str, Any], name: str, *, forget: bool = False
) -> tuple[Any, list[str]]:
    """The answer with the name taken out, and the statements that it took."""
    if forget:
        caller.server.app.memory.feed.forget()
    with statements(caller.server) as seen:
        answer = _answer(caller, method, CASES[method](caller, ref))
    if isinstance(answer, RefusedError):
        return (str(answer).replace(name, "NAME"), sorted(answer.metadata), answer.fields), seen
    return str(answer).replace(name, "NAME"), seen


@pytest.fixture
def stranger(server: Server) -> Person:
    """Somebody with an agent of their own, whose slug is like no other."""
    caller = server.user()
    server.agent(caller, f"z{server.name('own')}")
    return caller


@pytest.mark.parametrize("named_by", ["id", "slug"])
@pytest.mark.parametrize("speaker", ["a user", "an agent"])
@pytest.mark.parametrize("method", CASES)
def test_a_hidden_agent_is_as_one_that_is_not_there(
    server: Server, stranger: Person, method: str, speaker: str, named_by: str
) -> None:
    hidden = server.agent(server.user(), server.name("hidden"), config={"a": list(range(99))})
    if speaker == "an agent":
        with server.app.store.read() as tx:
            own = tx.agents.first_owned(UserId(stranger.user_id))
        assert own is not None
        stranger = server.agent_token(stranger, own.agent_id)
    missing_slug = "m" + hidden.agent_slug[1:]
    missing_id = 10**9 + hidden.agent_id
    refs: list[tuple[dict[str, Any], str]] = [
        ({"agent_slug": hidden.agent_slug}, hidden.agent_slug),
        ({"agent_slug": missing_slug}, missing_slug),
    ]
    if named_by == "id":
        refs = [
            ({"agent_id": hidden.agent_id}, str(hidden.agent_id)),
            ({"agent_id": missing_id}, str(missing_id)),
        ]
    # Both unknown to memory, then both known to it.
    cold = [_asked(stranger, method, *one, forget=True) for one in refs]
    for one in refs:
        _asked(stranger, method, *one)
    warm = [_asked(stranger, method, *one) for one in refs]
    for of_hidden, of_missing in (cold, warm):
        assert of_hidden[0] == of_missing[0]
        assert of_hidden[1] == of_missing[1]


def test_several_at_once_are_alike_too(server: Server, stranger: Person) -> None:
    hidden = [server.agent(server.user(), server.name("hidden")) for _ in range(3)]
    counted = []
    for named in (
        [{"agent_slug": one.agent_slug} for one in hidden],
        [{"agent_slug": f"m{one.agent_slug[1:]}"} for one in hidden],
        [{"agent_id": one.agent_id} for one in hidden],
        [{"agent_id": 10**9 + one.agent_id} for one in hidden],
    ):
        checks = [{"caller": True, "agent": ref, **VIEWER} for ref in named]
        server.app.memory.feed.forget()
        with statements(server) as seen:
            answer = stranger.call("AccessService/BatchCheckAccess", checks=checks)
        assert len(set(answer.decisions)) == 1
        with statements(server) as listed:
            assert not stranger.call("AgentService/BatchGetAgents", agents=named).agents
        counted.append((seen, listed))
    assert counted[0] == counted[1]
    assert counted[2] == counted[3]


def test_at_the_limit_a_hidden_slug_is_refused_as_any_other(strict_server: Server) -> None:
    server = strict_server
    full, other = server.user(), server.user()
    server.agent(full)
    hidden = server.agent(other, "hidden-one").agent_slug
    told = {
        full.refused("AgentService/CreateAgent", agent_slug=slug, create_if_missing=missing).message
        for slug in (hidden, "missing-one")
        for missing in (True, False)
    }
    assert len(told) == 1
