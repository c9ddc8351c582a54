"""Which agent a question means that names none: the one chosen, else the only one owned."""

from typing import Any

import pytest

from tests.api.asking import authorize, held, newest_change, newest_revision
from tests.server import Person, Server


def choose(person: Person, agent: Any) -> Any:
    return person.call("AgentService/SetDefaultAgent", agent={"agent_id": agent.agent_id})


def chosen(person: Person) -> int:
    """The agent that a user chose, as they are shown; 0 for none."""
    found = person.call("UserService/GetUser", user={"user_id": person.user_id})
    agent_id: int = found.user.default_agent_id
    return agent_id


def asked(person: Person, role: str = "VIEWER") -> Any:
    """What a service is told of the person who names no agent."""
    return person.server.admin.call(
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


def set_status(server: Server, agent: Any, status: str) -> None:
    server.admin.call(
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


def transfer(server: Server, agent: Any, to: Person, **fields: Any) -> None:
    server.admin.call(
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
    server: Server, how: str
) -> None:
    user = server.user("ADMINISTRATOR" if how == "administered" else "MEMBER")
    others = [server.agent(user) for _ in range(2)]
    agent = server.agent(user if how == "owned" else server.user())
    if how == "granted":
        server.grant(agent.agent_id, user)
    assert authorize(server, user.token) == "AGENT_AMBIGUOUS"

    answer = choose(user, agent)

    assert answer.agent.agent_id == agent.agent_id
    assert not answer.agent.HasField("config")
    assert chosen(user) == agent.agent_id
    assert everywhere(user) == {agent.agent_id}
    service = server.user("SERVICE")
    of_user = service.call("AgentService/ResolveAgent", user={"login": user.login})
    assert of_user.agent.agent_id == agent.agent_id

    user.call("AgentService/SetDefaultAgent", none=True)
    assert chosen(user) == 0
    assert authorize(server, user.token) == "AGENT_AMBIGUOUS"
    assert scoped(user) == others[0].agent_id


def test_an_agents_own_token_means_itself_whatever_its_owner_chose(server: Server) -> None:
    owner = server.user()
    agent, other = server.agent(owner), server.agent(owner)
    choose(owner, other)
    for acts in (False, True):
        token = server.agent_token(owner, agent.agent_id, act_as_owner=acts)
        assert asked(token).agent_id == agent.agent_id
        assert token.call("AuthService/WhoAmI").agent.agent_id == agent.agent_id
        assert resolved(token) == agent.agent_id


def test_a_strangers_grant_or_offer_never_says_what_somebody_means(server: Server) -> None:
    victim, stranger = server.user(), server.user()
    lure = server.agent(stranger)
    server.grant(lure.agent_id, victim, "ADMIN")
    # It is suggested to who looks for an agent to work on, and no more.
    assert resolved(victim) == scoped(victim) == lure.agent_id
    assert authorize(server, victim.token) == "ROLE_INSUFFICIENT"
    assert not victim.call("AuthService/WhoAmI").HasField("agent")

    own = server.agent(victim)
    server.grant(server.agent(stranger).agent_id, victim)
    stranger.call(
        "AgentService/TransferAgent",
        agent={"agent_id": lure.agent_id},
        new_owner={"user_id": victim.user_id},
    )
    assert everywhere(victim) == {own.agent_id}


def test_a_chosen_agent_that_is_inactive_is_not_passed_over(server: Server) -> None:
    user = server.user()
    agent, other = server.agent(user), server.agent(user)
    choose(user, agent)
    for status in ("INACTIVE", "ARCHIVED"):
        set_status(server, agent, status)
        assert chosen(user) == agent.agent_id
        assert authorize(server, user.token) == "AGENT_INACTIVE"
        assert user.call("AuthService/WhoAmI").agent.agent_id == agent.agent_id
        refusal = user.refused("AgentService/ResolveAgent")
        assert refusal.what == "PERMISSION_DENIED AGENT_INACTIVE"
        assert refusal.metadata == {"agent_slug": agent.agent_slug}
        # Who resolves any agent is told which one it is, and its status.
        found = server.user("SERVICE").call(
            "AgentService/ResolveAgent", user={"user_id": user.user_id}
        )
        assert found.agent.agent_id == agent.agent_id
    set_status(server, agent, "ACTIVE")
    assert everywhere(user) == {agent.agent_id}
    assert other.agent_id != agent.agent_id


def test_a_chosen_agent_that_is_out_of_reach_is_not_passed_over(server: Server) -> None:
    user = server.user()
    own, agent = server.agent(user), server.agent(server.user())
    end = server.clock().replace(microsecond=0)
    server.grant(agent.agent_id, user, expire_time=end.replace(year=end.year + 1))
    choose(user, agent)
    server.clock.advance(days=367)

    assert chosen(user) == agent.agent_id
    assert authorize(server, user.token) == "ROLE_INSUFFICIENT"
    assert user.refused("AgentService/ResolveAgent").what == "PERMISSION_DENIED AGENT_ACCESS_DENIED"
    assert scoped(user) == 0

    server.grant(agent.agent_id, user)
    assert everywhere(user) == {agent.agent_id}
    # Too low a role for what is asked is no reason to mean another either.
    assert authorize(server, user.token, role="OPERATOR") == "ROLE_INSUFFICIENT"
    assert scoped(user, minimum_role="ROLE_OPERATOR") == 0
    assert own.agent_id != agent.agent_id


def test_a_scope_names_a_chosen_agent_of_another_site_no_more(server: Server) -> None:
    user, site, other = server.user(), server.site(), server.site()
    agent = server.agent(user, site_scope=site)
    server.agent(user)
    choose(user, agent)
    assert scoped(user) == scoped(user, site_id=site) == agent.agent_id
    assert scoped(user, site_id=other) == 0


@pytest.mark.parametrize("ending", ["revoked", "given up", "transferred", "deleted"])
def test_a_choice_ends_with_what_gave_access_and_the_change_lists_its_user(
    server: Server, ending: str
) -> None:
    user, owner = server.user(), server.user()
    agent = server.agent(user if ending == "transferred" else owner)
    if ending != "transferred":
        server.grant(agent.agent_id, user)
    choose(user, agent)
    etag = server.admin.call("UserService/GetUser", user={"user_id": user.user_id}).user.etag

    if ending == "revoked":
        revoke(owner, agent, user)
    elif ending == "given up":
        revoke(user, agent, user)
    elif ending == "transferred":
        transfer(server, agent, owner)
    else:
        owner.call("AgentService/DeleteAgent", agent={"agent_id": agent.agent_id})

    _kind, subjects = newest_change(server)
    assert f"USER {user.user_id}" in subjects
    found = server.admin.call("UserService/GetUser", user={"user_id": user.user_id}).user
    assert found.default_agent_id == 0
    assert found.etag != etag
    assert user.refused("AgentService/ResolveAgent").what == "NOT_FOUND NO_AGENT"


def test_a_choice_stays_while_something_else_gives_access(server: Server) -> None:
    chief, owner, heir = server.user("ADMINISTRATOR"), server.user(), server.user()
    agent = server.agent(owner)
    server.grant(agent.agent_id, chief)
    for person in (chief, owner):
        choose(person, agent)

    revoke(owner, agent, chief)
    transfer(server, agent, heir, keep_access=True)

    assert chosen(chief) == chosen(owner) == agent.agent_id
    # A revocation of somebody else's grant is nothing to those who keep theirs.
    other = server.user()
    server.grant(agent.agent_id, other)
    choose(other, agent)
    revoke(heir, agent, owner)
    assert (chosen(owner), chosen(other)) == (0, agent.agent_id)


def test_an_administrator_who_is_one_no_more_keeps_the_choice_and_is_denied(
    server: Server,
) -> None:
    chief = server.user("ADMINISTRATOR")
    agent = server.agent(server.user())
    server.agent(chief)
    choose(chief, agent)
    server.admin.call(
        "UserService/UpdateUser",
        user={"user_id": chief.user_id},
        update={"role": "USER_ROLE_MEMBER"},
    )
    assert chosen(chief) == agent.agent_id
    assert authorize(server, chief.token) == "ROLE_INSUFFICIENT"


def test_one_chooses_in_person_among_the_agents_that_one_may_view(server: Server) -> None:
    user = server.user()
    agent, hidden = server.agent(user), server.agent(server.user())
    acting = server.agent_token(user, agent.agent_id, act_as_owner=True)

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
    assert refused(server.admin, agent={"agent_id": 2**62}) == "NOT_FOUND AGENT_NOT_FOUND"
    assert chosen(user) == 0
    choose(held(user, "ADMIN"), agent)
    assert chosen(user) == agent.agent_id


def test_a_choice_is_a_change_of_the_user_and_of_the_agents_and_made_again_is_none(
    server: Server,
) -> None:
    user = server.user()
    first, second = server.agent(user), server.agent(user)
    choose(user, first)
    expected = {f"USER {user.user_id}", f"AGENT {first.agent_id}"}
    assert newest_change(server) == ("DEFAULT_AGENT_SET", expected)
    choose(user, second)
    assert newest_change(server)[1] == expected | {f"AGENT {second.agent_id}"}
    before = newest_revision(server)
    assert choose(user, second).agent.agent_id == second.agent_id
    assert newest_revision(server) == before


def test_an_answer_about_the_chosen_agent_may_be_kept_and_rests_on_the_choice(
    server: Server,
) -> None:
    user = server.user()
    agent = server.agent(server.user())
    server.grant(agent.agent_id, user)
    server.agent(user)
    assert not asked(user).basis.cacheable
    choose(user, agent)
    basis = asked(user).basis
    assert basis.cacheable
    subjects = {(one.kind, one.subject_id) for one in basis.depends_on}
    named = server.admin.call(
        "AuthService/Authorize",
        token=user.token,
        demand={"agent": {"agent_id": agent.agent_id}, "minimum_role": "ROLE_VIEWER"},
    ).basis
    assert subjects == {(one.kind, one.subject_id) for one in named.depends_on}
    assert (2, str(user.user_id)) in subjects
    set_status(server, agent, "INACTIVE")
    assert asked(user).basis.cacheable


def test_the_choice_is_shown_with_the_user_and_not_to_an_agents_token(server: Server) -> None:
    user = server.user()
    agent = server.agent(user)
    choose(user, agent)
    assert user.call("AuthService/WhoAmI").user.default_agent_id == agent.agent_id
    bound = server.agent_token(user, agent.agent_id)
    assert bound.call("AuthService/WhoAmI").user.default_agent_id == 0
