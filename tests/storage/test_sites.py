import pytest

from accredit_storage.errors import Conflict
from accredit_storage.records import NewSite, SiteId
from accredit_storage.store import Store
from tests.storage.making import LATER, NOW, agent, site, user


def test_a_site_comes_back_as_it_was_stored(store: Store) -> None:
    with store.write() as tx:
        north = site(tx)
        assert tx.sites.add(NewSite(site_slug="north", site_name="again"), at=LATER) is None
    with store.read() as tx:
        assert tx.sites.find(north.site_id) == north == tx.sites.find_by_slug("north")
        assert tx.sites.find(SiteId(99)) is None
        assert tx.sites.find_by_slug("North") is None
    assert (north.site_name, north.version, north.created_at) == ("North", 1, NOW)


def test_sites_are_paged_by_id(store: Store) -> None:
    with store.write() as tx:
        made = [site(tx, slug) for slug in ("c", "a", "b")]
        assert tx.sites.page(after=None, limit=2) == made[:2]
        assert tx.sites.page(after=made[1].site_id, limit=2) == made[2:]
        assert tx.sites.page(after=made[2].site_id, limit=2) == []


def test_a_site_with_agents_cannot_be_deleted(store: Store) -> None:
    with store.write() as tx:
        north, south = site(tx, "north"), site(tx, "south")
        scribe = agent(tx, user(tx), site=north)
        assert tx.sites.agent_count(north.site_id) == 1
        assert tx.sites.agent_count(south.site_id) == 0
        assert tx.sites.delete(south.site_id)
        assert not tx.sites.delete(south.site_id)
    with pytest.raises(Conflict), store.write() as tx:
        tx.sites.delete(north.site_id)
    with store.write() as tx:
        tx.agents.delete(scribe.agent_id)
        assert tx.sites.delete(north.site_id)
        assert site(tx, "next").site_id > south.site_id
