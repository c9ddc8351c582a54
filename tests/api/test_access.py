"""Access grants: who gives and takes them, what the owner cannot lose, and what they allow."""

from datetime import timedelta
from typing import Any

import pytest

from tests.api.asking import authenticate, check, pages
from tests.server import Person, Server

ROLES = ("VIEWER", "OPERATOR", "ADMIN")


def _ref(agent: Any) -> dict[str, int]:
    return {"agent_id": agent.agent_id}


def _who(person: Person) -> dict[str, int]:
    return {"user_id": person.user_id}


def _wish(agent: Any, to: Person, **fields: Any) -> dict[str, Any]:
    """A grant, of VIEWER unless it says otherwise."""
    return {"agent": _ref(agent), "principal": _who(to), "role": "ROLE_VIEWER", **fields}


def _grant(caller: Person, agent: Any, to: Person, **fields: Any) -> Any:
    return caller.call("AccessService/GrantAccess", **_wish(agent, to, **fields)).grant


def _grant_refused(caller: Person, agent: Any, to: Person, **fields: Any) -> str:
    return caller.refused("AccessService/GrantAccess", **_wish(agent, to, **fields)).what


def _revoke_refused(caller: Person, agent: Any, of: Person) -> str:
    return caller.refused("AccessService/RevokeAccess", agent=_ref(agent), principal=_who(of)).what


@pytest.mark.parametrize("minimum", ROLES)
@pytest.mark.parametrize("granted", [None, *ROLES])
def test_each_role_includes_those_below_it(
    server: Server, granted: str | None, minimum: str
) -> None:
    user = server.user()
    agent = server.agent(server.user())
    if granted:
        server.grant(agent.agent_id, user, granted)
    allowed = granted is not None and ROLES.index(granted) >= ROLES.index(minimum)
    expected = "ALLOWED" if allowed else "ROLE_INSUFFICIENT"
    assert check(server, user, agent.agent_id, minimum) == expected


def test_a_second_grant_replaces_the_first_and_keeps_its_grant_time(server: Server) -> None:
    owner, user = server.user(), server.user()
    agent = server.agent(owner)
    first = _grant(owner, agent, user)
    server.clock.advance(hours=1)
    second = _grant(server.admin, agent, user, role="ROLE_ADMIN", expire_time=_in(server, 1))

    assert (first.role, second.role) == (1, 3)
    assert first.grant_time == second.grant_time
    assert first.update_time.ToDatetime() < second.update_time.ToDatetime()
    assert first.etag != second.etag
    assert (first.granted_by, second.granted_by) == (owner.user_id, server.admin.user_id)
    # A grant without an end takes the end away.
    assert not _grant(owner, agent, user, role="ROLE_ADMIN").HasField("expire_time")
    listed = owner.call("AccessService/ListAgentAccess", agent=_ref(agent)).grants
    assert [one.principal.user_id for one in listed] == [owner.user_id, user.user_id]


@pytest.mark.parametrize("role", [0, 7], ids=["not stated", "nobody knows"])
def test_a_grant_without_a_role_is_refused_and_lowers_nothing(server: Server, role: int) -> None:
    owner, user = server.user(), server.user()
    agent = server.agent(owner)
    held = _grant(owner, agent, user, role="ROLE_OPERATOR", expire_time=_in(server, 1))
    for more in ({}, {"only_if_absent": True}):
        wish = _wish(agent, user, role=role, **more)
        refusal = owner.refused("AccessService/GrantAccess", **wish)
        assert refusal.what == "INVALID_ARGUMENT FIELD_INVALID"
        assert refusal.fields == ["role"]
    ask: dict[str, Any] = {"agent": _ref(agent), "principal": _who(user)}
    assert owner.call("AccessService/GetAccess", **ask).grant == held


def test_only_if_absent_leaves_a_grant_that_counts_alone(server: Server) -> None:
    owner, user = server.user(), server.user()
    agent = server.agent(owner)

    def first(caller: Person = owner, to: Person = user, **fields: Any) -> Any:
        wish = _wish(agent, to, only_if_absent=True, **fields)
        return caller.call("AccessService/GrantAccess", **wish)

    made = first(role="ROLE_OPERATOR", expire_time=_in(server, 1))
    assert made.changed
    head = _revision(server)
    for role in ROLES:
        again = first(role=f"ROLE_{role}")
        assert (again.grant, again.changed) == (made.grant, False)
    # Nor is the owner's, whom nobody lowers.
    assert not first(to=owner).changed
    assert _revision(server) == head
    assert check(server, user, agent.agent_id, "OPERATOR") == "ALLOWED"
    # One that has ended is as good as none.
    server.clock.advance(hours=1)
    renewed = first()
    assert (renewed.grant.role, renewed.changed) == (1, True)
    assert not renewed.grant.HasField("expire_time")
    assert check(server, user, agent.agent_id) == "ALLOWED"
    # Without it a grant is changed, and says so.
    assert owner.call("AccessService/GrantAccess", **_wish(agent, user, role="ROLE_ADMIN")).changed


def test_only_if_absent_excludes_an_etag(server: Server) -> None:
    owner, user = server.user(), server.user()
    agent = server.agent(owner)
    etag = _grant(owner, agent, user).etag
    wish = _wish(agent, user, only_if_absent=True, etag=etag)
    refusal = owner.refused("AccessService/GrantAccess", **wish)
    assert refusal.what == "INVALID_ARGUMENT FIELD_INVALID"
    assert refusal.fields == ["only_if_absent"]


def test_a_grant_that_was_revoked_and_given_anew_is_another_one(server: Server) -> None:
    owner, user = server.user(), server.user()
    agent = server.agent(owner)
    first = _grant(owner, agent, user)
    stale: dict[str, Any] = {"agent": _ref(agent), "principal": _who(user), "etag": first.etag}
    owner.call("AccessService/RevokeAccess", **stale)
    server.clock.advance(seconds=1)
    second = _grant(owner, agent, user)

    assert first.etag != second.etag
    for method, fields in (("RevokeAccess", stale), ("GrantAccess", {**stale, "role": 3})):
        refusal = owner.refused(f"AccessService/{method}", **fields)
        assert refusal.what == "ABORTED ETAG_MISMATCH"
    owner.call("AccessService/RevokeAccess", **{**stale, "etag": second.etag})


def test_what_a_grant_names_must_exist(server: Server) -> None:
    owner = server.user()
    agent = server.agent(owner)
    nobody = Person(server, "", user_id=2**62)
    assert _grant_refused(owner, agent, nobody) == "NOT_FOUND USER_NOT_FOUND"
    assert _revoke_refused(owner, agent, nobody) == "NOT_FOUND USER_NOT_FOUND"
    assert _grant_refused(owner, agent, Person(server, "")) == "INVALID_ARGUMENT FIELD_INVALID"
    wish = {**_wish(agent, owner), "agent": {"agent_id": 2**62}}
    unknown = server.admin.refused("AccessService/GrantAccess", **wish)
    assert unknown.what == "NOT_FOUND AGENT_NOT_FOUND"


def test_a_revoked_grant_is_gone_and_cannot_be_revoked_again(server: Server) -> None:
    owner, user = server.user(), server.user()
    agent = server.agent(owner)
    granted = _grant(owner, agent, user)
    answer = owner.call("AccessService/RevokeAccess", agent=_ref(agent), principal=_who(user))
    assert answer.grant == granted
    assert answer.tokens_revoked == 0
    assert check(server, user, agent.agent_id) == "ROLE_INSUFFICIENT"
    assert _revoke_refused(owner, agent, user) == "NOT_FOUND REVOKE_FAILED"


def test_revoking_a_grant_revokes_the_tokens_that_its_holder_minted_for_that_agent(
    server: Server,
) -> None:
    owner, grantee = server.user(), server.user()
    agent, other = server.agent(owner), server.agent(owner)
    for each in (agent, other):
        server.grant(each.agent_id, grantee, "ADMIN")
    theirs = [server.agent_token(grantee, agent.agent_id) for _ in range(2)]
    elsewhere = server.agent_token(grantee, other.agent_id)
    owners = server.agent_token(owner, agent.agent_id)

    answer = owner.call("AccessService/RevokeAccess", agent=_ref(agent), principal=_who(grantee))

    assert answer.tokens_revoked == 2
    # Granting again does not bring them back.
    server.grant(agent.agent_id, grantee, "ADMIN")
    asked = [authenticate(server, one.token) for one in (*theirs, elsewhere, owners, grantee)]
    assert asked == ["TOKEN_INVALID"] * 2 + ["ALLOWED"] * 3


def _owner_itself(server: Server, owner: Person, agent: Any) -> Person:
    return owner


def _administrator(server: Server, owner: Person, agent: Any) -> Person:
    return server.admin


def _admin_grantee(server: Server, owner: Person, agent: Any) -> Person:
    grantee = server.user()
    server.grant(agent.agent_id, grantee, "ADMIN")
    return grantee


def _own_agent_as_owner(server: Server, owner: Person, agent: Any) -> Person:
    return server.agent_token(owner, agent.agent_id, act_as_owner=True)


@pytest.mark.parametrize(
    "road", [_owner_itself, _administrator, _admin_grantee, _own_agent_as_owner]
)
def test_the_owner_loses_nothing_by_any_road(server: Server, road: Any) -> None:
    owner, heir = server.user(), server.user()
    agent = server.agent(owner)
    caller = road(server, owner, agent)
    protected = "FAILED_PRECONDITION CANNOT_REVOKE_OWNER"

    assert _revoke_refused(caller, agent, owner) == protected
    for role in ("ROLE_VIEWER", "ROLE_OPERATOR"):
        assert _grant_refused(caller, agent, owner, role=role) == protected
    assert _grant_refused(caller, agent, owner) == protected
    assert (
        _grant_refused(caller, agent, owner, role="ROLE_ADMIN", expire_time=_in(server, 1))
        == protected
    )
    assert (
        "ransfer"
        in caller.refused(
            "AccessService/RevokeAccess", agent=_ref(agent), principal=_who(owner)
        ).message
    )
    # What takes nothing away is allowed, and after a transfer it is a grant like any other.
    assert _grant(caller, agent, owner, role="ROLE_ADMIN").role == 3
    assert check(server, owner, agent.agent_id, "ADMIN") == "ALLOWED"
    server.admin.call(
        "AgentService/TransferAgent", agent=_ref(agent), new_owner=_who(heir), keep_access=True
    )
    assert _grant(heir, agent, owner).role == 1
    heir.call("AccessService/RevokeAccess", agent=_ref(agent), principal=_who(owner))
    assert check(server, owner, agent.agent_id) == "ROLE_INSUFFICIENT"


def test_a_grant_ends_at_its_expire_time_and_not_before(own_server: Server) -> None:
    server = own_server
    user, agent = server.user(), server.agent(server.user())
    now = server.clock.stop()
    server.grant(agent.agent_id, user, expire_time=now + timedelta(seconds=10))
    server.clock.advance(seconds=9, microseconds=999_999)
    assert check(server, user, agent.agent_id) == "ALLOWED"
    server.clock.advance(microseconds=1)
    assert check(server, user, agent.agent_id) == "ROLE_INSUFFICIENT"
    listed = user.call("AccessService/ListUserAccess").grants
    assert list(listed) == []


def test_an_end_that_does_not_lie_ahead_is_refused(own_server: Server) -> None:
    server = own_server
    owner, user = server.user(), server.user()
    agent = server.agent(owner)
    now = server.clock.stop()
    for moment in (now, now - timedelta(days=1)):
        assert (
            _grant_refused(owner, agent, user, expire_time=moment)
            == "INVALID_ARGUMENT FIELD_INVALID"
        )
    assert _grant(owner, agent, user, expire_time=now + timedelta(microseconds=1)).role == 1


def test_who_has_a_role_for_a_while_gives_nobody_a_role_for_longer(server: Server) -> None:
    temporary, friend = server.user(), server.user()
    agent = server.agent(server.user())
    end = _in(server, 2)
    server.grant(agent.agent_id, temporary, "ADMIN", expire_time=end)
    beyond = "PERMISSION_DENIED CEILING_EXCEEDED"

    for to in (temporary, friend):
        assert _grant_refused(temporary, agent, to, role="ROLE_ADMIN") == beyond
        assert _grant_refused(temporary, agent, to, expire_time=_in(server, 3)) == beyond
    assert _grant(temporary, agent, friend, role="ROLE_ADMIN", expire_time=end).role == 3


def test_one_reads_ones_own_grant_also_when_it_has_expired(server: Server) -> None:
    user, stranger = server.user(), server.user()
    agent = server.agent(server.user())
    granted = server.grant(agent.agent_id, user, expire_time=_in(server, 1))
    server.clock.advance(hours=1)
    ask: dict[str, Any] = {"agent": _ref(agent)}

    assert user.call("AccessService/GetAccess", **ask).grant == granted
    assert user.call("AccessService/GetAccess", **ask, principal=_who(user)).grant == granted
    none = stranger.refused("AccessService/GetAccess", **ask)
    assert none.what == "PERMISSION_DENIED AGENT_ACCESS_DENIED"


def test_anothers_grant_is_read_by_an_admin_of_the_agent(server: Server) -> None:
    owner, user, operator = server.user(), server.user(), server.user()
    agent = server.agent(owner)
    granted = server.grant(agent.agent_id, user)
    server.grant(agent.agent_id, operator, "OPERATOR")
    ask: dict[str, Any] = {"agent": _ref(agent), "principal": _who(user)}

    assert owner.call("AccessService/GetAccess", **ask).grant == granted
    assert server.admin.call("AccessService/GetAccess", **ask).grant == granted
    low = operator.refused("AccessService/GetAccess", **ask)
    assert low.what == "PERMISSION_DENIED ROLE_INSUFFICIENT"
    none = server.admin.refused("AccessService/GetAccess", agent=_ref(agent))
    assert none.what == "NOT_FOUND GRANT_NOT_FOUND"


def test_the_grants_on_an_agent_are_listed_oldest_first_with_names(server: Server) -> None:
    owner = server.user()
    late = server.user(display_name="Late", email="late@example.org")
    early = server.user(display_name="Early")
    agent = server.agent(owner)
    for user in (early, late):
        server.clock.advance(seconds=1)
        server.grant(agent.agent_id, user, expire_time=_in(server, 1))
    server.clock.advance(hours=2)

    found = pages(owner, "AccessService/ListAgentAccess", "grants", agent=_ref(agent), page_size=2)
    grants = [one for page in found for one in page]

    assert [one.principal.user_id for one in grants] == [
        owner.user_id,
        early.user_id,
        late.user_id,
    ]
    # Where somebody is reached is for those who manage users.
    assert [(one.display_name, one.email) for one in grants[1:]] == [("Early", ""), ("Late", "")]
    # By which they are revoked is for everybody who lists them.
    assert [one.login for one in grants] == [owner.login, early.login, late.login]
    managed = server.admin.call("AccessService/ListAgentAccess", agent=_ref(agent))
    assert managed.grants[2].email == "late@example.org"


def test_a_users_grants_are_listed_by_agent_and_by_least_role(server: Server) -> None:
    user, owner = server.user(), server.user()
    agents = [server.agent(owner) for _ in range(3)]
    for agent, role in reversed(list(zip(agents, ROLES, strict=True))):
        server.grant(agent.agent_id, user, role)
    ids = [agent.agent_id for agent in agents]

    def listed(caller: Person, **query: Any) -> list[int]:
        answer = caller.call("AccessService/ListUserAccess", **query)
        return [one.agent_id for one in answer.grants]

    assert listed(user) == listed(server.admin, user={"user_id": user.user_id}) == ids
    assert listed(user, minimum_role="ROLE_VIEWER") == ids
    assert listed(user, minimum_role="ROLE_OPERATOR") == ids[1:]
    assert listed(user, minimum_role="ROLE_ADMIN") == ids[2:]
    foreign = owner.refused("AccessService/ListUserAccess", user={"user_id": user.user_id})
    assert foreign.what == "PERMISSION_DENIED ACTION_MISSING"
    unknown = user.refused("AccessService/ListUserAccess", minimum_role=9)
    assert unknown.fields == ["minimum_role"]


def _revision(server: Server) -> int:
    with server.app.store.read() as tx:
        return tx.head().revision


def _in(server: Server, hours: float) -> Any:
    return server.clock() + timedelta(hours=hours)


def test_a_refusal_repeats_the_reference_and_not_what_it_stands_for(server: Server) -> None:
    owner, user = server.user(), server.user()
    agent = server.agent(owner)
    for method in ("AccessService/GetAccess", "AccessService/RevokeAccess"):
        references: list[dict[str, Any]] = [{"user_id": user.user_id}, {"login": user.login}]
        for principal in references:
            (said,) = map(str, principal.values())
            refusal = owner.refused(method, agent=_ref(agent), principal=principal)
            assert (refusal.code.name, refusal.metadata["user"]) == ("NOT_FOUND", said)
