"""Types of memory files: what the server knows of a file by its name."""

from typing import Any

import pytest

from accredit.v1 import registry_pb2 as pb
from accredit_storage.records import ChangeKind
from tests.api.asking import pages
from tests.declared.declaring import (
    agent_file,
    changes,
    reconcile,
    register,
    revision,
)
from tests.server import Server
from tests.storage.making import put_memory_file_type


def types(server: Server) -> list[Any]:
    answer = server.user("GUEST").call("RegistryService/ListMemoryFileTypes")
    return list(answer.memory_file_types)


def put(server: Server, filename: str, **fields: Any) -> Any:
    fields.setdefault("layer", "MEMORY_LAYER_AGENT")
    answer = server.admin.call(
        "RegistryService/RegisterMemoryFileType", filename=filename, **fields
    )
    return answer.memory_file_type


def test_there_are_six_at_first(server: Server) -> None:
    found = [
        (
            one.filename,
            pb.MemoryLayer.Name(one.layer).removeprefix("MEMORY_LAYER_"),
            one.priority,
            one.is_protected,
            one.read_only,
            one.label,
        )
        for one in types(server)
    ]
    assert found == [
        ("NETWORK.md", "NETWORK", 5, False, False, "Network"),
        ("SITE.md", "SHARED", 10, False, True, "Site"),
        ("RULES.md", "SHARED", 15, False, False, "Rules"),
        ("SOUL.md", "AGENT", 20, True, False, "Soul"),
        ("USER.md", "AGENT", 25, True, False, "User"),
        ("MEMORY.md", "AGENT", 30, True, False, "Memory"),
    ]


def test_a_type_has_defaults_and_a_label_from_its_name(server: Server) -> None:
    made = put(server, "folder/site-notes.md")
    assert (made.filename, made.label) == ("site-notes.md", "Site notes")
    assert (made.layer, made.priority) == (pb.MEMORY_LAYER_AGENT, 50)
    assert (made.is_protected, made.read_only, made.required_capability) == (False, False, "")
    assert [one.filename for one in types(server)][-1] == "site-notes.md"


def test_a_type_of_the_same_name_is_replaced(server: Server) -> None:
    put(server, "SOUL.md", label="Being", priority=0, layer="MEMORY_LAYER_USER", read_only=True)
    first = types(server)[0]
    assert (first.filename, first.label, first.priority) == ("SOUL.md", "Being", 0)
    assert (first.layer, first.is_protected, first.read_only) == (pb.MEMORY_LAYER_USER, False, True)
    (row,) = changes(server, ChangeKind.MEMORY_FILE_TYPE_CHANGED)
    assert row.before is not None
    assert row.after is not None
    assert (row.before["layer"], row.after["layer"]) == ("agent", "user")
    assert [(one.kind.value, one.subject_id) for one in row.subjects] == [
        ("memory_file_type", "SOUL.md")
    ]


def test_to_register_the_same_again_writes_nothing(server: Server) -> None:
    fields: dict[str, Any] = {"priority": 7, "required_capability": "notes:write"}
    made = put(server, "NOTES.md", **fields)
    before = revision(server)
    assert put(server, "NOTES.md", **fields) == made
    assert revision(server) == before


def test_a_type_is_unregistered_also_one_of_the_first_and_files_stay(server: Server) -> None:
    register(server, "scribe")
    reconcile(server.admin)
    answer = server.admin.call("RegistryService/UnregisterMemoryFileType", filename="SOUL.md")
    assert answer.memory_file_type.filename == "SOUL.md"
    assert "SOUL.md" not in [one.filename for one in types(server)]
    assert agent_file(server, "scribe", "SOUL.md").exists()
    again = server.admin.refused("RegistryService/UnregisterMemoryFileType", filename="SOUL.md")
    assert again.what == "NOT_FOUND MEMORY_FILE_TYPE_NOT_FOUND"


def test_a_seed_is_used_where_there_is_a_type_of_its_name(server: Server) -> None:
    put(server, "NOTES.md")
    register(server, "scribe", memory_seeds={"NOTES.md": "noted", "OTHER.md": "lost"})
    reconcile(server.admin)
    assert agent_file(server, "scribe", "NOTES.md").read_text() == "noted\n"
    assert not agent_file(server, "scribe", "OTHER.md").exists()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"filename": ""}, "filename", id="no name"),
        pytest.param({"filename": "a/"}, "filename", id="a folder"),
        pytest.param({"filename": ".accredit"}, "filename", id="one of the store's own"),
        pytest.param({"filename": "é" * 128}, "filename", id="a long name"),
        pytest.param({"priority": 1001}, "priority", id="a high priority"),
        pytest.param({"priority": -1}, "priority", id="a low priority"),
        pytest.param({"required_capability": "A"}, "required_capability", id="no capability"),
        pytest.param({"label": "x" * 201}, "label", id="a long label"),
        pytest.param({"layer": 99}, "layer", id="an unknown layer"),
        pytest.param({"layer": 0}, "layer", id="no layer"),
    ],
)
def test_a_type_that_breaks_a_rule_is_refused_by_its_field(
    shared_server: Server, fields: dict[str, Any], field: str
) -> None:
    refusal = shared_server.admin.refused(
        "RegistryService/RegisterMemoryFileType", **{"filename": "x.md", "layer": 2, **fields}
    )
    assert (refusal.what, refusal.fields) == ("INVALID_ARGUMENT FIELD_INVALID", [field])


def test_types_come_in_pages_by_priority_and_then_by_name(server: Server) -> None:
    for name in ("b.md", "a.md"):
        put(server, name, priority=20)
    found = pages(
        server.user("GUEST"),
        "RegistryService/ListMemoryFileTypes",
        "memory_file_types",
        page_size=3,
    )
    assert [[one.filename for one in page] for page in found] == [
        ["NETWORK.md", "SITE.md", "RULES.md"],
        ["SOUL.md", "a.md", "b.md"],
        ["USER.md", "MEMORY.md"],
    ]


def test_an_etag_guards_what_is_registered_and_unregistered(server: Server) -> None:
    register_type, unregister = (
        "RegistryService/RegisterMemoryFileType",
        "RegistryService/UnregisterMemoryFileType",
    )
    fields: dict[str, Any] = {"filename": "NOTES.md", "layer": "MEMORY_LAYER_AGENT"}
    admin = server.admin
    missing = admin.refused(register_type, **fields, etag='"1"')
    assert (missing.what, missing.metadata) == ("ABORTED ETAG_MISMATCH", {})
    first = put(server, "NOTES.md")
    second = put(server, "NOTES.md", label="Notes two", etag=first.etag)
    assert second.etag != first.etag
    for method, more in ((register_type, fields), (unregister, {"filename": "NOTES.md"})):
        stale = admin.refused(method, **more, etag=first.etag)
        assert (stale.what, stale.metadata) == ("ABORTED ETAG_MISMATCH", {"etag": second.etag})
    admin.call(unregister, filename="NOTES.md", etag=second.etag)
    # One that is made again is another: no etag of the old one fits.
    assert put(server, "NOTES.md").etag not in (first.etag, second.etag)


def test_there_are_five_hundred_types_at_most(server: Server) -> None:
    with server.app.store.write() as tx:
        for number in range(494):
            put_memory_file_type(tx, f"{number}.md")
    refusal = server.admin.refused(
        "RegistryService/RegisterMemoryFileType", filename="more.md", layer="MEMORY_LAYER_AGENT"
    )
    assert refusal.what == "RESOURCE_EXHAUSTED QUOTA_EXCEEDED"
    assert refusal.metadata == {"limit": "500", "counted": "memory_file_types"}
    # One that is there can still be changed.
    assert put(server, "1.md", label="One").label == "One"
