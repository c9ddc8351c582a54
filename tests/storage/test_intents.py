import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from accredit_storage.errors import Conflict
from accredit_storage.records import Intent, IntentKind
from accredit_storage.store import Store
from tests.storage.making import LATER, NOW


def intent(intent_id: str = "a", **values: Any) -> Intent:
    made = {
        "intent_id": intent_id,
        "holder": f"holder of {intent_id}",
        "kind": IntentKind.RENAME,
        "agent_id": ord(intent_id),
        "source": f"{intent_id}-old",
        "target": f"{intent_id}-new",
        "recorded_at": NOW,
    }
    return Intent(**{**made, **values})


def test_an_intent_is_kept_as_it_was_recorded(store: Store) -> None:
    created = intent("b", kind=IntentKind.CREATE, agent_id=None, recorded_at=LATER)
    with store.write() as tx:
        tx.intents.add(created)
        tx.intents.add(intent("a"))
    with store.read() as tx:
        assert tx.intents.all() == [intent("a"), created]


def test_an_intent_is_removed_once(store: Store) -> None:
    with store.write() as tx:
        tx.intents.add(intent())
        assert tx.intents.remove("a")
        assert not tx.intents.remove("a")
        assert tx.intents.all() == []


@pytest.mark.parametrize("shared", ["agent_id", "source", "target"])
def test_two_intents_share_neither_agent_nor_place(store: Store, shared: str) -> None:
    other = intent("b", **{shared: getattr(intent("a"), shared)})
    with store.write() as tx:
        tx.intents.add(intent("a"))
    with pytest.raises(Conflict), store.write() as tx:
        tx.intents.add(other)


def test_agents_that_are_being_made_are_many(store: Store) -> None:
    with store.write() as tx:
        for name in "abc":
            tx.intents.add(intent(name, agent_id=None))
        assert tx.intents.touching(None) == []
        assert len(tx.intents.all()) == 3


def test_what_touches_an_agent_or_a_name_is_found(store: Store) -> None:
    with store.write() as tx:
        tx.intents.add(intent("a"))
        tx.intents.add(intent("b"))

        def found(*asked: Any) -> list[str]:
            return [one.intent_id for one in tx.intents.touching(*asked)]

        assert found(ord("a")) == ["a"]
        assert found(None, ["b-old"]) == ["b"]
        assert found(None, ["x", "a-new"]) == ["a"]
        assert found(ord("a"), ["b-new"]) == ["a", "b"]
        assert found(7, ["a", "A-old", "a-old "]) == []


def test_a_holder_has_its_own(store: Store) -> None:
    with store.write() as tx:
        for name in "ab":
            tx.intents.add(intent(name, holder="h"))
        tx.intents.add(intent("c"))
        assert [one.intent_id for one in tx.intents.of_holder("h", lock=True)] == ["a", "b"]


@pytest.mark.parametrize("commits", [True, False])
def test_whoever_locks_an_intent_waits_for_how_its_removal_ends(
    store: Store, commits: bool
) -> None:
    with store.write() as tx:
        tx.intents.add(intent("a", holder="h"))
    removed, begun = threading.Event(), threading.Event()

    def look() -> list[Intent]:
        removed.wait(30)
        begun.set()
        with store.write() as tx:
            return tx.intents.of_holder("h", lock=True)

    class Undone(Exception):
        pass

    with ThreadPoolExecutor(1) as threads:
        looking = threads.submit(look)
        try:
            with store.write() as tx:
                assert tx.intents.remove("a")
                removed.set()
                assert begun.wait(30)
                if not commits:
                    raise Undone
        except Undone:
            pass
        assert len(looking.result(30)) == (0 if commits else 1)
