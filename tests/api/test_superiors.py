"""Nobody acts on somebody who may do more: on no road, and with no credential."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from accredit_service.abilities.policy.permissions import ROLE_ACTIONS, Action
from accredit_storage.records import UserId, UserRole
from tests.server import Person, RefusedError, Server

ALL = sorted(action.value for action in Action)
NUMBERS = count()


def holding(person: Person, *capabilities: str, role: str = "ROLE_ADMIN") -> Person:
    """The same person with a token that holds these actions only."""
    made = person.call(
        "TokenService/CreateToken",
        user={"user_id": person.user_id},
        ceiling={"max_role": role, "capabilities": capabilities},
    )
    return Person(person.server, made.secret, user_id=person.user_id, token_id=made.token.token_id)


def holding_little(person: Person) -> Person:
    """With a token that anybody may rotate who may act on the person at all."""
    return holding(person, role="ROLE_VIEWER")


def administrator(server: Server) -> Person:
    return server.user("ADMINISTRATOR")


Act = Callable[[Person, Person], Any]

ACTS: dict[str, Act] = {
    "renames them": lambda who, whom: who.call(
        "UserService/UpdateUser",
        user={"user_id": whom.user_id},
        update={"display_name": f"Another {next(NUMBERS)}"},
    ),
    "changes their kind": lambda who, whom: who.call(
        "UserService/UpdateUser", user={"user_id": whom.user_id}, update={"kind": "USER_KIND_HUMAN"}
    ),
    "deactivates them": lambda who, whom: who.call(
        "UserService/DeactivateUser", user={"user_id": whom.user_id}
    ),
    "deletes them": lambda who, whom: who.call(
        "UserService/DeleteUser", user={"user_id": whom.user_id}
    ),
    "ends all of their tokens": lambda who, whom: who.call(
        "TokenService/RevokeUserTokens", user={"user_id": whom.user_id}
    ),
    "ends what they have minted too": lambda who, whom: who.call(
        "TokenService/RevokeUserTokens", user={"user_id": whom.user_id}, include_minted=True
    ),
    "ends one of their tokens": lambda who, whom: who.call(
        "TokenService/RevokeToken", token_id=whom.token_id
    ),
    "rotates one of their tokens": lambda who, whom: who.call(
        "TokenService/RotateToken", token_id=whom.token_id
    ),
    "mints a token for them": lambda who, whom: who.call(
        "TokenService/CreateToken",
        user={"user_id": whom.user_id},
        ceiling={"max_role": "ROLE_ADMIN", "capabilities": ["manage_users"]},
    ),
}


def state(server: Server, person: Person) -> Any:
    """What the store has of somebody: their row, and their tokens."""
    with server.app.store.read() as tx:
        user = tx.users.find(UserId(person.user_id))
        listed = [tx.tokens.find(one) for one in tx.tokens.for_user(UserId(person.user_id))]
    return user, [(one.token_id, one.version) for one in listed if one is not None]


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("missing", [Action.MANAGE_SETTINGS, Action.CHAT])
def test_whoever_lacks_one_action_of_theirs(server: Server, act: str, missing: Action) -> None:
    superior = holding(administrator(server), "manage_users")
    lesser = holding(administrator(server), *(one for one in ALL if one != missing.value))
    before = state(server, superior)
    refused = pytest.raises(RefusedError)
    with refused as error:
        ACTS[act](lesser, superior)
    assert error.value.code.name == "PERMISSION_DENIED"
    assert state(server, superior) == before
    superior.call("AuthService/WhoAmI")


@pytest.mark.parametrize("act", ACTS)
def test_whoever_has_them_all_may(server: Server, act: str) -> None:
    peer = holding(administrator(server), "manage_users")
    before = state(server, peer)
    ACTS[act](holding(administrator(server), *ALL), peer)
    assert state(server, peer) != before


@pytest.mark.parametrize("role", [role for role in UserRole if role is not UserRole.ADMINISTRATOR])
@pytest.mark.parametrize("act", ACTS)
def test_managing_users_is_not_enough_for_any_role(
    server: Server, act: str, role: UserRole
) -> None:
    other = holding_little(server.user(role.name))
    managing = {"manage_users", "manage_agents", "create_own_agent"}
    lesser = holding(administrator(server), *sorted(managing))
    assert not ROLE_ACTIONS[role] <= managing
    before = state(server, other)
    with pytest.raises(RefusedError):
        ACTS[act](lesser, other)
    assert state(server, other) == before
    enough = holding(administrator(server), *sorted({*managing, *ROLE_ACTIONS[role]}))
    ACTS[act](enough, other)
    assert state(server, other) != before


def test_a_credential_that_holds_little_ends_itself_and_no_other_of_its_users(
    server: Server,
) -> None:
    user = administrator(server)
    little = holding(user, "manage_users")
    for refused in (
        lambda: little.call("TokenService/RevokeUserTokens", user={"user_id": user.user_id}),
        lambda: little.call("TokenService/RevokeToken", token_id=user.token_id),
        lambda: little.call("TokenService/RotateToken", token_id=user.token_id),
        lambda: little.call(
            "UserService/UpdateUser",
            user={"user_id": user.user_id},
            update={"email": "mine@example.org"},
        ),
    ):
        with pytest.raises(RefusedError):
            refused()
    user.call("AuthService/WhoAmI")
    rotated = little.call("TokenService/RotateToken", token_id=little.token_id)
    successor = Person(server, rotated.secret, token_id=rotated.token.token_id)
    successor.call("TokenService/RevokeToken", token_id=successor.token_id)
    assert successor.refused("AuthService/WhoAmI").reason == "TOKEN_INVALID"
    user.call("AuthService/WhoAmI")


def test_whoever_minted_a_token_for_somebody_above_does_not_end_it(server: Server) -> None:
    giver, receiver = administrator(server), administrator(server)
    made = giver.call(
        "TokenService/CreateToken", user={"user_id": receiver.user_id}, full_rights=True
    )
    given = Person(server, made.secret, token_id=made.token.token_id)
    server.admin.call(
        "UserService/UpdateUser",
        user={"user_id": giver.user_id},
        update={"role": "USER_ROLE_MEMBER"},
    )
    roads: list[tuple[str, dict[str, Any]]] = [
        ("TokenService/RevokeToken", {"token_id": given.token_id}),
        (
            "TokenService/RevokeUserTokens",
            {"user": {"user_id": giver.user_id}, "include_minted": True},
        ),
    ]
    for method, request in roads:
        assert giver.refused(method, **request).code.name == "PERMISSION_DENIED"
    given.call("AuthService/WhoAmI")


def test_what_somebody_minted_for_somebody_above_is_not_ended_on_the_way(
    server: Server,
) -> None:
    giver, receiver = administrator(server), administrator(server)
    made = giver.call(
        "TokenService/CreateToken", user={"user_id": receiver.user_id}, full_rights=True
    )
    given = Person(server, made.secret, token_id=made.token.token_id)
    server.admin.call(
        "UserService/UpdateUser",
        user={"user_id": giver.user_id},
        update={"role": "USER_ROLE_MEMBER"},
    )
    above_members = sorted({"manage_users", "manage_agents", *ROLE_ACTIONS[UserRole.MEMBER]})
    lesser = holding(administrator(server), *above_members)
    request: dict[str, Any] = {"user": {"user_id": giver.user_id}, "include_minted": True}
    assert lesser.refused("TokenService/RevokeUserTokens", **request).reason == "ACTION_MISSING"
    given.call("AuthService/WhoAmI")
    request["include_minted"] = False
    assert lesser.call("TokenService/RevokeUserTokens", **request).tokens_revoked == 1


def test_what_somebody_minted_for_agents_takes_more_than_managing_users(
    server: Server,
) -> None:
    owner = server.user()
    token = server.agent_token(owner, server.agent(owner).agent_id)
    members = ROLE_ACTIONS[UserRole.MEMBER]
    lesser = holding(administrator(server), *sorted({"manage_users", *members}))
    request: dict[str, Any] = {"user": {"user_id": owner.user_id}, "include_minted": True}
    refused = lesser.refused("TokenService/RevokeUserTokens", **request)
    assert refused.reason == "ACTION_MISSING"
    assert "manage_agents" in refused.message
    token.call("AuthService/WhoAmI")
    enough = holding(administrator(server), *sorted({"manage_users", "manage_agents", *members}))
    assert enough.call("TokenService/RevokeUserTokens", **request).tokens_revoked == 2


def test_an_agents_token_follows_the_role_on_the_agent(server: Server) -> None:
    owner, admin_of_it = administrator(server), server.user()
    agent = server.agent(owner)
    server.grant(agent.agent_id, admin_of_it, "ADMIN")
    token = server.agent_token(owner, agent.agent_id)
    admin_of_it.call("TokenService/RevokeToken", token_id=token.token_id)
    assert token.refused("AuthService/WhoAmI").reason == "TOKEN_INVALID"


UNSEEN = {
    "a zero-width space": "\u200b",
    "a zero-width joiner": "\u200d",
    "a word joiner": "\u2060",
    "a byte order mark": "\ufeff",
    "a soft hyphen": "\u00ad",
    "an override of the direction": "\u202e",
    "an isolate": "\u2066",
    "a mark of the direction": "\u200f",
    "an Arabic mark": "\u061c",
    "a grapheme joiner": "\u034f",
    "a Hangul filler": "\u3164",
    "a half-width filler": "\uffa0",
    "a variation selector": "\ufe0f",
    "a blank pattern of Braille": "\u2800",
    "a tag": "\U000e0041",
    "a line separator": "\u2028",
}


def _texts(server: Server) -> Iterator[tuple[str, Callable[[str], dict[str, Any]], str]]:
    """Each short text that people read: the call, the request that has it, the field."""
    admin, owner = server.admin, {"user_id": server.admin.user_id}
    agent = server.agent(admin)
    ref = {"agent_id": agent.agent_id}
    yield "AgentService/CreateAgent", lambda t: {"agent_slug": t, "owner": owner}, "agent_slug"
    yield (
        "AgentService/CreateAgent",
        lambda t: {"agent_slug": "unseen", "agent_name": t, "owner": owner},
        "agent_name",
    )
    yield (
        "AgentService/UpdateAgent",
        lambda t: {"agent": ref, "update": {"agent_name": t}},
        "update.agent_name",
    )
    yield "AgentService/RenameAgent", lambda t: {"agent": ref, "new_slug": t}, "new_slug"
    yield (
        "AgentService/SetAgentStatus",
        lambda t: {"agent": ref, "status": "AGENT_STATUS_INACTIVE", "reason": t},
        "reason",
    )
    yield (
        "TokenService/CreateToken",
        lambda t: {"agent": ref, "full_rights": True, "label": t},
        "label",
    )
    yield "UserService/CreateUser", lambda t: {"login": t, "role": "USER_ROLE_GUEST"}, "login"
    yield (
        "UserService/CreateUser",
        lambda t: {"login": "unseen", "role": "USER_ROLE_GUEST", "display_name": t},
        "display_name",
    )
    yield (
        "UserService/UpdateUser",
        lambda t: {"user": owner, "update": {"display_name": t}},
        "update.display_name",
    )
    yield "SiteService/CreateSite", lambda t: {"site_slug": t}, "site_slug"
    yield "SiteService/CreateSite", lambda t: {"site_slug": "s", "site_name": t}, "site_name"
    yield (
        "RegistryService/RegisterAgent",
        lambda t: {"agent_slug": t},
        "agent_slug",
    )
    yield (
        "RegistryService/RegisterAgent",
        lambda t: {"agent_slug": "unseen", "label": t},
        "label",
    )


def test_what_nobody_sees_is_in_no_text_that_people_read(server: Server) -> None:
    for method, request, field in _texts(server):
        for what, character in UNSEEN.items():
            refused = server.admin.refused(method, **request(f"ad{character}min"))
            assert refused.code.name == "INVALID_ARGUMENT", (method, field, what)
            (named,) = refused.fields
            assert named.split(".")[-1] == field.split(".")[-1], (method, field, what)
            if field != "login":
                assert f"U+{ord(character):04X}" in refused.message, (method, field, what)


def test_what_people_do_see_stays(server: Server) -> None:
    for name in ("Zoë 🤖", "日本語", "عربي", "हिन्दी", "e\u0301"):
        made = server.admin.call(
            "AgentService/CreateAgent",
            agent_slug=f"seen-{next(NUMBERS)}",
            agent_name=name,
            owner={"user_id": server.admin.user_id},
        )
        assert made.agent.agent_name == name
