"""Seeds go to their owner, whichever way somebody has come to the slug."""

from typing import Any

import pytest

from accredit.v1 import change_pb2
from tests.declared.declaring import reconcile, register
from tests.server import Person, Server

SECRET = "for its owner's eyes only"


def _soul(caller: Person, agent: Any) -> str:
    """SOUL.md, as ScaffoldFiles makes it anew."""
    directory = {"agent": {"agent_id": agent.agent_id}}
    caller.call("DirectoryService/DeleteFile", directory=directory, path="SOUL.md")
    caller.call("DirectoryService/ScaffoldFiles", directory=directory)
    answers = caller.call("DirectoryService/ReadFile", directory=directory, path="SOUL.md")
    return b"".join(answer.content for answer in answers).decode()


def _transfer(server: Server, agent: Any, to: Person) -> None:
    server.admin.call(
        "AgentService/TransferAgent", agent={"agent_id": agent.agent_id}, new_owner=to.ref["user"]
    )


def _declare(server: Server, owner: Person, slug: str = "later") -> None:
    register(server, slug, memory_seeds={"SOUL.md": SECRET}, owner=owner.ref["user"])


def test_whoever_had_the_slug_before_it_was_declared_gets_nothing(server: Server) -> None:
    member, meant = server.user(), server.user()
    agent = server.agent(member, "later")
    _declare(server, meant)
    assert SECRET not in _soul(member, agent)
    assert SECRET not in _soul(server.admin, agent)
    reconcile(server.admin)
    assert SECRET not in _soul(member, agent)


def test_whoever_is_meant_gets_them_again_and_again(server: Server) -> None:
    meant = server.user()
    _declare(server, meant)
    reconcile(server.admin)
    with server.app.store.read() as tx:
        agent = tx.agents.find_by_slug("later")
    assert SECRET in _soul(meant, agent)
    assert SECRET in _soul(server.admin, agent), "it is about the agent's owner, not the caller"


def test_an_agent_that_has_another_owner_gets_nothing(server: Server) -> None:
    meant, other = server.user(), server.user()
    _declare(server, meant)
    agent = server.agent(other, "later")
    assert SECRET not in _soul(other, agent)
    server.admin.call(
        "AgentService/TransferAgent",
        agent={"agent_id": agent.agent_id},
        new_owner=meant.ref["user"],
    )
    assert SECRET in _soul(meant, agent)
    server.admin.call(
        "AgentService/TransferAgent",
        agent={"agent_id": agent.agent_id},
        new_owner=other.ref["user"],
    )
    assert SECRET not in _soul(other, agent)


def test_a_definition_without_an_owner_means_the_default_one(server: Server) -> None:
    member = server.user()
    agent = server.agent(member, "later")
    register(server, "later", memory_seeds={"SOUL.md": SECRET})
    assert SECRET not in _soul(member, agent)


@pytest.mark.parametrize("suppressed", ["later", "somewhere"])
def test_a_suppressed_definition_keeps_its_slug_from_strangers(
    server: Server, suppressed: str
) -> None:
    meant, stranger = server.user(), server.user()
    register(
        server,
        "later",
        memory_seeds={"SOUL.md": SECRET},
        owner=meant.ref["user"],
        source="somewhere",
    )
    server.admin.call("RegistryService/SuppressAgent", name=suppressed)
    other = server.agent(stranger)
    for method, fields in (
        ("AgentService/CreateAgent", {"agent_slug": "later"}),
        ("AgentService/CreateAgent", {"agent_slug": "later", "create_if_missing": True}),
        ("AgentService/RenameAgent", {"agent": {"agent_id": other.agent_id}, "new_slug": "later"}),
    ):
        assert stranger.refused(method, **fields).reason == "SLUG_RESERVED"
    batch = stranger.call("AgentService/BatchCreateAgents", requests=[{"agent_slug": "later"}])
    assert batch.results[0].HasField("error")
    agent = server.agent(meant, "later")
    assert SECRET not in _soul(meant, agent), "what is suppressed contributes nothing"


def test_the_last_registration_wins_also_when_it_is_the_same_again(server: Server) -> None:
    def wins() -> str:
        found = server.admin.call("RegistryService/GetAgentDefinition", agent_slug="later")
        return str(found.definition.label)

    def changes() -> int:
        listed = server.admin.call("ChangeService/ListChanges", page_size=1000).changes
        return sum(one.kind == change_pb2.CHANGE_KIND_DEFINITION_REGISTERED for one in listed)

    first = {"label": "A", "source": "a"}
    assert register(server, "later", **first).changed
    assert register(server, "later", label="B", source="b").changed
    assert wins() == "B"
    again = register(server, "later", **first)
    assert (again.changed, wins(), changes()) == (True, "A", 3)
    # It is the last now: to say it once more changes nothing.
    assert not register(server, "later", **first).changed
    assert changes() == 3
