from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from accredit_storage.canonical import canonical_json
from accredit_storage.errors import Conflict, StoreBusy
from accredit_storage.records import StoredDefinition, Suppression, UserId
from accredit_storage.schema import definitions
from accredit_storage.store import Store
from tests.storage.making import (
    EARLIER,
    LATER,
    NOW,
    SEEDS,
    all_at_once,
    put_definition,
    stored_seeds,
    user,
)


def test_a_definition_comes_back_as_it_was_declared(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx)
        before, made = put_definition(tx, registered_by=ada.user_id, owner_id=99)
        assert before is None
    expected = StoredDefinition(
        definition_id=made.definition_id,
        agent_slug="scribe",
        source="a-plugin",
        turn=1,
        label="A scribe",
        description="Writes things down",
        memory_seeds=stored_seeds(SEEDS),
        owner_id=UserId(99),
        owner_login="",
        owner_resolver="",
        default_config={"model": "m", "tools": [1, None, "x"]},
        meta={"from": {"file": "scribe.yaml"}},
        priority=10,
        registered_by=ada.user_id,
        version=1,
        created_at=NOW,
        updated_at=NOW,
    )
    assert made == expected
    with store.read() as tx:
        assert tx.definitions.find("scribe", source="a-plugin") == expected
        assert tx.definitions.seed_texts(made.definition_id) == SEEDS
        assert tx.definitions.find("Scribe", source="a-plugin") is None
        assert tx.definitions.find("scribe", source="another") is None


def test_declaring_again_keeps_id_and_birth_and_takes_a_new_turn(store: Store) -> None:
    with store.write() as tx:
        _, first = put_definition(tx)
        _, other = put_definition(tx, "critic")
    with store.write() as tx:
        before, after = put_definition(
            tx, at=LATER, label="Another", memory_seeds={}, owner_resolver="boss"
        )
    assert before == first
    assert other.turn == 2
    assert after == replace(
        first,
        turn=3,
        label="Another",
        memory_seeds={},
        owner_resolver="boss",
        version=2,
        updated_at=LATER,
    )
    with store.read() as tx:
        assert tx.definitions.all() == [after, other]


def test_declaring_the_same_again_writes_nothing(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx)
        _, first = put_definition(tx)
        put_definition(tx, "critic")
        same = {"tools": (1, None, "x"), "model": "m"}
        again = put_definition(tx, at=LATER, default_config=same, registered_by=ada.user_id)
        assert again == (first, first)
    with store.read() as tx:
        assert tx.definitions.find("scribe", source="a-plugin") == first


@pytest.mark.parametrize(
    "said",
    [
        {"label": "a scribe"},
        {"description": ""},
        {"memory_seeds": {**SEEDS, "MEMORY.md": "\n"}},
        {"owner_id": 1},
        {"owner_resolver": "boss"},
        {"default_config": {"model": "m", "tools": [True, None, "x"]}},
        {"default_config": {"model": "m", "tools": [1.5, None, "x"]}},
        {"meta": {}},
        {"priority": 11},
    ],
    ids=lambda said: "-".join(said),
)
def test_whatever_is_said_differently_is_kept(store: Store, said: dict[str, Any]) -> None:
    with store.write() as tx:
        put_definition(tx)
        _, after = put_definition(tx, at=LATER, **said)
    with store.read() as tx:
        assert tx.definitions.find("scribe", source="a-plugin") == after
    assert after.version == 2
    if "memory_seeds" in said:
        assert after.memory_seeds == stored_seeds(said["memory_seeds"])
        return
    for name, value in said.items():
        # As text, in which 1 is not True.
        assert canonical_json(getattr(after, name)) == canonical_json(value)


def test_every_source_has_a_definition_of_its_own(store: Store) -> None:
    with store.write() as tx:
        for source in ("b", "a", "c"):
            put_definition(tx, source=source)
        put_definition(tx, "critic", "a")
        put_definition(tx, source="b", label="Once more")
        found = tx.definitions.of_slug("scribe")
        assert [one.source for one in found] == ["a", "c", "b"]
        assert tx.definitions.of_slug("Scribe") == []


def test_definitions_are_in_the_order_in_which_they_were_first_declared(store: Store) -> None:
    with store.write() as tx:
        for slug in ("c", "a", "b"):
            put_definition(tx, slug)
        put_definition(tx, "c", label="Once more")
        found = tx.definitions.all()
        assert [one.agent_slug for one in found] == ["c", "a", "b"]


def test_the_seeds_of_each_are_its_own_and_go_with_it(store: Store) -> None:
    with store.write() as tx:
        a, b = (put_definition(tx, slug, memory_seeds={"A.md": slug})[1] for slug in "ab")
        put_definition(tx, "a", memory_seeds={"B.md": "another"})
        assert tx.definitions.seed_texts(a.definition_id) == {"B.md": "another"}
        assert tx.definitions.seed_texts(b.definition_id) == {"A.md": "b"}
        tx.definitions.remove("a", source="a-plugin")
        assert tx.definitions.seed_texts(a.definition_id) == {}
        assert tx.definitions.all() == [b]


def test_long_seeds_and_the_longest_names_are_kept(store: Store) -> None:
    seeds = {"é" * 127: "€\n" * 2**20, "SOUL.md": "x" * 2**22}
    slug, source = "s" * 200, "\U0001f916" * 100
    with store.write() as tx:
        put_definition(tx, slug, source, memory_seeds=seeds)
    with store.write() as tx:
        before, after = put_definition(tx, slug, source, memory_seeds=seeds)
        assert before is not None
        assert before.memory_seeds == after.memory_seeds == stored_seeds(seeds)
        assert tx.definitions.seed_texts(after.definition_id) == seeds
        assert after.version == 1


def test_a_definition_is_withdrawn_once_and_its_id_is_not_given_again(store: Store) -> None:
    with store.write() as tx:
        _, made = put_definition(tx)
        _, other = put_definition(tx, source="another")
        assert tx.definitions.remove("scribe", source="A-plugin") is None
        assert tx.definitions.remove("scribe", source="another") == other
        assert tx.definitions.remove("scribe", source="another") is None
        assert tx.definitions.all() == [made]
        before, anew = put_definition(tx, source="another")
        assert before is None
        assert anew.definition_id > other.definition_id


def test_a_definition_and_a_suppression_outlive_who_entered_them(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx)
        _, made = put_definition(tx, registered_by=ada.user_id, owner_id=ada.user_id)
        tx.suppressions.put("critic", ada.user_id, NOW)
        assert tx.users.delete(ada.user_id)
        assert tx.definitions.all() == [replace(made, registered_by=None)]
        (suppression,) = tx.suppressions.all()
        assert suppression.suppressed_by is None


def test_racing_declarations_take_turns(store: Store) -> None:
    def declare(number: int) -> StoredDefinition:
        with store.write() as tx:
            tx.exclusive("definitions")
            return put_definition(tx, f"agent-{number % 2}", label=str(number))[1]

    made = all_at_once(8, declare)
    assert sorted(one.turn for one in made) == list(range(1, 9))
    for slug in ("agent-0", "agent-1"):
        of_slug = sorted((one for one in made if one.agent_slug == slug), key=lambda one: one.turn)
        assert [one.version for one in of_slug] == [1, 2, 3, 4]
        with store.read() as tx:
            assert tx.definitions.of_slug(slug) == of_slug[-1:]


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_what_is_declared_again_is_not_withdrawn_meanwhile(store: Store, database_url: str) -> None:
    with store.write() as tx:
        put_definition(tx)
    impatient = Store.open(f"{database_url}&options=-c%20lock_timeout%3D1ms")
    with closing(impatient), store.write() as tx:
        put_definition(tx)
        with pytest.raises(StoreBusy), impatient.write() as rival:
            rival.definitions.remove("scribe", source="a-plugin")


def test_no_two_definitions_have_one_turn(store: Store) -> None:
    with store.write() as tx:
        put_definition(tx, "a")
        put_definition(tx, "b")
    with pytest.raises(Conflict), store.write() as tx:
        tx._connection.execute(update(definitions).values(turn=7))


def test_a_name_is_suppressed_once(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx)
        assert tx.suppressions.put("scribe", ada.user_id, NOW)
        assert not tx.suppressions.put("scribe", None, LATER)
        assert tx.suppressions.put("Scribe", None, EARLIER)
        assert tx.suppressions.all() == [
            Suppression(name="Scribe", suppressed_by=None, created_at=EARLIER),
            Suppression(name="scribe", suppressed_by=ada.user_id, created_at=NOW),
        ]
        assert tx.suppressions.remove("scribe")
        assert not tx.suppressions.remove("scribe")
        assert [one.name for one in tx.suppressions.all()] == ["Scribe"]


def test_of_racing_suppressions_one_counts(store: Store) -> None:
    def suppress(_: int) -> bool:
        with store.write() as tx:
            return tx.suppressions.put("scribe", None, NOW)

    assert all_at_once(8, suppress).count(True) == 1
