"""Sites: the places that share one network of agents."""

from typing import Any

import pytest

from tests.api.asking import pages
from tests.server import Server


def test_a_site_is_made_with_a_clean_slug_and_read_by_anybody(own_server: Server) -> None:
    made = own_server.admin.call("SiteService/CreateSite", site_slug="Größe.Example").site
    assert (made.site_slug, made.site_name) == ("grose-example", "grose-example")
    guest = own_server.user("GUEST")
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
    server: Server, fields: dict[str, Any], field: str
) -> None:
    refusal = server.admin.refused("SiteService/CreateSite", **fields)
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
    server: Server, ref: dict[str, Any], field: str
) -> None:
    for method in ("GetSite", "DeleteSite"):
        refusal = server.admin.refused(f"SiteService/{method}", site=ref)
        assert (refusal.what, refusal.fields) == ("INVALID_ARGUMENT FIELD_INVALID", [field])


def test_a_slug_is_one_sites(server: Server) -> None:
    slug = server.name("site")
    server.admin.call("SiteService/CreateSite", site_slug=slug)
    taken = server.admin.refused("SiteService/CreateSite", site_slug=slug.upper())
    assert taken.what == "ALREADY_EXISTS SITE_SLUG_CONFLICT"
    # An agent may be called the same.
    assert server.agent(server.admin, slug).agent_slug == slug


def test_sites_are_listed_by_id(own_server: Server) -> None:
    ids = [own_server.site() for _ in range(5)]
    found = pages(own_server.admin, "SiteService/ListSites", "sites", page_size=2)
    assert [site.site_id for page in found for site in page] == ids
    assert [len(page) for page in found] == [2, 2, 1]


def test_a_site_stays_while_agents_are_scoped_to_it(server: Server) -> None:
    site = server.site()
    agent = server.agent(server.user(), site_scope=site)
    delete: dict[str, Any] = {"site": {"site_id": site}}

    refusal = server.admin.refused("SiteService/DeleteSite", **delete)
    assert refusal.what == "FAILED_PRECONDITION SITE_IN_USE"
    slug = server.admin.call("SiteService/GetSite", site={"site_id": site}).site.site_slug
    assert refusal.metadata == {"agents": "1", "site_slug": slug}
    server.admin.call("AgentService/DeleteAgent", agent={"agent_id": agent.agent_id})
    server.admin.call("SiteService/DeleteSite", **delete)
    again = server.admin.refused("SiteService/DeleteSite", **delete)
    assert again.what == "NOT_FOUND SITE_NOT_FOUND"


def test_the_id_of_a_deleted_site_is_not_given_again(server: Server) -> None:
    old = server.site()
    server.admin.call("SiteService/DeleteSite", site={"site_id": old})
    assert server.site() > old
