"""Work that is done again for ever, or that tells what is hidden."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from tests.server import Server
from tests.statements import statements

Two = tuple[Server, Server]


def test_a_reply_is_kept_although_another_server_has_written(two: Two) -> None:
    """Nothing moves the position of SQLite's feed but a call that finds its caller there not."""
    first, second = two
    member = first.user()
    there = replace(member, server=second)
    asked: dict[str, Any] = {"caller": True, "resource": {"shared": True}}
    asked["minimum_role"] = "ROLE_VIEWER"
    there.call("ScopeService/CheckResource", **asked)
    there.call("ScopeService/CheckResource", **asked)
    with statements(second) as sent:
        there.call("ScopeService/CheckResource", **asked)
    assert sent == []
    # Nothing that the caller or the answer rests on.
    first.site()
    asked["minimum_role"] = "ROLE_OPERATOR"
    for _ in range(5):
        there.call("ScopeService/CheckResource", **asked)
    if second.app.memory.feed.is_polled:
        second.app.memory.feed.poll()
        there.call("ScopeService/CheckResource", **asked)
    with statements(second) as sent:
        there.call("ScopeService/CheckResource", **asked)
    assert sent == []


@pytest.mark.parametrize("by", ["agent_slug", "agent_id"])
def test_a_change_of_a_hidden_agent_costs_a_stranger_what_no_agent_costs(
    lone: Server, by: str
) -> None:
    server = lone
    owner, stranger = server.user(), server.user()
    agent = server.agent(owner, "hidden")
    hidden = {by: getattr(agent, by)}
    nothing = {"agent_slug": "nothing"} if by == "agent_slug" else {"agent_id": 10**9}

    def cost(ref: Any) -> int:
        check = {"caller": True, "agent": ref, "minimum_role": "ROLE_VIEWER"}
        with statements(server) as sent:
            stranger.call("AccessService/BatchCheckAccess", checks=[check])
        return len(sent)

    for ref in (hidden, nothing):
        cost(ref)
    assert (cost(hidden), cost(nothing)) == (0, 0)
    server.admin.call(
        "AgentService/SetAgentStatus",
        agent={"agent_id": agent.agent_id},
        status="AGENT_STATUS_INACTIVE",
    )
    # Looks at the log.
    stranger.call("AuthService/WhoAmI")
    assert (cost(hidden), cost(nothing)) == (0, 0)


def test_who_owns_many_agents_costs_no_more_than_without_memory(lone: Server) -> None:
    server = lone
    owner = server.user()
    for _ in range(21):
        server.agent(owner)
    owner.call("AuthService/WhoAmI")
    with statements(server) as sent:
        owner.call("AuthService/WhoAmI")
    # Without memory: the caller twice, the head, the agents.
    assert len(sent) <= 4, sent


def test_the_key_to_logins_is_read_once_however_many_ask(lone: Server) -> None:
    server = lone
    service, member = server.user("SERVICE"), server.user()
    check = {"agent": {"agent_id": 1}, "minimum_role": "ROLE_VIEWER"}
    asked: dict[str, Any] = {"check": {**check, "principal": {"login": member.login}}}
    service.call("AuthService/WhoAmI")
    others = [replace(service, server=server.again()) for _ in range(4)]

    def ask(number: int) -> None:
        others[number % 4].call("AccessService/CheckAccess", **asked)

    with statements(server) as sent, ThreadPoolExecutor(100) as pool:
        list(pool.map(ask, range(100)))
    for other in others:
        other.server.close()
    assert sum("login_key" in each for each in sent) <= 2
