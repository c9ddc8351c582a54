from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from accredit_storage import migrate
from accredit_storage.errors import StoreBusy
from accredit_storage.records import MemoryFileType, MemoryLayer
from accredit_storage.store import Store
from tests.storage.making import LATER, NOW, all_at_once, put_memory_file_type


def test_a_new_database_has_six_types(store: Store) -> None:
    with store.read() as tx:
        found = tx.memory_file_types.all()
    shared, agent, network = MemoryLayer.SHARED, MemoryLayer.AGENT, MemoryLayer.NETWORK
    assert [(t.filename, t.priority, t.layer, t.is_protected, t.read_only) for t in found] == [
        ("NETWORK.md", 5, network, False, False),
        ("SITE.md", 10, shared, False, True),
        ("RULES.md", 15, shared, False, False),
        ("SOUL.md", 20, agent, True, False),
        ("USER.md", 25, agent, True, False),
        ("MEMORY.md", 30, agent, True, False),
    ]
    assert {(t.required_capability, t.label, t.version) for t in found} == {("", "", 1)}
    assert len({t.created_at for t in found} | {t.updated_at for t in found}) == 1


def test_one_of_the_six_that_was_removed_does_not_come_back(
    store: Store, database_url: str
) -> None:
    with store.write() as tx:
        removed = tx.memory_file_types.remove("SITE.md")
        assert removed is not None
        assert removed.filename == "SITE.md"
        assert tx.memory_file_types.remove("SITE.md") is None
    migrate.upgrade(database_url)
    with store.read() as tx:
        assert tx.memory_file_types.find("SITE.md") is None
        assert len(tx.memory_file_types.all()) == 5


def test_a_type_comes_back_as_it_was_registered(store: Store) -> None:
    with store.write() as tx:
        before, made = put_memory_file_type(
            tx, required_capability="edit_notes", label="Notes", is_protected=True
        )
    assert before is None
    assert made == MemoryFileType(
        filename="NOTES.md",
        layer=MemoryLayer.USER,
        priority=50,
        is_protected=True,
        read_only=False,
        required_capability="edit_notes",
        label="Notes",
        version=1,
        created_at=NOW,
        updated_at=NOW,
    )
    with store.read() as tx:
        assert tx.memory_file_types.find("NOTES.md") == made
        assert tx.memory_file_types.find("notes.md") is None


@pytest.mark.parametrize(
    "said",
    [
        {"layer": MemoryLayer.SHARED},
        {"priority": -1},
        {"is_protected": True},
        {"read_only": True},
        {"required_capability": "edit_notes"},
        {"label": "Notes"},
    ],
    ids=lambda said: "-".join(said),
)
def test_whatever_is_registered_differently_is_kept(store: Store, said: dict[str, Any]) -> None:
    with store.write() as tx:
        _, first = put_memory_file_type(tx)
        before, after = put_memory_file_type(tx, at=LATER, **said)
    assert before == first
    assert after == replace(first, **said, version=2, updated_at=LATER)
    with store.read() as tx:
        assert tx.memory_file_types.find("NOTES.md") == after


def test_registering_the_same_again_writes_nothing(store: Store) -> None:
    with store.write() as tx:
        _, first = put_memory_file_type(tx)
        assert put_memory_file_type(tx, at=LATER) == (first, first)
        assert tx.memory_file_types.find("NOTES.md") == first


def test_types_are_in_the_order_of_priority_and_then_of_filename(store: Store) -> None:
    with store.write() as tx:
        for filename, priority in (("b.md", 20), ("Z.md", 20), ("first.md", -5)):
            put_memory_file_type(tx, filename, priority=priority)
        names = [one.filename for one in tx.memory_file_types.all()]
    assert names == [
        "first.md",
        "NETWORK.md",
        "SITE.md",
        "RULES.md",
        "SOUL.md",
        "Z.md",
        "b.md",
        "USER.md",
        "MEMORY.md",
    ]


def test_racing_registrations_of_a_new_name_build_on_each_other(store: Store) -> None:
    def register(number: int) -> tuple[MemoryFileType | None, MemoryFileType]:
        with store.write() as tx:
            return put_memory_file_type(tx, priority=number)

    chain = sorted(all_at_once(8, register), key=lambda pair: pair[1].version)
    assert [after.version for _, after in chain] == list(range(1, 9))
    assert [before for before, _ in chain] == [None, *(after for _, after in chain[:-1])]


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_what_is_registered_again_is_not_removed_meanwhile(store: Store, database_url: str) -> None:
    with store.write() as tx:
        put_memory_file_type(tx)
    impatient = Store.open(f"{database_url}&options=-c%20lock_timeout%3D1ms")
    with closing(impatient), store.write() as tx:
        put_memory_file_type(tx)
        with pytest.raises(StoreBusy), impatient.write() as rival:
            rival.memory_file_types.remove("NOTES.md")


def test_a_layer_that_there_is_not_is_refused(store: Store) -> None:
    with pytest.raises(IntegrityError, match="ck_memory_file_types_layer"), store.write() as tx:
        tx._connection.execute(text("UPDATE memory_file_types SET layer = 'attic'"))
