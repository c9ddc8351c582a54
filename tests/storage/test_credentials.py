import pytest

from accredit_storage.records import Credential, Role
from accredit_storage.store import Store
from tests.storage.making import EARLIER, LATER, NOW, agent, at_least, digest_of, token, user


def both_ways(store: Store, token_id: str) -> Credential | None:
    """The credential as it is found by the digest, and must be by the id."""
    with store.write() as tx:
        found = tx.credentials.find_by_digest(digest_of(token_id))
        assert tx.credentials.find(token_id) == found
    return found


def test_a_users_token_rests_on_the_user(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx)
        made = token(tx, "t1", ada, ada)
    expected = Credential(token=made, user=ada, agent=None, minter=ada, minter_grant=None)
    assert both_ways(store, "t1") == expected


def test_a_token_that_somebody_else_minted_rests_on_them_too(store: Store) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "bob")
        made = token(tx, "t1", ada, bob)
    expected = Credential(token=made, user=ada, agent=None, minter=bob, minter_grant=None)
    assert both_ways(store, "t1") == expected


@pytest.mark.parametrize("expire_at", [None, EARLIER, LATER])
def test_an_agents_token_rests_on_its_owner_and_the_minters_grant(
    store: Store, expire_at: None
) -> None:
    with store.write() as tx:
        ada, bob, cyd = (user(tx, login) for login in ("ada", "bob", "cyd"))
        scribe, clerk = agent(tx, ada, "scribe"), agent(tx, ada, "clerk")
        made = token(tx, "t1", scribe, bob, ceiling=at_least(Role.VIEWER))
        _, grant = tx.grants.put(scribe.agent_id, bob.user_id, Role.ADMIN, None, NOW, expire_at)
        tx.grants.put(clerk.agent_id, bob.user_id, Role.VIEWER, None, NOW, None)
        tx.grants.put(scribe.agent_id, cyd.user_id, Role.VIEWER, None, NOW, None)
    expected = Credential(token=made, user=ada, agent=scribe, minter=bob, minter_grant=grant)
    assert both_ways(store, "t1") == expected


def test_an_owner_mints_without_a_grant_even_if_there_is_one(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx)
        scribe = agent(tx, ada)
        made = token(tx, "t1", scribe, ada)
        tx.grants.put(scribe.agent_id, ada.user_id, Role.VIEWER, None, NOW, None)
    expected = Credential(token=made, user=ada, agent=scribe, minter=ada, minter_grant=None)
    assert both_ways(store, "t1") == expected


def test_revoked_and_expired_tokens_are_found_and_unknown_ones_are_not(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx)
        made = token(tx, "t1", ada, ada, expire_at=EARLIER, revoked_at=EARLIER)
    found = both_ways(store, "t1")
    assert found is not None
    assert found.token == made
    assert both_ways(store, "nobody") is None
