"""Authenticate, Authorize and WhoAmI: whose token is this, and may its bearer do that?"""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests.api.asking import (
    authenticate,
    authorize,
    decision,
    end_of,
    outcome,
    rests_on,
)
from tests.server import Person, Server


def _ask(server: Server, person: Person) -> Any:
    return server.admin.call("AuthService/Authenticate", token=person.token)


def _agent(server: Server, owner: Person, **fields: Any) -> int:
    agent_id: int = server.agent(owner, **fields).agent_id
    return agent_id


def _set(server: Server, user: Person, **update: Any) -> None:
    server.admin.call("UserService/UpdateUser", user={"user_id": user.user_id}, update=update)


def test_the_principal_says_who_presents_a_token_and_what_it_is_good_for(
    server: Server,
) -> None:
    owner = server.user("MEMBER")
    site = server.site()
    agent = server.agent(owner, site_scope=site)
    bound = server.agent_token(
        owner,
        agent.agent_id,
        ceiling={"max_role": "ROLE_VIEWER", "capabilities": ["chat", "watch", "billing.refund"]},
    )
    as_owner = server.agent_token(owner, agent.agent_id, act_as_owner=True)

    user = _ask(server, owner).principal
    assert (user.kind, user.user_id, user.login) == (1, owner.user_id, owner.login)
    assert (user.agent_id, user.agent_slug, user.token_id) == (0, "", owner.token_id)
    assert (user.max_role, user.full_rights) == (3, True)
    assert list(user.capabilities) == ["chat", "create_own_agent", "use_tools", "view_logs"]
    assert not user.HasField("site_scope")

    low = _ask(server, bound).principal
    assert (low.kind, low.user_id, low.login) == (2, owner.user_id, owner.login)
    assert (low.agent_id, low.agent_slug) == (agent.agent_id, agent.agent_slug)
    assert (low.max_role, low.full_rights, low.site_scope) == (1, False, site)
    # An action that nobody behind it has is not held, a capability of somebody else's is.
    assert list(low.capabilities) == ["billing.refund", "chat"]

    high = _ask(server, as_owner).principal
    assert (high.kind, high.max_role, high.full_rights) == (3, 3, True)
    assert list(high.capabilities) == list(user.capabilities)


def test_unknown_expired_and_revoked_tokens_are_one_answer(server: Server) -> None:
    owner = server.user()
    agent_id = _agent(server, owner)
    revoked = server.agent_token(owner, agent_id)
    expired = server.agent_token(owner, agent_id, ttl={"seconds": 60})
    unknown = server.agent_token(owner, _agent(server, owner))
    owner.call("TokenService/RevokeToken", token_id=revoked.token_id)
    owner.call("AgentService/DeleteAgent", agent={"agent_id": unknown.agent_id})
    server.clock.advance(seconds=60)

    denials = [_ask(server, one).denial for one in (revoked, expired, unknown)]

    assert {decision(one.reason) for one in denials} == {"TOKEN_INVALID"}
    assert len({one.message for one in denials}) == 1
    assert {one.refused("AuthService/WhoAmI").what for one in (revoked, expired, unknown)} == {
        "UNAUTHENTICATED TOKEN_INVALID"
    }


def test_a_token_ends_at_its_expire_time_and_not_before(own_server: Server) -> None:
    server = own_server
    owner = server.user()
    now = server.clock.stop()
    token = server.agent_token(
        owner, _agent(server, owner), expire_time=now + timedelta(seconds=10)
    )
    server.clock.advance(seconds=9, microseconds=999_999)
    assert authenticate(server, token.token) == "ALLOWED"
    server.clock.advance(microseconds=1)
    assert authenticate(server, token.token) == "TOKEN_INVALID"
    assert token.refused("AuthService/WhoAmI").what == "UNAUTHENTICATED TOKEN_INVALID"
    # A clock that is set back revives nothing that was ended otherwise, and this was not.
    server.clock.advance(seconds=-1)
    assert authenticate(server, token.token) == "ALLOWED"


@pytest.mark.parametrize(
    ("fate", "of", "reason"),
    [
        pytest.param("deactivated", "owner", "USER_INACTIVE", id="the owner is deactivated"),
        pytest.param(
            "deactivated", "minter", "MINTER_WITHOUT_RIGHTS", id="the minter is deactivated"
        ),
        pytest.param(
            "granted less", "minter", "ALLOWED", id="the minter has a lower role: a lower ceiling"
        ),
        pytest.param(
            "grant expired", "minter", "MINTER_WITHOUT_RIGHTS", id="the minter's grant has ended"
        ),
        pytest.param("demoted", "owner", "ALLOWED", id="the owner may less: so may the token"),
    ],
)
def test_a_token_is_worth_what_its_owner_and_its_minter_are_worth_now(
    server: Server, fate: str, of: str, reason: str
) -> None:
    owner, minter = server.user(), server.user()
    agent_id = _agent(server, owner)
    server.grant(agent_id, minter, "ADMIN")
    token = server.agent_token(minter, agent_id)
    unlucky = {"owner": owner, "minter": minter}[of]
    assert _ask(server, token).principal.max_role == 3

    if fate == "deactivated":
        _set(server, unlucky, active=False)
    elif fate == "demoted":
        _set(server, unlucky, role="USER_ROLE_GUEST")
    elif fate == "granted less":
        server.grant(agent_id, unlucky, "VIEWER")
    else:
        end = server.clock() + timedelta(hours=1)
        server.grant(agent_id, unlucky, "ADMIN", expire_time=end)
        server.clock.advance(hours=1)

    answer = _ask(server, token)
    assert outcome(answer) == reason
    if fate == "granted less":
        assert answer.principal.max_role == 1
    elif fate == "demoted":
        assert list(answer.principal.capabilities) == ["chat"]
    elif reason != "ALLOWED":
        code = token.refused("AuthService/WhoAmI").what
        assert code == f"UNAUTHENTICATED {reason}"
    if fate == "deactivated":
        _set(server, unlucky, active=True)
        assert outcome(_ask(server, token)) == "ALLOWED"


def test_a_token_that_an_administrator_minted_falls_with_their_role(server: Server) -> None:
    minter, user = server.user("ADMINISTRATOR"), server.user()
    agent_id = _agent(server, user)
    for_agent = server.agent_token(minter, agent_id)
    for_user = minter.call(
        "TokenService/CreateToken", user={"user_id": user.user_id}, full_rights=True
    )
    _set(server, minter, role="USER_ROLE_MEMBER")
    for secret in (for_agent.token, for_user.secret):
        assert authenticate(server, secret) == "MINTER_WITHOUT_RIGHTS"
    # A grant gives the first one its minter's role back, and no more than that.
    server.grant(agent_id, minter, "OPERATOR")
    assert authorize(server, for_agent.token, agent_id, "OPERATOR") == "ALLOWED"
    assert authorize(server, for_agent.token, agent_id, "ADMIN") == "ROLE_INSUFFICIENT"
    assert authenticate(server, for_user.secret) == "MINTER_WITHOUT_RIGHTS"


ROLES = ("VIEWER", "OPERATOR", "ADMIN")


@pytest.mark.parametrize("ceiling", [None, *ROLES])
@pytest.mark.parametrize("minimum", ROLES)
def test_a_ceiling_bounds_the_role(server: Server, ceiling: str | None, minimum: str) -> None:
    owner = server.user()
    agent_id, other = _agent(server, owner), _agent(server, owner)
    more = {} if ceiling is None else {"ceiling": {"max_role": f"ROLE_{ceiling}"}}
    reach = ROLES.index(ceiling or "ADMIN")
    expected = "ALLOWED" if reach >= ROLES.index(minimum) else "ROLE_INSUFFICIENT"
    for fields in (more, {**more, "act_as_owner": True}):
        token = server.agent_token(owner, agent_id, **fields)
        assert authorize(server, token.token, agent_id, minimum) == expected
        # Bound to its agent, unless it acts as the owner.
        elsewhere = authorize(server, token.token, other, minimum)
        assert elsewhere == (expected if "act_as_owner" in fields else "ROLE_INSUFFICIENT")


def test_a_stored_ceiling_without_a_role_is_one_of_viewer(server: Server) -> None:
    owner = server.user()
    agent_id = _agent(server, owner)
    ceiling = {"max_role": "ROLE_ADMIN", "capabilities": ["chat"]}
    tokens = [
        server.agent_token(owner, agent_id, ceiling=ceiling),
        server.agent_token(owner, agent_id, ceiling=ceiling, act_as_owner=True),
        server.user_token(owner, ceiling=ceiling),
    ]
    for token in tokens:
        assert authorize(server, token.token, agent_id, "ADMIN") == "ALLOWED"
        with server.app.store.write() as tx:
            stored = text("UPDATE tokens SET ceiling = :ceiling WHERE token_id = :token_id")
            values = {"ceiling": '{"capabilities":["chat"]}', "token_id": token.token_id}
            tx._connection.execute(stored, values)
        server.app.memory.feed.forget()
        assert _ask(server, token).principal.max_role == 1
        assert authorize(server, token.token, agent_id) == "ALLOWED"
        assert authorize(server, token.token, agent_id, "OPERATOR") == "ROLE_INSUFFICIENT"
    # Full rights reach ADMIN on the agent's own: a ceiling never adds a right.
    full = server.agent_token(owner, agent_id)
    assert _ask(server, full).principal.max_role == 3
    assert authorize(server, full.token, agent_id, "ADMIN") == "ALLOWED"


@pytest.mark.parametrize(
    ("capability", "full", "held", "bare"),
    [
        pytest.param("", True, True, True, id="none is asked for"),
        pytest.param("chat", True, True, False, id="an action that the ceiling lists"),
        pytest.param("view_logs", True, False, False, id="an action that it does not"),
        pytest.param("audit", False, False, False, id="an action that the owner lacks"),
        pytest.param("create_own_agent", False, False, False, id="an action not for agents"),
        pytest.param("billing.refund", True, True, False, id="somebody else's, listed"),
        pytest.param("billing", True, False, False, id="somebody else's, not listed"),
    ],
)
def test_a_capability_is_held_by_full_rights_or_by_name(
    server: Server, capability: str, full: bool, held: bool, bare: bool
) -> None:
    owner = server.user()
    agent_id = _agent(server, owner)
    listed = ["chat", "audit", "create_own_agent", "billing.refund"]
    wishes: list[dict[str, Any]] = [
        {},
        {"ceiling": {"max_role": "ROLE_OPERATOR", "capabilities": listed}},
        {"ceiling": {"max_role": "ROLE_OPERATOR"}},
    ]
    asked = [
        authorize(
            server,
            server.agent_token(owner, agent_id, **wish).token,
            agent_id,
            capability=capability,
        )
        for wish in wishes
    ]
    assert asked == ["ALLOWED" if one else "CAPABILITY_MISSING" for one in (full, held, bare)]


def test_authorize_says_on_which_agent_with_what_role_from_where(server: Server) -> None:
    owner, viewer = server.user(), server.user()
    agent = server.agent(owner)
    server.grant(agent.agent_id, viewer)
    token = server.agent_token(owner, agent.agent_id, ceiling={"max_role": "ROLE_OPERATOR"})

    def asked(person: Person, **demand: Any) -> tuple[Any, ...]:
        demand = {"minimum_role": "ROLE_VIEWER", **demand}
        answer = server.admin.call("AuthService/Authorize", token=person.token, demand=demand)
        return (answer.role, answer.role_source, answer.agent_id, answer.agent_slug)

    found = (agent.agent_id, agent.agent_slug)
    assert asked(token) == (2, 4, *found)
    assert asked(owner) == (3, 2, *found)
    assert asked(viewer, agent={"agent_slug": agent.agent_slug.upper()}) == (1, 3, *found)
    # A denial tells none of it.
    low = server.admin.call(
        "AuthService/Authorize", token=viewer.token, demand={"minimum_role": "ROLE_ADMIN"}
    )
    assert (low.role, low.role_source, low.agent_id, low.agent_slug) == (0, 0, 0, "")
    assert not low.HasField("principal")


def test_every_denial_has_its_reason_and_the_role_comes_first(server: Server) -> None:
    owner, stranger = server.user(), server.user()
    site = server.site()
    local, idle = _agent(server, owner, site_scope=site), _agent(server, owner)
    owner.call(
        "AgentService/UpdateAgent",
        agent={"agent_id": idle},
        update={"status": "AGENT_STATUS_INACTIVE"},
    )
    text = owner.token
    assert authorize(server, text, local) == "SITE_REQUIRED"
    assert authorize(server, text, local, site_id=site + 1) == "SITE_MISMATCH"
    assert authorize(server, text, local, site_id=site) == "ALLOWED"
    assert authorize(server, text, local, site_id=site, capability="audit") == (
        "CAPABILITY_MISSING"
    )
    # An agent that does not act is good for nobody, although Check would say so only on request.
    assert authorize(server, text, idle) == "AGENT_INACTIVE"
    assert authorize(server, server.admin.token, idle) == "AGENT_INACTIVE"
    for agent_id in (local, idle, 2**62):
        assert authorize(server, stranger.token, agent_id, capability="audit") == (
            "ROLE_INSUFFICIENT"
        )


def test_without_an_agent_the_default_one_is_meant(server: Server) -> None:
    owner, nobody = server.user(), server.user()
    agents = [_agent(server, owner)]
    assert authorize(server, owner.token) == "ALLOWED"
    agents.append(_agent(server, owner))
    assert authorize(server, owner.token) == "AGENT_AMBIGUOUS"
    assert authorize(server, nobody.token) == "ROLE_INSUFFICIENT"
    for acts in (False, True):
        token = server.agent_token(owner, agents[1], act_as_owner=acts)
        answer = server.admin.call(
            "AuthService/Authorize", token=token.token, demand={"minimum_role": "ROLE_VIEWER"}
        )
        assert answer.agent_id == agents[1]


def test_a_batch_answers_each_demand_as_a_single_call_would(server: Server) -> None:
    owner, other = server.user(), server.user()
    site = server.site()
    agents = [
        server.agent(owner),
        server.agent(owner, site_scope=site),
        server.agent(other),
        server.agent(other),
    ]
    server.grant(agents[2].agent_id, owner, "OPERATOR")
    demands: list[dict[str, Any]] = [
        {"agent": ref, "minimum_role": f"ROLE_{role}", "site_id": site_id, "capability": name}
        for ref in (*({"agent_id": one.agent_id} for one in agents), {"agent_slug": "nothing"})
        for role in ROLES
        for site_id in (0, site)
        for name in ("", "audit")
    ]
    least = {"minimum_role": "ROLE_VIEWER"}
    demands += [least, demands[3], {"agent": {"agent_slug": agents[1].agent_slug.upper()}, **least}]
    for token in (owner.token, server.agent_token(owner, agents[0].agent_id).token, "no token"):
        batch = server.admin.call("AuthService/BatchAuthorize", token=token, demands=demands)
        singles = [
            server.admin.call("AuthService/Authorize", token=token, demand=one) for one in demands
        ]
        assert [decision(one) for one in batch.decisions] == [outcome(one) for one in singles]
        assert batch.HasField("principal") is (token != "no token")
    for wrong in ([least] * 1001, []):
        refusal = server.admin.refused("AuthService/BatchAuthorize", token="x", demands=wrong)
        assert (refusal.what, refusal.fields) == ("INVALID_ARGUMENT FIELD_INVALID", ["demands"])


def test_an_answer_says_what_it_rests_on_and_until_when(server: Server) -> None:
    owner, minter = server.user(), server.user()
    agent_id, other = _agent(server, owner), _agent(server, minter)
    ends = [server.clock() + timedelta(hours=hours) for hours in (1, 2, 3)]
    server.grant(agent_id, minter, "ADMIN", expire_time=ends[1])
    long = server.agent_token(minter, agent_id, expire_time=ends[2])
    short = server.agent_token(minter, agent_id, expire_time=ends[0])

    for token, end in ((long, ends[1]), (short, ends[0])):
        basis = _ask(server, token).basis
        assert basis.cacheable
        assert end_of(basis) == end
        # The administrator minted the token that it was minted with.
        vouching = server.admin.user_id
        assert rests_on(basis) == {
            "TOKEN": [token.token_id],
            "USER": _ids(vouching, owner.user_id, minter.user_id),
            "AGENT": [str(agent_id)],
            "GRANT": [f"{agent_id}:user:{minter.user_id}"],
        }
    asked: dict[str, Any] = {
        "token": minter.token,
        "demand": {"agent": {"agent_id": agent_id}, "minimum_role": "ROLE_VIEWER", "site_id": 5},
    }
    basis = server.admin.call("AuthService/Authorize", **asked).basis
    assert end_of(basis) == ends[1]
    assert rests_on(basis)["GRANT"] == [f"{agent_id}:user:{minter.user_id}"]
    elsewhere = server.admin.call(
        "AuthService/Authorize",
        token=long.token,
        demand={"agent": {"agent_id": other}, "minimum_role": "ROLE_VIEWER"},
    )
    assert rests_on(elsewhere.basis)["AGENT"] == _ids(agent_id, other)


@pytest.mark.parametrize("ref", [{"agent_slug": "nothing-of-that-name"}, {"agent_id": 2**61}])
def test_a_denial_rests_on_the_agent_that_was_named(server: Server, ref: Any) -> None:
    user = server.user()
    answer = server.admin.call(
        "AuthService/Authorize",
        token=user.token,
        demand={"agent": ref, "minimum_role": "ROLE_VIEWER"},
    )
    assert outcome(answer) == "ROLE_INSUFFICIENT"
    assert answer.basis.cacheable
    found = rests_on(answer.basis)
    assert str(*ref.values()) in (*found.get("AGENT", ()), *found.get("AGENT_SLUG", ()))
    assert found["TOKEN"] == [user.token_id]


def test_a_token_that_lives_but_is_denied_rests_on_who_it_failed_on(server: Server) -> None:
    owner = server.user()
    token = server.agent_token(owner, _agent(server, owner))
    _set(server, owner, active=False)
    answer = _ask(server, token)
    assert outcome(answer) == "USER_INACTIVE"
    assert answer.basis.cacheable
    assert str(owner.user_id) in rests_on(answer.basis)["USER"]


def test_an_answer_about_an_agent_that_nobody_named_is_kept_only_if_it_is_the_tokens_own(
    server: Server,
) -> None:
    owner, nobody = server.user(), server.user()
    agent_id = _agent(server, owner)
    own = server.agent_token(owner, agent_id)
    unnamed = {"minimum_role": "ROLE_VIEWER"}

    def kept(person: Person, *demands: dict[str, Any]) -> tuple[bool, bool]:
        ask, token = server.admin.call, person.token
        single = ask("AuthService/Authorize", token=token, demand=demands[-1])
        batch = ask("AuthService/BatchAuthorize", token=token, demands=demands, include_basis=True)
        return single.basis.cacheable, batch.basis.cacheable

    named = {"agent": {"agent_id": agent_id}, **unnamed}
    assert kept(own, unnamed) == (True, True)
    assert kept(owner, unnamed) == (False, False)
    assert kept(nobody, unnamed) == (False, False)
    # Of several, one that is not to be kept spoils the others.
    assert kept(owner, named) == (True, True)
    assert kept(owner, unnamed, named) == (True, False)


def test_a_batch_says_what_it_rests_on_only_if_it_is_asked_to(server: Server) -> None:
    owner = server.user()
    agents = [_agent(server, owner) for _ in range(2)]
    demands: list[dict[str, Any]] = [
        {"agent": {"agent_id": agents[0]}, "minimum_role": "ROLE_VIEWER"},
        {"agent": {"agent_id": agents[1]}, "minimum_role": "ROLE_ADMIN"},
        {"agent": {"agent_slug": "nothing"}, "minimum_role": "ROLE_VIEWER"},
    ]
    asked: dict[str, Any] = {"token": owner.token, "demands": demands}
    assert not server.admin.call("AuthService/BatchAuthorize", **asked).HasField("basis")
    batch = server.admin.call("AuthService/BatchAuthorize", **asked, include_basis=True)
    singles = [
        server.admin.call("AuthService/Authorize", token=owner.token, demand=one) for one in demands
    ]
    subjects = {str(one) for single in singles for one in single.basis.depends_on}
    assert {str(one) for one in batch.basis.depends_on} == subjects
    assert rests_on(batch.basis)["AGENT"] == _ids(*agents)


def test_everybody_may_ask_who_they_are(server: Server) -> None:
    owner, service = server.user(), server.user("SERVICE")
    agent = server.agent(owner, config={"k": "v"})
    bound = server.agent_token(owner, agent.agent_id, ceiling={"max_role": "ROLE_VIEWER"})

    one = bound.call("AuthService/WhoAmI")
    assert (one.principal.kind, one.user.login) == (2, owner.login)
    assert (one.agent.agent_id, one.token.token_id) == (agent.agent_id, bound.token_id)
    assert not one.agent.HasField("config")
    assert owner.call("AuthService/WhoAmI").agent.agent_id == agent.agent_id
    nobody = service.call("AuthService/WhoAmI")
    assert not nobody.HasField("agent")
    assert list(nobody.user.actions) == ["authenticate", "watch"]


@pytest.mark.parametrize(
    ("role", "allowed"),
    [("ADMINISTRATOR", True), ("SERVICE", True), ("MEMBER", False), ("GUEST", False)],
)
def test_asking_about_somebody_elses_token_needs_the_action_authenticate(
    server: Server, role: str, allowed: bool
) -> None:
    caller = server.user(role)
    demand = {"minimum_role": "ROLE_VIEWER"}
    asked: dict[str, dict[str, Any]] = {
        "Authenticate": {},
        "Authorize": {"demand": demand},
        "BatchAuthorize": {"demands": [demand]},
    }
    for method, fields in asked.items():
        if allowed:
            caller.call(f"AuthService/{method}", token="x", **fields)
        else:
            refusal = caller.refused(f"AuthService/{method}", token="x", **fields)
            assert refusal.what == "PERMISSION_DENIED ACTION_MISSING"


def _ids(*ids: int) -> list[str]:
    """As a basis has them: sorted as texts, each once."""
    return sorted({str(one) for one in ids})
