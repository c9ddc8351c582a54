"""Until when an answer holds and what it rests on, without an agent that is named, or for a row."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.api.asking import end_of, rests_on
from tests.server import Person, Server

VIEWER: dict[str, Any] = {"minimum_role": "ROLE_VIEWER"}


@pytest.fixture
def grant_ends(server: Server) -> datetime:
    return server.clock() + timedelta(hours=1)


@pytest.fixture
def token_ends(server: Server) -> datetime:
    return server.clock() + timedelta(hours=2)


@pytest.fixture
def guest(server: Server, grant_ends: datetime, token_ends: datetime) -> Person:
    """Somebody whose token ends, and before it their grant on the agent that they chose."""
    user = server.user()
    agent = server.agent(server.user())
    server.grant(agent.agent_id, user, expire_time=grant_ends)
    ref = {"agent_id": agent.agent_id}
    user.call("AgentService/SetDefaultAgent", agent=ref)
    limited = server.user_token(user, expire_time=token_ends)
    return Person(
        server,
        limited.token,
        token_id=limited.token_id,
        user_id=user.user_id,
        agent_id=agent.agent_id,
    )


def test_an_answer_about_the_agent_that_is_meant_ends_with_the_grant_on_it(
    server: Server, guest: Person, grant_ends: datetime
) -> None:
    one = server.admin.call("AuthService/Authorize", token=guest.token, demand=VIEWER)
    assert one.agent_id == guest.agent_id
    assert end_of(one.basis) == grant_ends
    batch = server.admin.call(
        "AuthService/BatchAuthorize", token=guest.token, demands=[VIEWER], include_basis=True
    )
    assert end_of(batch.basis) == grant_ends


@pytest.mark.parametrize(
    ("method", "asked"),
    [
        ("ResolveScope", {}),
        ("CheckResource", {"resource": {"shared": True}}),
        ("CheckResource", {"resource": {"user": {"user_id": 1}}}),
    ],
    ids=["every agent", "nobody's row", "a user's row"],
)
def test_an_answer_about_no_agent_ends_with_the_token(
    server: Server, guest: Person, token_ends: datetime, method: str, asked: dict[str, Any]
) -> None:
    own = guest.call(f"ScopeService/{method}", caller=True, **VIEWER, **asked)
    told = server.admin.call(f"ScopeService/{method}", token=guest.token, **VIEWER, **asked)
    assert [end_of(reply.basis) for reply in (own, told)] == [token_ends] * 2


def test_an_answer_about_an_agents_row_rests_on_the_grant_and_ends_with_it(
    server: Server, guest: Person, grant_ends: datetime
) -> None:
    found = server.admin.call("AgentService/GetAgent", agent={"agent_id": guest.agent_id})
    slug = found.agent.agent_slug
    for role in ("VIEWER", "ADMIN"):
        basis = guest.call(
            "ScopeService/CheckResource",
            caller=True,
            resource={"agent": {"agent_slug": slug}},
            minimum_role=f"ROLE_{role}",
        ).basis
        assert end_of(basis) == grant_ends
        assert rests_on(basis) | {"USER": [], "TOKEN": []} == {
            "AGENT": [str(guest.agent_id)],
            "AGENT_SLUG": [slug],
            "GRANT": [f"{guest.agent_id}:user:{guest.user_id}"],
            "USER": [],
            "TOKEN": [],
        }


def test_whoever_may_ask_about_tokens_is_told_of_the_agent_that_its_bearer_does_not_see(
    server: Server,
) -> None:
    stranger, agent = server.user(), server.agent(server.user())
    reply = server.admin.call(
        "ScopeService/CheckResource",
        token=stranger.token,
        resource={"agent": {"agent_slug": agent.agent_slug}},
        **VIEWER,
    )
    # Without it whoever keeps the answer would not notice that the agent has got another owner.
    assert rests_on(reply.basis)["AGENT"] == [str(agent.agent_id)]
