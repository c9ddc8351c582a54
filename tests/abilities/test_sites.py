"""Sites: the places that share one network of agents."""

from typing import Any

import pytest

from tests.abilities.asking import pages
from tests.registry import Registry


def test_a_site_is_made_with_a_clean_slug_and_read_by_anybody(own_registry: Registry) -> None:
    made = own_registry.admin.call("SiteService/CreateSite", site_slug="Größe.Example").site
    assert (made.site_slug, made.site_name) == ("grose-example", "grose-example")
    guest = own_registry.user("GUEST")
    for ref in ({"site_id": made.site_id}, {"site_slug": " GRÖßE example "}):
        assert guest.call("SiteService/GetSite", site=ref).site == made


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"site_slug": ""}, "site_slug", id="no slug"),
        pytest.param({"site_slug": "!"}, "site_slug", id="nothing after cleaning"),
        pytest.param({"site_slug": "42"}, "site_slug", id="it would read as an id"),
        pytest.param({"site_slug": "s", "site_name": "x" * 201}, "site_name", id="a long name"),
    ],
)
def test_a_site_that_breaks_a_rule_is_refused_by_its_field(
    registry: Registry, fields: dict[str, Any], field: str
) -> None:
    refusal = registry.admin.refused("SiteService/CreateSite", **fields)
    assert (refusal.what, refusal.fields) == ("INVALID_ARGUMENT FIELD_INVALID", [field])


@pytest.mark.parametrize(
    ("ref", "field"),
    [
        ({}, "site"),
        ({"site_id": 0}, "site.site_id"),
        ({"site_id": -1}, "site.site_id"),
        ({"site_slug": "?"}, "site.site_slug"),
    ],
)
def test_a_reference_that_names_no_site_is_refused(
    registry: Registry, ref: dict[str, Any], field: str
) -> None:
    for method in ("GetSite", "DeleteSite"):
        refusal = registry.admin.refused(f"SiteService/{method}", site=ref)
        assert (refusal.what, refusal.fields) == ("INVALID_ARGUMENT FIELD_INVALID", [field])


def test_a_slug_is_one_sites(registry: Registry) -> None:
    slug = registry.name("site")
    registry.admin.call("SiteService/CreateSite", site_slug=slug)
    taken = registry.admin.refused("SiteService/CreateSite", site_slug=slug.upper())
    assert taken.what == "ALREADY_EXISTS SITE_SLUG_CONFLICT"
    # An agent may be called the same.
    assert registry.agent(registry.admin, slug).agent_slug == slug


def test_sites_are_listed_by_id(own_registry: Registry) -> None:
    ids = [own_registry.site() for _ in range(5)]
    found = pages(own_registry.admin, "SiteService/ListSites", "sites", page_size=2)
    assert [site.site_id for page in found for site in page] == ids
    assert [len(page) for page in found] == [2, 2, 1]


def test_a_site_stays_while_agents_are_scoped_to_it(registry: Registry) -> None:
    site = registry.site()
    agent = registry.agent(registry.user(), site_scope=site)
    delete: dict[str, Any] = {"site": {"site_id": site}}

    refusal = registry.admin.refused("SiteService/DeleteSite", **delete)
    assert refusal.what == "FAILED_PRECONDITION SITE_IN_USE"
    slug = registry.admin.call("SiteService/GetSite", site={"site_id": site}).site.site_slug
    assert refusal.metadata == {"agents": "1", "site_slug": slug}
    registry.admin.call("AgentService/DeleteAgent", agent={"agent_id": agent.agent_id})
    registry.admin.call("SiteService/DeleteSite", **delete)
    again = registry.admin.refused("SiteService/DeleteSite", **delete)
    assert again.what == "NOT_FOUND SITE_NOT_FOUND"


def test_the_id_of_a_deleted_site_is_not_given_again(registry: Registry) -> None:
    old = registry.site()
    registry.admin.call("SiteService/DeleteSite", site={"site_id": old})
    assert registry.site() > old
