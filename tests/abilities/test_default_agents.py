"""Which agent a question means that names none: the one chosen, else the only one owned."""

from typing import Any

import pytest

from tests.abilities.asking import authorize, held, newest_change, newest_revision
from tests.registry import Person, Registry


def choose(person: Person, agent: Any) -> Any:
    return person.call("AgentService/SetDefaultAgent", agent={"agent_id": agent.agent_id})


def chosen(person: Person) -> int:
    """The agent that a user chose, as they are shown; 0 for none."""
    found = person.call("UserService/GetUser", user={"user_id": person.user_id})
    agent_id: int = found.user.default_agent_id
    return agent_id


def asked(person: Person, role: str = "VIEWER") -> Any:
    """What a service is told of the person who names no agent."""
    return person.registry.admin.call(
        "AuthService/Authorize", token=person.token, demand={"minimum_role": f"ROLE_{role}"}
    )


def resolved(person: Person) -> int:
    agent_id: int = person.call("AgentService/ResolveAgent").agent.agent_id
    return agent_id


def scoped(person: Person, **more: Any) -> int:
    """The default agent of the person's own scope."""
    scope = person.call(
        "ScopeService/ResolveScope", caller=True, **{"minimum_role": "ROLE_VIEWER", **more}
    ).scope
    agent_id: int = scope.default_agent_id
    return agent_id


def set_status(registry: Registry, agent: Any, status: str) -> None:
    registry.admin.call(
        "AgentService/SetAgentStatus",
        agent={"agent_id": agent.agent_id},
        status=f"AGENT_STATUS_{status}",
    )


def revoke(caller: Person, agent: Any, user: Person) -> Any:
    return caller.call(
        "AccessService/RevokeAccess",
        agent={"agent_id": agent.agent_id},
        principal={"user_id": user.user_id},
    )


def transfer(registry: Registry, agent: Any, to: Person, **fields: Any) -> None:
    registry.admin.call(
        "AgentService/TransferAgent",
        agent={"agent_id": agent.agent_id},
        new_owner={"user_id": to.user_id},
        **fields,
    )


def everywhere(person: Person) -> set[int]:
    """The agent meant, by every call that says which."""
    who = person.call("AuthService/WhoAmI").agent.agent_id
    return {asked(person).agent_id, who, resolved(person), scoped(person)}


@pytest.mark.parametrize("how", ["owned", "granted", "administered"])
def test_the_chosen_agent_is_meant_whatever_else_is_owned_or_granted(
    registry: Registry, how: str
) -> None:
    user = registry.user("ADMINISTRATOR" if how == "administered" else "MEMBER")
    others = [registry.agent(user) for _ in range(2)]
    agent = registry.agent(user if how == "owned" else registry.user())
    if how == "granted":
        registry.grant(agent.agent_id, user)
    assert authorize(registry, user.token) == "AGENT_AMBIGUOUS"

    answer = choose(user, agent)

    assert answer.agent.agent_id == agent.agent_id
    assert not answer.agent.HasField("config")
    assert chosen(user) == agent.agent_id
    assert everywhere(user) == {agent.agent_id}
    service = registry.user("SERVICE")
    of_user = service.call("AgentService/ResolveAgent", user={"login": user.login})
    assert of_user.agent.agent_id == agent.agent_id

    user.call("AgentService/SetDefaultAgent", none=True)
    assert chosen(user) == 0
    assert authorize(registry, user.token) == "AGENT_AMBIGUOUS"
    assert scoped(user) == others[0].agent_id


def test_an_agents_own_token_means_itself_whatever_its_owner_chose(registry: Registry) -> None:
    owner = registry.user()
    agent, other = registry.agent(owner), registry.agent(owner)
    choose(owner, other)
    for acts in (False, True):
        token = registry.agent_token(owner, agent.agent_id, act_as_owner=acts)
        assert asked(token).agent_id == agent.agent_id
        assert token.call("AuthService/WhoAmI").agent.agent_id == agent.agent_id
        assert resolved(token) == agent.agent_id


def test_a_strangers_grant_or_offer_never_says_what_somebody_means(registry: Registry) -> None:
    victim, stranger = registry.user(), registry.user()
    lure = registry.agent(stranger)
    registry.grant(lure.agent_id, victim, "ADMIN")
    # It is suggested to who looks for an agent to work on, and no more.
    assert resolved(victim) == scoped(victim) == lure.agent_id
    assert authorize(registry, victim.token) == "ROLE_INSUFFICIENT"
    assert not victim.call("AuthService/WhoAmI").HasField("agent")

    own = registry.agent(victim)
    registry.grant(registry.agent(stranger).agent_id, victim)
    stranger.call(
        "AgentService/TransferAgent",
        agent={"agent_id": lure.agent_id},
        new_owner={"user_id": victim.user_id},
    )
    assert everywhere(victim) == {own.agent_id}


def test_a_chosen_agent_that_is_inactive_is_not_passed_over(registry: Registry) -> None:
    user = registry.user()
    agent, other = registry.agent(user), registry.agent(user)
    choose(user, agent)
    for status in ("INACTIVE", "ARCHIVED"):
        set_status(registry, agent, status)
        assert chosen(user) == agent.agent_id
        assert authorize(registry, user.token) == "AGENT_INACTIVE"
        assert user.call("AuthService/WhoAmI").agent.agent_id == agent.agent_id
        refusal = user.refused("AgentService/ResolveAgent")
        assert refusal.what == "PERMISSION_DENIED AGENT_INACTIVE"
        assert refusal.metadata == {"agent_slug": agent.agent_slug}
        # Who resolves any agent is told which one it is, and its status.
        found = registry.user("SERVICE").call(
            "AgentService/ResolveAgent", user={"user_id": user.user_id}
        )
        assert found.agent.agent_id == agent.agent_id
    set_status(registry, agent, "ACTIVE")
    assert everywhere(user) == {agent.agent_id}
    assert other.agent_id != agent.agent_id


def test_a_chosen_agent_that_is_out_of_reach_is_not_passed_over(registry: Registry) -> None:
    user = registry.user()
    own, agent = registry.agent(user), registry.agent(registry.user())
    end = registry.clock().replace(microsecond=0)
    registry.grant(agent.agent_id, user, expire_time=end.replace(year=end.year + 1))
    choose(user, agent)
    registry.clock.advance(days=367)

    assert chosen(user) == agent.agent_id
    assert authorize(registry, user.token) == "ROLE_INSUFFICIENT"
    assert user.refused("AgentService/ResolveAgent").what == "PERMISSION_DENIED AGENT_ACCESS_DENIED"
    assert scoped(user) == 0

    registry.grant(agent.agent_id, user)
    assert everywhere(user) == {agent.agent_id}
    # Too low a role for what is asked is no reason to mean another either.
    assert authorize(registry, user.token, role="OPERATOR") == "ROLE_INSUFFICIENT"
    assert scoped(user, minimum_role="ROLE_OPERATOR") == 0
    assert own.agent_id != agent.agent_id


def test_a_scope_names_a_chosen_agent_of_another_site_no_more(registry: Registry) -> None:
    user, site, other = registry.user(), registry.site(), registry.site()
    agent = registry.agent(user, site_scope=site)
    registry.agent(user)
    choose(user, agent)
    assert scoped(user) == scoped(user, site_id=site) == agent.agent_id
    assert scoped(user, site_id=other) == 0


@pytest.mark.parametrize("ending", ["revoked", "given up", "transferred", "deleted"])
def test_a_choice_ends_with_what_gave_access_and_the_change_lists_its_user(
    registry: Registry, ending: str
) -> None:
    user, owner = registry.user(), registry.user()
    agent = registry.agent(user if ending == "transferred" else owner)
    if ending != "transferred":
        registry.grant(agent.agent_id, user)
    choose(user, agent)
    etag = registry.admin.call("UserService/GetUser", user={"user_id": user.user_id}).user.etag

    if ending == "revoked":
        revoke(owner, agent, user)
    elif ending == "given up":
        revoke(user, agent, user)
    elif ending == "transferred":
        transfer(registry, agent, owner)
    else:
        owner.call("AgentService/DeleteAgent", agent={"agent_id": agent.agent_id})

    _kind, subjects = newest_change(registry)
    assert f"USER {user.user_id}" in subjects
    found = registry.admin.call("UserService/GetUser", user={"user_id": user.user_id}).user
    assert found.default_agent_id == 0
    assert found.etag != etag
    assert user.refused("AgentService/ResolveAgent").what == "NOT_FOUND NO_AGENT"


def test_a_choice_stays_while_something_else_gives_access(registry: Registry) -> None:
    chief, owner, heir = registry.user("ADMINISTRATOR"), registry.user(), registry.user()
    agent = registry.agent(owner)
    registry.grant(agent.agent_id, chief)
    for person in (chief, owner):
        choose(person, agent)

    revoke(owner, agent, chief)
    transfer(registry, agent, heir, keep_access=True)

    assert chosen(chief) == chosen(owner) == agent.agent_id
    # A revocation of somebody else's grant is nothing to those who keep theirs.
    other = registry.user()
    registry.grant(agent.agent_id, other)
    choose(other, agent)
    revoke(heir, agent, owner)
    assert (chosen(owner), chosen(other)) == (0, agent.agent_id)


def test_an_administrator_who_is_one_no_more_keeps_the_choice_and_is_denied(
    registry: Registry,
) -> None:
    chief = registry.user("ADMINISTRATOR")
    agent = registry.agent(registry.user())
    registry.agent(chief)
    choose(chief, agent)
    registry.admin.call(
        "UserService/UpdateUser",
        user={"user_id": chief.user_id},
        update={"role": "USER_ROLE_MEMBER"},
    )
    assert chosen(chief) == agent.agent_id
    assert authorize(registry, chief.token) == "ROLE_INSUFFICIENT"


def test_one_chooses_in_person_among_the_agents_that_one_may_view(registry: Registry) -> None:
    user = registry.user()
    agent, hidden = registry.agent(user), registry.agent(registry.user())
    acting = registry.agent_token(user, agent.agent_id, act_as_owner=True)

    def refused(person: Person, **fields: Any) -> str:
        return person.refused("AgentService/SetDefaultAgent", **fields).what

    ref = {"agent_id": agent.agent_id}
    assert refused(acting, agent=ref) == "PERMISSION_DENIED USER_TOKEN_REQUIRED"
    weak = held(user, "OPERATOR", "chat")
    assert refused(weak, agent=ref) == "PERMISSION_DENIED ROLE_INSUFFICIENT"
    assert refused(weak, none=True) == "PERMISSION_DENIED ROLE_INSUFFICIENT"
    for other in ({"agent_id": hidden.agent_id}, {"agent_id": 2**62}):
        assert refused(user, agent=other) == "PERMISSION_DENIED AGENT_ACCESS_DENIED"
    assert refused(user) == "INVALID_ARGUMENT FIELD_INVALID"
    assert refused(user, none=False) == "INVALID_ARGUMENT FIELD_INVALID"
    assert refused(registry.admin, agent={"agent_id": 2**62}) == "NOT_FOUND AGENT_NOT_FOUND"
    assert chosen(user) == 0
    choose(held(user, "ADMIN"), agent)
    assert chosen(user) == agent.agent_id


def test_a_choice_is_a_change_of_the_user_and_of_the_agents_and_made_again_is_none(
    registry: Registry,
) -> None:
    user = registry.user()
    first, second = registry.agent(user), registry.agent(user)
    choose(user, first)
    expected = {f"USER {user.user_id}", f"AGENT {first.agent_id}"}
    assert newest_change(registry) == ("DEFAULT_AGENT_SET", expected)
    choose(user, second)
    assert newest_change(registry)[1] == expected | {f"AGENT {second.agent_id}"}
    before = newest_revision(registry)
    assert choose(user, second).agent.agent_id == second.agent_id
    assert newest_revision(registry) == before


def test_an_answer_about_the_chosen_agent_may_be_kept_and_rests_on_the_choice(
    registry: Registry,
) -> None:
    user = registry.user()
    agent = registry.agent(registry.user())
    registry.grant(agent.agent_id, user)
    registry.agent(user)
    assert not asked(user).basis.cacheable
    choose(user, agent)
    basis = asked(user).basis
    assert basis.cacheable
    subjects = {(one.kind, one.subject_id) for one in basis.depends_on}
    named = registry.admin.call(
        "AuthService/Authorize",
        token=user.token,
        demand={"agent": {"agent_id": agent.agent_id}, "minimum_role": "ROLE_VIEWER"},
    ).basis
    assert subjects == {(one.kind, one.subject_id) for one in named.depends_on}
    assert (2, str(user.user_id)) in subjects
    set_status(registry, agent, "INACTIVE")
    assert asked(user).basis.cacheable


def test_the_choice_is_shown_with_the_user_and_not_to_an_agents_token(registry: Registry) -> None:
    user = registry.user()
    agent = registry.agent(user)
    choose(user, agent)
    assert user.call("AuthService/WhoAmI").user.default_agent_id == agent.agent_id
    bound = registry.agent_token(user, agent.agent_id)
    assert bound.call("AuthService/WhoAmI").user.default_agent_id == 0
