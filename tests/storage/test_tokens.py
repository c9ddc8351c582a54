import random
from dataclasses import replace
from datetime import timedelta

import pytest

from accredit_storage.errors import Conflict
from accredit_storage.records import Ceiling, Role, Token, TokenKey
from accredit_storage.store import Store, Transaction
from tests.storage.making import (
    EARLIER,
    LATER,
    NOW,
    agent,
    all_at_once,
    at_least,
    digest_of,
    token,
    user,
)


@pytest.mark.parametrize(
    "ceiling",
    [None, Ceiling(max_role=Role.VIEWER, capabilities=()), at_least(Role.ADMIN)],
    ids=["full-rights", "nothing", "some"],
)
def test_a_token_comes_back_as_it_was_stored(store: Store, ceiling: Ceiling | None) -> None:
    with store.write() as tx:
        ada = user(tx)
        made = token(tx, "t1", agent(tx, ada), ada, expire_at=LATER, ceiling=ceiling)
    with store.read() as tx:
        assert tx.tokens.find("t1") == made
        found = tx.credentials.find_by_digest(digest_of("t1"))
        assert found is not None
        assert found.token == made
        assert tx.tokens.find("T1") is None
        assert tx.credentials.find_by_digest(digest_of("t1")[:-1]) is None


def test_every_field_of_a_token_is_stored(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx)
        made = Token(
            token_id="t1",
            agent_id=None,
            user_id=ada.user_id,
            label="é" * 200,
            ceiling=at_least(Role.OPERATOR),
            act_as_owner=True,
            created_by=ada.user_id,
            created_at=EARLIER,
            expire_at=LATER,
            revoked_at=NOW,
            rotated_from="t0",
            replaced_by="t2",
            last_used_at=NOW,
            version=7,
        )
        tx.tokens.add(made, bytes(range(32)), "k1")
        found = tx.credentials.find_by_digest(bytes(range(32)))
        assert found is not None
        assert found.token == made


def test_a_token_has_one_bearer(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx)
        scribe = agent(tx, ada)
        made = token(tx, "t1", scribe, ada)
    for bearer in ({"agent_id": None}, {"user_id": ada.user_id}):
        with pytest.raises(Exception, match="bearer"), store.write() as tx:
            tx.tokens.add(replace(made, token_id="t2", **bearer), b"x", "k1")


def test_a_taken_id_or_digest_is_a_conflict(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx)
        made = token(tx, "t1", ada, ada)
    with pytest.raises(Conflict), store.write() as tx:
        tx.tokens.add(made, b"another", "k1")
    with pytest.raises(Conflict), store.write() as tx:
        tx.tokens.add(replace(made, token_id="t2"), digest_of("t1"), "k1")


def ids(page: list[Token]) -> list[str]:
    return [one.token_id for one in page]


def walk(tx: Transaction, limit: int, **filters: object) -> list[str]:
    found: list[str] = []
    after = None
    while page := tx.tokens.page(**filters, at=NOW, after=after, limit=limit):  # type: ignore[arg-type]
        assert len(page) <= limit
        found += ids(page)
        after = (page[-1].created_at, page[-1].token_id)
    return found


def test_tokens_are_paged_newest_first(store: Store) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "bob")
        scribe, clerk = agent(tx, ada, "scribe"), agent(tx, ada, "clerk")
        token(tx, "old", scribe, ada, at=EARLIER)
        token(tx, "new", scribe, bob, at=LATER)
        for tied in ("b", "Z", "a", "é", "\U0001f916"):
            token(tx, tied, scribe, ada)
        token(tx, "other", clerk, ada)
        token(tx, "adas", ada, ada)
    with store.read() as tx:
        expected = ["new", "\U0001f916", "é", "b", "a", "Z", "old"]
        for limit in (1, 2, 100):
            of_scribe = walk(
                tx, limit, agent_id=scribe.agent_id, user_id=None, include_inactive=True
            )
            assert of_scribe == expected
            of_ada = walk(tx, limit, agent_id=None, user_id=ada.user_id, include_inactive=True)
            assert of_ada == ["adas"]
            everybodys = walk(tx, limit, agent_id=None, user_id=None, include_inactive=True)
            assert set(everybodys) == {*expected, "other", "adas"}
            assert (everybodys[0], everybodys[-1]) == ("new", "old")


def test_inactive_tokens_are_shown_when_asked_for(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx)
        token(tx, "a-live", ada, ada, expire_at=LATER)
        token(tx, "b-live", ada, ada)
        token(tx, "expired", ada, ada, expire_at=NOW)
        token(tx, "revoked", ada, ada, revoked_at=EARLIER)
        everything = walk(tx, 2, agent_id=None, user_id=ada.user_id, include_inactive=True)
        assert everything == ["revoked", "expired", "b-live", "a-live"]
        live = walk(tx, 1, agent_id=None, user_id=ada.user_id, include_inactive=False)
        assert live == ["b-live", "a-live"]


def test_a_replaced_token_names_its_successor_and_ends(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx)
        made = token(tx, "t1", ada, ada)
        replaced = tx.tokens.set_replaced("t1", successor_id="t2", expire_at=LATER)
        assert replaced == replace(made, replaced_by="t2", expire_at=LATER, version=2)
        assert tx.tokens.find("t1") == replaced
        assert tx.tokens.set_replaced("nobody", successor_id="t2", expire_at=LATER) is None


def test_a_token_is_revoked_once(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx)
        made = token(tx, "t1", ada, ada)
        revoked = tx.tokens.revoke("t1", LATER)
        assert revoked == replace(made, revoked_at=LATER, version=2)
        assert tx.tokens.revoke("t1", NOW) is None
        assert tx.tokens.revoke("nobody", NOW) is None
        assert tx.tokens.find("t1") == revoked


def test_revoking_many_takes_the_live_ones_of_which_everything_is_true(store: Store) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "bob")
        scribe, clerk = agent(tx, ada, "scribe"), agent(tx, ada, "clerk")
        token(tx, "s-ada", scribe, ada)
        token(tx, "s-bob", scribe, bob, expire_at=LATER)
        token(tx, "s-expired", scribe, ada, expire_at=NOW)
        token(tx, "s-revoked", scribe, ada, revoked_at=EARLIER)
        token(tx, "c-ada", clerk, ada)
        token(tx, "u-ada", ada, ada)
        for expected in (["s-bob"], []):
            of_both = tx.tokens.revoke_where(
                agent_id=scribe.agent_id, created_by=bob.user_id, at=NOW
            )
            assert of_both == expected
        assert tx.tokens.revoke_where(agent_id=scribe.agent_id, at=NOW) == ["s-ada"]
        assert tx.tokens.revoke_where(user_id=ada.user_id, at=NOW) == ["u-ada"]
        assert tx.tokens.revoke_where(created_by=ada.user_id, at=NOW) == ["c-ada"]
        kept = tx.tokens.find("s-revoked")
        assert kept is not None
        assert (kept.revoked_at, kept.version) == (EARLIER, 1)
        with pytest.raises(ValueError, match="whose"):
            tx.tokens.revoke_where(at=NOW)


def test_what_somebody_minted_or_vouches_for_goes_together(store: Store) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "bob")
        token(tx, "of-scribe", agent(tx, ada), ada)
        token(tx, "of-bob", bob, bob)
        token(tx, "vouched", bob, bob, vouchers=[ada.user_id])
        assert tx.tokens.vouchers("vouched") == [ada.user_id]
        assert tx.tokens.vouchers("of-bob") == []
        assert tx.tokens.minted_by(ada.user_id) == ["of-scribe", "vouched"]
        assert tx.tokens.revoke_where(created_by=ada.user_id, at=NOW) == ["of-scribe"]
        assert tx.tokens.revoke_where(minted_by=ada.user_id, at=NOW) == ["vouched"]
        tx.tokens.delete_minted(ada.user_id)
        assert tx.tokens.find("vouched") is None
        assert tx.tokens.find("of-bob") is not None


def test_last_use_never_moves_backwards_and_is_no_version(store: Store) -> None:
    def used(token_id: str) -> object:
        with store.read() as tx:
            found = tx.tokens.find(token_id)
        assert found is not None
        assert found.version == 1
        return found.last_used_at

    with store.write() as tx:
        ada = user(tx)
        for token_id in ("t1", "t2", "t3"):
            token(tx, token_id, ada, ada)
        tx.tokens.touch({})
        tx.tokens.touch({"t2": NOW, "t1": LATER, "nobody": NOW})
    assert (used("t1"), used("t2"), used("t3")) == (LATER, NOW, None)
    with store.write() as tx:
        tx.tokens.touch({"t1": NOW, "t2": LATER, "t3": EARLIER})
    assert (used("t1"), used("t2"), used("t3")) == (LATER, LATER, EARLIER)


def test_a_thousand_are_touched_at_once(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx)
        for number in range(1000):
            token(tx, f"t{number:04}", ada, ada)
        tx.tokens.touch({f"t{n:04}": NOW + timedelta(seconds=n) for n in range(1000)})
        last = tx.tokens.find("t0999")
        assert last is not None
        assert last.last_used_at == NOW + timedelta(seconds=999)


def test_servers_that_flush_at_once_do_not_deadlock(store: Store) -> None:
    names = [f"t{number:03}" for number in range(200)]
    with store.write() as tx:
        ada = user(tx)
        for name in names:
            token(tx, name, ada, ada)

    def flush(number: int) -> None:
        for _ in range(3):
            used = random.Random(number).sample(names, len(names))
            with store.write() as tx:
                tx.tokens.touch(dict.fromkeys(used, NOW + timedelta(seconds=number)))

    all_at_once(4, flush)
    with store.read() as reader:
        page = reader.tokens.page(
            agent_id=None, user_id=None, include_inactive=True, at=NOW, after=None, limit=200
        )
    assert {one.last_used_at for one in page} == {NOW + timedelta(seconds=3)}


def test_tokens_go_with_their_agent_user_and_minter(store: Store) -> None:
    with store.write() as tx:
        ada, bob, cyd = user(tx, "ada"), user(tx, "bob"), user(tx, "cyd")
        scribe = agent(tx, ada)
        token(tx, "of-scribe", scribe, ada)
        token(tx, "by-cyd", scribe, cyd)
        token(tx, "of-bob", bob, ada)
        token(tx, "of-ada", ada, ada)
        assert tx.tokens.for_agent(scribe.agent_id) == ["by-cyd", "of-scribe"]
        assert tx.tokens.minted_by(ada.user_id) == ["of-ada", "of-bob", "of-scribe"]
        assert tx.tokens.for_user(ada.user_id) == ["of-ada"]
        tx.users.delete(cyd.user_id)
        tx.users.delete(bob.user_id)
        assert tx.tokens.for_agent(scribe.agent_id) == ["of-scribe"]
        tx.agents.delete(scribe.agent_id)
        assert tx.tokens.minted_by(ada.user_id) == ["of-ada"]


def test_ids_sort_by_code_point(store: Store) -> None:
    names = ["z", "a", "Z", "é", "\U0001f916", "\uffee", "_", "1"]
    with store.write() as tx:
        ada = user(tx)
        for name in names:
            token(tx, name, ada, ada)
    with store.read() as tx:
        assert tx.tokens.minted_by(ada.user_id) == sorted(names)


def test_what_was_minted_under_a_key_is_counted_and_ends_with_it(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx)
        for token_id, key_id in (("t1", "k1"), ("t2", "k2"), ("t3", "k2")):
            token(tx, token_id, ada, ada, key_id=key_id)
        token(tx, "t4", ada, ada, key_id="k2", expire_at=NOW)
        assert tx.tokens.live_by_key(NOW) == {"k1": 1, "k2": 2}
        assert tx.tokens.revoke_minted_under("k2", LATER) == 2
        assert tx.tokens.live_by_key(NOW) == {"k1": 1}


def test_a_store_begins_with_one_key_and_keeps_those_it_is_given(store: Store) -> None:
    with store.read() as tx:
        (first,) = tx.token_keys()
    assert (len(first.key), len(first.key_id)) == (32, 2)
    assert first.key.hex() not in repr(first)
    second = TokenKey(key_id="zz", key=b"\0" * 32, created_at=LATER)
    with store.write() as tx:
        tx.set_token_keys((first, second))
    with store.read() as tx:
        assert tx.token_keys() == (first, second)
    with pytest.raises(ValueError, match="mints nothing"), store.write() as tx:
        tx.set_token_keys(())
