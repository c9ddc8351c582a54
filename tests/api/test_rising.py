"""Attempts to rise: nobody gains a right by a token, a grant, a transfer or a race with another."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.api.asking import authenticate, authorize, check, listed
from tests.api.scene import Scene
from tests.server import Person, Server, running_server

ALL_ACTIONS = ["manage_agents", "manage_users", "manage_sites", "audit", "chat"]


@pytest.fixture
def scene(server: Server) -> Scene:
    return Scene.make(server)


def _token(minter: Person, **fields: Any) -> Person:
    if "ceiling" not in fields:
        fields["full_rights"] = True
    holder = {} if {"agent", "user"} & set(fields) else minter.ref
    minted = minter.call("TokenService/CreateToken", **holder, **fields)
    token = minted.token
    return Person(minter.server, minted.secret, token_id=token.token_id, user_id=token.user_id)


def _powerless(person: Person, over: Scene) -> None:
    """Assert that somebody can do nothing of what an administrator or the owner could."""
    calls: dict[str, dict[str, Any]] = {
        "AgentService/ListAgents": {"scope": "LIST_SCOPE_ALL"},
        "AgentService/DeleteAgent": over.agent,
        "AgentService/TransferAgent": {**over.agent, "new_owner": {"user_id": over.heir.user_id}},
        "AccessService/GrantAccess": {
            **over.agent,
            "principal": {"user_id": over.heir.user_id},
            "role": "ROLE_VIEWER",
        },
        "TokenService/CreateToken": {**over.server.admin.ref, "full_rights": True},
        "UserService/CreateUser": {
            "login": over.server.name("rise"),
            "role": "USER_ROLE_ADMINISTRATOR",
        },
        "UserService/ListUsers": {},
        "SiteService/CreateSite": {"site_slug": over.server.name("rise")},
        "ChangeService/ListChanges": {},
    }
    for method, fields in calls.items():
        refusal = person.refused(method, **fields)
        assert refusal.code.name in ("PERMISSION_DENIED", "UNAUTHENTICATED"), method


def test_a_member_who_mints_and_then_gives_the_agent_to_an_administrator(scene: Scene) -> None:
    server, owner, administrator = scene.server, scene.owner, scene.administrator
    before = [
        server.agent_token(owner, scene.agent_id),
        server.agent_token(owner, scene.agent_id, act_as_owner=True),
    ]
    made = owner.call(
        "AgentService/TransferAgent",
        **scene.agent,
        new_owner={"user_id": administrator.user_id},
    )
    administrator.call(
        "AgentService/AcceptTransfer", offer_id=made.offer.offer_id, keep_access=True
    )
    # What was minted before is dead; what they mint now is bound by their own rights.
    assert [authenticate(server, one.token) for one in before] == ["TOKEN_INVALID"] * 2
    after = server.agent_token(owner, scene.agent_id)
    principal = server.admin.call("AuthService/Authenticate", token=after.token).principal
    assert list(principal.capabilities) == ["chat", "use_tools", "view_logs"]
    _powerless(after, scene)
    refusal = owner.refused(
        "TokenService/CreateToken", **scene.agent, full_rights=True, act_as_owner=True
    )
    assert refusal.what == "PERMISSION_DENIED OWNER_REQUIRED"
    # And back: what died stays dead.
    administrator.call(
        "AgentService/TransferAgent", **scene.agent, new_owner={"user_id": owner.user_id}
    )
    assert [authenticate(server, one.token) for one in (*before, after)] == ["TOKEN_INVALID"] * 3


@pytest.mark.parametrize("ceiling", [None, ALL_ACTIONS], ids=["full rights", "every action named"])
def test_a_grantee_who_mints_on_an_administrators_agent(
    scene: Scene, ceiling: list[str] | None
) -> None:
    server, guest = scene.server, scene.guest
    agent_id = server.agent(scene.administrator).agent_id
    elsewhere = server.agent(scene.administrator).agent_id
    server.grant(agent_id, guest, "ADMIN")
    wish: dict[str, Any] = {"agent": {"agent_id": agent_id}}
    if ceiling is not None:
        wish["ceiling"] = {"max_role": "ROLE_ADMIN", "capabilities": ceiling}
    token = _token(guest, **wish)

    principal = server.admin.call("AuthService/Authenticate", token=token.token).principal
    assert list(principal.capabilities) == ["chat"]
    assert authorize(server, token.token, agent_id, "ADMIN") == "ALLOWED"
    assert authorize(server, token.token, elsewhere) == "ROLE_INSUFFICIENT"
    assert listed(token) == [agent_id]
    _powerless(token, scene)
    # Their grant lowered, the token sinks with it; taken away, it dies.
    server.grant(agent_id, guest, "VIEWER")
    assert authorize(server, token.token, agent_id, "OPERATOR") == "ROLE_INSUFFICIENT"
    assert authorize(server, token.token, agent_id) == "ALLOWED"


def test_who_rotates_anothers_token_to_learn_a_secret(scene: Scene) -> None:
    server = scene.server
    of_owner = scene.token
    as_owner = server.agent_token(scene.owner, scene.agent_id, act_as_owner=True)
    of_grantee = server.agent_token(scene.grantee, scene.agent_id)
    of_user = scene.owner
    tried = [
        (scene.grantee, of_owner),
        (scene.grantee, as_owner),
        (scene.grantee, of_user),
        (scene.owner, of_grantee),
        (scene.administrator, as_owner),
        (scene.member, of_owner),
        (of_owner, as_owner),
        (of_owner, of_owner),
    ]
    for caller, token in tried:
        refusal = caller.refused("TokenService/RotateToken", token_id=token.token_id)
        assert refusal.code.name == "PERMISSION_DENIED"


def _agent_full(scene: Scene) -> Person:
    return scene.server.agent_token(scene.owner, scene.agent_id)


def _agent_admin_of_administrator(scene: Scene) -> Person:
    agent_id = scene.server.agent(scene.administrator).agent_id
    token = scene.server.agent_token(scene.administrator, agent_id)
    return Person(scene.server, token.token, token.token_id, agent_id=agent_id)


@pytest.mark.parametrize("make", [_agent_full, _agent_admin_of_administrator])
def test_an_agents_own_token_that_tries_what_only_people_may(
    scene: Scene, make: Callable[[Scene], Person]
) -> None:
    server, heir = scene.server, {"user_id": scene.heir.user_id}
    caller = make(scene)
    owner = server.admin.call("AuthService/Authenticate", token=caller.token).principal
    own: dict[str, Any] = {"agent": {"agent_id": owner.agent_id}}
    # On its own agent it has ADMIN and may ask who may use it, but on no other.
    elsewhere: dict[str, Any] = {
        "agent": {"agent_id": server.agent(server.user()).agent_id},
    }
    users = scene.owner.token_id
    tried: list[tuple[str, dict[str, Any]]] = [
        ("TokenService/CreateToken", {**own, "full_rights": True}),
        ("TokenService/CreateToken", {**own, "full_rights": True, "act_as_owner": True}),
        ("TokenService/CreateToken", {"user": {"user_id": owner.user_id}, "full_rights": True}),
        ("TokenService/CreateToken", {"user": {"login": owner.login}, "full_rights": True}),
        ("TokenService/RotateToken", {"token_id": caller.token_id}),
        ("TokenService/RotateToken", {"token_id": users}),
        ("TokenService/RevokeToken", {"token_id": users}),
        ("TokenService/RevokeUserTokens", {"user": {"login": owner.login}}),
        (
            "TokenService/RevokeUserTokens",
            {"user": {"user_id": owner.user_id}, "include_minted": True},
        ),
        ("AccessService/GrantAccess", {**own, "principal": heir, "role": "ROLE_ADMIN"}),
        ("AccessService/RevokeAccess", {**own, "principal": heir}),
        ("AgentService/TransferAgent", {**own, "new_owner": heir}),
        ("AgentService/DeleteAgent", own),
        ("AgentService/RenameAgent", {**own, "new_slug": "risen"}),
        ("AgentService/CreateAgent", {"agent_slug": "risen"}),
        ("AgentService/ProvisionAgent", {}),
        ("UserService/UpdateUser", {"user": {"user_id": owner.user_id}, "update": {"email": ""}}),
        ("UserService/GetUser", {"user": {"user_id": owner.user_id}}),
        (
            "ScopeService/ResolveScope",
            {"token": scene.owner.token, "minimum_role": "ROLE_VIEWER"},
        ),
        (
            "AccessService/CheckAccess",
            {"check": {**elsewhere, "principal": {"user_id": owner.user_id}, "minimum_role": 1}},
        ),
    ]
    for method, fields in tried:
        refusal = caller.refused(method, **fields)
        assert refusal.code.name == "PERMISSION_DENIED", method
    assert authenticate(server, scene.owner.token) == "ALLOWED"
    _powerless(caller, scene)


def test_an_administrators_token_that_is_held_to_some_actions(scene: Scene) -> None:
    server, administrator = scene.server, scene.administrator
    some = {"max_role": "ROLE_ADMIN", "capabilities": ["manage_users", "manage_agents"]}
    caller = _token(administrator, ceiling=some)
    wider = {"max_role": "ROLE_ADMIN", "capabilities": [*some["capabilities"], "audit"]}
    full = _token(server.admin)
    admin_ref = server.admin.ref["user"]
    of_admin, of_caller = server.admin.ref, caller.ref
    tried: list[tuple[str, dict[str, Any], str]] = [
        (
            "UserService/CreateUser",
            {"login": server.name("rise"), "role": "USER_ROLE_ADMINISTRATOR"},
            "ACTION_MISSING",
        ),
        (
            "UserService/UpdateUser",
            {
                "user": {"user_id": scene.heir.user_id},
                "update": {"role": "USER_ROLE_ADMINISTRATOR"},
            },
            "ACTION_MISSING",
        ),
        # Nor does it touch anybody who may do more than it.
        ("UserService/DeactivateUser", {"user": admin_ref}, "ACTION_MISSING"),
        ("UserService/DeleteUser", {"user": admin_ref}, "ACTION_MISSING"),
        ("UserService/UpdateUser", {"user": admin_ref, "update": {"email": ""}}, "ACTION_MISSING"),
        ("TokenService/CreateToken", {**of_caller, "full_rights": True}, "CEILING_EXCEEDED"),
        ("TokenService/CreateToken", {**of_caller, "ceiling": wider}, "CEILING_EXCEEDED"),
        ("TokenService/CreateToken", {**of_admin, "full_rights": True}, "ACTION_MISSING"),
        ("TokenService/CreateToken", {**of_admin, "ceiling": wider}, "ACTION_MISSING"),
        ("TokenService/CreateToken", {**scene.agent, "full_rights": True}, "CEILING_EXCEEDED"),
        ("TokenService/RotateToken", {"token_id": full.token_id}, "TOKEN_ACCESS_DENIED"),
        ("TokenService/RotateToken", {"token_id": scene.token.token_id}, "CEILING_EXCEEDED"),
        ("SiteService/CreateSite", {"site_slug": server.name("rise")}, "ACTION_MISSING"),
        ("ChangeService/VerifyChanges", {}, "ACTION_MISSING"),
    ]
    for method, fields, reason in tried:
        refusal = caller.refused(method, **fields)
        assert refusal.what == f"PERMISSION_DENIED {reason}", (method, fields)


def test_a_viewers_token_of_an_administrator_is_no_administrators(scene: Scene) -> None:
    ceiling = {"max_role": "ROLE_VIEWER", "capabilities": ["manage_agents"]}
    caller = _token(scene.administrator, ceiling=ceiling)
    ref = scene.agent
    assert caller.call("AgentService/GetAgent", **ref).caller_role == 1
    tried: dict[str, dict[str, Any]] = {
        "AgentService/UpdateAgent": {**ref, "update": {"agent_name": "x"}},
        "AgentService/DeleteAgent": ref,
        "AgentService/TransferAgent": {**ref, "new_owner": {"user_id": scene.heir.user_id}},
        "AccessService/GrantAccess": {
            **ref,
            "principal": {"user_id": scene.heir.user_id},
            "role": "ROLE_VIEWER",
        },
        "AccessService/ListAgentAccess": ref,
        "TokenService/CreateToken": {**ref, "ceiling": ceiling},
        "TokenService/ListTokens": ref,
    }
    for method, fields in tried.items():
        assert caller.refused(method, **fields).what == "PERMISSION_DENIED ROLE_INSUFFICIENT"


@pytest.mark.parametrize(
    ("fate", "left"),
    [
        pytest.param("demoted", "MINTER_WITHOUT_RIGHTS", id="demoted"),
        pytest.param("deactivated", "MINTER_WITHOUT_RIGHTS", id="deactivated"),
        pytest.param("deleted", "TOKEN_INVALID", id="deleted"),
    ],
)
def test_what_an_administrator_minted_before_they_fell(scene: Scene, fate: str, left: str) -> None:
    server, fallen = scene.server, scene.administrator
    ref: dict[str, Any] = {"user": {"user_id": fallen.user_id}}
    minted = [
        server.agent_token(fallen, scene.agent_id),
        _token(fallen, user={"user_id": scene.heir.user_id}),
    ]
    own = _token(fallen)
    if fate == "demoted":
        server.admin.call("UserService/UpdateUser", **ref, update={"role": "USER_ROLE_MEMBER"})
    else:
        method = "DeactivateUser" if fate == "deactivated" else "DeleteUser"
        server.admin.call(f"UserService/{method}", **ref)

    assert [authenticate(server, one.token) for one in minted] == [left] * 2
    for one in (*minted, own):
        _powerless(one, scene)


def test_what_an_administrator_minted_for_another_one_ends_with_them_on_request(
    scene: Scene,
) -> None:
    # It stands by itself, so that no administrator can lock out all others by leaving; whoever
    # does not trust the one who leaves takes it away.
    server, fallen = scene.server, scene.administrator
    peer = server.user("ADMINISTRATOR")
    for_peer = _token(fallen, user={"user_id": peer.user_id})
    further = _token(for_peer)
    server.admin.call(
        "TokenService/RevokeUserTokens", user={"user_id": fallen.user_id}, include_minted=True
    )
    server.admin.call("UserService/DeactivateUser", user={"user_id": fallen.user_id})
    for one in (for_peer, further):
        _powerless(one, scene)
        assert authenticate(server, one.token) == "TOKEN_INVALID"
    assert authenticate(server, peer.token) == "ALLOWED"


def test_what_a_grantee_minted_before_their_grant_ended(scene: Scene) -> None:
    server, temporary = scene.server, scene.member
    end = server.clock() + timedelta(hours=1)
    server.grant(scene.agent_id, temporary, "ADMIN", expire_time=end)
    token = server.agent_token(temporary, scene.agent_id)
    rotated = temporary.call("TokenService/RotateToken", token_id=token.token_id).secret
    server.clock.advance(hours=1)
    for text in (token.token, rotated):
        assert authorize(server, text, scene.agent_id) in (
            "MINTER_WITHOUT_RIGHTS",
            "TOKEN_INVALID",
        )
        assert server.call("AuthService/Authenticate", scene.service.token, token=text).HasField(
            "denial"
        )
    refusal = temporary.refused("TokenService/CreateToken", **scene.agent, full_rights=True)
    assert refusal.what == "PERMISSION_DENIED AGENT_ACCESS_DENIED"


def test_a_member_who_makes_themselves_more(scene: Scene) -> None:
    server, member, admin = scene.server, scene.member, scene.server.admin
    own = server.agent(member).agent_id
    ref: dict[str, Any] = {"user": {"user_id": member.user_id}}
    for update in ({"role": "USER_ROLE_ADMINISTRATOR"}, {"active": True}, {"login": "root"}):
        assert member.refused("UserService/UpdateUser", **ref, update=update).code.name == (
            "PERMISSION_DENIED"
        )
    # Nor do they make an agent for somebody else, which would be theirs to mint for.
    slug = server.name("for-admin")
    for named in ({"user_id": admin.user_id}, {"login": admin.login}):
        refusal = member.refused("AgentService/CreateAgent", agent_slug=slug, owner=named)
        assert refusal.what == "PERMISSION_DENIED ACTION_MISSING"
    # Granting oneself, or one's agent's token, more than one has.
    assert (
        member.refused(
            "AccessService/GrantAccess",
            **scene.agent,
            principal={"user_id": member.user_id},
            role="ROLE_VIEWER",
        ).what
        == "PERMISSION_DENIED AGENT_ACCESS_DENIED"
    )
    token = server.agent_token(
        member, own, ceiling={"max_role": "ROLE_ADMIN", "capabilities": ALL_ACTIONS}
    )
    principal = admin.call("AuthService/Authenticate", token=token.token).principal
    assert list(principal.capabilities) == ["chat"]
    _powerless(member, scene)


def test_an_agent_that_acts_as_its_owner_does_so_within_its_ceiling(scene: Scene) -> None:
    server, owner = scene.server, scene.owner
    held = server.agent_token(
        owner, scene.agent_id, act_as_owner=True, ceiling={"max_role": "ROLE_OPERATOR"}
    )
    heir = {"user_id": scene.heir.user_id}
    tried: dict[str, dict[str, Any]] = {
        "AgentService/UpdateAgent": {**scene.agent, "update": {"agent_name": "x"}},
        "AgentService/DeleteAgent": scene.agent,
        "AgentService/TransferAgent": {**scene.agent, "new_owner": heir},
        "AgentService/CreateAgent": {"agent_slug": server.name("rise")},
        "AgentService/ListAgents": {},
        "AccessService/GrantAccess": {**scene.agent, "principal": heir, "role": "ROLE_VIEWER"},
        "TokenService/RevokeAgentTokens": scene.agent,
        "TokenService/RevokeUserTokens": owner.ref,
        "TokenService/RevokeToken": {"token_id": owner.token_id},
        "UserService/UpdateUser": {
            "user": {"user_id": owner.user_id},
            "update": {"email": "me@example.org"},
        },
    }
    for method, fields in tried.items():
        assert held.refused(method, **fields).code.name == "PERMISSION_DENIED", method
    # Nor does one with full rights mint.
    full = server.agent_token(owner, scene.agent_id, act_as_owner=True)
    for fields in (owner.ref, scene.agent):
        refusal = full.refused("TokenService/CreateToken", **fields, full_rights=True)
        assert refusal.what == "PERMISSION_DENIED USER_TOKEN_REQUIRED"


def test_a_revoked_token_that_mints_once_more_from_another_process(
    database_url: str, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    with (
        running_server(database_url, folders[0], files=tmp_path / "files") as one,
        running_server(database_url, folders[1], files=tmp_path / "files") as other,
    ):
        member = one.user()
        agent: dict[str, Any] = {"agent": {"agent_id": one.agent(member).agent_id}}
        elsewhere = Person(other, member.token, member.token_id, user_id=member.user_id)
        # The other process has seen the token work.
        elsewhere.call("TokenService/CreateToken", **agent, full_rights=True)
        one.admin.call("TokenService/RevokeUserTokens", user={"user_id": member.user_id})

        for fields in (agent, member.ref):
            refusal = elsewhere.refused("TokenService/CreateToken", **fields, full_rights=True)
            assert refusal.what == "UNAUTHENTICATED TOKEN_INVALID"
        assert (
            len(
                other.admin.call("TokenService/ListTokens", user={"user_id": member.user_id}).tokens
            )
            == 0
        )


def test_somebody_elses_check_gives_nobody_access(scene: Scene) -> None:
    # What a service may ask about others it may not do as them.
    assert check(scene.server, scene.owner, scene.agent_id, "ADMIN") == "ALLOWED"
    _powerless(scene.service, scene)
    assert scene.service.refused("AgentService/GetAgent", **scene.agent).what == (
        "PERMISSION_DENIED AGENT_ACCESS_DENIED"
    )
