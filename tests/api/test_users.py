"""Users: created, changed, stopped and removed, and the last administrator, who stays."""

from typing import Any

import pytest

from accredit_service.abilities.policy.permissions import ROLE_ACTIONS
from tests.api.asking import authenticate, check, pages, works
from tests.server import Person, Server

MISSING = "PERMISSION_DENIED ACTION_MISSING"


def _create(server: Server, **fields: Any) -> Any:
    fields = {"login": server.name("user"), "role": "USER_ROLE_MEMBER", **fields}
    return server.admin.call("UserService/CreateUser", **fields).user


def _ref(person: Person) -> dict[str, Any]:
    return {"user": {"user_id": person.user_id}}


def _update(caller: Person, person: Person, **update: Any) -> Any:
    return caller.call("UserService/UpdateUser", **_ref(person), update=update).user


def _update_refused(caller: Person, person: Person, **update: Any) -> Any:
    return caller.refused("UserService/UpdateUser", **_ref(person), update=update)


def test_a_new_user_is_active_and_human_and_called_by_their_login(server: Server) -> None:
    login = server.name("Ada.L_")
    user = _create(server, login=login)
    assert (user.login, user.display_name, user.email) == (login, login, "")
    assert (user.kind, user.role, user.active) == (1, 3, True)
    assert server.admin.call("UserService/GetUser", user={"login": login}).user == user


@pytest.mark.parametrize(
    ("role", "kind", "actions"),
    [
        pytest.param("ADMINISTRATOR", 1, None, id="an administrator has every action"),
        pytest.param("SERVICE", 2, "authenticate watch", id="a service is a program"),
        pytest.param("MEMBER", 1, "chat create_own_agent use_tools view_logs", id="a member"),
        pytest.param("GUEST", 1, "chat", id="a guest may only chat"),
    ],
)
def test_a_role_is_a_set_of_actions(
    server: Server, role: str, kind: int, actions: str | None
) -> None:
    user = _create(server, role=f"USER_ROLE_{role}")
    every = sorted({action for actions in ROLE_ACTIONS.values() for action in actions})
    assert list(user.actions) == (every if actions is None else actions.split())
    assert user.kind == kind
    if actions is None:
        assert len(user.actions) == 13


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"login": ""}, "login", id="no login"),
        pytest.param({"login": "12"}, "login", id="a login that reads as an id"),
        pytest.param({"login": ".ada"}, "login", id="a login that begins with a dot"),
        pytest.param({"login": "a b"}, "login", id="a blank in a login"),
        pytest.param({"login": "ada\n"}, "login", id="a line end behind it"),
        pytest.param({"login": "adä"}, "login", id="a letter outside of ASCII"),
        pytest.param({"login": "a@b"}, "login", id="a login that reads as an e-mail"),
        pytest.param({"login": "a" * 61}, "login", id="a long login"),
        pytest.param({"login": "a", "kind": 9}, "kind", id="no such kind"),
        pytest.param({"role": 9}, "role", id="no such role"),
        pytest.param({"role": 0}, "role", id="no role is stated"),
        pytest.param({"login": "a", "display_name": "x" * 201}, "display_name", id="a long name"),
        pytest.param({"login": "a", "email": "nobody"}, "email", id="an e-mail without @"),
        pytest.param({"login": "a", "email": "a b@c"}, "email", id="a blank in it"),
        pytest.param({"login": "a", "email": "@c"}, "email", id="nobody at a host"),
        pytest.param({"login": "a", "email": "a@" + "x" * 253}, "email", id="a long e-mail"),
    ],
)
def test_what_breaks_a_rule_is_refused_by_its_field(
    server: Server, fields: dict[str, Any], field: str
) -> None:
    fields = {"login": server.name("user"), "role": "USER_ROLE_GUEST", **fields}
    refusal = server.admin.refused("UserService/CreateUser", **fields)
    assert (refusal.what, refusal.fields) == ("INVALID_ARGUMENT FIELD_INVALID", [field])


def test_a_login_is_one_users_whatever_its_case(server: Server) -> None:
    user = _create(server)
    taken = server.admin.refused("UserService/CreateUser", login=user.login, role="USER_ROLE_GUEST")
    assert taken.what == "ALREADY_EXISTS LOGIN_CONFLICT"
    shouted = server.admin.refused(
        "UserService/CreateUser", login=user.login.upper(), role="USER_ROLE_GUEST"
    )
    assert shouted.what == "ALREADY_EXISTS LOGIN_CONFLICT"
    other = _create(server)
    for ref in (user.login.upper(), user.login.title()):
        found = server.admin.call("UserService/GetUser", user={"login": ref}).user
        assert (found.user_id, found.login) == (user.user_id, user.login)
        renamed = server.admin.refused(
            "UserService/UpdateUser", user={"login": other.login}, update={"login": ref}
        )
        assert renamed.what == "ALREADY_EXISTS LOGIN_CONFLICT"
    renamed = server.admin.refused(
        "UserService/UpdateUser", user={"login": other.login}, update={"login": user.login}
    )
    assert renamed.what == "ALREADY_EXISTS LOGIN_CONFLICT"


def test_one_reads_oneself_and_others_with_manage_users(server: Server) -> None:
    user, other = server.user(), server.user()
    for ref in ({"user_id": user.user_id}, {"login": user.login}):
        assert user.call("UserService/GetUser", user=ref).user.user_id == user.user_id
        assert other.refused("UserService/GetUser", user=ref).what == MISSING
    # Whether somebody exists is nobody's business either.
    assert other.refused("UserService/GetUser", user={"login": "nobody"}).what == MISSING
    unknown = server.admin.refused("UserService/GetUser", user={"login": "nobody"})
    assert unknown.what == "NOT_FOUND USER_NOT_FOUND"


def test_users_are_listed_by_id_and_by_what_they_are(server: Server) -> None:
    stem = server.name("lister")
    ids = [
        _create(server, login=f"{stem}-{n}", **fields).user_id
        for n, fields in enumerate(
            (
                {"display_name": "Ada"},
                {"email": "ada@example.org"},
                {"role": "USER_ROLE_GUEST"},
                {},
            )
        )
    ]
    server.admin.call("UserService/DeactivateUser", user={"user_id": ids[3]})

    def listed(**query: Any) -> list[int]:
        found = pages(
            server.admin, "UserService/ListUsers", "users", **{"text": stem} | query, page_size=2
        )
        return [user.user_id for page in found for user in page]

    assert listed() == ids
    assert listed(text=f"{stem.upper()}-1") == ids[1:2]
    assert listed(email="ada@example.org") == ids[1:2]
    assert listed(email="ADA@example.org") == []
    assert listed(role="USER_ROLE_GUEST") == ids[2:3]
    assert listed(active=False) == ids[3:]
    assert listed(active=True) == ids[:3]
    assert server.user().refused("UserService/ListUsers").what == MISSING


def test_one_changes_ones_own_name_and_email_and_no_more(server: Server) -> None:
    user, other = server.user(), server.user()
    after = _update(user, user, display_name="Me", email="me@example.org")
    assert (after.display_name, after.email) == ("Me", "me@example.org")
    assert _update(user, user, email="").email == ""
    for beyond in (
        {"login": server.name("new")},
        {"role": "USER_ROLE_ADMINISTRATOR"},
        {"kind": "USER_KIND_SERVICE"},
        {"active": True},
        {"display_name": "Me", "active": False},
    ):
        assert _update_refused(user, user, **beyond).what == MISSING
    assert _update_refused(user, other, display_name="You").what == MISSING


def test_one_does_so_with_a_token_that_is_not_held_to_little(server: Server) -> None:
    user = server.user()
    agent_id = server.agent(user).agent_id
    low = {"max_role": "ROLE_OPERATOR"}
    callers = [
        server.user_token(user, ceiling=low),
        server.agent_token(user, agent_id, ceiling=low, act_as_owner=True),
    ]
    for caller in callers:
        refusal = _update_refused(caller, user, email="attacker@example.org")
        assert refusal.what == "PERMISSION_DENIED ROLE_INSUFFICIENT"


@pytest.mark.parametrize(
    ("update", "reason", "field"),
    [
        pytest.param({}, "FIELD_INVALID", "update", id="nothing"),
        pytest.param({"display_name": " "}, "FIELD_INVALID", "update.display_name", id="blank"),
        pytest.param({"login": "1"}, "FIELD_INVALID", "update.login", id="a login of digits"),
        pytest.param({"role": 9}, "FIELD_INVALID", "update.role", id="no such role"),
        pytest.param({"kind": 9}, "FIELD_INVALID", "update.kind", id="no such kind"),
        pytest.param({"email": "x"}, "FIELD_INVALID", "update.email", id="no e-mail"),
    ],
)
def test_an_update_that_says_nothing_or_nonsense_is_refused(
    server: Server, update: dict[str, Any], reason: str, field: str
) -> None:
    refusal = _update_refused(server.admin, server.user(), **update)
    assert (refusal.what, refusal.fields) == (f"INVALID_ARGUMENT {reason}", [field])


def test_a_deactivated_user_stops_with_all_that_hangs_on_them_and_starts_as_it_was(
    server: Server,
) -> None:
    user, other = server.user(), server.user()
    own_agent, foreign = server.agent(user).agent_id, server.agent(other).agent_id
    server.grant(foreign, user, "ADMIN")
    stopped = [
        user,
        server.agent_token(user, own_agent),
        server.agent_token(user, own_agent, act_as_owner=True),
        server.agent_token(server.admin, own_agent),
        server.agent_token(user, foreign),
    ]
    revoked = server.agent_token(user, own_agent)
    user.call("TokenService/RevokeToken", token_id=revoked.token_id)
    untouched = [other, server.agent_token(other, foreign)]

    first, again = (
        server.admin.call("UserService/DeactivateUser", **_ref(user)).user for _ in range(2)
    )

    assert not first.active
    assert first == again
    assert [works(one) for one in stopped] == [False] * 5
    assert [works(one) for one in untouched] == [True] * 2
    assert user.refused("AuthService/WhoAmI").what == "UNAUTHENTICATED USER_INACTIVE"
    assert check(server, user, own_agent) == "USER_INACTIVE"
    assert _update(server.admin, user, active=True).active
    assert [works(one) for one in stopped] == [True] * 5
    assert not works(revoked)


def test_a_deleted_user_takes_grants_tokens_and_minted_tokens_along(server: Server) -> None:
    user, owner = server.user(), server.user()
    agent_id = server.agent(owner).agent_id
    server.grant(agent_id, user, "ADMIN")
    granted = server.user()
    user.call(
        "AccessService/GrantAccess",
        agent={"agent_id": agent_id},
        principal={"user_id": granted.user_id},
        role="ROLE_VIEWER",
    )
    minted = server.agent_token(user, agent_id)

    answer = server.admin.call("UserService/DeleteUser", user={"login": user.login})

    assert (answer.user.user_id, answer.tokens_deleted) == (user.user_id, 2)
    assert [authenticate(server, one.token) for one in (user, minted)] == ["TOKEN_INVALID"] * 2
    assert check(server, user, agent_id) == "USER_INACTIVE"
    grants = owner.call("AccessService/ListAgentAccess", agent={"agent_id": agent_id}).grants
    assert [(one.principal.user_id, one.granted_by) for one in grants] == [
        (owner.user_id, server.admin.user_id),
        # Whom they granted access to keeps it; who granted it is gone.
        (granted.user_id, 0),
    ]
    again = server.admin.refused("UserService/DeleteUser", **_ref(user))
    assert again.what == "NOT_FOUND USER_NOT_FOUND"


def test_who_owns_agents_stays(server: Server) -> None:
    owner, heir = server.user(), server.user()
    agent = server.agent(owner)
    refusal = server.admin.refused("UserService/DeleteUser", **_ref(owner))
    assert refusal.what == "FAILED_PRECONDITION USER_OWNS_AGENTS"
    server.admin.call(
        "AgentService/TransferAgent",
        agent={"agent_id": agent.agent_id},
        new_owner={"user_id": heir.user_id},
    )
    server.admin.call("UserService/DeleteUser", **_ref(owner))


ROADS = [
    pytest.param("UpdateUser", {"update": {"role": "USER_ROLE_MEMBER"}}, id="demoted"),
    pytest.param("UpdateUser", {"update": {"active": False}}, id="made inactive"),
    pytest.param("DeactivateUser", {}, id="deactivated"),
    pytest.param("DeleteUser", {}, id="deleted"),
    pytest.param("DeleteUser", {"validate_only": True}, id="deleted on trial"),
]


@pytest.mark.parametrize(("method", "fields"), ROADS)
def test_the_last_active_administrator_stays_one_by_every_road(
    own_server: Server, method: str, fields: dict[str, Any]
) -> None:
    server = own_server
    admin = server.admin
    inactive = server.user("ADMINISTRATOR")
    admin.call("UserService/DeactivateUser", **_ref(inactive))

    refusal = admin.refused(f"UserService/{method}", **_ref(admin), **fields)
    assert refusal.what == "FAILED_PRECONDITION LAST_ADMIN"
    assert admin.call("AuthService/WhoAmI").user.role == 1

    # With a second one the first may go; then the second is the last.
    second = server.user("ADMINISTRATOR")
    second.call(f"UserService/{method}", **_ref(admin), **fields)
    if "validate_only" not in fields:
        last = second.refused(f"UserService/{method}", **_ref(second), **fields)
        assert last.what == "FAILED_PRECONDITION LAST_ADMIN"


def test_other_changes_of_the_last_administrator_are_fine(own_server: Server) -> None:
    admin = own_server.admin
    after = _update(
        admin,
        admin,
        login="root",
        display_name="Root",
        email="root@example.org",
        role="USER_ROLE_ADMINISTRATOR",
        kind="USER_KIND_SERVICE",
        active=True,
    )
    assert (after.login, after.role, after.active, after.kind) == ("root", 1, True, 2)
