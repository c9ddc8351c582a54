"""Everybody may be rid of what was granted to them."""

import pytest

from tests.abilities.asking import authenticate, check, held
from tests.registry import Person, RefusedError, Registry


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
    registry: Registry, role: str, by: str
) -> None:
    holder = registry.user()
    agent = registry.agent(registry.user())
    registry.grant(agent.agent_id, holder, role)
    give_up(holder, agent.agent_id, **{by: getattr(holder, by)})
    assert check(registry, holder, agent.agent_id) == "ROLE_INSUFFICIENT"
    assert refused(holder, agent.agent_id) == "PERMISSION_DENIED AGENT_ACCESS_DENIED"


def test_an_expired_grant_can_be_given_up_too(registry: Registry) -> None:
    holder = registry.user()
    agent = registry.agent(registry.user())
    end = registry.clock().replace(year=registry.clock().year + 1)
    registry.grant(agent.agent_id, holder, expire_time=end)
    registry.clock.advance(days=367)
    give_up(holder, agent.agent_id)
    listed = registry.admin.call(
        "AccessService/ListAgentAccess", agent={"agent_id": agent.agent_id}
    ).grants
    assert holder.login not in [one.login for one in listed]


def test_the_tokens_that_one_minted_by_it_end_with_it(registry: Registry) -> None:
    holder = registry.user()
    agent = registry.agent(registry.user())
    registry.grant(agent.agent_id, holder, "ADMIN")
    token = registry.agent_token(holder, agent.agent_id)
    give_up(holder, agent.agent_id)
    assert authenticate(registry, token.token) == "TOKEN_INVALID"


def test_it_takes_ones_own_token_with_all_its_reach(registry: Registry) -> None:
    holder = registry.user()
    own, agent = registry.agent(holder), registry.agent(registry.user())
    registry.grant(agent.agent_id, holder, "OPERATOR")
    weak = held(holder, "OPERATOR", "chat")
    acting = registry.agent_token(holder, own.agent_id, act_as_owner=True)
    principal = {"user_id": holder.user_id}
    assert refused(weak, agent.agent_id) == "PERMISSION_DENIED ROLE_INSUFFICIENT"
    # An agent of theirs is not they in person.
    assert refused(acting, agent.agent_id, **principal) == "PERMISSION_DENIED ROLE_INSUFFICIENT"
    bound = registry.agent_token(holder, own.agent_id)
    assert refused(bound, agent.agent_id, **principal) == "PERMISSION_DENIED USER_TOKEN_REQUIRED"
    give_up(held(holder, "ADMIN"), agent.agent_id)


def test_nobody_gives_up_what_others_have_nor_what_comes_with_owning(registry: Registry) -> None:
    owner, holder, other = registry.user(), registry.user(), registry.user()
    agent = registry.agent(owner)
    registry.grant(agent.agent_id, holder, "OPERATOR")
    registry.grant(agent.agent_id, other)
    assert refused(owner, agent.agent_id) == "FAILED_PRECONDITION CANNOT_REVOKE_OWNER"
    foreign = refused(holder, agent.agent_id, user_id=other.user_id)
    assert foreign == "PERMISSION_DENIED ROLE_INSUFFICIENT"
    assert refused(registry.admin, agent.agent_id) == "NOT_FOUND REVOKE_FAILED"


def test_who_has_no_grant_learns_nothing_of_the_agent(registry: Registry) -> None:
    stranger = registry.user()
    hidden = registry.agent(registry.user()).agent_id
    for agent_id in (hidden, 2**62):
        assert refused(stranger, agent_id) == "PERMISSION_DENIED AGENT_ACCESS_DENIED"
