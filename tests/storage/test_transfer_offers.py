from datetime import timedelta
from typing import Any

import pytest

from accredit_storage.errors import Conflict
from accredit_storage.records import TransferOffer, User, UserUpdate
from accredit_storage.store import Store, Transaction
from tests.storage.making import EARLIER, LATER, NOW, agent, user


def offered(tx: Transaction, giver: User, receiver: User, slug: str = "scribe") -> TransferOffer:
    return tx.transfer_offers.add(
        agent_id=agent(tx, giver, slug).agent_id,
        owner_id=giver.user_id,
        new_owner_id=receiver.user_id,
        at=NOW,
        expire_at=LATER,
    )


def test_an_offer_comes_back_as_it_was_stored_while_it_is_open(store: Store) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "bob")
        made = offered(tx, ada, bob)
    assert (made.owner_id, made.new_owner_id) == (ada.user_id, bob.user_id)
    assert (made.created_at, made.expire_at) == (NOW, LATER)
    with store.write() as tx:
        for lock in (False, True):
            assert tx.transfer_offers.find(made.offer_id, NOW, lock=lock) == made
        assert tx.transfer_offers.find_for_agent(made.agent_id, NOW) == made
        assert tx.transfer_offers.describe(made) == (made, "scribe", "ada", "bob")
        # At its very end it is over.
        for at, expected in ((LATER - timedelta(microseconds=1), made), (LATER, None)):
            assert tx.transfer_offers.find(made.offer_id, at) == expected
            assert tx.transfer_offers.find_for_agent(made.agent_id, at) == expected
            assert tx.transfer_offers.count(at, owner_id=ada.user_id) == (expected is not None)


def test_an_agent_has_one_offer_at_a_time(store: Store) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "bob")
        made = offered(tx, ada, bob)
    again: dict[str, Any] = {
        "agent_id": made.agent_id,
        "owner_id": ada.user_id,
        "new_owner_id": bob.user_id,
        "at": NOW,
        "expire_at": LATER,
    }
    with pytest.raises(Conflict), store.write() as tx:
        tx.transfer_offers.add(**again)
    with store.write() as tx:
        assert tx.transfer_offers.end(agent_id=made.agent_id) == [made]
        assert tx.transfer_offers.end(agent_id=made.agent_id) == []
        # Its number is never given again.
        assert tx.transfer_offers.add(**again).offer_id > made.offer_id


def test_offers_are_counted_and_listed_by_side(store: Store) -> None:
    with store.write() as tx:
        ada, bob, cyd = (user(tx, login) for login in ("ada", "bob", "cyd"))
        first = offered(tx, ada, bob, "one")
        second = offered(tx, cyd, ada, "two")
        third = offered(tx, ada, cyd, "three")
    with store.read() as view:
        offers = view.transfer_offers
        assert offers.count(NOW, owner_id=ada.user_id) == 2
        assert offers.count(NOW, new_owner_id=ada.user_id) == 1

        def listed(made: bool, received: bool, after: int | None = None, limit: int = 9) -> object:
            page = offers.page(
                ada.user_id, made=made, received=received, at=NOW, after=after, limit=limit
            )
            return [offer for offer, *_ in page]

        assert listed(True, True) == [first, second, third]
        assert listed(True, False) == [first, third]
        assert listed(False, True) == [second]
        assert listed(True, True, after=first.offer_id, limit=1) == [second]
        described = offers.page(bob.user_id, made=True, received=True, at=NOW, after=None, limit=9)
        assert described == [(first, "one", "ada", "bob")]
        assert (
            offers.page(ada.user_id, made=True, received=True, at=LATER, after=None, limit=9) == []
        )


def test_all_offers_of_a_user_end_at_once_on_either_side(store: Store) -> None:
    with store.write() as tx:
        ada, bob, cyd = (user(tx, login) for login in ("ada", "bob", "cyd"))
        made = offered(tx, ada, bob, "one")
        received = offered(tx, cyd, ada, "two")
        others = offered(tx, cyd, bob, "three")
        assert tx.transfer_offers.end_of_user(ada.user_id) == [made, received]
        assert tx.transfer_offers.find(others.offer_id, NOW) == others


@pytest.mark.parametrize("goes", ["agent", "receiver"])
def test_an_offer_goes_with_what_it_refers_to(store: Store, goes: str) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "bob")
        made = offered(tx, ada, bob)
        if goes == "agent":
            tx.agents.delete(made.agent_id)
        else:
            tx.users.delete(bob.user_id)
        assert tx.transfer_offers.find(made.offer_id, NOW) is None


def test_what_has_expired_is_swept(store: Store) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "bob")
        made = offered(tx, ada, bob)
        assert tx.transfer_offers.sweep(EARLIER) == 0
        assert tx.transfer_offers.find(made.offer_id, NOW) == made
        assert tx.transfer_offers.sweep(LATER) == 1
        assert tx.transfer_offers.end(agent_id=made.agent_id) == []


def test_a_chosen_agent_is_forgotten_and_its_users_are_named(store: Store) -> None:
    with store.write() as tx:
        ada, bob, cyd = (user(tx, login) for login in ("ada", "bob", "cyd"))
        chosen, other = agent(tx, ada, "one").agent_id, agent(tx, ada, "two").agent_id
        for one, agent_id in ((ada, chosen), (bob, chosen), (cyd, other)):
            after = tx.users.update(one.user_id, UserUpdate(default_agent_id=agent_id), at=LATER)
            assert after is not None
            assert (after.default_agent_id, after.version) == (agent_id, 2)
        assert tx.users.forget_agent(chosen, LATER, only=cyd.user_id) == []
        assert tx.users.forget_agent(chosen, LATER, only=bob.user_id) == [bob.user_id]
        assert tx.users.forget_agent(chosen, LATER) == [ada.user_id]
        forgotten = tx.users.find(ada.user_id)
        assert forgotten is not None
        assert (forgotten.default_agent_id, forgotten.version) == (None, 3)
        # Should nobody have asked before: an agent that is gone is nobody's choice.
        tx.agents.delete(other)
        left = tx.users.find(cyd.user_id)
        assert left is not None
        assert left.default_agent_id is None
