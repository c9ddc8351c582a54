"""ResolveScope and CheckResource: which rows of another service somebody may see."""

from datetime import timedelta
from typing import Any

import pytest

from tests.api.asking import add_agents, decision, end_of, outcome, rests_on
from tests.server import Person, Server

DENIED = "PERMISSION_DENIED ACTION_MISSING"


def _resolve(server: Server, of: Person, **query: Any) -> Any:
    """What a service is told about somebody's token."""
    query.setdefault("minimum_role", "ROLE_VIEWER")
    return server.admin.call("ScopeService/ResolveScope", token=of.token, **query)


def _users(answer: Any) -> Any:
    assert not answer.HasField("denial")
    return "all" if answer.scope.all_users else answer.scope.user_id


def _agents(answer: Any) -> Any:
    """ "all", one id, or a list of ids: whichever is set; the reason if all was denied."""
    if answer.HasField("denial"):
        return decision(answer.denial.reason)
    which = answer.scope.WhichOneof("agents")
    if which == "all_agents":
        assert answer.scope.all_agents
        return "all"
    return list(answer.scope.agent_set.agent_ids) if which == "agent_set" else answer.scope.agent_id


def _resource(server: Server, of: Person, role: str = "VIEWER", **owner: Any) -> str:
    """Whether somebody may touch a row; without an owner, one that is shared."""
    answer = server.admin.call(
        "ScopeService/CheckResource",
        token=of.token,
        resource=owner or {"shared": True},
        minimum_role=f"ROLE_{role}",
    )
    return outcome(answer)


def test_an_administrator_sees_everything_and_it_is_said_in_so_many_words(
    server: Server,
) -> None:
    administrator, user = server.user("ADMINISTRATOR"), server.user()
    everything = _resolve(server, administrator)
    assert (_users(everything), _agents(everything)) == ("all", "all")
    assert everything.scope.default_agent_id == 0
    narrowed = _resolve(server, administrator, user={"user_id": user.user_id})
    assert (_users(narrowed), _agents(narrowed)) == (user.user_id, "all")
    by_login = _resolve(server, administrator, user={"login": user.login})
    assert _users(by_login) == user.user_id
    unknown = server.admin.refused(
        "ScopeService/ResolveScope",
        token=administrator.token,
        user={"login": "nobody"},
        minimum_role="ROLE_VIEWER",
    )
    assert unknown.what == "NOT_FOUND USER_NOT_FOUND"
    own = server.agent(administrator)
    assert _resolve(server, administrator).scope.default_agent_id == own.agent_id


def test_anybody_else_sees_their_own_rows_whomever_they_name(server: Server) -> None:
    user, other = server.user(), server.user()
    whoever: tuple[dict[str, Any], ...] = (
        {},
        user.ref,
        other.ref,
        {"user": {"login": other.login}},
        {"user": {"login": "x"}},
    )
    for named in whoever:
        assert _users(_resolve(server, user, **named)) == user.user_id


def test_anybody_else_sees_the_agents_that_they_own_or_were_granted(server: Server) -> None:
    user, other = server.user(), server.user()
    assert _agents(_resolve(server, user)) == []
    assert _resolve(server, user).scope.default_agent_id == 0
    viewed, operated = server.agent(other), server.agent(other)
    server.grant(viewed.agent_id, user, "VIEWER")
    server.grant(operated.agent_id, user, "OPERATOR")

    granted = _resolve(server, user)
    assert _agents(granted) == [viewed.agent_id, operated.agent_id]
    assert granted.scope.default_agent_id == viewed.agent_id
    owned = server.agent(user)
    answer = _resolve(server, user)
    assert _agents(answer) == [viewed.agent_id, operated.agent_id, owned.agent_id]
    # The first owned comes before the first granted.
    assert answer.scope.default_agent_id == owned.agent_id
    least = _resolve(server, user, minimum_role="ROLE_OPERATOR")
    assert _agents(least) == [operated.agent_id, owned.agent_id]


def test_a_named_agent_is_the_scope_or_a_denial_and_never_everything(server: Server) -> None:
    user, other = server.user(), server.user()
    site = server.site()
    own = server.agent(user)
    local = server.agent(other, site_scope=site)
    server.grant(local.agent_id, user, "VIEWER")
    foreign = server.agent(other)

    def resolved(**query: Any) -> Any:
        answer = _resolve(server, user, **query)
        if answer.HasField("denial"):
            assert not answer.HasField("scope")
            assert answer.principal.user_id == user.user_id
            return decision(answer.denial.reason)
        assert answer.scope.default_agent_id == answer.scope.agent_id
        return answer.scope.agent_id

    assert resolved(agent={"agent_slug": own.agent_slug.upper()}) == own.agent_id
    assert resolved(agent={"agent_id": foreign.agent_id}) == "ROLE_INSUFFICIENT"
    assert resolved(agent={"agent_id": 2**62}) == "ROLE_INSUFFICIENT"
    assert resolved(agent={"agent_slug": "no-such-agent"}) == "ROLE_INSUFFICIENT"
    placed = {"agent": {"agent_id": local.agent_id}}
    assert resolved(**placed) == "SITE_REQUIRED"
    assert resolved(**placed, site_id=site + 1) == "SITE_MISMATCH"
    assert resolved(**placed, site_id=site) == local.agent_id
    assert resolved(**placed, site_id=site, minimum_role="ROLE_OPERATOR") == "ROLE_INSUFFICIENT"
    # Not even to an administrator is an unknown agent "all agents".
    unknown = _resolve(server, server.admin, agent={"agent_id": 2**62})
    assert decision(unknown.denial.reason) == "ROLE_INSUFFICIENT"


def test_a_site_keeps_out_agents_of_other_sites(server: Server) -> None:
    user = server.user()
    here, there = server.site(), server.site()
    everywhere, local, remote = (server.agent(user, site_scope=scope) for scope in (0, here, there))
    every = [everywhere.agent_id, local.agent_id, remote.agent_id]
    assert _agents(_resolve(server, user)) == every
    assert _agents(_resolve(server, user, site_id=here)) == every[:2]
    by_metadata = server.admin.call(
        "ScopeService/ResolveScope",
        _metadata=(("accredit-site", str(there)),),
        token=user.token,
        minimum_role="ROLE_VIEWER",
    )
    assert _agents(by_metadata) == [everywhere.agent_id, remote.agent_id]


def test_an_agents_token_is_held_to_its_agent(server: Server) -> None:
    owner = server.user("ADMINISTRATOR")
    site = server.site()
    own, other = server.agent(owner, site_scope=site), server.agent(owner)
    bound = server.agent_token(owner, own.agent_id, ceiling={"max_role": "ROLE_OPERATOR"})

    answer = _resolve(server, bound)
    assert (_users(answer), _agents(answer)) == (owner.user_id, own.agent_id)
    assert answer.scope.default_agent_id == own.agent_id
    assert _users(_resolve(server, bound, user={"user_id": server.admin.user_id})) == owner.user_id
    elsewhere = _resolve(server, bound, agent={"agent_id": other.agent_id})
    assert decision(elsewhere.denial.reason) == "ROLE_INSUFFICIENT"
    assert _agents(_resolve(server, bound, minimum_role="ROLE_ADMIN")) == "ROLE_INSUFFICIENT"
    answer = _resolve(server, bound, site_id=site + 1)
    assert (_agents(answer), answer.scope.default_agent_id) == ([], 0)


def test_an_agent_that_acts_as_its_owner_sees_as_them_and_works_on_itself(
    server: Server,
) -> None:
    owner = server.user()
    first, second = server.agent(owner), server.agent(owner)
    token = server.agent_token(owner, second.agent_id, act_as_owner=True)
    answer = _resolve(server, token)
    assert (_users(answer), _agents(answer)) == (owner.user_id, [first.agent_id, second.agent_id])
    assert answer.scope.default_agent_id == second.agent_id


@pytest.mark.parametrize(
    ("ceiling", "minimum", "agents"),
    [
        pytest.param(["manage_agents"], "VIEWER", "all", id="the action, and a role that will do"),
        pytest.param(["manage_agents"], "ADMIN", "none", id="the action, but a role too low"),
        pytest.param(["chat"], "VIEWER", "own", id="without the action one's own"),
        pytest.param(["chat"], "ADMIN", "none", id="one's own, but a role too low"),
    ],
)
def test_an_administrators_token_sees_within_its_ceiling(
    server: Server, ceiling: list[str], minimum: str, agents: str
) -> None:
    administrator = server.user("ADMINISTRATOR")
    own = server.agent(administrator)
    held = server.user_token(
        administrator, ceiling={"max_role": "ROLE_OPERATOR", "capabilities": ceiling}
    )
    answer = _resolve(server, held, minimum_role=f"ROLE_{minimum}")
    expected: dict[str, Any] = {"all": "all", "none": "ROLE_INSUFFICIENT", "own": [own.agent_id]}
    assert _agents(answer) == expected[agents]
    if agents != "none":
        assert _users(answer) == ("all" if "manage_agents" in ceiling else administrator.user_id)


def test_a_token_that_does_not_work_is_a_denial_without_a_principal(server: Server) -> None:
    owner = server.user()
    server.admin.call("UserService/DeactivateUser", user={"user_id": owner.user_id})
    stranger = Person(server, "no token")
    for person, reason in ((owner, "USER_INACTIVE"), (stranger, "TOKEN_INVALID")):
        answer = _resolve(server, person)
        assert decision(answer.denial.reason) == reason
        assert not answer.HasField("principal")
        assert _resource(server, person) == reason


def test_one_asks_about_oneself_freely_and_about_others_with_authenticate(
    server: Server,
) -> None:
    user, other, service = server.user(), server.user(), server.user("SERVICE")
    least: dict[str, Any] = {"minimum_role": "ROLE_VIEWER"}
    own = user.call("ScopeService/ResolveScope", caller=True, **least)
    assert (_users(own), own.principal.user_id) == (user.user_id, user.user_id)
    shared: dict[str, Any] = {"resource": {"shared": True}}
    row = user.call("ScopeService/CheckResource", caller=True, **shared, **least)
    assert outcome(row) == "ALLOWED"
    told = service.call("ScopeService/ResolveScope", token=user.token, **least)
    assert _users(told) == user.user_id
    for method, more in {"ResolveScope": {}, "CheckResource": shared}.items():
        refusal = other.refused(f"ScopeService/{method}", token=user.token, **least, **more)
        assert refusal.what == DENIED
        # Whoever asks about the caller says so; who is meant is never guessed.
        for wrong, field in (({}, "subject"), ({"caller": False}, "caller")):
            refusal = user.refused(f"ScopeService/{method}", **wrong, **least, **more)
            assert refusal.what == "INVALID_ARGUMENT FIELD_INVALID"
            assert refusal.fields == [field]


def test_a_scope_says_until_when_it_holds(server: Server) -> None:
    user = server.user()
    ends = [server.clock() + timedelta(hours=hours) for hours in (2, 1)]
    for end in ends:
        agent = server.agent(server.user())
        server.grant(agent.agent_id, user, expire_time=end)
        query: dict[str, Any] = {"agent": {"agent_id": agent.agent_id}}
        basis = _resolve(server, user, **query).basis
        assert basis.cacheable
        assert end_of(basis) == end
        assert rests_on(basis)["TOKEN"] == [user.token_id]
        assert rests_on(basis)["GRANT"] == [f"{agent.agent_id}:user:{user.user_id}"]
    server.clock.advance(hours=1)
    later = _resolve(server, user, **query)
    assert decision(later.denial.reason) == "ROLE_INSUFFICIENT"
    assert end_of(later.basis) is None


def test_which_agents_are_meant_may_be_changed_by_any_of_them_so_that_it_is_not_kept(
    server: Server,
) -> None:
    user = server.user()
    agent_id = server.agent(user).agent_id
    own = server.agent_token(user, agent_id)
    assert not _resolve(server, user).basis.cacheable
    assert not _resolve(server, server.user("ADMINISTRATOR")).basis.cacheable
    # But for an agent that is held to itself.
    assert _resolve(server, own).basis.cacheable
    assert rests_on(_resolve(server, own).basis)["AGENT"] == [str(agent_id)]


def test_a_scope_by_login_rests_on_the_login_and_whose_it_is(server: Server) -> None:
    administrator, user = server.user("ADMINISTRATOR"), server.user()
    agent = server.agent(user)
    query: dict[str, Any] = {
        "agent": {"agent_slug": agent.agent_slug},
        "user": {"login": user.login},
    }
    found = rests_on(_resolve(server, administrator, **query).basis)
    with server.app.store.read() as tx:
        assert found["LOGIN"] == [tx.login_digest(user.login)]
    assert str(user.user_id) in found["USER"]
    assert found["AGENT_SLUG"] == [agent.agent_slug]


def test_a_row_is_judged_by_its_owner_and_the_answer_rests_on_them(server: Server) -> None:
    owner, other = server.user(), server.user()
    agent = server.agent(owner)

    def asked(**resource: Any) -> Any:
        return server.admin.call(
            "ScopeService/CheckResource",
            token=owner.token,
            resource=resource,
            minimum_role="ROLE_VIEWER",
        )

    rows: tuple[tuple[dict[str, Any], str], ...] = (
        ({"user": {"login": owner.login}}, "ALLOWED"),
        ({"user": {"login": other.login}}, "NOT_OWNER"),
        # No user is owner of a row that carries a login which nobody has.
        ({"user": {"login": "nobody"}}, "NOT_OWNER"),
        ({"agent": {"agent_slug": agent.agent_slug}}, "ALLOWED"),
        ({"agent": {"agent_slug": "nothing"}}, "ROLE_INSUFFICIENT"),
        ({"shared": True}, "ALLOWED"),
    )
    for resource, reason in rows:
        answer = asked(**resource)
        assert outcome(answer) == reason, resource
        assert answer.basis.cacheable
        found = rests_on(answer.basis)
        assert str(owner.user_id) in found["USER"]
        if "agent" in resource:
            assert found["AGENT_SLUG"] == [resource["agent"]["agent_slug"]]


def test_a_scope_of_too_many_agents_is_refused_and_one_of_them_may_be_named(
    own_server: Server,
) -> None:
    server = own_server
    user = server.user()
    add_agents(server, user, 1000)
    assert len(_agents(_resolve(server, user))) == 1000
    beyond = server.agent(user)
    refusal = server.admin.refused(
        "ScopeService/ResolveScope", token=user.token, minimum_role="ROLE_VIEWER"
    )
    assert refusal.what == "FAILED_PRECONDITION SCOPE_TOO_WIDE"
    named = _resolve(server, user, agent={"agent_id": beyond.agent_id})
    assert named.HasField("scope")


def test_a_row_of_an_agent_needs_a_role_on_that_agent(server: Server) -> None:
    owner, viewer, stranger = server.user(), server.user(), server.user()
    agent_id = server.agent(owner).agent_id
    server.grant(agent_id, viewer)
    bound = server.agent_token(owner, agent_id)
    row: dict[str, Any] = {"agent": {"agent_id": agent_id}}
    for person in (owner, viewer, bound, server.admin):
        assert _resource(server, person, **row) == "ALLOWED"
    assert _resource(server, stranger, **row) == "ROLE_INSUFFICIENT"
    missing: dict[str, Any] = {"agent": {"agent_id": 2**62}}
    assert _resource(server, server.admin, **missing) == "ROLE_INSUFFICIENT"
    assert _resource(server, viewer, "OPERATOR", **row) == "ROLE_INSUFFICIENT"


def test_a_row_of_no_agent_is_shared_or_somebodys(server: Server) -> None:
    owner, stranger = server.user(), server.user()
    agent_id = server.agent(owner).agent_id
    bound = server.agent_token(owner, agent_id)
    as_owner = server.agent_token(owner, agent_id, act_as_owner=True)
    asked = (owner, as_owner, server.admin, bound, stranger)

    shared = [_resource(server, one) for one in asked]
    owned = [_resource(server, one, **owner.ref) for one in asked]

    assert shared == ["ALLOWED"] * 5
    # An agent of the owner is not the owner, unless it acts as them.
    assert owned == ["ALLOWED"] * 3 + ["NOT_OWNER"] * 2
    wrong: list[tuple[dict[str, Any], str]] = [
        ({}, "resource"),
        ({"shared": False}, "resource.shared"),
        ({"user": {"user_id": -1}}, "resource.user.user_id"),
        ({"user": {}}, "resource.user"),
        ({"agent": {"agent_id": -1}}, "resource.agent.agent_id"),
    ]
    for row, field in wrong:
        refusal = server.admin.refused(
            "ScopeService/CheckResource", caller=True, resource=row, minimum_role="ROLE_VIEWER"
        )
        assert (refusal.what, refusal.fields) == ("INVALID_ARGUMENT FIELD_INVALID", [field])
