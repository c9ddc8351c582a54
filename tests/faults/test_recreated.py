"""What was deleted and made again under the same name is something new."""

from typing import Any

import pytest

from tests.server import Person, Server


def recreated(server: Server, owner: Person, slug: str) -> int:
    """The id of a new agent under a slug whose agent is deleted first, together with the newest id.

    A database that gave ids out again would do it here.
    """
    server.admin.call("AgentService/DeleteAgent", agent={"agent_slug": slug})
    made = owner.call("AgentService/CreateAgent", agent_slug=slug)
    assert made.created
    return int(made.agent.agent_id)


def test_no_token_or_grant_of_the_old_agent_works_on_the_new_one(server: Server) -> None:
    owner, guest = server.user(), server.user()
    old = server.agent(owner, "phoenix")
    server.grant(old.agent_id, guest, "ADMIN")
    by_owner = server.agent_token(owner, old.agent_id)
    by_guest = server.agent_token(guest, old.agent_id)
    new_id = recreated(server, owner, "phoenix")
    assert new_id > old.agent_id
    for holder in (by_owner, by_guest):
        assert holder.refused("AuthService/WhoAmI").what == "UNAUTHENTICATED TOKEN_INVALID"
        answer = server.admin.call(
            "AuthService/Authorize",
            token=holder.token,
            demand={"agent": {"agent_slug": "phoenix"}, "minimum_role": "ROLE_VIEWER"},
        )
        assert answer.WhichOneof("outcome") == "denial"
        gone = server.admin.refused("TokenService/GetToken", token_id=holder.token_id)
        assert gone.what == "NOT_FOUND AGENT_TOKEN_NOT_FOUND"
    refusal = guest.refused("AgentService/GetAgent", agent={"agent_slug": "phoenix"})
    assert refusal.what == "PERMISSION_DENIED AGENT_ACCESS_DENIED"
    listed = owner.call("TokenService/ListTokens", agent={"agent_id": new_id}, show_inactive=True)
    assert not listed.tokens
    grants = owner.call("AccessService/ListAgentAccess", agent={"agent_id": new_id}).grants
    assert [grant.principal.user_id for grant in grants] == [owner.user_id]


@pytest.mark.parametrize(
    "method", ["AccessService/ListAgentAccess", "TokenService/ListTokens"], ids=["grants", "tokens"]
)
def test_no_list_of_the_old_agent_goes_on_in_the_new_one(server: Server, method: str) -> None:
    owner = server.user()
    asked: dict[str, Any] = {"agent": {"agent_slug": "phoenix"}, "page_size": 1}
    old = server.agent(owner, "phoenix")
    fill(server, owner, old.agent_id)
    token = owner.call(method, **asked).next_page_token
    assert owner.call(method, page_token=token, **asked)
    new_id = recreated(server, owner, "phoenix")
    fill(server, owner, new_id)
    refusal = owner.refused(method, page_token=token, **asked)
    assert refusal.what == "INVALID_ARGUMENT PAGE_TOKEN_INVALID"
    assert list(refusal.fields) == ["page_token"]


def fill(server: Server, owner: Person, agent_id: int) -> None:
    for _ in range(3):
        server.grant(agent_id, server.user(), "VIEWER")
        server.agent_token(owner, agent_id)


def test_nothing_of_the_old_user_belongs_to_the_new_one(server: Server) -> None:
    agent = server.agent(server.user())
    old = server.user(login="lazarus")
    server.grant(agent.agent_id, old, "ADMIN")
    minted = server.agent_token(old, agent.agent_id)
    server.admin.call("UserService/DeleteUser", user={"login": "lazarus"})
    new = server.user(login="lazarus")
    assert new.user_id > old.user_id
    for gone in (old, minted):
        assert gone.refused("AuthService/WhoAmI").what == "UNAUTHENTICATED TOKEN_INVALID"
    asked = {
        "caller": True,
        "agent": {"agent_id": agent.agent_id},
        "minimum_role": "ROLE_VIEWER",
    }
    check = new.call("AccessService/CheckAccess", check=asked)
    assert check.WhichOneof("outcome") == "denial"
    assert not new.call("AccessService/ListUserAccess").grants
    assert [token.token_id for token in new.call("TokenService/ListTokens").tokens] == [
        new.token_id
    ]


def test_a_slug_that_was_renamed_away_keeps_nothing_of_its_former_agent(
    server: Server,
) -> None:
    owner, guest = server.user(), server.user()
    moved = server.agent(owner, "before")
    server.grant(moved.agent_id, guest, "OPERATOR")
    token = server.agent_token(owner, moved.agent_id)
    owner.call("AgentService/RenameAgent", agent={"agent_slug": "before"}, new_slug="after")
    made = owner.call("AgentService/CreateAgent", agent_slug="before").agent
    refusal = guest.refused("AgentService/GetAgent", agent={"agent_slug": "before"})
    assert refusal.what == "PERMISSION_DENIED AGENT_ACCESS_DENIED"
    demand = {"agent": {"agent_id": made.agent_id}, "minimum_role": "ROLE_VIEWER"}
    answer = server.admin.call("AuthService/Authorize", token=token.token, demand=demand)
    assert answer.WhichOneof("outcome") == "denial"
    assert token.call("AuthService/WhoAmI").agent.agent_slug == "after"
