"""CheckAccess and its batch: may this user act on this agent?"""

import random
from datetime import UTC, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from accredit_storage.schema import changes
from tests.api.asking import check, decision, end_of, rests_on
from tests.server import Person, Server


def _check(caller: Person, **asked: Any) -> Any:
    return caller.call("AccessService/CheckAccess", check=_asked(**asked))


def _asked(**fields: Any) -> dict[str, Any]:
    """A question: about the caller and for VIEWER unless it says otherwise."""
    if "principal" not in fields:
        fields["caller"] = True
    return {"minimum_role": "ROLE_VIEWER", **fields}


def test_a_role_comes_from_ownership_from_a_grant_or_from_managing_all_agents(
    server: Server,
) -> None:
    owner, granted, nobody = server.user(), server.user(), server.user()
    administrator = server.user("ADMINISTRATOR")
    agent = server.agent(owner)
    server.grant(agent.agent_id, granted, "OPERATOR")
    # Whatever is granted besides, ownership and administration come first.
    server.grant(agent.agent_id, administrator, "VIEWER")

    def asked(user: Person) -> tuple[int, int, bool]:
        answer = _check(
            server.admin,
            principal={"user_id": user.user_id},
            agent={"agent_id": agent.agent_id},
            minimum_role="ROLE_ADMIN",
        )
        return answer.role, answer.role_source, answer.HasField("principal")

    assert asked(administrator) == (3, 1, True)
    assert asked(owner) == (3, 2, True)
    # The role found is told although it does not suffice.
    assert asked(granted) == (2, 3, False)
    assert asked(nobody) == (0, 0, False)


def test_an_unknown_agent_is_denied_to_everybody(server: Server) -> None:
    for asked in (server.admin, server.user()):
        assert check(server, asked, 2**62) == "ROLE_INSUFFICIENT"
    by_slug = _check(server.admin, agent={"agent_slug": "no-such-agent"})
    assert decision(by_slug.denial.reason) == "ROLE_INSUFFICIENT"


def test_an_unknown_or_deactivated_user_is_denied_and_works_again_when_active(
    server: Server,
) -> None:
    gone = server.user()
    agent = server.agent(gone)
    ref = {"user_id": gone.user_id}
    assert check(server, Person(server, "", user_id=2**62), agent.agent_id) == "USER_INACTIVE"
    server.admin.call("UserService/DeactivateUser", user=ref)
    assert check(server, gone, agent.agent_id) == "USER_INACTIVE"
    server.admin.call("UserService/UpdateUser", user=ref, update={"active": True})
    assert check(server, gone, agent.agent_id, "ADMIN") == "ALLOWED"


def test_a_status_matters_only_if_it_is_asked_for(server: Server) -> None:
    owner = server.user()
    agent = server.agent(owner)
    for status in ("INACTIVE", "ARCHIVED"):
        owner.call(
            "AgentService/UpdateAgent",
            agent={"agent_id": agent.agent_id},
            update={"status": f"AGENT_STATUS_{status}"},
        )
        assert check(server, owner, agent.agent_id) == "ALLOWED"
        assert check(server, owner, agent.agent_id, require_active=True) == "AGENT_INACTIVE"


@pytest.mark.parametrize(
    ("scoped", "stated", "outcome"),
    [
        pytest.param(False, None, "ALLOWED", id="network-wide, no site stated"),
        pytest.param(False, "here", "ALLOWED", id="network-wide, on any site"),
        pytest.param(True, "here", "ALLOWED", id="on its own site"),
        pytest.param(True, None, "SITE_REQUIRED", id="scoped, no site stated"),
        pytest.param(True, "there", "SITE_MISMATCH", id="scoped, on another site"),
        pytest.param(True, "nowhere", "SITE_MISMATCH", id="on a site that does not exist"),
    ],
)
def test_an_agent_of_a_site_is_for_that_site(
    server: Server, scoped: bool, stated: str | None, outcome: str
) -> None:
    owner, stranger = server.user(), server.user()
    sites = {"here": server.site(), "there": server.site(), "nowhere": 2**62}
    agent = server.agent(owner, site_scope=sites["here"] if scoped else 0)
    site_id = sites[stated] if stated else 0

    assert check(server, owner, agent.agent_id, site_id=site_id) == outcome
    # Not even an administrator is exempt.
    assert check(server, server.admin, agent.agent_id, site_id=site_id) == outcome
    # Who has no role learns nothing about the site.
    assert check(server, stranger, agent.agent_id, site_id=site_id) == "ROLE_INSUFFICIENT"
    if site_id:
        by_metadata = server.admin.call(
            "AccessService/CheckAccess",
            _metadata=(("accredit-site", str(site_id)),),
            check=_asked(agent={"agent_id": agent.agent_id}),
        )
        assert by_metadata.HasField("principal") is (outcome == "ALLOWED")


def test_one_asks_about_oneself_freely_and_about_others_with_authenticate_or_admin(
    server: Server,
) -> None:
    user, other, service = server.user(), server.user(), server.user("SERVICE")
    agent = server.agent(user)
    bound = server.agent_token(user, agent.agent_id, ceiling={"max_role": "ROLE_OPERATOR"})
    own = {"agent": {"agent_id": agent.agent_id}}
    about: dict[str, Any] = {**own, "principal": {"user_id": user.user_id}}

    assert _check(user, **own).HasField("principal")
    assert _check(user, **about).HasField("principal")
    assert _check(service, **about).HasField("principal")
    for caller in (other, bound):
        refusal = caller.refused("AccessService/CheckAccess", check=_asked(**about))
        assert refusal.what == "PERMISSION_DENIED ACTION_MISSING"
        checks = [_asked(**own), _asked(**about)]
        many = caller.refused("AccessService/BatchCheckAccess", checks=checks)
        assert many.what == "PERMISSION_DENIED ACTION_MISSING"
    # An agent asks about itself, bound to itself.
    answer = _check(bound, **own)
    assert (answer.role_source, answer.principal.agent_id) == (4, agent.agent_id)
    second = server.agent(user)
    assert _check(bound, agent={"agent_id": second.agent_id}).HasField("denial")


def test_a_tokens_ceiling_holds_for_its_own_questions(server: Server) -> None:
    user = server.user("ADMINISTRATOR")
    agent, foreign = server.agent(user), server.agent(server.user())
    person = server.user_token(user, ceiling={"max_role": "ROLE_OPERATOR"})

    answer = _check(person, agent={"agent_id": agent.agent_id}, minimum_role="ROLE_ADMIN")
    assert decision(answer.denial.reason) == "ROLE_INSUFFICIENT"
    assert (answer.role, answer.role_source) == (2, 2)
    # Without the action it is no administrator, so that other people's agents are closed to it.
    assert _check(person, agent={"agent_id": foreign.agent_id}).HasField("denial")


def test_a_batch_answers_each_question_as_a_single_call_would(server: Server) -> None:
    users = [server.user(), server.user("ADMINISTRATOR"), server.user("GUEST")]
    site = server.site()
    agents = [server.agent(users[0]), server.agent(users[2], site_scope=site)]
    server.grant(agents[0].agent_id, users[2], "OPERATOR")
    refs = [
        *({"agent_id": one.agent_id} for one in agents),
        {"agent_slug": agents[1].agent_slug.upper()},
        {"agent_id": 2**62},
        {"agent_slug": "no-such-agent"},
    ]
    checks = [
        {
            "principal": {"user_id": user_id},
            "agent": ref,
            "minimum_role": f"ROLE_{role}",
            "site_id": site_id,
        }
        for user_id in (*(one.user_id for one in users), 2**62)
        for ref in refs
        for role in ("VIEWER", "OPERATOR", "ADMIN")
        for site_id in (0, site)
    ]
    # Repeats, and an order that is nobody's.
    checks += random.Random(4).sample(checks, 40)
    random.Random(5).shuffle(checks)

    batch = server.admin.call("AccessService/BatchCheckAccess", checks=checks)
    singles = [_check(server.admin, **one) for one in checks]

    assert [decision(one) for one in batch.decisions] == [
        decision(one.denial.reason) if one.HasField("denial") else "ALLOWED" for one in singles
    ]
    assert {"ALLOWED", "ROLE_INSUFFICIENT", "SITE_REQUIRED", "USER_INACTIVE"} == {
        decision(one) for one in batch.decisions
    }


def test_a_batch_is_bounded_and_names_the_question_that_is_wrong(server: Server) -> None:
    good = _asked(agent={"agent_id": 1})
    ask = server.admin.refused
    many = ask("AccessService/BatchCheckAccess", checks=[good] * 1001)
    assert (many.what, many.fields) == ("INVALID_ARGUMENT FIELD_INVALID", ["checks"])
    wrong: list[tuple[dict[str, Any], str]] = [
        (_asked(), "checks[1].agent"),
        (_asked(agent={"agent_slug": "7"}), "checks[1].agent.agent_slug"),
        ({**good, "minimum_role": 9}, "checks[1].minimum_role"),
        ({**good, "site_id": -1}, "checks[1].site_id"),
        ({**good, "minimum_role": 0}, "checks[1].minimum_role"),
        ({"agent": {"agent_id": 1}, "minimum_role": 1}, "checks[1].subject"),
        ({**good, "caller": False}, "checks[1].caller"),
        (_asked(agent={"agent_id": 1}, principal={}), "checks[1].principal"),
        (
            _asked(agent={"agent_id": 1}, principal={"user_id": -1}),
            "checks[1].principal.user_id",
        ),
        (
            _asked(agent={"agent_id": 1}, principal={"login": "x" * 61}),
            "checks[1].principal.login",
        ),
    ]
    for question, field in wrong:
        assert ask("AccessService/BatchCheckAccess", checks=[good, question]).fields == [field]
    empty = ask("AccessService/BatchCheckAccess")
    assert (empty.what, empty.fields) == ("INVALID_ARGUMENT FIELD_INVALID", ["checks"])


def test_an_answer_says_what_it_rests_on_and_until_when(own_server: Server) -> None:
    server = own_server
    owner, granted = server.user(), server.user()
    agent = server.agent(owner)
    now = server.clock.stop()
    end = now + timedelta(hours=1)
    server.grant(agent.agent_id, granted, expire_time=end)
    about = {"principal": {"user_id": granted.user_id}, "agent": {"agent_id": agent.agent_id}}

    basis = _check(server.admin, **about, site_id=7).basis

    assert basis.cacheable
    assert (end_of(basis), basis.judged_at.ToDatetime(tzinfo=UTC)) == (end, now)
    assert rests_on(basis) == {
        "AGENT": [str(agent.agent_id)],
        "USER": [str(granted.user_id)],
        "GRANT": [f"{agent.agent_id}:user:{granted.user_id}"],
    }
    assert basis.consistency_token
    assert end_of(_check(owner, agent={"agent_id": agent.agent_id}).basis) is None


def test_an_answer_about_a_name_rests_on_the_name(server: Server) -> None:
    owner, granted = server.user(), server.user()
    agent = server.agent(owner)
    asked: dict[str, Any] = {
        "principal": {"login": granted.login},
        "agent": {"agent_slug": agent.agent_slug.upper()},
    }
    basis = _check(server.admin, **asked).basis

    with server.app.store.read() as tx:
        login = tx.login_digest(granted.login)
    assert basis.cacheable
    assert rests_on(basis) == {
        "AGENT": [str(agent.agent_id)],
        "USER": [str(granted.user_id)],
        "GRANT": [f"{agent.agent_id}:user:{granted.user_id}"],
        "AGENT_SLUG": [agent.agent_slug],
        "LOGIN": [login],
    }
    assert granted.login not in str(basis)


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        pytest.param({"agent": {"agent_slug": "nothing"}}, "AGENT_SLUG", id="an unknown slug"),
        pytest.param({"agent": {"agent_id": 2**61}}, "AGENT", id="an unknown agent"),
        pytest.param({"principal": {"login": "nobody"}}, "LOGIN", id="an unknown login"),
        pytest.param({"principal": {"user_id": 2**61}}, "USER", id="an unknown user"),
    ],
)
def test_a_denial_rests_on_what_it_failed_on(
    server: Server, field: dict[str, Any], kind: str
) -> None:
    owner = server.user()
    agent = server.agent(owner)
    asked = {"agent": {"agent_id": agent.agent_id}, "principal": {"user_id": owner.user_id}}
    answer = _check(server.admin, **{**asked, **field})
    assert answer.HasField("denial")
    assert answer.basis.cacheable
    found = rests_on(answer.basis)
    if kind == "LOGIN":
        with server.app.store.read() as tx:
            assert found[kind] == [tx.login_digest("nobody")]
    else:
        assert set(found[kind]) & {"nothing", str(2**61)}


def test_the_basis_of_a_denial_ends_when_somebody_gets_the_name(server: Server) -> None:
    owner = server.user()
    agent = server.agent(owner)
    slug, login = server.name("later"), server.name("later")
    unknown_slug = _check(server.admin, agent={"agent_slug": slug}).basis
    unknown_login = _check(
        server.admin, agent={"agent_id": agent.agent_id}, principal={"login": login}
    ).basis

    renamed = _touched(
        server,
        "AgentService/RenameAgent",
        agent={"agent_id": agent.agent_id},
        new_slug=slug,
    )
    assert ("AGENT_SLUG", slug) in renamed & _subjects(unknown_slug)
    assert ("AGENT_SLUG", agent.agent_slug) in renamed
    created = _touched(server, "UserService/CreateUser", login=login, role="USER_ROLE_GUEST")
    assert created & _subjects(unknown_login)


def test_a_batch_rests_on_all_that_its_answers_rest_on_if_it_is_asked_to_say(
    server: Server,
) -> None:
    owner, granted = server.user(), server.user()
    agents = [server.agent(owner) for _ in range(2)]
    ends = [server.clock() + timedelta(hours=hours) for hours in (2, 1)]
    for agent, end in zip(agents, ends, strict=True):
        server.grant(agent.agent_id, granted, expire_time=end)
    checks = [
        _asked(agent={"agent_id": agents[0].agent_id}),
        *(
            _asked(agent={"agent_id": one.agent_id}, principal={"user_id": granted.user_id})
            for one in agents
        ),
        _asked(agent={"agent_id": agents[0].agent_id}, principal={"login": "nobody"}),
    ]
    admin = server.admin

    assert not admin.call("AccessService/BatchCheckAccess", checks=checks).HasField("basis")
    basis = admin.call("AccessService/BatchCheckAccess", checks=checks, include_basis=True).basis

    singles = [admin.call("AccessService/CheckAccess", check=one).basis for one in checks]
    assert basis.cacheable
    assert end_of(basis) == ends[1]
    assert _subjects(basis) == {one for single in singles for one in _subjects(single)}
    # The first question was about the caller's token, whatever came after it.
    whoami = admin.call("AuthService/WhoAmI")
    assert rests_on(basis)["TOKEN"] == [whoami.token.token_id]


def _subjects(basis: Any) -> set[tuple[str, str]]:
    return {(kind, one) for kind, ids in rests_on(basis).items() for one in ids}


def _touched(server: Server, method: str, **fields: Any) -> set[tuple[str, str]]:
    """The subjects of the change that a call makes."""
    server.admin.call(method, **fields)
    with server.app.store.read() as tx:
        rows = tx._connection.execute(select(changes.c.subjects).order_by(changes.c.revision))
        return {(one.kind.name, one.subject_id) for one in rows.all()[-1].subjects}
