"""What an answer rests on, case by case; tests/model/test_bases.py has the random histories."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accredit.v1 import types_pb2
from accredit_service.abilities.policy.subjects import (
    MAX_SUBJECTS,
    STORE,
    logged,
    subject,
)
from accredit_storage.changes import ChangeQuery
from accredit_storage.records import SubjectKind
from tests.api.asking import outcome
from tests.server import Person, Server

VIEWER: dict[str, Any] = {"minimum_role": "ROLE_VIEWER"}


def named(one: Any) -> str:
    """A subject as "AGENT_SLUG scribe"."""
    kind = types_pb2.SubjectKind.Name(one.kind).removeprefix("SUBJECT_KIND_")
    return f"{kind} {one.subject_id}"


def rests_on(reply: Any) -> set[str]:
    return {named(one) for one in reply.basis.depends_on}


def touched(server: Server) -> set[str]:
    """What the last change lists."""
    with server.app.store.read() as tx:
        (change,) = tx.changes.page(ChangeQuery(newest_first=True), after=None, limit=1)
    return {f"{one.kind.name} {one.subject_id}" for one in change.subjects}


def authorize(server: Server, token: str, **demand: Any) -> Any:
    asked: dict[str, Any] = {"token": token, "demand": {**VIEWER, **demand}}
    return server.admin.call("AuthService/Authorize", **asked)


def check(asker: Person, **asked: Any) -> Any:
    return asker.call("AccessService/CheckAccess", check={**VIEWER, **asked})


def rename(server: Server, agent: Any, slug: str) -> None:
    ref = {"agent_id": agent.agent_id}
    server.admin.call("AgentService/RenameAgent", agent=ref, new_slug=slug)


def update_user(server: Server, user: Person, **update: Any) -> None:
    ref = {"user_id": user.user_id}
    server.admin.call("UserService/UpdateUser", user=ref, update=update)


def valid_until(reply: Any) -> datetime:
    assert reply.basis.HasField("valid_until")
    found: datetime = reply.basis.valid_until.ToDatetime(tzinfo=UTC)
    return found


def test_a_denial_of_an_unknown_slug_ends_when_an_agent_is_renamed_to_it(
    server: Server,
) -> None:
    caller, owner = server.user(), server.user()
    agent, slug = server.agent(owner), server.name("wanted")
    denied = authorize(server, caller.token, agent={"agent_slug": slug})
    assert outcome(denied) == "ROLE_INSUFFICIENT"
    assert denied.basis.cacheable
    rename(server, agent, slug)
    assert rests_on(denied) & touched(server) == {f"AGENT_SLUG {slug}"}


@pytest.mark.parametrize("method", ["CreateAgent", "BatchCreateAgents", "ProvisionAgent"])
def test_a_denial_of_an_unknown_slug_ends_when_an_agent_is_created_with_it(
    server: Server, method: str
) -> None:
    slug = server.name("wanted")
    caller, owner = server.user(), server.user(login=slug)
    denied = authorize(server, caller.token, agent={"agent_slug": slug})
    ref = {"user_id": owner.user_id}
    fields: dict[str, Any] = {"agent_slug": slug, "owner": ref}
    if method == "BatchCreateAgents":
        fields = {"requests": [fields]}
    elif method == "ProvisionAgent":
        fields = {"user": ref}
    server.admin.call(f"AgentService/{method}", **fields)
    assert rests_on(denied) & touched(server) == {f"AGENT_SLUG {slug}"}


def test_a_rename_and_a_deletion_list_the_slugs_that_they_give_and_free(
    server: Server,
) -> None:
    agent, slug = server.agent(server.user()), server.name("next")
    rename(server, agent, slug)
    slugs = {f"AGENT_SLUG {agent.agent_slug}", f"AGENT_SLUG {slug}"}
    assert {one for one in touched(server) if "SLUG" in one} == slugs
    server.admin.call("AgentService/DeleteAgent", agent={"agent_id": agent.agent_id})
    assert f"AGENT_SLUG {slug}" in touched(server)


def test_a_denial_of_an_unknown_login_ends_when_a_user_gets_it(server: Server) -> None:
    agent = server.agent(server.user())
    renamed, names = server.user(), [server.name("wanted") for _ in range(2)]

    def asked(login: str) -> Any:
        ref = {"agent_id": agent.agent_id}
        return check(server.admin, principal={"login": login}, agent=ref)

    denials = [asked(name) for name in names]
    for denied in denials:
        assert outcome(denied) == "USER_INACTIVE"
        assert denied.basis.cacheable
        # A digest: who reads the log learns no logins by it.
        assert [named(one).split()[0] for one in denied.basis.depends_on] == ["LOGIN"]
        assert len(denied.basis.depends_on[0].subject_id) == 32
    server.admin.call("UserService/CreateUser", login=names[0], role="USER_ROLE_MEMBER")
    assert rests_on(denials[0]) <= touched(server)
    update_user(server, renamed, login=names[1])
    assert rests_on(denials[1]) <= touched(server)
    # The one that was given up is listed as well.
    assert len([one for one in touched(server) if one.startswith("LOGIN")]) == 2
    allowed = asked(names[0])
    server.admin.call("UserService/DeleteUser", user={"login": names[0]})
    assert rests_on(denials[0]) <= touched(server) & rests_on(allowed)


def test_a_text_that_is_no_live_token_tells_nothing_to_keep(server: Server) -> None:
    owner = server.user()
    agent_id = server.agent(owner).agent_id
    revoked = server.agent_token(owner, agent_id)
    server.admin.call("TokenService/RevokeToken", token_id=revoked.token_id)
    ended = server.agent_token(owner, agent_id, ttl={"seconds": 60})
    server.clock.advance(seconds=60)
    for text in ("", "x", "\x00" * 10_000, revoked.token, ended.token):
        for service, more in (
            ("AuthService/Authenticate", {}),
            ("AuthService/Authorize", {"demand": VIEWER}),
            ("AuthService/BatchAuthorize", {"demands": [VIEWER], "include_basis": True}),
            ("ScopeService/ResolveScope", VIEWER),
            ("ScopeService/CheckResource", {"resource": {"shared": True}, **VIEWER}),
        ):
            fields: dict[str, Any] = {"token": text, **more}
            basis = server.admin.call(service, **fields).basis
            assert not basis.cacheable
            assert not basis.depends_on
            assert not basis.HasField("valid_until")
            assert basis.HasField("position")


def test_every_other_denial_names_what_it_failed_on(server: Server) -> None:
    owner, minter = server.user(), server.user()
    agent_id = server.agent(owner).agent_id
    server.grant(agent_id, minter, "ADMIN")
    token = server.agent_token(minter, agent_id)
    of_token = {
        f"AGENT {agent_id}",
        f"GRANT {agent_id}:user:{minter.user_id}",
        f"TOKEN {token.token_id}",
        f"USER {minter.user_id}",
        f"USER {owner.user_id}",
        # Who minted the token that it was minted with.
        f"USER {server.admin.user_id}",
    }

    def denied(reason: str) -> None:
        reply = server.admin.call("AuthService/Authenticate", token=token.token)
        assert outcome(reply) == reason
        assert reply.basis.cacheable
        assert rests_on(reply) == of_token

    denied("ALLOWED")
    server.admin.call(
        "AgentService/SetAgentStatus",
        agent={"agent_id": agent_id},
        status="AGENT_STATUS_INACTIVE",
    )
    denied("AGENT_INACTIVE")
    server.admin.call(
        "AgentService/SetAgentStatus", agent={"agent_id": agent_id}, status="AGENT_STATUS_ACTIVE"
    )
    update_user(server, owner, active=False)
    denied("USER_INACTIVE")
    update_user(server, owner, active=True)
    update_user(server, minter, active=False)
    denied("MINTER_WITHOUT_RIGHTS")


def test_an_answer_about_an_agent_that_nobody_named_is_not_kept(server: Server) -> None:
    owner = server.user()
    agent_id = server.agent(owner).agent_id
    bound = server.agent_token(owner, agent_id)
    assert not authorize(server, owner.token).basis.cacheable
    assert authorize(server, bound.token).basis.cacheable
    server.agent(owner)
    ambiguous = authorize(server, owner.token)
    assert outcome(ambiguous) == "AGENT_AMBIGUOUS"
    assert not ambiguous.basis.cacheable
    assert not owner.call("ScopeService/ResolveScope", caller=True, **VIEWER).basis.cacheable
    assert bound.call("ScopeService/ResolveScope", caller=True, **VIEWER).basis.cacheable


def test_an_answer_about_the_chosen_agent_is_kept_until_another_is_chosen(
    server: Server,
) -> None:
    owner = server.user()
    agents = [server.agent(owner) for _ in range(2)]

    def choose(agent: Any) -> None:
        owner.call("AgentService/SetDefaultAgent", agent={"agent_id": agent.agent_id})

    choose(agents[0])
    first = authorize(server, owner.token)
    assert first.agent_id == agents[0].agent_id
    assert first.basis.cacheable
    choose(agents[1])
    assert f"USER {owner.user_id}" in rests_on(first) & touched(server)
    second = authorize(server, owner.token)
    assert second.agent_id == agents[1].agent_id
    ref = {"agent_id": agents[1].agent_id}
    server.admin.call("AgentService/DeleteAgent", agent=ref)
    assert f"AGENT {agents[1].agent_id}" in rests_on(second) & touched(server)


def test_a_basis_says_at_which_state_and_when_it_was_judged(server: Server) -> None:
    person = server.user()
    agent = {"agent_id": server.agent(person).agent_id}
    before = server.clock()
    first = check(person, caller=True, agent=agent).basis
    judged = first.judged_at.ToDatetime(tzinfo=UTC)
    assert before <= judged <= server.clock()
    with server.app.store.read() as tx:
        head = tx.head()
    position = first.position
    assert (position.revision, position.hash_prefix) == (head.revision, head.hash[:8])
    server.user()
    later = check(person, caller=True, agent=agent).basis
    assert later.position.revision > position.revision
    assert later.position.epoch == position.epoch
    assert later.consistency_token != first.consistency_token
    # What was confirmed later is the same in every other field.
    for basis in (first, later):
        for field in ("position", "consistency_token", "judged_at"):
            basis.ClearField(field)
    assert first == later


def test_subjects_are_sorted_and_stand_once(server: Server) -> None:
    people = [server.user() for _ in range(12)]
    agents = [server.agent(person) for person in people]
    checks: list[dict[str, Any]] = [
        {**VIEWER, "principal": {"user_id": person.user_id}, "agent": ref}
        for person in people
        for agent in agents
        for ref in ({"agent_id": agent.agent_id}, {"agent_slug": agent.agent_slug})
    ]
    asked: dict[str, Any] = {"checks": checks, "include_basis": True}
    basis = server.admin.call("AccessService/BatchCheckAccess", **asked).basis
    listed = [(one.kind, one.subject_id) for one in basis.depends_on]
    assert listed == sorted(set(listed))
    assert len(listed) == 12 + 12 + 12 * 12 + 12


def test_a_batch_has_a_basis_only_if_asked(server: Server) -> None:
    owner = server.user()
    agents = [server.agent(owner) for _ in range(2)]
    demands: list[dict[str, Any]] = [
        {**VIEWER, "agent": {"agent_id": one.agent_id}} for one in agents
    ]
    checks = [{**demand, "principal": {"user_id": owner.user_id}} for demand in demands]
    questions: list[tuple[str, dict[str, Any]]] = [
        ("AuthService/BatchAuthorize", {"token": owner.token, "demands": demands}),
        ("AuthService/BatchAuthorize", {"token": "none", "demands": demands}),
        ("AccessService/BatchCheckAccess", {"checks": checks}),
    ]
    for method, fields in questions:
        assert not server.admin.call(method, **fields).HasField("basis")
        assert server.admin.call(method, include_basis=True, **fields).HasField("basis")


def test_a_batch_rests_on_what_each_of_its_answers_rests_on(server: Server) -> None:
    owner = server.user()
    agents = [server.agent(server.user()) for _ in range(2)]
    ends = [server.clock() + timedelta(hours=hours) for hours in (2, 1)]
    for agent, end in zip(agents, ends, strict=True):
        server.grant(agent.agent_id, owner, expire_time=end)
    demands: list[dict[str, Any]] = [
        {**VIEWER, "agent": {"agent_id": one.agent_id}} for one in agents
    ]
    singles = [authorize(server, owner.token, **demand) for demand in demands]
    assert [valid_until(one) for one in singles] == ends

    def batch(*more: dict[str, Any]) -> Any:
        asked: dict[str, Any] = {"token": owner.token, "demands": [*demands, *more]}
        return server.admin.call("AuthService/BatchAuthorize", include_basis=True, **asked)

    both = batch()
    assert rests_on(both) == rests_on(singles[0]) | rests_on(singles[1])
    assert valid_until(both) == ends[1]
    assert both.basis.cacheable
    # One that nobody named makes the whole batch one that is not kept.
    assert not batch(VIEWER).basis.cacheable


def test_a_hidden_agent_leaves_no_trace_in_a_basis(server: Server) -> None:
    hidden, stranger = server.agent(server.user()), server.user()
    missing = server.name("nobody")

    def asked(slug: str) -> list[set[str]]:
        agent: dict[str, Any] = {"agent": {"agent_slug": slug}}
        own: dict[str, Any] = {"caller": True, **VIEWER}
        return [
            {one.replace(slug, "…") for one in rests_on(reply)}
            for reply in (
                check(stranger, caller=True, **agent),
                check(stranger, principal={"user_id": stranger.user_id}, **agent),
                stranger.call("ScopeService/ResolveScope", **agent, **own),
                stranger.call("ScopeService/CheckResource", resource=agent, **own),
            )
        ]

    assert asked(hidden.agent_slug) == asked(missing)


def test_what_one_may_in_person_rests_on_the_agent_whatever_the_tokens_ceiling(
    server: Server,
) -> None:
    """Seen: only the slug was named, so that a cache went on to allow what was stopped."""
    deputy, agent = server.user("ADMINISTRATOR"), server.agent(server.user())
    minted = deputy.call(
        "TokenService/CreateToken",
        user={"user_id": deputy.user_id},
        ceiling={"max_role": "ROLE_VIEWER"},
    )
    low = Person(server, minted.secret)
    allowed = check(
        low,
        principal={"user_id": deputy.user_id},
        agent={"agent_slug": agent.agent_slug},
        require_active=True,
    )
    assert outcome(allowed) == "ALLOWED"
    server.admin.call(
        "AgentService/SetAgentStatus",
        agent={"agent_id": agent.agent_id},
        status="AGENT_STATUS_INACTIVE",
    )
    assert f"AGENT {agent.agent_id}" in rests_on(allowed) & touched(server)


def test_an_expiry_that_is_over_ends_no_answer(server: Server) -> None:
    """Seen: a denial for the minter's ended grant was good until that end, and so never kept."""
    owner, minter = server.user(), server.user()
    agent_id = server.agent(owner).agent_id
    grant_ends, token_ends = (server.clock() + timedelta(hours=hours) for hours in (1, 2))
    server.grant(agent_id, minter, "ADMIN", expire_time=grant_ends)
    token = server.agent_token(minter, agent_id, expire_time=token_ends)

    def asked() -> Any:
        return server.admin.call("AuthService/Authenticate", token=token.token)

    assert valid_until(asked()) == grant_ends
    server.clock.advance(hours=1)
    assert outcome(asked()) == "MINTER_WITHOUT_RIGHTS"
    assert valid_until(asked()) == token_ends


def test_a_rotation_lists_the_token_that_it_replaces(server: Server) -> None:
    owner = server.user()
    old = server.agent_token(owner, server.agent(owner).agent_id)
    rotated = owner.call("TokenService/RotateToken", token_id=old.token_id)
    tokens = {f"TOKEN {old.token_id}", f"TOKEN {rotated.token.token_id}"}
    assert tokens <= touched(server)


def test_a_change_lists_so_many_subjects_or_everything() -> None:
    few = [subject(SubjectKind.AGENT, number) for number in range(1, MAX_SUBJECTS + 1)]
    assert logged([*few, few[0]]) == tuple(few)
    assert logged([*few, subject(SubjectKind.USER, 1)]) == (STORE,)
