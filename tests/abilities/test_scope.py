"""ResolveScope and CheckResource: which rows of another service somebody may see."""

from datetime import timedelta
from typing import Any

import pytest

from tests.abilities.asking import add_agents, decision, outcome
from tests.registry import Person, Registry

DENIED = "PERMISSION_DENIED ACTION_MISSING"


def _resolve(registry: Registry, of: Person, **query: Any) -> Any:
    """What a service is told about somebody's token."""
    return registry.admin.call("ScopeService/ResolveScope", token=of.token, **query)


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


def _resource(registry: Registry, of: Person, *, user_id: int = 0, agent_id: int = 0) -> str:
    answer = registry.admin.call(
        "ScopeService/CheckResource",
        token=of.token,
        resource={"user_id": user_id, "agent_id": agent_id},
    )
    return outcome(answer)


def test_an_administrator_sees_everything_and_it_is_said_in_so_many_words(
    registry: Registry,
) -> None:
    administrator, user = registry.user("ADMINISTRATOR"), registry.user()
    everything = _resolve(registry, administrator)
    assert (_users(everything), _agents(everything)) == ("all", "all")
    assert everything.scope.default_agent_id == 0
    narrowed = _resolve(registry, administrator, user_id=user.user_id)
    assert (_users(narrowed), _agents(narrowed)) == (user.user_id, "all")
    own = registry.agent(administrator)
    assert _resolve(registry, administrator).scope.default_agent_id == own.agent_id


def test_anybody_else_sees_their_own_rows_whomever_they_name(registry: Registry) -> None:
    user, other = registry.user(), registry.user()
    for named in (0, user.user_id, other.user_id):
        assert _users(_resolve(registry, user, user_id=named)) == user.user_id


def test_anybody_else_sees_the_agents_that_they_own_or_were_granted(registry: Registry) -> None:
    user, other = registry.user(), registry.user()
    assert _agents(_resolve(registry, user)) == []
    assert _resolve(registry, user).scope.default_agent_id == 0
    viewed, operated = registry.agent(other), registry.agent(other)
    registry.grant(viewed.agent_id, user, "VIEWER")
    registry.grant(operated.agent_id, user, "OPERATOR")

    granted = _resolve(registry, user)
    assert _agents(granted) == [viewed.agent_id, operated.agent_id]
    assert granted.scope.default_agent_id == viewed.agent_id
    owned = registry.agent(user)
    answer = _resolve(registry, user)
    assert _agents(answer) == [viewed.agent_id, operated.agent_id, owned.agent_id]
    # The first owned comes before the first granted.
    assert answer.scope.default_agent_id == owned.agent_id
    least = _resolve(registry, user, minimum_role="ROLE_OPERATOR")
    assert _agents(least) == [operated.agent_id, owned.agent_id]


def test_a_named_agent_is_the_scope_or_a_denial_and_never_everything(registry: Registry) -> None:
    user, other = registry.user(), registry.user()
    site = registry.site()
    own = registry.agent(user)
    local = registry.agent(other, site_scope=site)
    registry.grant(local.agent_id, user, "VIEWER")
    foreign = registry.agent(other)

    def resolved(**query: Any) -> Any:
        answer = _resolve(registry, user, **query)
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
    unknown = _resolve(registry, registry.admin, agent={"agent_id": 2**62})
    assert decision(unknown.denial.reason) == "ROLE_INSUFFICIENT"


def test_a_site_keeps_out_agents_of_other_sites(registry: Registry) -> None:
    user = registry.user()
    here, there = registry.site(), registry.site()
    everywhere, local, remote = (
        registry.agent(user, site_scope=scope) for scope in (0, here, there)
    )
    every = [everywhere.agent_id, local.agent_id, remote.agent_id]
    assert _agents(_resolve(registry, user)) == every
    assert _agents(_resolve(registry, user, site_id=here)) == every[:2]
    by_metadata = registry.admin.call(
        "ScopeService/ResolveScope", _metadata=(("accredit-site", str(there)),), token=user.token
    )
    assert _agents(by_metadata) == [everywhere.agent_id, remote.agent_id]


def test_an_agents_token_is_held_to_its_agent(registry: Registry) -> None:
    owner = registry.user("ADMINISTRATOR")
    site = registry.site()
    own, other = registry.agent(owner, site_scope=site), registry.agent(owner)
    bound = registry.agent_token(owner, own.agent_id, ceiling={})

    answer = _resolve(registry, bound)
    assert (_users(answer), _agents(answer)) == (owner.user_id, own.agent_id)
    assert answer.scope.default_agent_id == own.agent_id
    assert _users(_resolve(registry, bound, user_id=registry.admin.user_id)) == owner.user_id
    elsewhere = _resolve(registry, bound, agent={"agent_id": other.agent_id})
    assert decision(elsewhere.denial.reason) == "ROLE_INSUFFICIENT"
    assert _agents(_resolve(registry, bound, minimum_role="ROLE_ADMIN")) == "ROLE_INSUFFICIENT"
    answer = _resolve(registry, bound, site_id=site + 1)
    assert (_agents(answer), answer.scope.default_agent_id) == ([], 0)


def test_an_agent_that_acts_as_its_owner_sees_as_them_and_works_on_itself(
    registry: Registry,
) -> None:
    owner = registry.user()
    first, second = registry.agent(owner), registry.agent(owner)
    token = registry.agent_token(owner, second.agent_id, act_as_owner=True)
    answer = _resolve(registry, token)
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
    registry: Registry, ceiling: list[str], minimum: str, agents: str
) -> None:
    administrator = registry.user("ADMINISTRATOR")
    own = registry.agent(administrator)
    minted = administrator.call(
        "TokenService/CreateToken", ceiling={"max_role": "ROLE_OPERATOR", "capabilities": ceiling}
    )
    answer = _resolve(registry, Person(registry, minted.secret), minimum_role=f"ROLE_{minimum}")
    expected: dict[str, Any] = {"all": "all", "none": "ROLE_INSUFFICIENT", "own": [own.agent_id]}
    assert _agents(answer) == expected[agents]
    if agents != "none":
        assert _users(answer) == ("all" if "manage_agents" in ceiling else administrator.user_id)


def test_a_token_that_does_not_work_is_a_denial_without_a_principal(registry: Registry) -> None:
    owner = registry.user()
    registry.admin.call("UserService/DeactivateUser", user={"user_id": owner.user_id})
    stranger = Person(registry, "no token")
    for person, reason in ((owner, "USER_INACTIVE"), (stranger, "TOKEN_INVALID")):
        answer = _resolve(registry, person)
        assert decision(answer.denial.reason) == reason
        assert not answer.HasField("principal")
        assert _resource(registry, person) == reason


def test_one_asks_about_oneself_freely_and_about_others_with_authenticate(
    registry: Registry,
) -> None:
    user, other, service = registry.user(), registry.user(), registry.user("SERVICE")
    own = user.call("ScopeService/ResolveScope")
    assert (_users(own), own.principal.user_id) == (user.user_id, user.user_id)
    assert _users(service.call("ScopeService/ResolveScope", token=user.token)) == user.user_id
    for method in ("ResolveScope", "CheckResource"):
        refusal = other.refused(f"ScopeService/{method}", token=user.token)
        assert refusal.what == DENIED
    long = service.refused("ScopeService/ResolveScope", token="x" * 4097)
    assert (long.what, long.fields) == ("INVALID_ARGUMENT FIELD_INVALID", ["token"])


def test_a_scope_says_until_when_it_holds(registry: Registry) -> None:
    user = registry.user()
    ends = [registry.clock() + timedelta(hours=hours) for hours in (2, 1)]
    for end in ends:
        agent = registry.agent(registry.user())
        registry.grant(agent.agent_id, user, expire_time=end)
    basis = _resolve(registry, user).basis
    assert basis.valid_until.ToDatetime(tzinfo=ends[1].tzinfo) == ends[1]
    assert basis.depends_on.token_id == user.token_id
    registry.clock.advance(hours=1)
    later = _resolve(registry, user)
    assert later.basis.valid_until.ToDatetime(tzinfo=ends[0].tzinfo) == ends[0]
    assert len(_agents(later)) == 1


def test_a_scope_of_too_many_agents_is_refused_and_one_of_them_may_be_named(
    own_registry: Registry,
) -> None:
    registry = own_registry
    user = registry.user()
    add_agents(registry, user, 1000)
    assert len(_agents(_resolve(registry, user))) == 1000
    beyond = registry.agent(user)
    refusal = registry.admin.refused("ScopeService/ResolveScope", token=user.token)
    assert refusal.what == "FAILED_PRECONDITION SCOPE_TOO_WIDE"
    named = _resolve(registry, user, agent={"agent_id": beyond.agent_id})
    assert named.HasField("scope")


def test_a_row_of_an_agent_needs_a_role_on_that_agent(registry: Registry) -> None:
    owner, viewer, stranger = registry.user(), registry.user(), registry.user()
    agent_id = registry.agent(owner).agent_id
    registry.grant(agent_id, viewer)
    bound = registry.agent_token(owner, agent_id)
    # Whose user the row names besides does not matter.
    for user_id in (0, stranger.user_id):
        row = {"user_id": user_id, "agent_id": agent_id}
        for person in (owner, viewer, bound, registry.admin):
            assert _resource(registry, person, **row) == "ALLOWED"
        assert _resource(registry, stranger, **row) == "ROLE_INSUFFICIENT"
    assert _resource(registry, registry.admin, agent_id=2**62) == "ROLE_INSUFFICIENT"
    low = registry.admin.call(
        "ScopeService/CheckResource",
        token=viewer.token,
        resource={"agent_id": agent_id},
        minimum_role="ROLE_OPERATOR",
    )
    assert outcome(low) == "ROLE_INSUFFICIENT"


def test_a_row_of_no_agent_is_shared_or_somebodys(registry: Registry) -> None:
    owner, stranger = registry.user(), registry.user()
    agent_id = registry.agent(owner).agent_id
    bound = registry.agent_token(owner, agent_id)
    as_owner = registry.agent_token(owner, agent_id, act_as_owner=True)
    asked = (owner, as_owner, registry.admin, bound, stranger)

    shared = [_resource(registry, one) for one in asked]
    owned = [_resource(registry, one, user_id=owner.user_id) for one in asked]

    assert shared == ["ALLOWED"] * 5
    # An agent of the owner is not the owner, unless it acts as them.
    assert owned == ["ALLOWED"] * 3 + ["NOT_OWNER"] * 2
    for row in ({"user_id": -1}, {"agent_id": -1}):
        refusal = registry.admin.refused("ScopeService/CheckResource", resource=row)
        assert refusal.fields == [f"resource.{next(iter(row))}"]
