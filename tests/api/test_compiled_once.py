"""No statement is compiled while a call waits, but for the first time that its kind is called."""

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from sqlalchemy.sql.compiler import SQLCompiler

from tests.api.scene import REQUESTS, Fields, Scene, mutates
from tests.server import Person, RefusedError, Server

#: As many of everything that a call takes several of, in the first round and in the second one.
COUNTS = (2, 5)
BACKGROUND = {"usage", "sweep", "readiness", "probe", "upkeep"}


@contextmanager
def compiled(monkeypatch: pytest.MonkeyPatch) -> Generator[list[str]]:
    """The statements that SQLAlchemy compiles meanwhile."""
    found: list[str] = []
    original = SQLCompiler.__init__

    def counting(self: SQLCompiler, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        # Nobody waits for what the background writes now and then.
        if threading.current_thread().name not in BACKGROUND:
            found.append(str(self))

    with monkeypatch.context() as patch:
        patch.setattr(SQLCompiler, "__init__", counting)
        yield found


def several(scene: Scene, count: int) -> Mapping[str, Fields]:
    """The calls that take lists, each with so many."""
    agents = [{"agent_id": scene.agent_id}, *({"agent_slug": f"a-{n}"} for n in range(count))]
    agents += [{"agent_id": scene.server.agent(scene.owner).agent_id} for _ in range(count)]
    users = [{"user_id": scene.viewer.user_id}, *({"login": f"u{n}"} for n in range(count))]
    users += [{"user_id": scene.server.user().user_id} for _ in range(count)]
    demands = [{"agent": agent, "minimum_role": "ROLE_VIEWER"} for agent in agents]
    checks = [{**demand, "principal": user} for demand, user in zip(demands, users, strict=True)]
    kinds = ["CHANGE_KIND_AGENT_CREATED", "CHANGE_KIND_USER_CREATED", "CHANGE_KIND_GRANT_CHANGED"]
    subjects = [{"kind": "SUBJECT_KIND_AGENT", "subject_id": str(n + 1)} for n in range(count)]
    return {
        "AuthService/BatchAuthorize": {"token": scene.token.token, "demands": demands},
        "AccessService/BatchCheckAccess": {"checks": checks},
        "AgentService/BatchGetAgents": {"agents": agents},
        "AgentService/BatchCreateAgents": {
            "requests": [
                {"agent_slug": scene.server.name("made"), "owner": users[0]} for _ in range(count)
            ]
        },
        "ChangeService/ListChanges": {
            "filter": {"kinds": kinds[: count - 2] or kinds[:1], "subjects": subjects}
        },
        "RegistryService/ListAgentDefinitions": {"page_size": count},
    }


def call_all(server: Server, count: int) -> None:
    """Call every method with every kind of request that there is."""
    scene = Scene.make(server)
    callers = [server.admin, scene.service, scene.owner, scene.viewer, scene.token]
    for name, request in REQUESTS.items():
        method = name.split(" ")[0]
        if mutates(method):
            # It may leave nothing for the next one.
            own = Scene.make(server)
            caller = own.owner if name.endswith(" own") else own.administrator
            attempt(caller, method, request(own, caller))
            continue
        for caller in callers:
            attempt(caller, method, request(scene, caller))
    for method, fields in several(scene, count).items():
        for caller in callers:
            attempt(caller, method, fields)


def attempt(caller: Person, method: str, fields: Fields) -> None:
    """Whatever comes of it."""
    with suppress(RefusedError):
        caller.call(method, **fields)


def test_the_second_time_nothing_is_compiled(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_all(own_server, COUNTS[0])
    with compiled(monkeypatch) as found:
        call_all(own_server, COUNTS[1])
    # A savepoint's name is all there is to it, and is kept nowhere.
    assert [one for one in found if "SAVEPOINT" not in one] == []
