"""Offers on the command line, and the agent that somebody chose."""

import pytest

from tests.cli.conftest import Cli
from tests.server import Person, Server


@pytest.fixture
def bob(server: Server) -> Person:
    return server.user(login="bob")


@pytest.fixture
def scribe(server: Server, ada: Person) -> int:
    """Ada's agent."""
    agent_id: int = server.agent(ada, "scribe").agent_id
    return agent_id


@pytest.mark.usefixtures("scribe")
def test_an_administrator_transfers_at_once(cli: Cli, ada: Person, bob: Person) -> None:
    moved = cli.done("agents", "transfer", "scribe", "bob", "--keep-access")
    assert moved.err == ""
    assert moved.record["former_owner_id"] == str(ada.user_id)
    assert moved.record["access"] == "ada:admin bob:admin"
    assert moved.record["owner_id"] == str(bob.user_id)


@pytest.mark.usefixtures("scribe")
def test_an_owner_makes_an_offer_and_is_told_how_it_is_accepted(
    cli: Cli, ada: Person, bob: Person
) -> None:
    mine, his = cli.acting_as(ada), cli.acting_as(bob)

    would = mine.done("agents", "transfer", "scribe", "bob", "--dry-run")
    assert "scribe would be offered to bob" in would.err
    assert his.done("agents", "offers").rows[1:] == []

    made = mine.done("agents", "transfer", "scribe", "bob")
    offer_id = made.record["offer_id"]
    assert "`accredit agents accept " + offer_id + "`" in made.err
    for command in (
        his.done("agents", "offers"),
        his.done("agents", "offers", "--received"),
        mine.done("agents", "offers", "--made"),
        cli.done("agents", "offers", "--user", "bob"),
    ):
        (row,) = command.rows[1:]
        assert row[:3] == [offer_id, "1", "scribe"]
        assert {"ada", "bob"} <= set(row)
    assert his.json("agents", "offers", "--made") == []
    his.fails(2, "USAGE", "agents", "offers", "--made", "--received")

    seen = his.done("agents", "accept", offer_id, "--dry-run").record
    assert seen["access"] == "bob:admin"
    taken = his.done("agents", "accept", offer_id, "--keep-access").record
    assert (taken["owner_id"], taken["access"]) == (str(bob.user_id), "ada:admin bob:admin")
    his.fails(4, "TRANSFER_OFFER_NOT_FOUND", "agents", "accept", offer_id)


@pytest.mark.usefixtures("scribe", "bob")
def test_an_offer_is_withdrawn(cli: Cli, ada: Person) -> None:
    mine = cli.acting_as(ada)
    offer_id = mine.done("agents", "transfer", "scribe", "bob").record["offer_id"]
    assert mine.done("agents", "decline", offer_id).record["new_owner_login"] == "bob"
    assert mine.json("agents", "offers") == []


def test_keeping_access_is_not_the_givers_to_say(cli: Cli, ada: Person, scribe: int) -> None:
    refused = cli.acting_as(ada).fails(
        2, "FIELD_INVALID", "agents", "transfer", str(scribe), "admin", "--keep-access"
    )
    assert "keep_access" in refused.err


@pytest.mark.usefixtures("scribe")
def test_a_default_agent_is_chosen_shown_and_chosen_no_more(
    cli: Cli, server: Server, ada: Person
) -> None:
    mine = cli.acting_as(ada)
    server.agent(ada, "other")
    mine.fails(5, "AGENT_AMBIGUOUS", "agents", "resolve")
    assert mine.done("agents", "default").record["default_agent_id"] == ""
    assert mine.done("agents", "default", "scribe").record["agent_slug"] == "scribe"
    assert mine.done("agents", "default").record["default_agent_id"] == "1"
    assert mine.done("agents", "resolve").record["agent_slug"] == "scribe"
    mine.fails(2, "USAGE", "agents", "default", "scribe", "--none")
    mine.done("agents", "default", "--none")
    assert mine.done("agents", "default").record["default_agent_id"] == ""


def test_a_grant_of_ones_own_is_given_up(
    cli: Cli, server: Server, scribe: int, bob: Person
) -> None:
    server.grant(scribe, bob)
    his = cli.acting_as(bob)
    given_up = his.done("access", "scribe", "give-up").record
    assert (given_up["role"], given_up["user_id"]) == ("viewer", str(bob.user_id))
    his.fails(3, "AGENT_ACCESS_DENIED", "access", "scribe", "give-up")
