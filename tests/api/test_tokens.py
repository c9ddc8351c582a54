"""Tokens are minted, listed, rotated and revoked."""

from datetime import timedelta
from typing import Any

import pytest

from accredit_service.background import Housekeeping
from tests.api.asking import authenticate, pages, works
from tests.server import Person, Server

DENIED = "PERMISSION_DENIED TOKEN_ACCESS_DENIED"


def _mint(caller: Person, **fields: Any) -> Any:
    return caller.call("TokenService/CreateToken", **_wish(caller, **fields))


def _mint_refused(caller: Person, **fields: Any) -> Any:
    return caller.refused("TokenService/CreateToken", **_wish(caller, **fields))


def _wish(caller: Person, **fields: Any) -> dict[str, Any]:
    """A token of full rights for the caller, unless it says otherwise."""
    if "ceiling" not in fields:
        fields.setdefault("full_rights", True)
    return fields if {"agent", "user"} & set(fields) else {**caller.ref, **fields}


def _get(caller: Person, token_id: str) -> Any:
    return caller.call("TokenService/GetToken", token_id=token_id).token


def _low(server: Server, user: Person, role: str, *capabilities: str) -> Person:
    """The same user with a token that is held to a role."""
    ceiling = {"max_role": f"ROLE_{role}", "capabilities": capabilities}
    minted = _mint(user, ceiling=ceiling)
    return Person(server, minted.secret, token_id=minted.token.token_id, user_id=user.user_id)


def test_a_minted_token_says_all_but_its_secret(server: Server) -> None:
    owner = server.user()
    agent = server.agent(owner)
    minted = _mint(
        owner,
        agent={"agent_slug": agent.agent_slug},
        label=" CI <b>runner</b>\n",
        ceiling={
            "max_role": "ROLE_OPERATOR",
            "capabilities": ["view_logs", "billing.refund", "chat", "chat"],
        },
        ttl={"seconds": 3600},
    )
    token = minted.token

    assert minted.secret.startswith(f"acr_{token.token_id}_")
    assert (token.agent_id, token.WhichOneof("holder")) == (agent.agent_id, "agent_id")
    assert token.label == "CI runner"
    assert token.ceiling.max_role == 2
    assert list(token.ceiling.capabilities) == ["billing.refund", "chat", "view_logs"]
    assert not token.full_rights
    assert token.created_by == owner.user_id
    assert token.expire_time.ToDatetime() - token.create_time.ToDatetime() == timedelta(hours=1)
    assert _get(owner, token.token_id) == token
    assert minted.secret not in str(_get(owner, token.token_id))


def test_a_token_is_a_users_by_id_or_by_login(server: Server) -> None:
    user = server.user()
    token = _mint(user, user={"login": user.login}).token
    assert token.user_id == _mint(user).token.user_id
    assert (token.user_id, token.WhichOneof("holder")) == (user.user_id, "user_id")
    assert token.full_rights
    assert not token.HasField("ceiling")
    assert not token.HasField("expire_time")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"full_rights": False}, "full_rights", id="rights that are not full"),
        pytest.param({"label": "x" * 201}, "label", id="a long label"),
        pytest.param({"label": "a\0b"}, "label", id="NUL in a label"),
        pytest.param({"ceiling": {"max_role": 9}}, "ceiling.max_role", id="no such role"),
        pytest.param(
            {"ceiling": {"capabilities": ["chat"]}}, "ceiling.max_role", id="no role is stated"
        ),
        pytest.param(
            {"ceiling": {"max_role": 1, "capabilities": ["chat", "Chat"]}},
            "ceiling.capabilities[1]",
            id="a capital letter",
        ),
        pytest.param(
            {"ceiling": {"max_role": 1, "capabilities": [""]}},
            "ceiling.capabilities[0]",
            id="empty",
        ),
        pytest.param(
            {"ceiling": {"max_role": 1, "capabilities": ["x" * 101]}},
            "ceiling.capabilities[0]",
            id="too long",
        ),
        pytest.param(
            {"ceiling": {"max_role": 1, "capabilities": [f"c{n}" for n in range(101)]}},
            "ceiling.capabilities",
            id="too many",
        ),
        pytest.param({"ttl": {"seconds": 0}}, "ttl", id="a life of nothing"),
        pytest.param({"ttl": {"seconds": -5}}, "ttl", id="a negative life"),
        pytest.param({"ttl": {"seconds": 36526 * 86400}}, "ttl", id="more than 100 years"),
        pytest.param({"ttl": {"seconds": 2**62}}, "ttl", id="more than a duration holds"),
        pytest.param({"ttl": {"seconds": 1, "nanos": -1}}, "ttl", id="signs that differ"),
        pytest.param({"expire_time": {"seconds": 1}}, "expire_time", id="a moment long past"),
        pytest.param({"expire_time": {"seconds": 2**40}}, "expire_time", id="after year 9999"),
        pytest.param({"expire_time": {"nanos": -1}}, "expire_time", id="not a moment"),
        pytest.param({"user": {"user_id": -1}}, "user.user_id", id="a negative user"),
        pytest.param({"user": {"user_id": 0}}, "user.user_id", id="user 0"),
        pytest.param({"user": {"login": ""}}, "user.login", id="an empty login"),
        pytest.param({"user": {"login": "a\0"}}, "user.login", id="NUL in a login"),
        pytest.param({"user": {}}, "user", id="no user"),
        pytest.param({"agent": {}}, "agent", id="no agent"),
        pytest.param({"act_as_owner": True}, "act_as_owner", id="a user's token has no owner"),
    ],
)
def test_a_wish_that_breaks_a_rule_is_refused_by_its_field(
    server: Server, fields: dict[str, Any], field: str
) -> None:
    refusal = _mint_refused(server.user(), **fields)
    assert refusal.what == "INVALID_ARGUMENT FIELD_INVALID"
    assert refusal.fields == [field]


def test_whom_a_token_shall_speak_for_is_stated_and_never_guessed(server: Server) -> None:
    owner = server.user()
    agent_id = server.agent(owner).agent_id
    for caller in (owner, server.admin, server.agent_token(owner, agent_id)):
        refusal = caller.refused("TokenService/CreateToken", full_rights=True)
        if caller.agent_id:
            assert refusal.what == "PERMISSION_DENIED USER_TOKEN_REQUIRED"
        else:
            assert (refusal.what, refusal.fields) == ("INVALID_ARGUMENT FIELD_INVALID", ["holder"])


def test_an_end_lies_ahead_and_at_most_a_hundred_years(own_server: Server) -> None:
    user = own_server.user()
    now = own_server.clock.stop()
    century = timedelta(days=36525)
    for moment in (now, now - timedelta(seconds=1), now + century + timedelta(seconds=1)):
        assert _mint_refused(user, expire_time=moment).fields == ["expire_time"]
    for moment in (now + timedelta(microseconds=1), now + century):
        token = _mint(user, expire_time=moment).token
        assert token.expire_time.ToDatetime(tzinfo=now.tzinfo) == moment


def test_whom_one_may_mint_for(server: Server) -> None:
    owner, admin_grantee, operator = server.user(), server.user(), server.user()
    agent = server.agent(owner)
    server.grant(agent.agent_id, admin_grantee, "ADMIN")
    server.grant(agent.agent_id, operator, "OPERATOR")
    of_agent = {"agent": {"agent_id": agent.agent_id}}
    gone = server.user()
    server.admin.call("UserService/DeactivateUser", user={"user_id": gone.user_id})

    for caller in (owner, admin_grantee, server.admin):
        assert _mint(caller, **of_agent).token.created_by == caller.user_id
    assert _mint_refused(operator, **of_agent).what == "PERMISSION_DENIED ROLE_INSUFFICIENT"
    assert _mint(operator, user={"user_id": operator.user_id}).token.user_id == operator.user_id
    foreign = _mint_refused(operator, user={"user_id": owner.user_id})
    assert foreign.what == "PERMISSION_DENIED ACTION_MISSING"
    assert _mint(server.admin, user={"user_id": owner.user_id}).token.user_id == owner.user_id
    for user_id in (gone.user_id, 2**62):
        unknown = _mint_refused(server.admin, user={"user_id": user_id})
        assert unknown.what == "NOT_FOUND USER_NOT_FOUND"


def test_only_the_owner_in_person_mints_a_token_that_acts_as_them(server: Server) -> None:
    owner, grantee = server.user(), server.user()
    agent = server.agent(owner)
    server.grant(agent.agent_id, grantee, "ADMIN")
    wish = {"agent": {"agent_id": agent.agent_id}, "act_as_owner": True}

    as_owner = server.agent_token(owner, agent.agent_id, act_as_owner=True)
    for caller in (grantee, server.admin):
        assert _mint_refused(caller, **wish).what == "PERMISSION_DENIED OWNER_REQUIRED"
    assert _mint_refused(as_owner, **wish).what == "PERMISSION_DENIED USER_TOKEN_REQUIRED"
    assert _get(owner, as_owner.token_id).act_as_owner


def test_a_token_mints_nothing_beyond_its_own_ceiling_or_end(server: Server) -> None:
    user = server.user()
    end = server.clock() + timedelta(hours=1)
    minted = _mint(
        user,
        ceiling={"max_role": "ROLE_ADMIN", "capabilities": ["chat", "billing.refund"]},
        expire_time=end,
    )
    person = Person(server, minted.secret, user_id=user.user_id)
    within: dict[str, Any] = {
        "ceiling": {"max_role": "ROLE_ADMIN", "capabilities": ["billing.refund"]},
        "expire_time": end,
    }
    beyond: list[dict[str, Any]] = [
        {"full_rights": True, "ceiling": None},
        {"ceiling": {"max_role": "ROLE_VIEWER", "capabilities": ["chat", "view_logs"]}},
        {"ceiling": {"max_role": "ROLE_VIEWER", "capabilities": ["billing"]}},
        {"expire_time": None},
        {"expire_time": end + timedelta(microseconds=1)},
    ]

    assert _mint(person, **within).token.created_by == user.user_id
    for more in beyond:
        wish = {key: value for key, value in {**within, **more}.items() if value is not None}
        refusal = person.refused("TokenService/CreateToken", **person.ref, **wish)
        assert refusal.what == "PERMISSION_DENIED CEILING_EXCEEDED", more


@pytest.mark.parametrize("role", ["VIEWER", "OPERATOR"])
def test_a_token_held_below_admin_neither_mints_nor_ends_other_tokens(
    server: Server, role: str
) -> None:
    user = server.user()
    other = _mint(user).token
    low = _low(server, user, role)
    too_low = "PERMISSION_DENIED ROLE_INSUFFICIENT"

    assert _mint_refused(low, ceiling={"max_role": "ROLE_VIEWER"}).what == too_low
    assert low.refused("TokenService/RevokeUserTokens", **low.ref).what == too_low
    assert low.refused("TokenService/RevokeToken", token_id=other.token_id).what == DENIED
    assert low.refused("TokenService/RotateToken", token_id=other.token_id).what == DENIED
    # Itself it may look at and end.
    assert _get(low, low.token_id).token_id == low.token_id
    low.call("TokenService/RevokeToken", token_id=low.token_id)
    assert not works(low)


def test_tokens_are_listed_newest_first_the_live_ones_unless_all_are_asked_for(
    server: Server,
) -> None:
    owner = server.user()
    agent = server.agent(owner)
    ids = []
    for fields in ({}, {"ttl": {"seconds": 60}}, {}, {}):
        server.clock.advance(seconds=1)
        ids.append(server.agent_token(owner, agent.agent_id, **fields).token_id)
    owner.call("TokenService/RevokeToken", token_id=ids[2])
    server.clock.advance(seconds=60)

    def listed(**query: Any) -> list[str]:
        found = pages(
            owner,
            "TokenService/ListTokens",
            "tokens",
            agent={"agent_id": agent.agent_id},
            page_size=2,
            **query,
        )
        return [one.token_id for page in found for one in page]

    assert listed() == [ids[3], ids[0]]
    assert listed(show_inactive=True) == ids[::-1]


def test_who_may_see_a_token_and_who_is_told_nothing(server: Server) -> None:
    owner, operator, viewer, stranger = (server.user() for _ in range(4))
    agent = server.agent(owner)
    server.grant(agent.agent_id, operator, "OPERATOR")
    server.grant(agent.agent_id, viewer, "VIEWER")
    token, sibling = (server.agent_token(owner, agent.agent_id) for _ in range(2))
    held = server.agent_token(owner, agent.agent_id, ceiling={"max_role": "ROLE_VIEWER"})
    users = _mint(owner).token
    of_agent: dict[str, Any] = {"agent": {"agent_id": agent.agent_id}}

    for caller in (owner, operator, server.admin, sibling):
        assert _get(caller, token.token_id).token_id == token.token_id
        assert caller.call("TokenService/ListTokens", **of_agent).tokens
    for caller in (owner, server.admin):
        assert _get(caller, users.token_id) == users
    for caller in (viewer, stranger, held):
        told = [
            caller.refused("TokenService/GetToken", token_id=token_id).what
            for token_id in (token.token_id, users.token_id, "0" * 16)
        ]
        assert told == [DENIED] * 3
    assert _get(held, held.token_id).token_id == held.token_id
    low = viewer.refused("TokenService/ListTokens", **of_agent)
    assert low.what == "PERMISSION_DENIED ROLE_INSUFFICIENT"
    foreign = operator.refused("TokenService/ListTokens", user={"user_id": owner.user_id})
    assert foreign.what == "PERMISSION_DENIED ACTION_MISSING"
    nothing = server.admin.refused("TokenService/GetToken", token_id="0" * 16)
    assert nothing.what == "NOT_FOUND AGENT_TOKEN_NOT_FOUND"


@pytest.mark.parametrize(
    "token_id", ["", "short", "x" * 17, "ü" * 16, "acr_" + "0" * 12, "\0" * 16]
)
def test_what_cannot_be_a_token_id_is_refused(server: Server, token_id: str) -> None:
    for method in ("GetToken", "RotateToken", "RevokeToken"):
        refusal = server.admin.refused(f"TokenService/{method}", token_id=token_id)
        assert (refusal.what, refusal.fields) == ("INVALID_ARGUMENT FIELD_INVALID", ["token_id"])


def test_without_a_holder_the_callers_own_tokens_are_listed(server: Server) -> None:
    owner = server.user()
    agent = server.agent(owner)
    bound = server.agent_token(owner, agent.agent_id)
    own = owner.call("TokenService/ListTokens").tokens
    agents = bound.call("TokenService/ListTokens").tokens
    assert {one.user_id for one in own} == {owner.user_id}
    assert [one.token_id for one in agents] == [bound.token_id]


def test_revoking_is_at_once_for_good_and_may_be_repeated(server: Server) -> None:
    owner = server.user()
    token = server.agent_token(owner, server.agent(owner).agent_id)
    first, again = (
        owner.call("TokenService/RevokeToken", token_id=token.token_id).token for _ in range(2)
    )
    assert first.HasField("revoke_time")
    assert first == again
    assert authenticate(server, token.token) == "TOKEN_INVALID"
    assert token.refused("AuthService/WhoAmI").what == "UNAUTHENTICATED TOKEN_INVALID"


def test_who_may_revoke_a_token(server: Server) -> None:
    owner, grantee, operator, stranger = (server.user() for _ in range(4))
    agent = server.agent(owner)
    server.grant(agent.agent_id, grantee, "ADMIN")
    server.grant(agent.agent_id, operator, "OPERATOR")

    def revoked_by(caller: Person, minter: Person) -> bool:
        token = server.agent_token(minter, agent.agent_id)
        if caller in (operator, stranger):
            refusal = caller.refused("TokenService/RevokeToken", token_id=token.token_id)
            assert refusal.what == DENIED
        else:
            caller.call("TokenService/RevokeToken", token_id=token.token_id)
        return not works(token)

    assert all(revoked_by(one, owner) for one in (owner, grantee, server.admin))
    assert not any(revoked_by(one, owner) for one in (operator, stranger))
    # Whoever minted it may, also when they have lost their role.
    token = server.agent_token(grantee, agent.agent_id)
    server.grant(agent.agent_id, grantee, "VIEWER")
    grantee.call("TokenService/RevokeToken", token_id=token.token_id)
    assert authenticate(server, token.token) == "TOKEN_INVALID"


def test_all_tokens_of_an_agent_are_revoked_at_once(server: Server) -> None:
    owner = server.user()
    agent, other = server.agent(owner), server.agent(owner)
    tokens = [server.agent_token(owner, agent.agent_id) for _ in range(2)]
    elsewhere = server.agent_token(owner, other.agent_id)
    ref = {"agent_id": agent.agent_id}

    first, again = (owner.call("TokenService/RevokeAgentTokens", agent=ref) for _ in range(2))

    assert (first.tokens_revoked, again.tokens_revoked) == (2, 0)
    assert [works(one) for one in (*tokens, elsewhere, owner)] == [False, False, True, True]


def test_all_tokens_of_a_user_are_revoked_and_on_request_those_they_minted_for_agents(
    server: Server,
) -> None:
    other = server.user()
    agent = server.agent(other)

    def revoke(**fields: Any) -> list[bool]:
        user = server.user("ADMINISTRATOR")
        own = Person(server, _mint(user).secret)
        for_agent = server.agent_token(user, agent.agent_id)
        for_user = Person(server, _mint(user, user={"user_id": other.user_id}).secret)
        server.admin.call("TokenService/RevokeUserTokens", user={"user_id": user.user_id}, **fields)
        return [works(one) for one in (own, for_agent, for_user)]

    assert revoke() == [False, True, True]
    # For users too: whoever minted a token knows its secret.
    assert revoke(include_minted=True) == [False, False, False]
    unknown = server.admin.refused("TokenService/RevokeUserTokens", user={"user_id": 2**62})
    assert unknown.what == "NOT_FOUND USER_NOT_FOUND"
    foreign = other.refused("TokenService/RevokeUserTokens", user={"user_id": server.admin.user_id})
    assert foreign.what == "PERMISSION_DENIED ACTION_MISSING"


def test_whose_tokens_end_is_stated_and_never_guessed(server: Server) -> None:
    user = server.user()
    refusal = user.refused("TokenService/RevokeUserTokens")
    assert (refusal.what, refusal.fields) == ("INVALID_ARGUMENT FIELD_INVALID", ["user"])
    assert works(user)
    ended = server.admin.call("TokenService/RevokeUserTokens", user={"login": user.login})
    assert ended.tokens_revoked == 1
    assert not works(user)


def test_the_token_that_a_user_calls_with_is_one_of_those_that_end(server: Server) -> None:
    user = server.user()
    answer = user.call("TokenService/RevokeUserTokens", **user.ref)
    assert answer.tokens_revoked == 1
    assert user.refused("AuthService/WhoAmI").what == "UNAUTHENTICATED TOKEN_INVALID"


def test_when_a_token_was_last_used_is_gathered_in_memory_and_written_now_and_then(
    own_server: Server,
) -> None:
    server = own_server
    owner = server.user()
    token = server.agent_token(owner, server.agent(owner).agent_id)
    unused = server.agent_token(owner, token.agent_id)
    before = server.admin.call("AuthService/WhoAmI").token.etag

    for minutes in (1, 1):
        server.clock.advance(minutes=minutes)
        token.call("AuthService/WhoAmI")
        used = server.clock()
    assert not _get(owner, token.token_id).HasField("last_used_time")
    Housekeeping(server.app).flush_usage()

    read = _get(owner, token.token_id)
    assert abs(read.last_used_time.ToDatetime(tzinfo=used.tzinfo) - used) < timedelta(minutes=1)
    assert not _get(owner, unused.token_id).HasField("last_used_time")
    # Being asked about is use as well; being used is no change.
    server.clock.advance(hours=1)
    assert authenticate(server, token.token) == "ALLOWED"
    Housekeeping(server.app).flush_usage()
    later = _get(owner, token.token_id)
    assert later.last_used_time.ToDatetime() > read.last_used_time.ToDatetime()
    assert later.etag == read.etag
    assert server.admin.call("AuthService/WhoAmI").token.etag == before
