import pytest

from accredit_storage.errors import Conflict
from accredit_storage.records import Reservation
from accredit_storage.store import Store
from tests.storage.making import EARLIER, LATER, NOW, user


def test_a_slug_is_reserved_until_it_expires(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx).user_id
        tx.reservations.put("scribe", ada, LATER)
        expected = Reservation(agent_slug="scribe", owner_id=ada, expire_at=LATER)
        assert tx.reservations.find("scribe", NOW) == expected
        assert tx.reservations.find("scribe", LATER) is None
        assert tx.reservations.find("Scribe", NOW) is None


def test_the_last_reservation_holds(store: Store) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada").user_id, user(tx, "bob").user_id
        tx.reservations.put("scribe", ada, LATER)
        tx.reservations.put("scribe", bob, NOW)
        expected = Reservation(agent_slug="scribe", owner_id=bob, expire_at=NOW)
        assert tx.reservations.find("scribe", EARLIER) == expected


def test_a_reservation_can_be_dropped_once(store: Store) -> None:
    with store.write() as tx:
        tx.reservations.put("scribe", user(tx).user_id, LATER)
        assert tx.reservations.drop("scribe")
        assert not tx.reservations.drop("scribe")
        assert tx.reservations.find("scribe", NOW) is None


def test_sweeping_removes_what_has_expired(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx).user_id
        for slug, expire_at in (("a", EARLIER), ("b", NOW), ("c", LATER)):
            tx.reservations.put(slug, ada, expire_at)
        assert tx.reservations.sweep(NOW) == 2
        assert tx.reservations.sweep(NOW) == 0
        assert tx.reservations.find("c", NOW) is not None


def test_a_reservation_outlives_its_owner_and_needs_one(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx).user_id
        tx.reservations.put("scribe", ada, LATER)
        tx.users.delete(ada)
        kept = tx.reservations.find("scribe", NOW)
        assert kept is not None
        assert kept.owner_id is None
    with pytest.raises(Conflict), store.write() as tx:
        tx.reservations.put("scribe", ada, LATER)
