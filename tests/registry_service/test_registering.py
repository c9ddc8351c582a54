"""RegisterAgent, UnregisterAgent, SuppressAgent, and looking at what there is."""

from typing import Any

import pytest

from accredit_service.abilities.extensions.declarations import Origin
from accredit_storage.records import ChangeKind
from tests.abilities.asking import pages
from tests.registry import Registry
from tests.registry_service.declaring import (
    changes,
    declare,
    declared,
    listed,
    outcome,
    reconcile,
    register,
    revision,
    seed_texts,
    seeds,
)
from tests.storage.making import put_definition


def get(registry: Registry, slug: str, **fields: Any) -> Any:
    return registry.admin.call(
        "RegistryService/GetAgentDefinition", agent_slug=slug, **fields
    ).definition


def test_what_is_registered_is_kept_clean_and_read_back(registry: Registry) -> None:
    owner = registry.user()
    answer = register(
        registry,
        "Wiki Generator",
        label=" Wiki <b>Generator</b> ",
        description="Writes.\nAnd writes.",
        memory_seeds={"../SOUL.md": "soul", "MEMORY.md": "größer"},
        owner={"login": owner.login},
        default_config={"model": "m", "depth": 3},
        meta={"team": ["a", "b"]},
        priority=-5,
        source="wiki-plugin",
    )
    assert answer.changed
    assert outcome(answer.outcome) == "PENDING"
    one = get(registry, "wiki GENERATOR")
    assert (one.agent_slug, one.label) == ("wiki-generator", "Wiki Generator")
    assert one.description == "Writes.\nAnd writes."
    assert [(seed.filename, seed.size, seed.text) for seed in one.memory_seeds] == [
        ("MEMORY.md", 8, ""),
        ("SOUL.md", 4, ""),
    ]
    assert seed_texts(registry, "wiki-generator") == {"MEMORY.md": "größer", "SOUL.md": "soul"}
    assert (one.owner.user_id, one.owner.login) == (owner.user_id, "")
    assert dict(one.default_config) == {"model": "m", "depth": 3}
    assert list(one.meta["team"]) == ["a", "b"]
    assert (one.priority, one.source) == (-5, "wiki-plugin")
    assert one.origin == 1
    assert one.update_time.ToDatetime()
    assert one.etag
    assert answer.definition == one


def test_what_is_left_out_has_its_default(registry: Registry) -> None:
    register(registry, "scribe")
    one = get(registry, "scribe")
    assert (one.label, one.description, one.priority) == ("scribe", "", 10)
    assert (one.source, one.HasField("owner"), one.owner_resolver) == ("admin", False, "")


def test_to_declare_has_no_effect_by_itself(registry: Registry) -> None:
    register(registry, "scribe")
    refusal = registry.admin.refused("AgentService/GetAgent", agent={"agent_slug": "scribe"})
    assert refusal.what == "NOT_FOUND AGENT_NOT_FOUND"


def test_to_declare_the_same_again_writes_nothing(registry: Registry) -> None:
    fields: dict[str, Any] = {"label": "S", "memory_seeds": {"SOUL.md": "s"}}
    first = register(registry, "scribe", **fields)
    before = revision(registry)
    again = register(registry, "scribe", **fields)
    assert (again.changed, again.definition) == (False, first.definition)
    assert revision(registry) == before
    assert register(registry, "scribe", label="T").changed
    assert revision(registry) == before + 1


def test_the_log_has_the_digests_of_seeds_and_never_their_text(registry: Registry) -> None:
    register(registry, "scribe", memory_seeds={"SOUL.md": "abc"}, meta={"a": 1})
    register(registry, "scribe", label="New")
    registry.admin.call("RegistryService/UnregisterAgent", agent_slug="scribe")
    first, second = changes(registry, ChangeKind.DEFINITION_REGISTERED)
    assert first.after is not None
    assert first.after["memory_seeds"] == {
        "SOUL.md": {
            "size": 3,
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        }
    }
    assert (first.before, second.before) == (None, first.after)
    assert [(one.kind.value, one.subject_id) for one in first.subjects] == [
        ("definition", "scribe")
    ]
    (gone,) = changes(registry, ChangeKind.DEFINITION_UNREGISTERED)
    assert (gone.before, gone.after) == (second.after, None)


def test_to_validate_answers_as_if_and_changes_nothing(registry: Registry) -> None:
    before = revision(registry)
    answer = register(registry, "scribe", validate_only=True)
    assert (answer.changed, answer.consistency_token) == (True, "")
    assert outcome(answer.outcome) == "PENDING"
    assert (listed(registry), revision(registry)) == ([], before)


def test_a_request_that_is_repeated_has_the_same_answer(registry: Registry) -> None:
    request_id = "123e4567-e89b-12d3-a456-426614174000"
    fields: dict[str, Any] = {"memory_seeds": {"..": "no name"}, "request_id": request_id}
    first = register(registry, "scribe", **fields)
    before = revision(registry)
    again = register(registry, "scribe", **fields)
    assert (again.changed, again.definition) == (True, first.definition)
    assert (again.notices, revision(registry)) == (first.notices, before)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"agent_slug": "!"}, "agent_slug", id="no slug"),
        pytest.param({"agent_slug": "42"}, "agent_slug", id="it would read as an id"),
        pytest.param({"label": "x" * 201}, "label", id="a long label"),
        pytest.param({"description": "ä" * 8193}, "description", id="a long description"),
        pytest.param({"description": "a\0b"}, "description", id="a NUL"),
        pytest.param({"priority": 1001}, "priority", id="a high priority"),
        pytest.param({"priority": -1001}, "priority", id="a low priority"),
        pytest.param({"source": "s" * 101}, "source", id="a long source"),
        pytest.param({"owner": {}}, "owner", id="an owner without a name"),
        pytest.param({"owner": {"user_id": -1}}, "owner.user_id", id="no id"),
        pytest.param(
            {"owner": {"user_id": 1}, "owner_resolver": "r"}, "owner_resolver", id="two owners"
        ),
        pytest.param(
            {"memory_seeds": seeds({f"{n}.md": "x" for n in range(51)})},
            "memory_seeds",
            id="many seeds",
        ),
        pytest.param(
            {"memory_seeds": [{"filename": "a.md", "text": "x", "size": 1}]},
            "memory_seeds[0].size",
            id="a size",
        ),
        pytest.param(
            {"memory_seeds": [{"text": "x"}]}, "memory_seeds[0].filename", id="no filename"
        ),
        pytest.param({"default_config": {"n": 2.0**53}}, "default_config", id="a number too large"),
        pytest.param({"meta": {"t": "x" * 70_000}}, "meta", id="a large meta"),
    ],
)
def test_a_definition_that_breaks_a_rule_is_refused_by_its_field(
    shared_registry: Registry, fields: dict[str, Any], field: str
) -> None:
    refusal = shared_registry.admin.refused(
        "RegistryService/RegisterAgent", **{"agent_slug": "scribe", **fields}
    )
    assert (refusal.what.split()[0], refusal.fields) == ("INVALID_ARGUMENT", [field])


def test_seeds_are_bounded_in_all() -> None:
    """The wire bounds them further; packages and manifests have no wire."""
    whole = "x" * (2 * 1024 * 1024)
    declared("scribe", memory_seeds={"a.md": whole, "b.md": whole})
    with pytest.raises(Exception, match="at most 4194304 bytes"):
        declared("scribe", memory_seeds={"a.md": whole, "b.md": whole, "c.md": "x"})


def test_a_seed_without_a_name_or_a_text_is_dropped_and_that_is_said(registry: Registry) -> None:
    given = {"a/": "x", ".hidden": "x", "..": "x", "SOUL.md": " \n", "ok.md": "x"}
    answer = register(registry, "scribe", memory_seeds=given)
    assert [seed.filename for seed in answer.definition.memory_seeds] == ["ok.md"]
    assert len(answer.notices) == 4
    assert sum("does not name a file" in notice for notice in answer.notices) == 3


def test_of_two_seeds_of_one_name_the_first_stays(registry: Registry) -> None:
    for first, second in (("SOUL.md", "../SOUL.md"), ("../SOUL.md", "SOUL.md")):
        answer = register(registry, "scribe", memory_seeds={first: "b", second: "a"})
        assert answer.notices == ["memory_seeds: SOUL.md: given before: left out"]
        assert seed_texts(registry, "scribe") == {"SOUL.md": "b"}


def test_an_owner_is_kept_by_id_and_has_to_be_known(registry: Registry) -> None:
    ann = registry.user(login="Ann")
    for owner in ({"login": "Ann"}, {"user_id": ann.user_id}):
        kept = register(registry, "scribe", owner=owner).definition
        assert (kept.owner.user_id, kept.owner.login) == (ann.user_id, "")
    for unknown in ({"login": "nobody"}, {"user_id": 2**40}):
        for validate_only in (False, True):
            refusal = registry.admin.refused(
                "RegistryService/RegisterAgent",
                agent_slug="other",
                owner=unknown,
                validate_only=validate_only,
            )
            assert refusal.what == "NOT_FOUND USER_NOT_FOUND"
        # Who may not register learns nothing of who there is.
        stranger = registry.user().refused(
            "RegistryService/RegisterAgent", agent_slug="other", owner=unknown
        )
        assert stranger.what == "PERMISSION_DENIED ACTION_MISSING"
    assert [one.agent_slug for one in listed(registry)] == ["scribe"]


def test_an_etag_guards_what_is_registered_and_unregistered(registry: Registry) -> None:
    method, unregister = "RegistryService/RegisterAgent", "RegistryService/UnregisterAgent"
    missing = registry.admin.refused(method, agent_slug="scribe", etag='"1"')
    assert (missing.what, missing.metadata) == ("ABORTED ETAG_MISMATCH", {})
    first = register(registry, "scribe").definition
    second = register(registry, "scribe", label="S", etag=first.etag).definition
    assert second.etag != first.etag
    # A seed is a part of it.
    text = {"SOUL.md": "s"}
    third = register(registry, "scribe", label="S", memory_seeds=text).definition
    assert third.etag != second.etag
    assert get(registry, "scribe").etag == listed(registry)[0].etag == third.etag
    for call in (method, unregister):
        stale = registry.admin.refused(call, agent_slug="scribe", etag=second.etag)
        assert (stale.what, stale.metadata) == ("ABORTED ETAG_MISMATCH", {"etag": third.etag})
    # It is the source's own that it guards.
    other = registry.admin.refused(method, agent_slug="scribe", source="b", etag=third.etag)
    assert other.what == "ABORTED ETAG_MISMATCH"
    registry.admin.call(unregister, agent_slug="scribe", etag=third.etag)
    # One that is made again is another: no etag of the old one fits.
    again = register(registry, "scribe").definition
    assert again.etag not in (first.etag, second.etag, third.etag)


def test_seeds_stream_by_name_in_pieces(registry: Registry) -> None:
    large = "é" * 100_000
    register(registry, "scribe", memory_seeds={"USER.md": "u", "SOUL.md": large})
    read = "RegistryService/ReadDefinitionSeeds"
    pieces = registry.admin.call(read, agent_slug="Scribe")
    assert [(one.seed.filename, one.seed.size, len(one.content)) for one in pieces] == [
        ("SOUL.md", 200_000, 65_536),
        ("", 0, 65_536),
        ("", 0, 65_536),
        ("", 0, 3_392),
        ("USER.md", 1, 1),
    ]
    assert seed_texts(registry, "scribe") == {"SOUL.md": large, "USER.md": "u"}
    # Those of the definition that wins, wherever it comes from.
    declare(registry, declared("scribe", memory_seeds={"MEMORY.md": "m"}), declared("bare"))
    assert seed_texts(registry, "scribe") == {"MEMORY.md": "m"}
    assert registry.admin.call(read, agent_slug="bare") == []
    refusal = registry.admin.refused(read, agent_slug="nobody")
    assert refusal.what == "NOT_FOUND DEFINITION_NOT_FOUND"


def test_a_hundred_overrides_are_told_of_the_strongest(registry: Registry) -> None:
    with registry.app.store.write() as tx:
        for number in range(103):
            put_definition(tx, "scribe", f"source-{number:03}", memory_seeds={})
    (one,) = listed(registry)
    assert one.source == "source-102"
    assert list(one.overrides) == [f"source-{number:03}" for number in range(2, 102)]


def test_a_resolver_that_this_server_does_not_have_is_a_notice(registry: Registry) -> None:
    answer = register(registry, "scribe", owner_resolver="by-team")
    assert answer.notices == ["owner_resolver: this server has no 'by-team'"]
    assert outcome(answer.outcome) == "SKIPPED AGENT_OWNER_NOT_FOUND"


def test_definitions_of_several_sources_stand_side_by_side(registry: Registry) -> None:
    register(registry, "scribe", label="A", source="a")
    later = register(registry, "scribe", label="B", source="b")
    assert list(later.definition.overrides) == ["a"]
    # Declared anew, and so the last.
    assert register(registry, "scribe", label="A2", source="a").definition.overrides == ["b"]
    assert get(registry, "scribe").label == "A2"
    weak = register(registry, "scribe", label="B2", source="b", priority=9)
    assert (weak.definition.label, list(weak.definition.overrides)) == ("B2", [])
    assert get(registry, "scribe").label == "A2"

    registry.admin.call("RegistryService/UnregisterAgent", agent_slug="scribe", source="a")
    assert get(registry, "scribe").label == "B2"


def test_what_is_unregistered_is_gone_and_its_agent_stays(registry: Registry) -> None:
    register(registry, "scribe", label="S")
    reconcile(registry.admin)
    gone = registry.admin.call("RegistryService/UnregisterAgent", agent_slug="Scribe").definition
    assert (gone.agent_slug, gone.label) == ("scribe", "S")
    assert listed(registry) == []
    registry.admin.call("AgentService/GetAgent", agent={"agent_slug": "scribe"})
    again = registry.admin.refused("RegistryService/UnregisterAgent", agent_slug="scribe")
    assert again.what == "NOT_FOUND DEFINITION_NOT_FOUND"


def test_one_unregisters_ones_own_unless_a_source_is_named(registry: Registry) -> None:
    register(registry, "scribe", source="plugin")
    refusal = registry.admin.refused("RegistryService/UnregisterAgent", agent_slug="scribe")
    assert refusal.what == "NOT_FOUND DEFINITION_NOT_FOUND"
    assert "plugin" in refusal.message


def test_what_the_server_itself_declares_is_not_unregistered(registry: Registry) -> None:
    declare(registry, declared("scribe", source="roles/scribe.yaml"))
    refusal = registry.admin.refused("RegistryService/UnregisterAgent", agent_slug="scribe")
    assert refusal.what == "FAILED_PRECONDITION MANIFEST_OWNED"
    assert refusal.metadata["source"] == "roles/scribe.yaml"


def test_an_unknown_definition_is_not_found(registry: Registry) -> None:
    refusal = registry.admin.refused("RegistryService/GetAgentDefinition", agent_slug="nobody")
    assert refusal.what == "NOT_FOUND DEFINITION_NOT_FOUND"


def test_a_suppressed_definition_gives_way_to_the_next(registry: Registry) -> None:
    declare(registry, declared("scribe", label="Manifest", source="m.yaml"))
    register(registry, "scribe", label="Registered")
    register(registry, "other")
    answer = registry.admin.call("RegistryService/SuppressAgent", name="m.yaml")
    assert (answer.changed, list(answer.agent_slugs)) == (True, ["scribe"])
    one = get(registry, "scribe")
    assert (one.label, one.suppressed, list(one.overrides)) == ("Registered", False, [])

    registry.admin.call("RegistryService/UnsuppressAgent", name="m.yaml")
    assert get(registry, "scribe").label == "Manifest"


def test_a_suppressed_slug_is_listed_and_not_reconciled(registry: Registry) -> None:
    register(registry, "scribe")
    registry.admin.call("RegistryService/SuppressAgent", name="scribe")
    assert [(one.agent_slug, one.suppressed) for one in listed(registry)] == [("scribe", True)]
    (result,) = reconcile(registry.admin)
    assert outcome(result) == "SKIPPED DEFINITION_SUPPRESSED"
    assert result.error.code == 9
    registry.admin.call("RegistryService/UnsuppressAgent", name="scribe")
    assert outcome(reconcile(registry.admin)[0]) == "CREATED"


def test_to_suppress_twice_writes_once(registry: Registry) -> None:
    before = revision(registry)
    for method, changed in (
        ("UnsuppressAgent", False),
        ("SuppressAgent", True),
        ("SuppressAgent", False),
        ("UnsuppressAgent", True),
    ):
        answer = registry.admin.call(f"RegistryService/{method}", name="x")
        assert answer.changed is changed
    assert revision(registry) == before + 2
    first, last = changes(registry, ChangeKind.DEFINITION_SUPPRESSED)
    assert (first.after, last.after) == ({"suppressed": True}, {"suppressed": False})
    assert first.subjects[0].subject_id == "x"


def test_a_name_to_suppress_is_a_name(shared_registry: Registry) -> None:
    for name in ("", " ", "x" * 201):
        for method in ("SuppressAgent", "UnsuppressAgent"):
            refusal = shared_registry.admin.refused(f"RegistryService/{method}", name=name)
            assert refusal.fields == ["name"]


def test_lists_are_in_the_order_of_first_declaration_page_by_page(registry: Registry) -> None:
    for slug in ("c", "a", "b"):
        register(registry, slug, memory_seeds={"SOUL.md": "xy"}, meta={"m": 1})
    register(registry, "first", priority=1)
    declare(registry, declared("manifest"), declared("a", label="Wins"))
    # Anew, which wins anew but moves nothing.
    register(registry, "c", label="C", memory_seeds={"SOUL.md": "xy"}, meta={"m": 2})
    found = pages(
        registry.admin, "RegistryService/ListAgentDefinitions", "definitions", page_size=2
    )
    assert [[one.agent_slug for one in page] for page in found] == [
        ["first", "c"],
        ["a", "b"],
        ["manifest"],
    ]
    c, a = found[0][1], found[1][0]
    assert [(seed.filename, seed.size, seed.text) for seed in c.memory_seeds] == [
        ("SOUL.md", 2, "")
    ]
    assert not c.HasField("meta")
    assert (a.label, list(a.overrides)) == ("Wins", ["admin"])


def test_notices_come_with_the_first_page(registry: Registry) -> None:
    registry.app.declarations.replace_manifests(
        [declared("a"), declared("b")], [f"notice {number}" for number in range(150)]
    )
    call = registry.admin.call
    first = call("RegistryService/ListAgentDefinitions", page_size=1)
    assert (first.notices[0], len(first.notices)) == ("notice 0", 100)
    token = first.next_page_token
    second = call("RegistryService/ListAgentDefinitions", page_size=1, page_token=token)
    assert [one.agent_slug for one in second.definitions] == ["b"]
    assert list(second.notices) == []


def test_the_default_agent_is_declared_like_any_other(registry: Registry) -> None:
    registry.app.declarations.default_agent = True
    (one,) = listed(registry)
    assert (one.agent_slug, one.label, one.source) == ("admin", "Administrator", "default-agent")
    assert one.description == "Default site administrator agent."
    assert (one.origin, one.owner.user_id) == (4, registry.admin.user_id)

    registry.admin.call("RegistryService/SuppressAgent", name="default-agent")
    assert [one.suppressed for one in listed(registry)] == [True]


def test_the_default_agent_is_the_default_owners(registry: Registry) -> None:
    registry.app.declarations.default_agent = True
    ann = registry.user(login="Ann.Lee")
    registry.app.declarations.default_owner = "Ann.Lee"
    assert [(one.agent_slug, one.label) for one in listed(registry)] == [("ann-lee", "Ann.Lee")]
    registry.admin.call("UserService/DeactivateUser", user={"user_id": ann.user_id})
    # Without an owner there is none, and it becomes nobody else's.
    assert listed(registry) == []


def test_a_name_that_the_operator_suppresses_counts_like_one_in_the_store(
    registry: Registry,
) -> None:
    declare(registry, declared("a"), declared("b", origin=Origin.ENTRY_POINT, source="pkg"))
    registry.app.declarations.suppressed = frozenset({"pkg"})
    assert [(one.agent_slug, one.suppressed) for one in listed(registry)] == [
        ("b", True),
        ("a", False),
    ]


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("RegisterAgent", {"agent_slug": "x"}),
        ("UnregisterAgent", {"agent_slug": "x"}),
        ("SuppressAgent", {"name": "x"}),
        ("UnsuppressAgent", {"name": "x"}),
        ("ReadDefinitionSeeds", {"agent_slug": "x"}),
        ("GetAgentDefinition", {"agent_slug": "x"}),
        ("ListAgentDefinitions", {}),
        ("ReconcileAgents", {}),
        ("RegisterMemoryFileType", {"filename": "x.md"}),
        ("UnregisterMemoryFileType", {"filename": "x.md"}),
    ],
)
def test_it_is_for_administrators(
    shared_registry: Registry, method: str, fields: dict[str, Any]
) -> None:
    refusal = shared_registry.user().refused(f"RegistryService/{method}", **fields)
    assert refusal.what == "PERMISSION_DENIED ACTION_MISSING"


def test_a_declared_slug_is_nobody_elses_to_take(registry: Registry) -> None:
    ann, bob = registry.user(login="ann"), registry.user(login="bob")
    given = {"SOUL.md": "for ann's eyes"}
    register(registry, "scribe", memory_seeds=given, owner={"login": "ann"})
    register(registry, "bob", memory_seeds=given)
    create, rename = "AgentService/CreateAgent", "AgentService/RenameAgent"
    taken = bob.refused(create, agent_slug="scribe")
    assert taken.what == "FAILED_PRECONDITION SLUG_RESERVED"
    # Nor by a login that happens to be the same.
    own = bob.call("AgentService/ProvisionAgent").agent
    assert own.agent_slug == "bob-2"
    refusal = bob.refused(rename, agent={"agent_id": own.agent_id}, new_slug="Scribe")
    assert refusal.what == "FAILED_PRECONDITION SLUG_RESERVED"
    # Whoever it is for may, and has its seeds. A suppressed one is as much somebody's as before.
    # Anybody may take the slug once it is declared no longer.
    assert ann.call(create, agent_slug="scribe").created
    registry.admin.call("RegistryService/SuppressAgent", name="bob")
    refusal = bob.refused(rename, agent={"agent_id": own.agent_id}, new_slug="bob")
    assert refusal.what == "FAILED_PRECONDITION SLUG_RESERVED"
    registry.admin.call("RegistryService/UnregisterAgent", agent_slug="bob")
    bob.call(rename, agent={"agent_id": own.agent_id}, new_slug="bob")
