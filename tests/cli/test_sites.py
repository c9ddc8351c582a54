from tests.cli.conftest import Cli


def test_a_site_is_created_and_shown_in_every_format(cli: Cli) -> None:
    made = cli.done("sites", "create", "North Pole", "--name", "The Pole").record
    assert (made["site_slug"], made["site_name"]) == ("north-pole", "The Pole")
    assert cli.done("sites", "get", "1").record == made
    assert cli.json("sites", "get", "north-pole")["site"]["siteId"] == "1"
    assert "siteId: '1'" in cli.done("sites", "get", "1", "--format", "yaml").out
    lines = cli.done("sites", "get", "1", "--format", "csv").out.splitlines()
    assert lines[0] == "site_id,site_slug,site_name,create_time,update_time,etag"


def test_sites_are_listed(cli: Cli) -> None:
    for slug in ("north", "south", "east"):
        cli.done("sites", "create", slug)
    assert [row[1] for row in cli.done("sites", "list").rows[1:]] == ["north", "south", "east"]
    assert len(cli.json("sites", "list", "--limit", "2")) == 2


def test_a_site_is_deleted_unless_it_is_in_use(cli: Cli) -> None:
    cli.done("sites", "create", "north")
    cli.done("agents", "create", "northern", "--site", "north")
    cli.fails(5, "SITE_IN_USE", "sites", "delete", "north", "--yes")
    cli.done("agents", "update", "northern", "--network-wide")
    cli.fails(2, "USAGE", "sites", "delete", "north")
    cli.done("sites", "delete", "north", "--dry-run")
    assert cli.done("sites", "delete", "north", "--yes").record["site_slug"] == "north"
    cli.fails(4, "SITE_NOT_FOUND", "sites", "get", "north")


def test_a_dry_run_creates_no_site(cli: Cli) -> None:
    cli.done("sites", "create", "north", "--dry-run")
    cli.fails(4, "SITE_NOT_FOUND", "sites", "get", "north")


def test_a_taken_slug_is_a_conflict(cli: Cli) -> None:
    cli.done("sites", "create", "north")
    cli.fails(5, "SITE_SLUG_CONFLICT", "sites", "create", "north")
