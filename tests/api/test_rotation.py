"""A token gets a successor that carries everything over, and ends after an overlap."""

from datetime import timedelta
from typing import Any

import pytest

from tests.api.asking import authenticate, works
from tests.server import Person, Server

DENIED = "PERMISSION_DENIED TOKEN_ACCESS_DENIED"
OVERLAP = {"overlap": {"seconds": 600}}


def _rotate(caller: Person, token: Person, **fields: Any) -> Any:
    return caller.call("TokenService/RotateToken", token_id=token.token_id, **fields)


def _refused(caller: Person, token: Person, **fields: Any) -> Any:
    return caller.refused("TokenService/RotateToken", token_id=token.token_id, **fields)


def _token(server: Server, minter: Person, **fields: Any) -> Person:
    return server.agent_token(minter, server.agent(minter).agent_id, **fields)


@pytest.mark.parametrize(
    "wish",
    [
        pytest.param({}, id="full rights"),
        pytest.param(
            {"ceiling": {"max_role": "ROLE_VIEWER", "capabilities": ["x.y"]}}, id="a ceiling"
        ),
        pytest.param({"act_as_owner": True}, id="acting as the owner"),
        pytest.param({"label": "CI", "ttl": {"seconds": 86400}}, id="a label and an end"),
    ],
)
def test_a_successor_is_good_for_just_the_same(server: Server, wish: dict[str, Any]) -> None:
    owner = server.user()
    token = _token(server, owner, **wish)
    old = owner.call("TokenService/GetToken", token_id=token.token_id).token

    answer = _rotate(owner, token)

    new, replaced = answer.token, answer.replaced
    assert answer.secret.startswith(f"acr_{new.token_id}_")
    assert (new.rotated_from, replaced.replaced_by) == (old.token_id, new.token_id)
    carried = ("agent_id", "label", "ceiling", "full_rights", "act_as_owner", "created_by")
    assert all(getattr(new, name) == getattr(old, name) for name in carried)
    assert new.HasField("expire_time") == old.HasField("expire_time")
    assert new.expire_time == old.expire_time
    told = [
        server.admin.call("AuthService/Authenticate", token=text).principal
        for text in (token.token, answer.secret)
    ]
    for principal in told:
        principal.ClearField("token_id")
    assert told[0] == told[1]


def test_the_old_token_works_until_the_overlap_ends_and_not_at_its_end(
    own_server: Server,
) -> None:
    owner = own_server.user()
    token = _token(own_server, owner)
    now = own_server.clock.stop()
    answer = _rotate(owner, token, **OVERLAP)
    end = answer.replaced.expire_time.ToDatetime(tzinfo=now.tzinfo)
    own_server.clock.advance(seconds=599, microseconds=999_999)
    before = works(token)
    own_server.clock.advance(microseconds=1)
    assert end == own_server.clock()
    assert (before, works(token)) == (True, False)
    assert authenticate(own_server, answer.secret) == "ALLOWED"


@pytest.mark.parametrize(
    ("life", "wish", "overlap", "new_life"),
    [
        pytest.param(None, {}, 3600, None, id="one hour if nothing is said, and no end"),
        pytest.param(7200, {}, 3600, 7200, id="the successor ends when the old one was to"),
        pytest.param(60, {}, 60, 60, id="the overlap does not make the old one live longer"),
        pytest.param(None, {"overlap": {}}, 0, None, id="no overlap at all"),
        pytest.param(7200, {"ttl": {"seconds": 9000}}, 3600, 9000, id="an end of its own"),
        pytest.param(
            None, {"overlap": {"seconds": 30 * 86400}}, 30 * 86400, None, id="the longest overlap"
        ),
    ],
)
def test_when_the_old_token_and_the_new_one_end(
    own_server: Server,
    life: int | None,
    wish: dict[str, Any],
    overlap: int,
    new_life: int | None,
) -> None:
    owner = own_server.user()
    own_server.clock.stop()
    lifetime = {} if life is None else {"ttl": {"seconds": life}}
    token = _token(own_server, owner, **lifetime)

    answer = _rotate(owner, token, **wish)

    def ends_in(one: Any) -> int | None:
        if not one.HasField("expire_time"):
            return None
        left = one.expire_time.ToDatetime() - own_server.clock().replace(tzinfo=None)
        return int(left.total_seconds())

    assert ends_in(answer.replaced) == overlap
    assert ends_in(answer.token) == new_life
    assert works(token) is (overlap > 0)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"overlap": {"seconds": -1}}, "overlap", id="a negative overlap"),
        pytest.param({"overlap": {"seconds": 30 * 86400 + 1}}, "overlap", id="over 30 days"),
        pytest.param({"overlap": {"nanos": 2**30}}, "overlap", id="not a duration"),
        pytest.param({"ttl": {}}, "ttl", id="a life of nothing"),
        pytest.param({"expire_time": {"seconds": 1}}, "expire_time", id="an end long past"),
    ],
)
def test_a_rotation_that_breaks_a_rule_changes_nothing(
    server: Server, fields: dict[str, Any], field: str
) -> None:
    owner = server.user()
    token = _token(server, owner)
    refusal = _refused(owner, token, **fields)
    assert (refusal.what, refusal.fields) == ("INVALID_ARGUMENT FIELD_INVALID", [field])
    assert _rotate(owner, token).token.rotated_from == token.token_id


def test_a_token_has_one_successor(server: Server) -> None:
    owner = server.user()
    token = _token(server, owner)
    successor = _rotate(owner, token).token
    again = _refused(owner, token)
    assert again.what == "ABORTED TOKEN_ALREADY_ROTATED"
    assert again.metadata == {"replaced": token.token_id, "token_id": successor.token_id}
    # Which has one itself.
    next_one = owner.call("TokenService/RotateToken", token_id=successor.token_id).token
    assert next_one.rotated_from == successor.token_id


def test_a_token_that_has_ended_is_not_rotated(server: Server) -> None:
    owner = server.user()
    revoked = _token(server, owner)
    expired = _token(server, owner, ttl={"seconds": 60})
    owner.call("TokenService/RevokeToken", token_id=revoked.token_id)
    server.clock.advance(seconds=60)
    for token in (revoked, expired):
        assert _refused(owner, token).what == "FAILED_PRECONDITION TOKEN_NOT_LIVE"


def test_revoking_the_one_leaves_the_other(server: Server) -> None:
    owner = server.user()
    first, second = _token(server, owner), _token(server, owner)
    successors = [_rotate(owner, one) for one in (first, second)]
    owner.call("TokenService/RevokeToken", token_id=first.token_id)
    owner.call("TokenService/RevokeToken", token_id=successors[1].token.token_id)
    assert [works(one) for one in (first, second)] == [False, True]
    assert [authenticate(server, one.secret) for one in successors] == [
        "ALLOWED",
        "TOKEN_INVALID",
    ]


def test_an_agents_token_is_rotated_by_its_minter_or_by_who_manages_agents(
    server: Server,
) -> None:
    owner, minter, grantee = server.user(), server.user(), server.user()
    agent = server.agent(owner)
    for one in (minter, grantee):
        server.grant(agent.agent_id, one, "ADMIN")

    def token() -> Person:
        return server.agent_token(minter, agent.agent_id)

    for caller in (minter, server.admin):
        successor = _rotate(caller, token()).token
        # It stays bound by the rights of whoever minted the first.
        assert successor.created_by == minter.user_id
    # Whoever rotates learns a secret: not the owner, nor another admin of the agent.
    for caller in (owner, grantee):
        assert _refused(caller, token()).what == DENIED
    theirs = token()
    server.grant(agent.agent_id, minter, "OPERATOR")
    assert _refused(minter, theirs).what == DENIED


def test_a_token_that_acts_as_the_owner_is_rotated_by_the_owner_only(server: Server) -> None:
    owner, grantee = server.user(), server.user()
    agent = server.agent(owner)
    server.grant(agent.agent_id, grantee, "ADMIN")
    token = server.agent_token(owner, agent.agent_id, act_as_owner=True)
    for caller in (server.admin, grantee):
        assert _refused(caller, token).what == DENIED
    assert _refused(token, token).what == "PERMISSION_DENIED USER_TOKEN_REQUIRED"
    assert _rotate(owner, token).token.act_as_owner


def test_a_users_token_is_rotated_by_who_manages_users_and_not_by_other_users(
    server: Server,
) -> None:
    user, other = server.user(), server.user()
    assert _refused(other, user).what == DENIED
    person = server.user_token(user)
    assert _rotate(user, person).token.created_by == user.user_id
    assert _rotate(server.admin, user).token.user_id == user.user_id


def test_nobody_rotates_beyond_their_own_ceiling_or_end(server: Server) -> None:
    owner = server.user()
    end = server.clock() + timedelta(hours=1)
    agent = server.agent(owner)
    full = server.agent_token(owner, agent.agent_id)
    ceiling = {"max_role": "ROLE_ADMIN", "capabilities": ["chat"]}
    within = server.agent_token(owner, agent.agent_id, ceiling=ceiling)
    caller = server.user_token(owner, ceiling=ceiling, expire_time=end)
    beyond = "PERMISSION_DENIED CEILING_EXCEEDED"

    assert _refused(caller, full, expire_time=end).what == beyond
    assert _refused(caller, within).what == beyond
    later = end + timedelta(seconds=1)
    assert _refused(caller, within, expire_time=later).what == beyond
    assert _rotate(caller, within, expire_time=end).token.ceiling.max_role == 3
