"""Everybody may be rid of what was granted to them."""

import pytest

from tests.api.asking import authenticate, check, held
from tests.server import Person, RefusedError, Server


def give_up(caller: Person, agent_id: int, **principal: object) -> object:
    return caller.call(
        "AccessService/RevokeAccess",
        agent={"agent_id": agent_id},
        principal=principal or {"user_id": caller.user_id},
    )


def refused(caller: Person, agent_id: int, **principal: object) -> str:
    with pytest.raises(RefusedError) as refusal:
        give_up(caller, agent_id, **principal)
    return refusal.value.what


@pytest.mark.parametrize("role", ["VIEWER", "OPERATOR", "ADMIN"])
@pytest.mark.parametrize("by", ["user_id", "login"])
def test_a_grant_of_ones_own_is_given_up_whatever_its_role(
    server: Server, role: str, by: str
) -> None:
    holder = server.user()
    agent = server.agent(server.user())
    server.grant(agent.agent_id, holder, role)
    give_up(holder, agent.agent_id, **{by: getattr(holder, by)})
    assert check(server, holder, agent.agent_id) == "ROLE_INSUFFICIENT"
    assert refused(holder, agent.agent_id) == "PERMISSION_DENIED AGENT_ACCESS_DENIED"


def test_an_expired_grant_can_be_given_up_too(server: Server) -> None:
    holder = server.user()
    agent = server.agent(server.user())
    end = server.clock().replace(year=server.clock().year + 1)
    server.grant(agent.agent_id, holder, expire_time=end)
    server.clock.advance(days=367)
    give_up(holder, agent.agent_id)
    listed = server.admin.call(
        "AccessService/ListAgentAccess", agent={"agent_id": agent.agent_id}
    ).grants
    assert holder.login not in [one.login for one in listed]


def test_the_tokens_that_one_minted_by_it_end_with_it(server: Server) -> None:
    holder = server.user()
    agent = server.agent(server.user())
    server.grant(agent.agent_id, holder, "ADMIN")
    token = server.agent_token(holder, agent.agent_id)
    give_up(holder, agent.agent_id)
    assert authenticate(server, token.token) == "TOKEN_INVALID"


def test_it_takes_ones_own_token_with_all_its_reach(server: Server) -> None:
    holder = server.user()
    own, agent = server.agent(holder), server.agent(server.user())
    server.grant(agent.agent_id, holder, "OPERATOR")
    weak = held(holder, "OPERATOR", "chat")
    acting = server.agent_token(holder, own.agent_id, act_as_owner=True)
    principal = {"user_id": holder.user_id}
    assert refused(weak, agent.agent_id) == "PERMISSION_DENIED ROLE_INSUFFICIENT"
    # An agent of theirs is not they in person.
    assert refused(acting, agent.agent_id, **principal) == "PERMISSION_DENIED ROLE_INSUFFICIENT"
    bound = server.agent_token(holder, own.agent_id)
    assert refused(bound, agent.agent_id, **principal) == "PERMISSION_DENIED USER_TOKEN_REQUIRED"
    give_up(held(holder, "ADMIN"), agent.agent_id)


def test_nobody_gives_up_what_others_have_nor_what_comes_with_owning(server: Server) -> None:
    owner, holder, other = server.user(), server.user(), server.user()
    agent = server.agent(owner)
    server.grant(agent.agent_id, holder, "OPERATOR")
    server.grant(agent.agent_id, other)
    assert refused(owner, agent.agent_id) == "FAILED_PRECONDITION CANNOT_REVOKE_OWNER"
    foreign = refused(holder, agent.agent_id, user_id=other.user_id)
    assert foreign == "PERMISSION_DENIED ROLE_INSUFFICIENT"
    assert refused(server.admin, agent.agent_id) == "NOT_FOUND REVOKE_FAILED"


def test_who_has_no_grant_learns_nothing_of_the_agent(server: Server) -> None:
    stranger = server.user()
    hidden = server.agent(server.user()).agent_id
    for agent_id in (hidden, 2**62):
        assert refused(stranger, agent_id) == "PERMISSION_DENIED AGENT_ACCESS_DENIED"
