from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from accredit_storage.agents import Viewer
from accredit_storage.errors import Conflict, SlugTaken
from accredit_storage.records import (
    Agent,
    AgentId,
    AgentStatus,
    AgentUpdate,
    NewAgent,
    Role,
    UserId,
)
from accredit_storage.store import Store
from tests.storage.making import LATER, NOW, agent, all_at_once, site, token, user

FOUR_BYTES = "\U0001f916"


def test_an_agent_comes_back_as_it_was_stored(store: Store) -> None:
    with store.write() as tx:
        owner, north = user(tx), site(tx)
        added = agent(tx, owner, "scribe", config={"model": {"name": "x"}, "n": 1}, site=north)
    with store.read() as tx:
        found = tx.agents.find(added.agent_id)
        assert found == added == tx.agents.find_by_slug("scribe")
    assert added.config == {"model": {"name": "x"}, "n": 1}
    assert (added.version, added.status, added.site_scope) == (1, AgentStatus.ACTIVE, north.site_id)
    assert added.created_at == added.updated_at == NOW
    assert added.created_at.tzinfo is UTC


def test_what_is_not_there_is_none(store: Store) -> None:
    with store.read() as tx:
        assert tx.agents.find(AgentId(1)) is None
        assert tx.agents.find_by_slug("nobody") is None
        assert tx.agents.first_owned(UserId(1)) is None
        assert tx.agents.count_owned(UserId(1)) == 0
    with store.write() as tx:
        assert tx.agents.update(AgentId(1), AgentUpdate(agent_name="x"), at=NOW) is None
        assert not tx.agents.delete(AgentId(1))


def test_a_taken_slug_is_refused_and_the_transaction_goes_on(store: Store) -> None:
    with store.write() as tx:
        owner = user(tx)
        first = agent(tx, owner, "scribe", name="first")
        again = tx.agents.add(
            NewAgent(agent_slug="scribe", agent_name="second", config={}, site_scope=None),
            owner_id=owner.user_id,
            at=LATER,
        )
        assert again is None
        agent(tx, owner, "other")
    with store.read() as tx:
        assert tx.agents.find_by_slug("scribe") == first


def test_an_agent_needs_an_owner_and_a_site_that_exist(store: Store) -> None:
    with store.write() as tx:
        ada, north = user(tx), site(tx)
        tx.sites.delete(north.site_id)
    with pytest.raises(Conflict), store.write() as tx:
        agent(tx, replace(ada, user_id=UserId(99)))
    with pytest.raises(Conflict), store.write() as tx:
        agent(tx, ada, site=north)
    with store.read() as tx:
        assert tx.agents.find_by_slug("scribe") is None


@pytest.mark.parametrize(
    "other", ["Scribe", "scribe ", " scribe", "scribé", "scribe\u200b", "ſcribe"]
)
def test_slugs_are_equal_only_byte_for_byte(store: Store, other: str) -> None:
    with store.write() as tx:
        owner = user(tx)
        agent(tx, owner, "scribe")
        assert tx.agents.find_by_slug(other) is None
        agent(tx, owner, other)
        found = tx.agents.find_by_slug(other)
        assert found is not None
        assert found.agent_slug == other


def test_composed_and_decomposed_letters_are_different_slugs(store: Store) -> None:
    with store.write() as tx:
        owner = user(tx)
        assert agent(tx, owner, "\u00e9").agent_id != agent(tx, owner, "e\u0301").agent_id


def test_the_longest_texts_are_kept_whole(store: Store) -> None:
    slug, name = FOUR_BYTES * 200, "é" * 100_000
    with store.write() as tx:
        agent(tx, user(tx), slug, name=name, config={"prompt": "\U0001f916" * 100_000})
    with store.read() as tx:
        found = tx.agents.find_by_slug(slug)
    assert found is not None
    assert (found.agent_slug, found.agent_name) == (slug, name)
    assert found.config["prompt"] == "\U0001f916" * 100_000


def test_nul_is_refused_in_text_and_kept_in_a_config(store: Store) -> None:
    with store.write() as tx:
        owner = user(tx)
        agent(tx, owner, "scribe", config={"a\0b": ["\0"]})
    with store.read() as tx:
        found = tx.agents.find_by_slug("scribe")
        assert found is not None
        assert found.config == {"a\0b": ["\0"]}
    with pytest.raises(ValueError, match=r"U\+0000"), store.write() as tx:
        agent(tx, owner, "a\0b")


def test_half_a_surrogate_pair_is_refused_in_text(store: Store) -> None:
    with pytest.raises(ValueError, match="surrogates"), store.write() as tx:
        agent(tx, user(tx), "a\ud800")


def test_a_naive_time_is_refused_and_another_zone_is_the_same_instant(store: Store) -> None:
    with store.write() as tx:
        made = agent(tx, user(tx))
        elsewhere = LATER.astimezone(timezone(timedelta(hours=-7)))
        updated = tx.agents.update(made.agent_id, AgentUpdate(agent_name="x"), at=elsewhere)
        assert updated is not None
        assert updated.updated_at == LATER
        assert updated.updated_at.tzinfo is UTC
    with pytest.raises(ValueError, match="naive"), store.write() as tx:
        tx.agents.update(made.agent_id, AgentUpdate(agent_name="x"), at=datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    "moment",
    [datetime(1, 1, 2, tzinfo=UTC), datetime.max.replace(tzinfo=UTC), NOW.replace(microsecond=0)],
)
def test_times_are_exact(store: Store, moment: datetime) -> None:
    with store.write() as tx:
        made = agent(tx, user(tx))
        tx.agents.update(made.agent_id, AgentUpdate(), at=moment)
    with store.read() as tx:
        found = tx.agents.find(made.agent_id)
        assert found is not None
        assert found.updated_at == moment


def test_many_are_found_at_once_in_the_order_of_their_ids(store: Store) -> None:
    with store.write() as tx:
        owner = user(tx)
        made = [agent(tx, owner, slug) for slug in ("c", "a", "b")]
        ids = [one.agent_id for one in made]
        assert tx.agents.find_many([ids[2], AgentId(999), ids[0], ids[2]]) == [made[0], made[2]]
        assert tx.agents.find_many_by_slug(["b", "nobody", "c", "b"]) == [made[0], made[2]]
        assert tx.agents.find_many([]) == tx.agents.find_many_by_slug([]) == []
        assert tx.agents.find_many([AgentId(number) for number in range(10_000)]) == made


def test_what_somebody_owns_is_counted_and_the_lowest_id_comes_first(store: Store) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "bob")
        agent(tx, bob, "x")
        first = agent(tx, ada, "z", status=AgentStatus.ARCHIVED)
        agent(tx, ada, "a")
        assert tx.agents.count_owned(ada.user_id) == 2
        assert tx.agents.first_owned(ada.user_id) == first


def test_an_update_changes_what_is_given_and_raises_the_version(store: Store) -> None:
    with store.write() as tx:
        ada, bob, north = user(tx, "ada"), user(tx, "bob"), site(tx)
        made = agent(tx, ada, "scribe", config={"a": 1}, site=north)
        renamed = tx.agents.update(made.agent_id, AgentUpdate(agent_name="New"), at=LATER)
        assert renamed is not None
        assert renamed.agent_name == "New"
        assert (renamed.version, renamed.updated_at, renamed.created_at) == (2, LATER, NOW)
        assert (renamed.config, renamed.site_scope) == ({"a": 1}, north.site_id)
        everything = tx.agents.update(
            made.agent_id,
            AgentUpdate(
                agent_slug="clerk",
                owner_id=bob.user_id,
                config={},
                status=AgentStatus.INACTIVE,
                site_scope=None,
            ),
            at=LATER,
        )
        assert everything is not None
        assert everything.version == 3
    with store.read() as tx:
        assert tx.agents.find_by_slug("clerk") == everything
        assert tx.agents.find_by_slug("scribe") is None
    assert (everything.owner_id, everything.status) == (bob.user_id, AgentStatus.INACTIVE)
    assert (everything.config, everything.site_scope) == ({}, None)


def test_renaming_to_a_taken_slug_is_refused_and_the_transaction_goes_on(store: Store) -> None:
    with store.write() as tx:
        owner = user(tx)
        scribe = agent(tx, owner, "scribe")
        agent(tx, owner, "clerk")
        with pytest.raises(SlugTaken, match="clerk"):
            tx.agents.update(scribe.agent_id, AgentUpdate(agent_slug="clerk"), at=LATER)
        assert tx.agents.find(scribe.agent_id) == scribe
        assert (
            tx.agents.update(scribe.agent_id, AgentUpdate(agent_slug="scribe"), at=LATER)
            is not None
        )
    with store.read() as tx:
        assert tx.agents.find_by_slug("scribe") is not None


def test_renaming_to_an_owner_who_is_not_there_is_a_conflict(store: Store) -> None:
    with store.write() as tx:
        made = agent(tx, user(tx))
    with pytest.raises(Conflict), store.write() as tx:
        tx.agents.update(
            made.agent_id, AgentUpdate(agent_slug="clerk", owner_id=UserId(99)), at=LATER
        )
    with store.read() as tx:
        assert tx.agents.find(made.agent_id) == made


def test_ids_are_not_given_out_again(store: Store) -> None:
    with store.write() as tx:
        owner = user(tx)
        newest = agent(tx, owner, "a").agent_id
        assert tx.agents.delete(newest)
    with store.write() as tx:
        assert agent(tx, owner, "a").agent_id > newest


def test_deleting_an_agent_takes_its_grants_and_tokens(store: Store) -> None:
    with store.write() as tx:
        ada, bob = user(tx, "ada"), user(tx, "bob")
        made, kept = agent(tx, ada, "gone"), agent(tx, ada, "kept")
        for one in (made, kept):
            tx.grants.put(one.agent_id, bob.user_id, Role.VIEWER, ada.user_id, NOW, None)
            token(tx, one.agent_slug, one, ada)
        assert tx.agents.delete(made.agent_id)
        assert not tx.agents.delete(made.agent_id)
    with store.read() as tx:
        assert tx.grants.all_for_agent(made.agent_id) == []
        assert tx.tokens.find("gone") is None
        assert len(tx.grants.all_for_agent(kept.agent_id)) == 1
        assert tx.tokens.find("kept") is not None


def test_racing_to_create_a_slug_makes_one_agent(store: Store) -> None:
    with store.write() as tx:
        owner = user(tx)

    def create_if_missing(_: int) -> tuple[bool, int]:
        with store.write() as tx:
            added = tx.agents.add(
                NewAgent(agent_slug="scribe", agent_name="x", config={}, site_scope=None),
                owner_id=owner.user_id,
                at=NOW,
            )
            found = added or tx.agents.find_by_slug("scribe")
            assert found is not None
            return added is not None, found.agent_id

    outcomes = all_at_once(8, create_if_missing)
    assert [created for created, _ in outcomes].count(True) == 1
    assert len({agent_id for _, agent_id in outcomes}) == 1


def test_no_update_is_lost_under_a_lock(store: Store) -> None:
    with store.write() as tx:
        counted = agent(tx, user(tx), config={"n": 0}).agent_id

    def count_up(_: int) -> None:
        for _ in range(10):
            with store.write() as tx:
                found = tx.agents.find(counted, lock=True)
                assert found is not None
                tx.agents.update(counted, AgentUpdate(config={"n": found.config["n"] + 1}), at=NOW)

    all_at_once(8, count_up)
    with store.read() as reader:
        found = reader.agents.find(counted)
    assert found is not None
    assert (found.config, found.version) == ({"n": 80}, 81)


def test_only_an_agent_on_which_the_viewer_has_a_role_is_fetched(store: Store) -> None:
    with store.write() as tx:
        ada, bob, eve = (user(tx, login) for login in ("ada", "bob", "eve"))
        hers, his = agent(tx, ada, "hers"), agent(tx, bob, "his")
        for holder, end in ((bob, None), (eve, NOW)):
            tx.grants.put(hers.agent_id, holder.user_id, Role.VIEWER, ada.user_id, NOW, end)

        def seen(user_id: int = 0, agent_id: int = 0, sees_all: bool = False) -> list[Agent]:
            viewer = Viewer(
                user_id=UserId(user_id), agent_id=AgentId(agent_id), sees_all=sees_all, at=NOW
            )
            refs: list[AgentId | str] = [
                "hers",
                "his",
                hers.agent_id,
                his.agent_id,
                "none",
                AgentId(99),
            ]
            found = [tx.agents.find_seen(ref, viewer) for ref in refs]
            by_ref = [one[0] for one in found if one is not None]
            many = tx.agents.find_many({hers.agent_id, his.agent_id, AgentId(99)}, viewer)
            assert many == tx.agents.find_many_by_slug({"hers", "his", "none"}, viewer)
            assert by_ref == [*many, *many]
            return many

        assert seen(ada.user_id) == [hers]
        assert seen(bob.user_id) == [hers, his]
        assert seen(eve.user_id) == [], "her grant has expired"
        assert seen(agent_id=his.agent_id) == [his]
        assert seen() == []
        assert seen(sees_all=True) == [hers, his]
        viewer = Viewer(user_id=bob.user_id, agent_id=AgentId(0), sees_all=False, at=NOW)
        found = tx.agents.find_seen("hers", viewer, lock=True)
        assert found is not None
        assert found[1] == tx.grants.find(hers.agent_id, bob.user_id)
