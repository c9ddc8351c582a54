"""RegisterAgent, UnregisterAgent, SuppressAgent, and looking at what there is."""

from typing import Any

import pytest

from accredit_service.abilities.extensions.declarations import Origin
from accredit_storage.records import ChangeKind
from tests.api.asking import pages
from tests.declared.declaring import (
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
from tests.server import Server
from tests.storage.making import put_definition


def get(server: Server, slug: str, **fields: Any) -> Any:
    return server.admin.call(
        "RegistryService/GetAgentDefinition", agent_slug=slug, **fields
    ).definition


def test_what_is_registered_is_kept_clean_and_read_back(server: Server) -> None:
    owner = server.user()
    answer = register(
        server,
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
    one = get(server, "wiki GENERATOR")
    assert (one.agent_slug, one.label) == ("wiki-generator", "Wiki Generator")
    assert one.description == "Writes.\nAnd writes."
    assert [(seed.filename, seed.size, seed.text) for seed in one.memory_seeds] == [
        ("MEMORY.md", 8, ""),
        ("SOUL.md", 4, ""),
    ]
    assert seed_texts(server, "wiki-generator") == {"MEMORY.md": "größer", "SOUL.md": "soul"}
    assert (one.owner.user_id, one.owner.login) == (owner.user_id, "")
    assert dict(one.default_config) == {"model": "m", "depth": 3}
    assert list(one.meta["team"]) == ["a", "b"]
    assert (one.priority, one.source) == (-5, "wiki-plugin")
    assert one.origin == 1
    assert one.update_time.ToDatetime()
    assert one.etag
    assert answer.definition == one


def test_what_is_left_out_has_its_default(server: Server) -> None:
    register(server, "scribe")
    one = get(server, "scribe")
    assert (one.label, one.description, one.priority) == ("scribe", "", 10)
    assert (one.source, one.HasField("owner"), one.owner_resolver) == ("admin", False, "")


def test_to_declare_has_no_effect_by_itself(server: Server) -> None:
    register(server, "scribe")
    refusal = server.admin.refused("AgentService/GetAgent", agent={"agent_slug": "scribe"})
    assert refusal.what == "NOT_FOUND AGENT_NOT_FOUND"


def test_to_declare_the_same_again_writes_nothing(server: Server) -> None:
    fields: dict[str, Any] = {"label": "S", "memory_seeds": {"SOUL.md": "s"}}
    first = register(server, "scribe", **fields)
    before = revision(server)
    again = register(server, "scribe", **fields)
    assert (again.changed, again.definition) == (False, first.definition)
    assert revision(server) == before
    assert register(server, "scribe", label="T").changed
    assert revision(server) == before + 1


def test_the_log_has_the_digests_of_seeds_and_never_their_text(server: Server) -> None:
    register(server, "scribe", memory_seeds={"SOUL.md": "abc"}, meta={"a": 1})
    register(server, "scribe", label="New")
    server.admin.call("RegistryService/UnregisterAgent", agent_slug="scribe")
    first, second = changes(server, ChangeKind.DEFINITION_REGISTERED)
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
    (gone,) = changes(server, ChangeKind.DEFINITION_UNREGISTERED)
    assert (gone.before, gone.after) == (second.after, None)


def test_to_validate_answers_as_if_and_changes_nothing(server: Server) -> None:
    before = revision(server)
    answer = register(server, "scribe", validate_only=True)
    assert (answer.changed, answer.consistency_token) == (True, "")
    assert outcome(answer.outcome) == "PENDING"
    assert (listed(server), revision(server)) == ([], before)


def test_a_request_that_is_repeated_has_the_same_answer(server: Server) -> None:
    request_id = "123e4567-e89b-12d3-a456-426614174000"
    fields: dict[str, Any] = {"memory_seeds": {"..": "no name"}, "request_id": request_id}
    first = register(server, "scribe", **fields)
    before = revision(server)
    again = register(server, "scribe", **fields)
    assert (again.changed, again.definition) == (True, first.definition)
    assert (again.notices, revision(server)) == (first.notices, before)


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
    shared_server: Server, fields: dict[str, Any], field: str
) -> None:
    refusal = shared_server.admin.refused(
        "RegistryService/RegisterAgent", **{"agent_slug": "scribe", **fields}
    )
    assert (refusal.what.split()[0], refusal.fields) == ("INVALID_ARGUMENT", [field])


def test_seeds_are_bounded_in_all() -> None:
    """The wire bounds them further; packages and manifests have no wire."""
    whole = "x" * (2 * 1024 * 1024)
    declared("scribe", memory_seeds={"a.md": whole, "b.md": whole})
    with pytest.raises(Exception, match="at most 4194304 bytes"):
        declared("scribe", memory_seeds={"a.md": whole, "b.md": whole, "c.md": "x"})


def test_a_seed_without_a_name_or_a_text_is_dropped_and_that_is_said(server: Server) -> None:
    given = {"a/": "x", ".hidden": "x", "..": "x", "SOUL.md": " \n", "ok.md": "x"}
    answer = register(server, "scribe", memory_seeds=given)
    assert [seed.filename for seed in answer.definition.memory_seeds] == ["ok.md"]
    assert len(answer.notices) == 4
    assert sum("does not name a file" in notice for notice in answer.notices) == 3


def test_of_two_seeds_of_one_name_the_first_stays(server: Server) -> None:
    for first, second in (("SOUL.md", "../SOUL.md"), ("../SOUL.md", "SOUL.md")):
        answer = register(server, "scribe", memory_seeds={first: "b", second: "a"})
        assert answer.notices == ["memory_seeds: SOUL.md: given before: left out"]
        assert seed_texts(server, "scribe") == {"SOUL.md": "b"}


def test_an_owner_is_kept_by_id_and_has_to_be_known(server: Server) -> None:
    ann = server.user(login="Ann")
    for owner in ({"login": "Ann"}, {"user_id": ann.user_id}):
        kept = register(server, "scribe", owner=owner).definition
        assert (kept.owner.user_id, kept.owner.login) == (ann.user_id, "")
    for unknown in ({"login": "nobody"}, {"user_id": 2**40}):
        for validate_only in (False, True):
            refusal = server.admin.refused(
                "RegistryService/RegisterAgent",
                agent_slug="other",
                owner=unknown,
                validate_only=validate_only,
            )
            assert refusal.what == "NOT_FOUND USER_NOT_FOUND"
        # Who may not register learns nothing of who there is.
        stranger = server.user().refused(
            "RegistryService/RegisterAgent", agent_slug="other", owner=unknown
        )
        assert stranger.what == "PERMISSION_DENIED ACTION_MISSING"
    assert [one.agent_slug for one in listed(server)] == ["scribe"]


def test_an_etag_guards_what_is_registered_and_unregistered(server: Server) -> None:
    method, unregister = "RegistryService/RegisterAgent", "RegistryService/UnregisterAgent"
    missing = server.admin.refused(method, agent_slug="scribe", etag='"1"')
    assert (missing.what, missing.metadata) == ("ABORTED ETAG_MISMATCH", {})
    first = register(server, "scribe").definition
    second = register(server, "scribe", label="S", etag=first.etag).definition
    assert second.etag != first.etag
    # A seed is a part of it.
    text = {"SOUL.md": "s"}
    third = register(server, "scribe", label="S", memory_seeds=text).definition
    assert third.etag != second.etag
    assert get(server, "scribe").etag == listed(server)[0].etag == third.etag
    for call in (method, unregister):
        stale = server.admin.refused(call, agent_slug="scribe", etag=second.etag)
        assert (stale.what, stale.metadata) == ("ABORTED ETAG_MISMATCH", {"etag": third.etag})
    # It is the source's own that it guards.
    other = server.admin.refused(method, agent_slug="scribe", source="b", etag=third.etag)
    assert other.what == "ABORTED ETAG_MISMATCH"
    server.admin.call(unregister, agent_slug="scribe", etag=third.etag)
    # One that is made again is another: no etag of the old one fits.
    again = register(server, "scribe").definition
    assert again.etag not in (first.etag, second.etag, third.etag)


def test_seeds_stream_by_name_in_pieces(server: Server) -> None:
    large = "é" * 100_000
    register(server, "scribe", memory_seeds={"USER.md": "u", "SOUL.md": large})
    read = "RegistryService/ReadDefinitionSeeds"
    pieces = server.admin.call(read, agent_slug="Scribe")
    assert [(one.seed.filename, one.seed.size, len(one.content)) for one in pieces] == [
        ("SOUL.md", 200_000, 65_536),
        ("", 0, 65_536),
        ("", 0, 65_536),
        ("", 0, 3_392),
        ("USER.md", 1, 1),
    ]
    assert seed_texts(server, "scribe") == {"SOUL.md": large, "USER.md": "u"}
    # Those of the definition that wins, wherever it comes from.
    declare(server, declared("scribe", memory_seeds={"MEMORY.md": "m"}), declared("bare"))
    assert seed_texts(server, "scribe") == {"MEMORY.md": "m"}
    assert server.admin.call(read, agent_slug="bare") == []
    refusal = server.admin.refused(read, agent_slug="nobody")
    assert refusal.what == "NOT_FOUND DEFINITION_NOT_FOUND"


def test_a_hundred_overrides_are_told_of_the_strongest(server: Server) -> None:
    with server.app.store.write() as tx:
        for number in range(103):
            put_definition(tx, "scribe", f"source-{number:03}", memory_seeds={})
    (one,) = listed(server)
    assert one.source == "source-102"
    assert list(one.overrides) == [f"source-{number:03}" for number in range(2, 102)]


def test_a_resolver_that_this_server_does_not_have_is_a_notice(server: Server) -> None:
    answer = register(server, "scribe", owner_resolver="by-team")
    assert answer.notices == ["owner_resolver: this server has no 'by-team'"]
    assert outcome(answer.outcome) == "SKIPPED AGENT_OWNER_NOT_FOUND"


def test_definitions_of_several_sources_stand_side_by_side(server: Server) -> None:
    register(server, "scribe", label="A", source="a")
    later = register(server, "scribe", label="B", source="b")
    assert list(later.definition.overrides) == ["a"]
    # Declared anew, and so the last.
    assert register(server, "scribe", label="A2", source="a").definition.overrides == ["b"]
    assert get(server, "scribe").label == "A2"
    weak = register(server, "scribe", label="B2", source="b", priority=9)
    assert (weak.definition.label, list(weak.definition.overrides)) == ("B2", [])
    assert get(server, "scribe").label == "A2"

    server.admin.call("RegistryService/UnregisterAgent", agent_slug="scribe", source="a")
    assert get(server, "scribe").label == "B2"


def test_what_is_unregistered_is_gone_and_its_agent_stays(server: Server) -> None:
    register(server, "scribe", label="S")
    reconcile(server.admin)
    gone = server.admin.call("RegistryService/UnregisterAgent", agent_slug="Scribe").definition
    assert (gone.agent_slug, gone.label) == ("scribe", "S")
    assert listed(server) == []
    server.admin.call("AgentService/GetAgent", agent={"agent_slug": "scribe"})
    again = server.admin.refused("RegistryService/UnregisterAgent", agent_slug="scribe")
    assert again.what == "NOT_FOUND DEFINITION_NOT_FOUND"


def test_one_unregisters_ones_own_unless_a_source_is_named(server: Server) -> None:
    register(server, "scribe", source="plugin")
    refusal = server.admin.refused("RegistryService/UnregisterAgent", agent_slug="scribe")
    assert refusal.what == "NOT_FOUND DEFINITION_NOT_FOUND"
    assert "plugin" in refusal.message


def test_what_the_server_itself_declares_is_not_unregistered(server: Server) -> None:
    declare(server, declared("scribe", source="roles/scribe.yaml"))
    refusal = server.admin.refused("RegistryService/UnregisterAgent", agent_slug="scribe")
    assert refusal.what == "FAILED_PRECONDITION MANIFEST_OWNED"
    assert refusal.metadata["source"] == "roles/scribe.yaml"


def test_an_unknown_definition_is_not_found(server: Server) -> None:
    refusal = server.admin.refused("RegistryService/GetAgentDefinition", agent_slug="nobody")
    assert refusal.what == "NOT_FOUND DEFINITION_NOT_FOUND"


def test_a_suppressed_definition_gives_way_to_the_next(server: Server) -> None:
    declare(server, declared("scribe", label="Manifest", source="m.yaml"))
    register(server, "scribe", label="Registered")
    register(server, "other")
    answer = server.admin.call("RegistryService/SuppressAgent", name="m.yaml")
    assert (answer.changed, list(answer.agent_slugs)) == (True, ["scribe"])
    one = get(server, "scribe")
    assert (one.label, one.suppressed, list(one.overrides)) == ("Registered", False, [])

    server.admin.call("RegistryService/UnsuppressAgent", name="m.yaml")
    assert get(server, "scribe").label == "Manifest"


def test_a_suppressed_slug_is_listed_and_not_reconciled(server: Server) -> None:
    register(server, "scribe")
    server.admin.call("RegistryService/SuppressAgent", name="scribe")
    assert [(one.agent_slug, one.suppressed) for one in listed(server)] == [("scribe", True)]
    (result,) = reconcile(server.admin)
    assert outcome(result) == "SKIPPED DEFINITION_SUPPRESSED"
    assert result.error.code == 9
    server.admin.call("RegistryService/UnsuppressAgent", name="scribe")
    assert outcome(reconcile(server.admin)[0]) == "CREATED"


def test_to_suppress_twice_writes_once(server: Server) -> None:
    before = revision(server)
    for method, changed in (
        ("UnsuppressAgent", False),
        ("SuppressAgent", True),
        ("SuppressAgent", False),
        ("UnsuppressAgent", True),
    ):
        answer = server.admin.call(f"RegistryService/{method}", name="x")
        assert answer.changed is changed
    assert revision(server) == before + 2
    first, last = changes(server, ChangeKind.DEFINITION_SUPPRESSED)
    assert (first.after, last.after) == ({"suppressed": True}, {"suppressed": False})
    assert first.subjects[0].subject_id == "x"


def test_a_name_to_suppress_is_a_name(shared_server: Server) -> None:
    for name in ("", " ", "x" * 201):
        for method in ("SuppressAgent", "UnsuppressAgent"):
            refusal = shared_server.admin.refused(f"RegistryService/{method}", name=name)
            assert refusal.fields == ["name"]


def test_lists_are_in_the_order_of_first_declaration_page_by_page(server: Server) -> None:
    for slug in ("c", "a", "b"):
        register(server, slug, memory_seeds={"SOUL.md": "xy"}, meta={"m": 1})
    register(server, "first", priority=1)
    declare(server, declared("manifest"), declared("a", label="Wins"))
    # Anew, which wins anew but moves nothing.
    register(server, "c", label="C", memory_seeds={"SOUL.md": "xy"}, meta={"m": 2})
    found = pages(server.admin, "RegistryService/ListAgentDefinitions", "definitions", page_size=2)
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


def test_notices_come_with_the_first_page(server: Server) -> None:
    server.app.declarations.replace_manifests(
        [declared("a"), declared("b")], [f"notice {number}" for number in range(150)]
    )
    call = server.admin.call
    first = call("RegistryService/ListAgentDefinitions", page_size=1)
    assert (first.notices[0], len(first.notices)) == ("notice 0", 100)
    token = first.next_page_token
    second = call("RegistryService/ListAgentDefinitions", page_size=1, page_token=token)
    assert [one.agent_slug for one in second.definitions] == ["b"]
    assert list(second.notices) == []


def test_the_default_agent_is_declared_like_any_other(server: Server) -> None:
    server.app.declarations.default_agent = True
    (one,) = listed(server)
    assert (one.agent_slug, one.label, one.source) == ("admin", "Administrator", "default-agent")
    assert one.description == "Default site administrator agent."
    assert (one.origin, one.owner.user_id) == (4, server.admin.user_id)

    server.admin.call("RegistryService/SuppressAgent", name="default-agent")
    assert [one.suppressed for one in listed(server)] == [True]


def test_the_default_agent_is_the_default_owners(server: Server) -> None:
    server.app.declarations.default_agent = True
    ann = server.user(login="Ann.Lee")
    server.app.declarations.default_owner = "Ann.Lee"
    assert [(one.agent_slug, one.label) for one in listed(server)] == [("ann-lee", "Ann.Lee")]
    server.admin.call("UserService/DeactivateUser", user={"user_id": ann.user_id})
    # Without an owner there is none, and it becomes nobody else's.
    assert listed(server) == []


def test_a_name_that_the_operator_suppresses_counts_like_one_in_the_store(
    server: Server,
) -> None:
    declare(server, declared("a"), declared("b", origin=Origin.ENTRY_POINT, source="pkg"))
    server.app.declarations.suppressed = frozenset({"pkg"})
    assert [(one.agent_slug, one.suppressed) for one in listed(server)] == [
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
    shared_server: Server, method: str, fields: dict[str, Any]
) -> None:
    refusal = shared_server.user().refused(f"RegistryService/{method}", **fields)
    assert refusal.what == "PERMISSION_DENIED ACTION_MISSING"


def test_a_declared_slug_is_nobody_elses_to_take(server: Server) -> None:
    ann, bob = server.user(login="ann"), server.user(login="bob")
    given = {"SOUL.md": "for ann's eyes"}
    register(server, "scribe", memory_seeds=given, owner={"login": "ann"})
    register(server, "bob", memory_seeds=given)
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
    server.admin.call("RegistryService/SuppressAgent", name="bob")
    refusal = bob.refused(rename, agent={"agent_id": own.agent_id}, new_slug="bob")
    assert refusal.what == "FAILED_PRECONDITION SLUG_RESERVED"
    server.admin.call("RegistryService/UnregisterAgent", agent_slug="bob")
    bob.call(rename, agent={"agent_id": own.agent_id}, new_slug="bob")
