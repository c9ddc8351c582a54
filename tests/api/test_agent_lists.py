"""ListAgents, the one call for listing: whose agents, which of them, in what order."""

from datetime import timedelta
from typing import Any

import pytest

from tests.api.asking import check, listed, pages
from tests.server import Person, RefusedError, Server

MINE, ALL = "LIST_SCOPE_MINE", "LIST_SCOPE_ALL"
ANY = "AGENT_STATUS_FILTER_ANY"


def _ids(*agents: Any) -> list[int]:
    return [one.agent_id for one in agents]


def _rows(person: Person, **query: Any) -> dict[int, Any]:
    answer = person.call("AgentService/ListAgents", page_size=500, **query)
    return {one.agent_id: one for one in answer.agents}


@pytest.mark.parametrize(
    ("caller", "scope", "whose", "outcome"),
    [
        pytest.param("member", MINE, None, "own", id="owned and granted, by default"),
        pytest.param("member", MINE, "member", "own", id="oneself by name is oneself"),
        pytest.param("member", ALL, None, "AGENT_SCOPE_FORBIDDEN", id="all is for admins"),
        pytest.param("member", ALL, "member", "FIELD_INVALID", id="nor is oneself"),
        pytest.param("member", MINE, "other", "AGENT_USER_SCOPE_FORBIDDEN", id="another's list"),
        pytest.param("guest", MINE, None, "none", id="chat is enough"),
        pytest.param("service", MINE, None, "ACTION_MISSING", id="who may not chat may not list"),
        pytest.param("service", ALL, None, "ACTION_MISSING", id="whatever they list"),
        pytest.param("stranger", MINE, None, "TOKEN_MISSING", id="a stranger may nothing"),
        pytest.param("admin", MINE, None, "none", id="an admin's own, not everything"),
        pytest.param("admin", ALL, None, "all", id="everything"),
        pytest.param("admin", ALL, "member", "FIELD_INVALID", id="with ALL no user is named"),
        pytest.param("admin", ALL, "nobody", "FIELD_INVALID", id="whether there is one or not"),
        pytest.param("admin", MINE, "member", "own", id="another user's list"),
        pytest.param("admin", MINE, "nobody", "none", id="a user who does not exist has none"),
    ],
)
def test_who_lists_what(
    server: Server, caller: str, scope: str, whose: str | None, outcome: str
) -> None:
    member, other = server.user(), server.user()
    owned, granted, foreign = (server.agent(one) for one in (member, other, other))
    server.grant(granted.agent_id, member)
    callers = {
        "member": member,
        "other": other,
        "guest": server.user("GUEST"),
        "service": server.user("SERVICE"),
        "admin": server.user("ADMINISTRATOR"),
        "stranger": Person(server, ""),
    }
    query: dict[str, Any] = {"scope": scope}
    if whose is not None:
        query |= {"user": {"user_id": 2**62}} if whose == "nobody" else callers[whose].ref

    if outcome.isupper():
        if caller == "stranger":
            with pytest.raises(RefusedError) as caught:
                server.call("AgentService/ListAgents", None, **query)
            assert caught.value.reason == outcome
        else:
            assert callers[caller].refused("AgentService/ListAgents", **query).reason == outcome
        return
    found = listed(callers[caller], **query)
    if outcome == "all":
        assert set(_ids(owned, granted, foreign)) <= set(found)
        assert found == sorted(found)
    else:
        assert found == (_ids(owned, granted) if outcome == "own" else [])


@pytest.mark.parametrize(("scope", "word"), [(ALL, "admin"), (9, "scope")])
def test_the_refusal_of_a_scope_says_what_is_wrong(server: Server, scope: Any, word: str) -> None:
    refusal = server.user().refused("AgentService/ListAgents", scope=scope)
    assert word in refusal.message
    if scope == 9:
        assert refusal.what == "INVALID_ARGUMENT INVALID_AGENT_SCOPE"
        assert refusal.fields == ["scope"]


def test_owned_agents_come_first_then_granted_ones_each_by_id_and_once(server: Server) -> None:
    me, other = server.user(), server.user()
    granted_1, owned_1 = server.agent(other), server.agent(me)
    granted_2, owned_2 = server.agent(other), server.agent(me)
    for agent in (granted_2, granted_1, owned_2):
        server.grant(agent.agent_id, me, "ADMIN")
    expected = _ids(owned_1, owned_2, granted_1, granted_2)

    assert listed(me) == expected
    # The same however small the pages are, across the seam of the two blocks as well.
    for size in (1, 2, 3):
        found = pages(me, "AgentService/ListAgents", "agents", page_size=size)
        assert [one.agent_id for page in found for one in page] == expected
        assert all(len(page) <= size for page in found)


def test_a_row_says_whose_it_is_relative_to_the_user_whose_list_it_is(server: Server) -> None:
    target, other = server.user(), server.user()
    owned, granted, foreign = (server.agent(one) for one in (target, other, other))
    server.grant(granted.agent_id, target, "OPERATOR")

    own = _rows(target, include_role=True)
    seen = _rows(server.admin, user={"user_id": target.user_id}, include_role=True)
    by_login = _rows(server.admin, user={"login": target.login}, include_role=True)

    assert own == seen == by_login
    assert foreign.agent_id not in own
    assert (own[owned.agent_id].is_owner, own[owned.agent_id].user_role) == (True, 3)
    assert (own[granted.agent_id].is_owner, own[granted.agent_id].user_role) == (False, 2)
    assert not any(row.HasField("user_role") for row in _rows(target).values())
    # Of all agents it is said how the caller stands to them.
    caller = server.user("ADMINISTRATOR")
    mine = server.agent(caller)
    server.grant(granted.agent_id, caller, "OPERATOR")
    rows = _rows(caller, scope=ALL, include_role=True)
    assert (rows[mine.agent_id].is_owner, rows[mine.agent_id].user_role) == (True, 3)
    assert (rows[granted.agent_id].is_owner, rows[granted.agent_id].user_role) == (False, 2)
    assert not rows[owned.agent_id].is_owner
    assert not rows[owned.agent_id].HasField("user_role")


def test_a_row_is_the_agent_in_short(server: Server) -> None:
    owner = server.user()
    site = server.site()
    agent = server.agent(
        owner,
        agent_name="N",
        config={"description": "What it does", "x": 1},
        site_scope=site,
    )
    odd = server.agent(owner, config={"description": {"not": "a text"}})
    rows = _rows(owner)
    row = rows[agent.agent_id]
    assert (row.agent_slug, row.agent_name, row.owner_id) == (agent.agent_slug, "N", owner.user_id)
    assert (row.site_scope, row.status, row.description) == (site, 1, "What it does")
    assert not rows[odd.agent_id].HasField("site_scope")
    assert rows[odd.agent_id].description == ""


def test_a_site_keeps_its_own_agents_and_those_of_the_whole_network(server: Server) -> None:
    owner = server.user()
    here, there = server.site(), server.site()
    everywhere = server.agent(owner)
    local, remote = (server.agent(owner, site_scope=site) for site in (here, there))

    assert listed(owner) == _ids(everywhere, local, remote)
    assert listed(owner, site_id=here) == _ids(everywhere, local)
    assert listed(owner, site_id=there) == _ids(everywhere, remote)
    assert listed(owner, site_id=2**62) == _ids(everywhere)
    # The metadata is a default for the field, which wins over it.
    site = (("accredit-site", str(here)),)
    assert listed(owner, _metadata=site) == _ids(everywhere, local)
    assert listed(owner, _metadata=site, site_id=there) == _ids(everywhere, remote)


@pytest.mark.parametrize(
    "values", [["0"], ["-1"], ["x"], ["1" * 30], [str(2**63)], ["1", "2"], [" 1"], ["007"], [""]]
)
def test_metadata_that_names_no_site_is_refused(server: Server, values: list[str]) -> None:
    metadata = tuple(("accredit-site", value) for value in values)
    with pytest.raises(RefusedError) as caught:
        server.admin.call("AgentService/ListAgents", _metadata=metadata)
    assert caught.value.what == "INVALID_ARGUMENT FIELD_INVALID"
    assert caught.value.fields == ["accredit-site"]


def test_a_status_filters_and_active_is_the_default(server: Server) -> None:
    owner = server.user()
    agents = [server.agent(owner) for _ in range(3)]
    active, inactive, archived = agents
    for agent, status in ((inactive, "INACTIVE"), (archived, "ARCHIVED")):
        owner.call(
            "AgentService/UpdateAgent",
            agent={"agent_id": agent.agent_id},
            update={"status": f"AGENT_STATUS_{status}"},
        )
    assert listed(owner) == _ids(active)
    assert listed(owner, status="AGENT_STATUS_FILTER_ACTIVE") == _ids(active)
    assert listed(owner, status="AGENT_STATUS_FILTER_INACTIVE") == _ids(inactive)
    assert listed(owner, status="AGENT_STATUS_FILTER_ARCHIVED") == _ids(archived)
    assert listed(owner, status=ANY) == _ids(*agents)
    unknown = owner.refused("AgentService/ListAgents", status=9)
    assert unknown.what == "INVALID_ARGUMENT FIELD_INVALID"
    assert unknown.fields == ["status"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("alpha", True, id="in the slug"),
        pytest.param("ALPHA", True, id="in any case"),
        pytest.param("beta Ä", True, id="in the name, with a blank"),
        pytest.param("BETA ä", False, id="only ASCII letters in any case"),
        pytest.param("%", False, id="a percent sign is a percent sign"),
        pytest.param("_", False, id="an underscore is an underscore"),
        pytest.param("gamma", False, id="in neither"),
        pytest.param("secret", False, id="the config is not searched"),
    ],
)
def test_a_text_is_looked_for_in_slug_and_name(server: Server, text: str, found: bool) -> None:
    owner = server.user()
    agent = server.agent(owner, server.name("alpha"), agent_name="Beta Ä", config={"k": "secret"})
    assert listed(owner, text=text) == (_ids(agent) if found else [])


def test_an_expired_grant_lists_nothing_and_ownership_needs_no_grant(server: Server) -> None:
    me, other = server.user(), server.user()
    granted = server.agent(other)
    server.grant(granted.agent_id, me, expire_time=_later(server, hours=1))
    assert listed(me) == _ids(granted)
    server.clock.advance(hours=1)
    assert listed(me) == []


def test_a_deactivated_user_has_an_empty_list_as_their_checks_are_denied(
    server: Server,
) -> None:
    gone = server.user()
    agent = server.agent(gone)
    server.admin.call("UserService/DeactivateUser", user={"user_id": gone.user_id})
    assert listed(server.admin, user={"user_id": gone.user_id}) == []
    assert check(server, gone, agent.agent_id) == "USER_INACTIVE"


def test_an_agents_token_lists_its_own_agent_and_one_that_acts_as_owner_the_owners(
    server: Server,
) -> None:
    owner, other = server.user(), server.user()
    own, second, granted = (server.agent(one) for one in (owner, owner, other))
    server.grant(granted.agent_id, owner)
    bound = server.agent_token(owner, own.agent_id)
    as_owner = server.agent_token(owner, own.agent_id, act_as_owner=True)

    assert listed(bound) == _ids(own)
    assert listed(bound, user={"user_id": owner.user_id}, status=ANY) == _ids(own)
    assert bound.refused("AgentService/ListAgents", scope=ALL).reason == "AGENT_SCOPE_FORBIDDEN"
    assert listed(as_owner) == _ids(own, second, granted)


def test_several_agents_are_read_at_once_lowest_id_first(server: Server) -> None:
    me, other = server.user(), server.user()
    first, hidden, second = (server.agent(one) for one in (me, other, me))
    refs = [
        {"agent_id": second.agent_id},
        {"agent_slug": first.agent_slug.upper()},
        {"agent_id": hidden.agent_id},
        {"agent_id": 2**62},
        {"agent_slug": second.agent_slug},
        {"agent_slug": "no-such-agent"},
    ]
    assert list(me.call("AgentService/BatchGetAgents", agents=refs).agents) == [first, second]
    assert list(server.admin.call("AgentService/BatchGetAgents", agents=refs).agents) == [
        first,
        hidden,
        second,
    ]
    for wrong in ([], [{"agent_id": 1}] * 101):
        refusal = me.refused("AgentService/BatchGetAgents", agents=wrong)
        assert refusal.what == "INVALID_ARGUMENT FIELD_INVALID"
        assert refusal.fields == ["agents"]
    odd = me.refused("AgentService/BatchGetAgents", agents=[{"agent_id": 1}, {"agent_slug": "7"}])
    assert odd.fields == ["agents[1].agent_slug"]


@pytest.mark.parametrize(
    ("role", "grants"), [("VIEWER", 0), ("OPERATOR", 0), ("ADMIN", 2)], ids=str
)
def test_one_agent_is_read_with_the_callers_role_and_grants_for_an_admin(
    server: Server, role: str, grants: int
) -> None:
    owner = server.user()
    reader = server.user(display_name="Reader", email="reader@example.org")
    agent = server.agent(owner, config={"k": "v"})
    server.grant(agent.agent_id, reader, role)
    answer = reader.call("AgentService/GetAgent", agent={"agent_id": agent.agent_id})
    assert answer.agent == agent
    assert answer.caller_role == {"VIEWER": 1, "OPERATOR": 2, "ADMIN": 3}[role]
    assert len(answer.access_grants) == grants
    if grants:
        assert answer.access_grants[1].display_name == "Reader"
        assert answer.access_grants[1].email == ""


def _later(server: Server, **shift: float) -> Any:
    return server.clock() + timedelta(**shift)
