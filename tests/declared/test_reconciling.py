"""ReconcileAgents: what is missing is created, what exists is never touched."""

import errno
import logging
from typing import Any

import pytest

from accredit.v1 import change_pb2 as pb
from accredit.v1 import directory_pb2
from accredit_service.abilities.calls.consistency import Consistency
from accredit_service.abilities.calls.reads import Ask
from accredit_service.abilities.declared import reconciling
from accredit_service.abilities.declared.planning import Outcome
from accredit_service.abilities.errors import Unauthenticated
from accredit_service.abilities.extensions.generators import ContentGenerator
from accredit_storage.records import ChangeKind, UserId
from tests.api.asking import pages
from tests.declared.declaring import (
    agent,
    agent_file,
    changes,
    declare,
    declared,
    no_agent,
    outcome,
    outcomes,
    reason,
    reconcile,
    register,
    revision,
)
from tests.server import Person, RefusedError, Server


def test_what_is_missing_is_created_with_all_that_it_takes(server: Server) -> None:
    owner = server.user()
    register(
        server,
        "wiki",
        label="Wiki",
        description="Writes articles.",
        memory_seeds={"SOUL.md": " Be a wiki. \n", "USER.md": "Ann"},
        owner={"login": owner.login},
        default_config={"model": "m"},
    )
    (result,) = reconcile(server.admin)
    assert outcome(result) == "CREATED"
    made = agent(server, "wiki")
    assert (made.agent_id, made.agent_name, made.owner_id) == (
        result.agent_id,
        "Wiki",
        owner.user_id,
    )
    assert dict(made.config) == {"model": "m", "description": "Writes articles."}
    assert not made.HasField("site_scope")
    grants = server.admin.call("AccessService/ListAgentAccess", agent={"agent_slug": "wiki"}).grants
    assert [(one.principal.user_id, one.role) for one in grants] == [(owner.user_id, 3)]
    assert grants[0].granted_by == server.admin.user_id
    assert agent_file(server, "wiki", "SOUL.md").read_text() == "Be a wiki.\n"
    assert agent_file(server, "wiki", "USER.md").read_text() == "Ann\n"
    # Nobody has a seed for this one: the default.
    assert agent_file(server, "wiki", "MEMORY.md").read_text()
    assert [file.path for file in result.files] == ["SOUL.md", "USER.md", "MEMORY.md"]


def test_a_second_run_creates_nothing_and_writes_nothing(server: Server) -> None:
    for slug in ("a", "b"):
        register(server, slug)
    assert outcomes(reconcile(server.admin)) == [("a", "CREATED"), ("b", "CREATED")]
    before = revision(server)
    assert outcomes(reconcile(server.admin)) == [("a", "EXISTING"), ("b", "EXISTING")]
    assert revision(server) == before


def test_results_are_in_the_order_of_the_list(server: Server) -> None:
    declare(server, declared("m"), declared("a"))
    register(server, "z")
    register(server, "b", priority=1)
    results = reconcile(server.admin)
    assert [one.agent_slug for one in results] == ["b", "z", "m", "a"]
    assert [one.agent_id for one in results] == sorted(one.agent_id for one in results)


def test_what_exists_is_never_touched_and_its_drift_is_told(server: Server) -> None:
    other = server.user()
    existing = server.agent(other, "scribe", agent_name="Old", config={"a": 1})
    server.admin.call(
        "AgentService/UpdateAgent",
        agent={"agent_slug": "scribe"},
        update={"status": "AGENT_STATUS_ARCHIVED"},
    )
    soul = agent_file(server, "scribe", "SOUL.md")
    soul.write_text("mine")
    agent_file(server, "scribe", "USER.md").unlink()
    register(
        server,
        "scribe",
        label="New",
        description="D",
        memory_seeds={"SOUL.md": "theirs", "USER.md": "theirs"},
        owner={"login": "admin"},
        default_config={"a": 2, "b": "x" * 2000},
    )
    before, was = revision(server), agent(server, "scribe")
    (result,) = reconcile(server.admin)
    assert (outcome(result), result.agent_id) == ("EXISTING", existing.agent_id)
    drift = {one.field: (one.agent_value, one.definition_value) for one in result.drift}
    assert drift["agent_name"] == ('"Old"', '"New"')
    assert drift["owner_id"] == (str(other.user_id), str(server.admin.user_id))
    assert drift["config"][0] == '{"a":1}'
    assert drift["config"][1].startswith('{"a":2,"b":"xxx')
    assert len(drift["config"][1]) == 1000
    assert (revision(server), agent(server, "scribe")) == (before, was)
    assert soul.read_text() == "mine"
    assert not agent_file(server, "scribe", "USER.md").exists()


def test_what_agrees_does_not_drift(server: Server) -> None:
    register(server, "scribe", description="D", default_config={"n": 1.0, "t": True})
    reconcile(server.admin)
    assert list(reconcile(server.admin)[0].drift) == []
    # True and 1 are not the same, whatever Python thinks.
    register(server, "scribe", description="D", default_config={"n": True, "t": 1.0})
    (drift,) = reconcile(server.admin)[0].drift
    assert drift.field == "config"


def test_a_description_of_the_configs_own_stays(server: Server) -> None:
    register(server, "scribe", description="D", default_config={"description": "mine"})
    reconcile(server.admin)
    assert agent(server, "scribe").config["description"] == "mine"


def test_a_config_that_is_too_large_with_its_description_is_skipped(server: Server) -> None:
    answer = register(
        server, "scribe", description="d" * 16_000, default_config={"t": "x" * 60_000}
    )
    assert outcome(answer.outcome) == "SKIPPED FIELD_INVALID"
    assert outcomes(reconcile(server.admin)) == [("scribe", "SKIPPED FIELD_INVALID")]


def test_to_validate_tells_the_plan_and_changes_nothing(server: Server) -> None:
    server.agent(server.user(), "there")
    for slug in ("there", "missing"):
        register(server, slug)
    before = revision(server)
    answers = server.admin.call("RegistryService/ReconcileAgents", validate_only=True)
    (answer,) = answers
    assert outcomes(answer.results) == [("there", "EXISTING"), ("missing", "PENDING")]
    assert (answer.consistency_token, answer.total) == ("", 2)
    assert revision(server) == before
    assert no_agent(server, "missing")


def test_only_the_slugs_that_are_named_are_reconciled(server: Server) -> None:
    for slug in ("a", "b", "c"):
        register(server, slug)
    results = reconcile(server.admin, "C", "nobody", "a", "a")
    assert outcomes(results) == [
        ("a", "CREATED"),
        ("c", "CREATED"),
        ("nobody", "SKIPPED DEFINITION_NOT_FOUND"),
    ]
    assert no_agent(server, "b")


def test_slugs_are_bounded_and_clean(shared_server: Server) -> None:
    admin = shared_server.admin
    many = admin.refused("RegistryService/ReconcileAgents", agent_slugs=["a"] * 1001)
    bad = admin.refused("RegistryService/ReconcileAgents", agent_slugs=["a", "!"])
    assert (many.fields, bad.fields) == (["agent_slugs"], ["agent_slugs[1]"])


def test_with_nothing_declared_the_answer_is_empty_and_has_a_token(server: Server) -> None:
    (answer,) = server.admin.call("RegistryService/ReconcileAgents")
    assert (list(answer.results), answer.total) == ([], 0)
    assert answer.consistency_token


def test_many_come_in_chunks_each_a_change_of_its_own(server: Server) -> None:
    declare(server, *(declared(f"agent-{number:03}") for number in range(120)))
    answers = server.admin.call("RegistryService/ReconcileAgents")
    assert [len(answer.results) for answer in answers] == [50, 50, 20]
    assert {answer.total for answer in answers} == {120}
    rows = changes(server, ChangeKind.DEFINITION_RECONCILED)
    assert [len(row.after["agents"]) for row in rows if row.after] == [50, 50, 20]
    assert len({answer.consistency_token for answer in answers}) == 3
    first = answers[0].results[0]
    assert [(one.kind.value, one.subject_id) for one in rows[0].subjects[:5]] == [
        ("agent", str(first.agent_id)),
        ("user", str(server.admin.user_id)),
        ("grant", f"{first.agent_id}:user:{server.admin.user_id}"),
        ("agent_slug", "agent-000"),
        ("definition", "agent-000"),
    ]
    assert rows[0].after is not None
    made = rows[0].after["agents"][0]
    assert made["definition"] == {"source": "agent-000.yaml", "priority": 10}
    assert rows[0].actor.user_id == server.admin.user_id


def test_the_change_of_a_chunk_can_be_read_however_large_configs_are(server: Server) -> None:
    # Many small values are what takes the most room in a message.
    large = {"values": [[0]] * 2400, "text": "x" * 50_000}
    declare(server, *(declared(f"agent-{n:02}", default_config=large) for n in range(40)))
    answers = server.admin.call("RegistryService/ReconcileAgents")
    assert [len(answer.results) for answer in answers] == [8] * 5
    found = pages(server.admin, "ChangeService/ListChanges", "changes", page_size=500)
    kinds = [change.kind for page in found for change in page]
    assert kinds.count(pb.CHANGE_KIND_DEFINITION_RECONCILED) == 5


def test_a_caller_who_loses_the_right_is_stopped_between_chunks(server: Server) -> None:
    admin = server.user("ADMINISTRATOR")
    demoted: list[bool] = []

    def demote() -> object:
        if not demoted:
            demoted.append(True)
            server.admin.call(
                "UserService/UpdateUser",
                user={"user_id": admin.user_id},
                update={"role": "USER_ROLE_MEMBER"},
            )
        return None

    many = [declared(f"agent-{number:03}") for number in range(60)]
    declare(server, *many, declared("last", resolve_owner=demote), declared("never"))
    with pytest.raises(RefusedError) as refused:
        reconcile(admin)
    assert refused.value.what == "PERMISSION_DENIED ACTION_MISSING"
    # What the first chunk told of is done; of the second nothing is.
    assert agent(server, "agent-049")
    assert no_agent(server, "agent-050")
    assert no_agent(server, "never")


def test_the_server_reconciles_by_itself_with_nobody_as_actor(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "accredit_service")
    declare(server, declared("scribe"), declared("bad", owner="nobody"))
    counts = reconciling.reconcile_as_server(server.app)
    assert counts == {Outcome.CREATED: 1, Outcome.EXISTING: 0, Outcome.SKIPPED: 1}
    (row,) = changes(server, ChangeKind.DEFINITION_RECONCILED)
    assert (row.actor.user_id, row.actor.token_id) == (None, None)
    with server.app.store.read() as tx:
        grant = tx.grants.find(agent(server, "scribe").agent_id, UserId(server.admin.user_id))
    assert grant is not None
    assert grant.granted_by is None
    told = {one.message: getattr(one, "fields", {}) for one in caplog.records}
    assert told["declared agent created"]["agent_slug"] == "scribe"
    assert told["declared agent skipped"]["agent_slug"] == "bad"


def test_a_slug_that_is_kept_for_somebody_is_taken_all_the_same(server: Server) -> None:
    former = server.user()
    server.agent(former, "scribe")
    server.admin.call("AgentService/DeleteAgent", agent={"agent_slug": "scribe"})
    register(server, "scribe")
    assert outcomes(reconcile(server.admin)) == [("scribe", "CREATED")]
    with server.app.store.read() as tx:
        assert tx.reservations.find("scribe", server.clock()) is None


def test_a_deleted_agent_comes_back_unless_it_is_suppressed(server: Server) -> None:
    register(server, "scribe")
    for expected in ("CREATED", "SKIPPED DEFINITION_SUPPRESSED"):
        assert outcomes(reconcile(server.admin)) == [("scribe", expected)]
        if expected == "CREATED":
            server.admin.call("AgentService/DeleteAgent", agent={"agent_slug": "scribe"})
            server.admin.call("RegistryService/SuppressAgent", name="scribe")


def test_the_last_registration_makes_the_agent(server: Server) -> None:
    register(server, "wiki", label="Plugin", source="p", memory_seeds={"SOUL.md": "plugin"})
    register(server, "wiki", label="Mine", source="q", memory_seeds={"SOUL.md": "mine"})
    reconcile(server.admin)
    assert agent(server, "wiki").agent_name == "Mine"
    assert agent_file(server, "wiki", "SOUL.md").read_text() == "mine\n"


def test_an_agent_that_somebody_makes_meanwhile_is_theirs(server: Server) -> None:
    other = server.user()

    def make() -> object:
        server.agent(other, "a", agent_name="theirs")
        return None

    declare(server, declared("a", label="declared"), declared("b", resolve_owner=make))
    first, second = reconcile(server.admin)
    assert outcomes([first, second]) == [("a", "EXISTING"), ("b", "CREATED")]
    assert first.agent_id == agent(server, "a").agent_id
    assert [one.field for one in first.drift] == ["agent_name"]
    assert agent(server, "a").owner_id == other.user_id


def test_the_definition_tells_what_reconciling_would_do(server: Server) -> None:
    made = server.agent(server.user(), "scribe")
    register(server, "scribe", label="Scribe")
    call = server.admin.call
    result = call("RegistryService/GetAgentDefinition", agent_slug="scribe").outcome
    assert (outcome(result), result.agent_id) == ("EXISTING", made.agent_id)
    assert [one.field for one in result.drift] == ["agent_name"]
    call("RegistryService/SuppressAgent", name="scribe")
    result = call("RegistryService/GetAgentDefinition", agent_slug="scribe").outcome
    assert (outcome(result), result.agent_id) == ("SKIPPED DEFINITION_SUPPRESSED", made.agent_id)


@pytest.mark.parametrize(
    ("number", "why"), [(errno.ENOSPC, "STORAGE_FULL"), (errno.EROFS, "FILES_UNAVAILABLE")]
)
def test_an_agent_is_there_whatever_the_disk_says_and_told_which_files_are_missing(
    server: Server, monkeypatch: pytest.MonkeyPatch, number: int, why: str
) -> None:
    declare(server, declared("a", memory_seeds={"SOUL.md": "Be a."}))
    _fail_writes(monkeypatch, number)
    (result,) = reconcile(server.admin)
    assert outcome(result) == "CREATED"
    assert {(one.outcome, reason(one.error)) for one in result.files} == {
        (directory_pb2.SCAFFOLD_OUTCOME_FAILED, why)
    }
    monkeypatch.undo()
    home = {"agent": {"agent_slug": "a"}}
    server.admin.call("DirectoryService/WriteFile", directory=home, path="x.md", content=b"x")
    assert agent_file(server, "a", "SOUL.md").read_text() == "Be a.\n"


def _fail_writes(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Have the operating system refuse to write starter files."""

    def refused(*_arguments: Any, **_named: Any) -> int:
        raise OSError(number, "refused")

    monkeypatch.setattr("accredit_storage.directory.folders.os.write", refused)


def test_a_generator_of_a_package_has_the_last_word(server: Server) -> None:
    loud = ContentGenerator("loud", 20, lambda context, text: text.upper())
    object.__setattr__(server.app, "generators", [*server.app.generators, loud])
    register(server, "scribe", memory_seeds={"SOUL.md": "quiet"})
    reconcile(server.admin)
    assert agent_file(server, "scribe", "SOUL.md").read_text() == "QUIET\n"


def test_an_agent_that_is_created_by_hand_begins_with_its_seeds_too(server: Server) -> None:
    owner = server.user()
    register(server, "scribe", memory_seeds={"SOUL.md": "seed"}, owner=owner.ref["user"])
    server.agent(owner, "scribe")
    assert agent_file(server, "scribe", "SOUL.md").read_text() == "seed\n"
    # What is suppressed contributes nothing, not even that.
    register(server, "other", memory_seeds={"SOUL.md": "seed"}, owner=owner.ref["user"])
    server.admin.call("RegistryService/SuppressAgent", name="other")
    server.agent(owner, "other")
    assert agent_file(server, "other", "SOUL.md").read_text() != "seed\n"


def test_the_next_scaffolding_takes_new_seeds_for_missing_files_only(server: Server) -> None:
    register(server, "scribe", memory_seeds={"SOUL.md": "one", "USER.md": "one"})
    reconcile(server.admin)
    register(server, "scribe", memory_seeds={"SOUL.md": "two", "USER.md": "two"})
    agent_file(server, "scribe", "SOUL.md").unlink()
    server.admin.call(
        "DirectoryService/ScaffoldFiles", directory={"agent": {"agent_slug": "scribe"}}
    )
    assert agent_file(server, "scribe", "SOUL.md").read_text() == "two\n"
    assert agent_file(server, "scribe", "USER.md").read_text() == "one\n"


def test_a_caller_who_loses_the_token_is_told_no_more(server: Server) -> None:
    declare(server, *(declared(f"agent-{number:03}") for number in range(60)))
    reconcile(server.admin)
    admin = server.user("ADMINISTRATOR")
    everything = reconciling.ReconcileAgents(agent_slugs=[], validate_only=False)
    chunks = reconciling.reconcile_agents(server.app, _ask(admin), everything)
    assert len(next(chunks).results) == 50
    server.admin.call("TokenService/RevokeUserTokens", user={"user_id": admin.user_id})
    # Nothing is to be created any more; what there is to tell is not for them either.
    with pytest.raises(Unauthenticated):
        next(chunks)


def test_a_call_that_is_broken_off_keeps_what_it_told_of(server: Server) -> None:
    declare(server, *(declared(f"agent-{number:03}") for number in range(60)))
    chunks = reconciling.reconcile_agents(
        server.app,
        _ask(server.admin),
        reconciling.ReconcileAgents(agent_slugs=[], validate_only=False),
    )
    assert len(next(iter(chunks)).results) == 50
    assert agent(server, "agent-049")
    assert no_agent(server, "agent-050")


def _ask(person: Person) -> Ask:
    with person.server.app.store.read() as tx:
        token_id = tx.tokens.for_user(UserId(person.user_id))[0]
    method = "RegistryService/ReconcileAgents"
    return Ask(method=method, token_id=token_id, digest=b"", consistency=Consistency())
