"""An agent gets another owner, and users get the agent that is theirs."""

from pathlib import Path
from typing import Any

import pytest

from accredit_service.abilities.calls.app import Limits
from tests.abilities.asking import authenticate, check
from tests.registry import Person, Registry, running_registry


def _transfer(caller: Person, agent: Any, to: Person, **fields: Any) -> Any:
    return caller.call(
        "AgentService/TransferAgent",
        agent={"agent_id": agent.agent_id},
        new_owner={"user_id": to.user_id},
        **fields,
    )


def _grants(registry: Registry, agent: Any) -> dict[int, int]:
    answer = registry.admin.call(
        "AccessService/ListAgentAccess", agent={"agent_id": agent.agent_id}
    )
    return {one.principal.user_id: one.role for one in answer.grants}


def test_a_transfer_revokes_every_token_of_the_agent_whoever_minted_it(registry: Registry) -> None:
    owner, grantee, heir = registry.user(), registry.user(), registry.user()
    agent, other = registry.agent(owner), registry.agent(owner)
    registry.grant(agent.agent_id, grantee, "ADMIN")
    minters = (owner, grantee, registry.admin)
    tokens = [registry.agent_token(one, agent.agent_id) for one in minters]
    tokens.append(registry.agent_token(owner, agent.agent_id, act_as_owner=True))
    elsewhere = registry.agent_token(owner, other.agent_id)

    answer = _transfer(registry.admin, agent, heir)

    assert not answer.HasField("offer")
    assert (answer.agent.owner_id, answer.former_owner_id) == (heir.user_id, owner.user_id)
    assert answer.tokens_revoked == 4
    assert {authenticate(registry, one.token) for one in tokens} == {"TOKEN_INVALID"}
    assert authenticate(registry, elsewhere.token) == "ALLOWED"
    assert authenticate(registry, owner.token) == "ALLOWED"


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        pytest.param(True, "ADMIN", id="the former owner keeps a grant of ADMIN"),
        pytest.param(False, None, id="the former owner's grant goes"),
    ],
)
def test_the_former_owner_keeps_access_only_if_asked(
    registry: Registry, keep: bool, left: str | None
) -> None:
    owner, viewer, heir = registry.user(), registry.user(), registry.user()
    agent = registry.agent(owner)
    registry.grant(agent.agent_id, viewer)
    # Whatever the new owner had before, a short grant of a low role, is theirs without an end.
    registry.grant(
        agent.agent_id, heir, expire_time=registry.clock().replace(year=registry.clock().year + 1)
    )

    answer = _transfer(registry.admin, agent, heir, keep_access=keep)

    expected = {heir.user_id: 3, viewer.user_id: 1} | ({owner.user_id: 3} if keep else {})
    assert _grants(registry, agent) == expected
    assert {one.principal.user_id: one.role for one in answer.access_grants} == expected
    assert {one.login for one in answer.access_grants} >= {heir.login, viewer.login}
    registry.clock.advance(days=366)
    assert check(registry, heir, agent.agent_id, "ADMIN") == "ALLOWED"
    allowed = check(registry, owner, agent.agent_id, "ADMIN") == "ALLOWED"
    assert allowed is (left == "ADMIN")


def test_the_new_owner_must_be_somebody_else_who_is_active(registry: Registry) -> None:
    owner, gone = registry.user(), registry.user()
    agent = registry.agent(owner)
    registry.admin.call("UserService/DeactivateUser", user={"user_id": gone.user_id})

    def refused(new_owner: dict[str, Any]) -> str:
        return owner.refused(
            "AgentService/TransferAgent", agent={"agent_id": agent.agent_id}, new_owner=new_owner
        ).what

    assert refused({"user_id": owner.user_id}) == "FAILED_PRECONDITION ALREADY_OWNER"
    assert refused({"login": owner.login}) == "FAILED_PRECONDITION ALREADY_OWNER"
    assert refused({"user_id": gone.user_id}) == "NOT_FOUND AGENT_OWNER_NOT_FOUND"
    assert refused({"login": "nobody"}) == "NOT_FOUND AGENT_OWNER_NOT_FOUND"
    assert refused({}) == "INVALID_ARGUMENT FIELD_INVALID"


def test_who_manages_agents_gives_more_than_somebody_may_own(strict_registry: Registry) -> None:
    registry = strict_registry
    full = registry.user()
    registry.agent(full)
    agent = registry.agent(registry.user())
    assert _transfer(registry.admin, agent, full).agent.owner_id == full.user_id


def test_a_user_is_provisioned_with_the_agent_they_have_else_one_named_after_them(
    registry: Registry,
) -> None:
    login = registry.name("Ada.Lovelace")
    ada = registry.user(login=login, display_name="Ada Lovelace")

    first, again = (ada.call("AgentService/ProvisionAgent") for _ in range(2))

    assert (first.created, again.created) == (True, False)
    assert first.agent == again.agent
    assert first.agent.agent_slug == login.lower().replace(".", "-")
    assert first.agent.agent_name == "Ada Lovelace"
    assert first.agent.owner_id == ada.user_id
    assert _grants(registry, first.agent) == {ada.user_id: 3}


def test_of_several_the_one_with_the_lowest_id_is_handed_out(registry: Registry) -> None:
    owner = registry.user()
    agents = [registry.agent(owner) for _ in range(3)]
    owner.call(
        "AgentService/UpdateAgent",
        agent={"agent_id": agents[0].agent_id},
        update={"status": "AGENT_STATUS_ARCHIVED"},
    )
    answer = owner.call("AgentService/ProvisionAgent")
    assert answer.agent.agent_id == agents[0].agent_id


def test_provisioning_never_hands_out_what_somebody_else_has_or_had(registry: Registry) -> None:
    login = registry.name("grace")
    squatter, former, grace = registry.user(), registry.user(), registry.user(login=login)
    taken = registry.agent(squatter, login)
    registry.grant(taken.agent_id, grace, "ADMIN")
    released = registry.agent(former, f"{login}-2")
    former.call("AgentService/DeleteAgent", agent={"agent_id": released.agent_id})

    answer = grace.call("AgentService/ProvisionAgent")

    assert answer.created
    assert answer.agent.agent_slug == f"{login}-3"
    assert answer.agent.owner_id == grace.user_id


def test_a_login_that_would_read_as_an_id_gets_a_number_behind_it(own_registry: Registry) -> None:
    user = own_registry.user(login="7_7")
    dotted = own_registry.user(login="7..")
    assert user.call("AgentService/ProvisionAgent").agent.agent_slug == "7_7"
    assert dotted.call("AgentService/ProvisionAgent").agent.agent_slug == "7-2"


def test_another_users_agent_is_provisioned_by_who_manages_agents(registry: Registry) -> None:
    user, other = registry.user(), registry.user("GUEST")
    gone = registry.user()
    registry.admin.call("UserService/DeactivateUser", user={"user_id": gone.user_id})

    made = registry.admin.call("AgentService/ProvisionAgent", user={"user_id": other.user_id})

    assert made.agent.owner_id == other.user_id
    foreign = user.refused("AgentService/ProvisionAgent", user={"user_id": other.user_id})
    assert foreign.what == "PERMISSION_DENIED ACTION_MISSING"
    guest = other.refused("AgentService/ProvisionAgent")
    assert guest.what == "PERMISSION_DENIED ACTION_MISSING"
    for user_id in (gone.user_id, 2**62):
        unknown = registry.admin.refused("AgentService/ProvisionAgent", user={"user_id": user_id})
        assert unknown.what == "NOT_FOUND USER_NOT_FOUND"


def test_where_members_may_own_no_agents_none_is_provisioned_for_them(
    database_url: str, tmp_path: Path
) -> None:
    with running_registry(database_url, tmp_path, limits=Limits(agents_per_user=0)) as registry:
        member = registry.user()
        refusal = member.refused("AgentService/ProvisionAgent")
        given = registry.admin.call("AgentService/ProvisionAgent", user={"user_id": member.user_id})
        found = member.call("AgentService/ProvisionAgent")
    assert refusal.what == "RESOURCE_EXHAUSTED AGENT_LIMIT_REACHED"
    assert (given.created, found.created) == (True, False)
    assert given.agent == found.agent
