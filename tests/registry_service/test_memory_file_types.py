"""Types of memory files: what the server knows of a file by its name."""

from typing import Any

import pytest

from accredit.v1 import registry_pb2 as pb
from accredit_storage.records import ChangeKind
from tests.registry import Registry
from tests.registry_service.declaring import (
    agent_file,
    changes,
    reconcile,
    register,
    revision,
)


def types(registry: Registry) -> list[Any]:
    return list(registry.user("GUEST").call("RegistryService/ListMemoryFileTypes").types)


def put(registry: Registry, filename: str, **fields: Any) -> Any:
    return registry.admin.call(
        "RegistryService/RegisterMemoryFileType", filename=filename, **fields
    ).type


def test_there_are_six_at_first(registry: Registry) -> None:
    found = [
        (
            one.filename,
            pb.MemoryLayer.Name(one.layer).removeprefix("MEMORY_LAYER_"),
            one.priority,
            one.protected,
            one.editable,
            one.label,
        )
        for one in types(registry)
    ]
    assert found == [
        ("NETWORK.md", "NETWORK", 5, False, True, "Network"),
        ("SITE.md", "SHARED", 10, False, False, "Site"),
        ("RULES.md", "SHARED", 15, False, True, "Rules"),
        ("SOUL.md", "AGENT", 20, True, True, "Soul"),
        ("USER.md", "AGENT", 25, True, True, "User"),
        ("MEMORY.md", "AGENT", 30, True, True, "Memory"),
    ]


def test_a_type_has_defaults_and_a_label_from_its_name(registry: Registry) -> None:
    made = put(registry, "folder/site-notes.md")
    assert (made.filename, made.label) == ("site-notes.md", "Site notes")
    assert (made.layer, made.priority) == (pb.MEMORY_LAYER_AGENT, 50)
    assert (made.protected, made.editable, made.required_capability) == (False, True, "")
    assert [one.filename for one in types(registry)][-1] == "site-notes.md"


def test_a_type_of_the_same_name_is_replaced(registry: Registry) -> None:
    put(registry, "SOUL.md", label="Being", priority=0, layer="MEMORY_LAYER_USER", read_only=True)
    first = types(registry)[0]
    assert (first.filename, first.label, first.priority) == ("SOUL.md", "Being", 0)
    assert (first.layer, first.protected, first.editable) == (pb.MEMORY_LAYER_USER, False, False)
    (row,) = changes(registry, ChangeKind.MEMORY_FILE_TYPE_CHANGED)
    assert row.before is not None
    assert row.after is not None
    assert (row.before["layer"], row.after["layer"]) == ("agent", "user")
    assert [(one.kind.value, one.subject_id) for one in row.subjects] == [
        ("memory_file_type", "SOUL.md")
    ]


def test_to_register_the_same_again_writes_nothing(registry: Registry) -> None:
    fields: dict[str, Any] = {"priority": 7, "required_capability": "notes:write"}
    made = put(registry, "NOTES.md", **fields)
    before = revision(registry)
    assert put(registry, "NOTES.md", **fields) == made
    assert revision(registry) == before


def test_a_type_is_deregistered_also_one_of_the_first_and_files_stay(registry: Registry) -> None:
    register(registry, "scribe")
    reconcile(registry.admin)
    gone = registry.admin.call("RegistryService/UnregisterMemoryFileType", filename="SOUL.md").type
    assert gone.filename == "SOUL.md"
    assert "SOUL.md" not in [one.filename for one in types(registry)]
    assert agent_file(registry, "scribe", "SOUL.md").exists()
    again = registry.admin.refused("RegistryService/UnregisterMemoryFileType", filename="SOUL.md")
    assert again.what == "NOT_FOUND MEMORY_FILE_TYPE_NOT_FOUND"


def test_a_seed_is_used_where_there_is_a_type_of_its_name(registry: Registry) -> None:
    put(registry, "NOTES.md")
    register(registry, "scribe", memory_seeds={"NOTES.md": "noted", "OTHER.md": "lost"})
    reconcile(registry.admin)
    assert agent_file(registry, "scribe", "NOTES.md").read_text() == "noted\n"
    assert not agent_file(registry, "scribe", "OTHER.md").exists()


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
    ],
)
def test_a_type_that_breaks_a_rule_is_refused_by_its_field(
    shared_registry: Registry, fields: dict[str, Any], field: str
) -> None:
    refusal = shared_registry.admin.refused(
        "RegistryService/RegisterMemoryFileType", **{"filename": "x.md", **fields}
    )
    assert (refusal.what, refusal.fields) == ("INVALID_ARGUMENT FIELD_INVALID", [field])
