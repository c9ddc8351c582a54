"""What a caller may not know costs what nothing costs, warm and cold."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.server import Person, Server
from tests.statements import fetched, statements


def _asked(stranger: Person, slug: str, login: str) -> list[str]:
    check = {"agent": {"agent_slug": slug}, "minimum_role": "ROLE_VIEWER"}
    with statements(stranger.server) as sent:
        refusal = stranger.refused(
            "AccessService/CheckAccess", check={**check, "principal": {"login": login}}
        )
    assert refusal.reason == "ACTION_MISSING"
    return sent


def test_a_login_that_there_is_costs_a_stranger_what_another_costs(lone: Server) -> None:
    server = lone
    known, stranger = server.user(), server.user()
    # Both are warm, and the agents are none.
    for login in (known.login, "nobody"):
        _asked(stranger, "none", login)
    there = _asked(stranger, "none-1", known.login)
    missing = _asked(stranger, "none-2", "nobody")
    assert len(there) == len(missing), (there, missing)


def test_the_same_cold(lone: Server) -> None:
    server = lone
    known, stranger = server.user(), server.user()
    stranger.call("AuthService/WhoAmI")
    there = _asked(stranger, "none-1", known.login)
    missing = _asked(stranger, "none-2", "nobody")
    assert len(there) == len(missing), (there, missing)


def test_the_same_for_one_agent(lone: Server) -> None:
    server = lone
    first, known, stranger = server.user(), server.user(), server.user()
    _asked(stranger, "none", first.login)
    _asked(stranger, "none", "nobody")
    there = _asked(stranger, "none", known.login)
    missing = _asked(stranger, "none", "nobody-else")
    assert len(there) == len(missing), (there, missing)


def _stranger(server: Server, _agent: Any, _owner: Person) -> Person:
    return server.user()


def _other_agent(server: Server, _agent: Any, owner: Person) -> Person:
    """The token of another agent of the same owner."""
    return server.agent_token(owner, server.agent(owner).agent_id)


def _expired(server: Server, agent: Any, _owner: Person) -> Person:
    """Somebody whose grant on the agent has expired."""
    member = server.user()
    server.grant(agent.agent_id, member, expire_time=server.clock() + timedelta(seconds=60))
    server.clock.advance(seconds=100)
    return member


def _check(ref: dict[str, Any]) -> dict[str, Any]:
    return {"agent": ref, "caller": True, "minimum_role": "ROLE_VIEWER"}


def _check_one(asker: Person, ref: dict[str, Any]) -> None:
    asker.call("AccessService/CheckAccess", check=_check(ref))


def _check_several(asker: Person, ref: dict[str, Any]) -> None:
    checks = [_check(ref), _check({"agent_slug": "none-1"}), _check({"agent_id": 10**9})]
    asker.call("AccessService/BatchCheckAccess", checks=checks)


def _get_several(asker: Person, ref: dict[str, Any]) -> None:
    refs = [ref, {"agent_slug": "none-1"}, {"agent_id": 10**9}]
    asker.call("AgentService/BatchGetAgents", agents=refs)


ASK = {"one": _check_one, "several": _check_several, "records": _get_several}
ASKERS = {"stranger": _stranger, "other agent": _other_agent, "expired": _expired}


@pytest.mark.parametrize("by", ["agent_id", "agent_slug"])
@pytest.mark.parametrize("ask", ASK.values(), ids=ASK)
@pytest.mark.parametrize("asker", ASKERS.values(), ids=ASKERS)
def test_the_row_of_a_hidden_agent_is_not_fetched(
    lone: Server, asker: Callable[..., Person], ask: Callable[..., None], by: str
) -> None:
    server = lone
    owner = server.user()
    agent = server.agent(owner)
    person = asker(server, agent, owner)
    ref = {by: getattr(agent, by)}
    # Whoever asks is warm, so that the rows are those of the agents.
    for each in (person, owner):
        each.call("AuthService/WhoAmI")
    with fetched() as rows:
        ask(person, ref)
    assert not [row for row in rows if agent.agent_slug in row]
    # Of one who sees it, it is.
    with fetched() as rows:
        ask(owner, ref)
    assert [row for row in rows if agent.agent_slug in row]


def _decision(asker: Person, agent: Any) -> str | None:
    answer = asker.call("AccessService/CheckAccess", check=_check({"agent_slug": agent.agent_slug}))
    outcome: str | None = answer.WhichOneof("outcome")
    return outcome


def test_a_grant_that_is_renewed_is_seen(lone: Server) -> None:
    server = lone
    owner = server.user()
    agent = server.agent(owner)
    member = _expired(server, agent, owner)
    assert _decision(member, agent) == "denial"
    server.grant(agent.agent_id, member, expire_time=server.clock() + timedelta(seconds=60))
    assert _decision(member, agent) == "principal"


def test_a_grant_that_expires_in_memory_is_not_seen(lone: Server) -> None:
    """Nor does a change of the agent cost whoever had the grant what it costs one who has it."""
    server = lone
    agent = server.agent(server.user())
    member = server.user()
    server.grant(agent.agent_id, member, expire_time=server.clock() + timedelta(seconds=60))
    assert _decision(member, agent) == "principal"
    server.clock.advance(seconds=100)
    with fetched() as rows:
        assert _decision(member, agent) == "denial"
    assert not [row for row in rows if agent.agent_slug in row]
    server.admin.call(
        "AgentService/SetAgentStatus",
        agent={"agent_id": agent.agent_id},
        status="AGENT_STATUS_INACTIVE",
    )
    # Looks at the log.
    _check_one(member, {"agent_slug": "none"})
    # Another question, as the reply to the first one is kept.
    check = {**_check({"agent_slug": agent.agent_slug}), "minimum_role": "ROLE_OPERATOR"}
    with fetched() as rows:
        member.call("AccessService/CheckAccess", check=check)
    assert rows == []


def test_an_agents_token_and_its_owner_see_each_their_own(lone: Server) -> None:
    server = lone
    owner = server.user()
    agent = server.agent(owner)
    token = _other_agent(server, agent, owner)
    assert _decision(token, agent) == "denial"
    assert _decision(owner, agent) == "principal"
    assert _decision(token, agent) == "denial"


def test_a_change_of_a_hidden_agent_ends_no_reply_about_its_id(lone: Server) -> None:
    server = lone
    owner, stranger = server.user(), server.user()
    agent = server.agent(owner)
    ref = {"agent_id": agent.agent_id}
    check = {"agent": ref, "caller": True, "minimum_role": "ROLE_VIEWER"}

    def answer() -> Any:
        return stranger.call("AccessService/CheckAccess", check=check)

    told = answer()
    assert f"{agent.agent_id}" in [one.subject_id for one in told.basis.depends_on]
    kept = len(server.app.memory.replies)
    assert kept
    owner.call("AgentService/UpdateAgent", agent=ref, update={"agent_name": "Another"})
    assert len(server.app.memory.replies) == kept
    assert answer().HasField("denial")
    # What shows it to them ends it.
    server.grant(agent.agent_id, stranger)
    assert answer().HasField("principal")
    whom = {"user_id": stranger.user_id}
    server.admin.call("AccessService/RevokeAccess", agent=ref, principal=whom)
    assert answer().HasField("denial")
    owner.call("AgentService/TransferAgent", agent=ref, new_owner=whom)
    (offer,) = stranger.call("AgentService/ListTransferOffers").offers
    assert answer().HasField("denial")
    stranger.call("AgentService/AcceptTransfer", offer_id=offer.offer_id)
    assert answer().HasField("principal")
