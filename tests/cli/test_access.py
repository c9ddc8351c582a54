from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.conftest import Cli
from tests.server import Person, Server

GRANT = ["access", "billing", "grant", "ada"]


@pytest.fixture(autouse=True)
def _agent(cli: Cli) -> None:
    cli.done("agents", "create", "billing")


@pytest.mark.parametrize("user", ["ada", "ada@example.org", "2"])
def test_the_slug_comes_first_and_the_role_is_viewer_by_default(
    cli: Cli, ada: Person, user: str
) -> None:
    made = cli.done("access", "billing", "grant", user).record
    assert (made["user_id"], made["role"], made["granted_by"]) == ("2", "viewer", "1")
    assert made["login"] == "ada"


def test_a_grant_without_a_role_leaves_one_that_is_there_alone(cli: Cli, ada: Person) -> None:
    given = cli.json(*GRANT, "--role", "operator", "--expires", "30d")["grant"]
    left = cli.done(*GRANT, "--format", "json")
    assert (left.json["changed"], left.json["grant"]) == (False, given)
    assert left.err == (
        "ada has the role operator already, and the grant was left as it is: --role changes it\n"
    )
    changed = cli.done(*GRANT, "--role", "viewer", "--format", "json")
    assert changed.json["grant"]["role"] == "ROLE_VIEWER"
    assert "expireTime" not in changed.json["grant"]
    assert changed.err == ""


def test_a_grant_without_a_role_takes_the_place_of_one_that_has_ended(
    cli: Cli, server: Server, ada: Person
) -> None:
    cli.done(*GRANT, "--role", "operator", "--expires", "1h")
    server.clock.advance(hours=2)
    again = cli.done(*GRANT)
    assert (again.record["role"], again.err) == ("viewer", "")


def test_an_end_takes_a_role(cli: Cli, ada: Person) -> None:
    cli.fails(2, "USAGE", *GRANT, "--expires", "30d")


def test_an_etag_takes_a_role(cli: Cli, ada: Person) -> None:
    cli.fails(2, "USAGE", *GRANT, "--etag", "1")
    etag = cli.json(*GRANT)["grant"]["etag"]
    cli.done(*GRANT, "--role", "operator", "--etag", etag)
    cli.fails(5, "ETAG_MISMATCH", *GRANT, "--role", "admin", "--etag", etag)


def test_an_owner_who_is_no_administrator_shares_an_agent_by_login(
    cli: Cli, server: Server, ada: Person
) -> None:
    bob = server.user(login="bob", display_name="Bob", email="bob@example.org")
    server.agent(ada, "hers")
    owner = cli.acting_as(ada)
    owner.done("access", "hers", "grant", "bob", "--role", "operator")
    header, *rows = owner.done("access", "hers", "list", "--format", "csv").out.splitlines()
    assert header.startswith("user_id,login,display_name,email,role,")
    # Their addresses are for administrators.
    assert [row.split(",")[1:5] for row in rows] == [
        ["ada", "Ada", "", "admin"],
        ["bob", "Bob", "", "operator"],
    ]
    assert owner.run("check", "hers", "--user", "bob", "--role", "operator").code == 0
    assert cli.acting_as(bob).run("check", "hers", "--role", "operator").code == 0
    gone = owner.done("access", "hers", "revoke", "bob").record
    assert (gone["user_id"], gone["login"]) == (str(bob.user_id), "bob")
    assert owner.run("check", "hers", "--user", "bob").record["reason"] == "role_insufficient"
    assert owner.run("check", "hers", "--user", "nobody").record["reason"] == "user_inactive"
    owner.fails(4, "USER_NOT_FOUND", "access", "hers", "grant", "nobody")
    # Only administrators may look somebody up by an e-mail.
    owner.fails(3, "ACTION_MISSING", "access", "hers", "grant", "bob@example.org")


def test_grants_are_listed_in_every_format(cli: Cli, ada: Person) -> None:
    cli.done("access", "1", "grant", "ada", "--role", "operator")
    header, _, row = cli.done("access", "1", "list").rows
    assert header[:5] == ["USER_ID", "LOGIN", "DISPLAY_NAME", "EMAIL", "ROLE"]
    assert row[:5] == ["2", "ada", "Ada", "ada@example.org", "operator"]
    lines = cli.done("access", "billing", "list", "--format", "csv").out.splitlines()
    assert lines[0] == "user_id,login,display_name,email,role,granted_by,grant_time,expire_time"
    grants = cli.json("access", "billing", "list")
    assert [grant["principal"]["userId"] for grant in grants] == ["1", "2"]
    assert "principal:" in cli.done("access", "billing", "list", "--format", "yaml").out


def test_a_grant_can_end(cli: Cli, ada: Person) -> None:
    viewer = [*GRANT, "--role", "viewer"]
    at = cli.json(*viewer, "--expires", "2099-12-31T00:00Z")
    assert at["grant"]["expireTime"] == "2099-12-31T00:00:00Z"
    after = cli.json(*viewer, "--expires", "30d")["grant"]
    left = datetime.fromisoformat(after["expireTime"]) - datetime.now(UTC)
    assert timedelta(days=29) < left < timedelta(days=31)
    never = cli.json(*viewer)["grant"]
    assert "expireTime" not in never


def test_a_grant_cannot_have_ended(cli: Cli, ada: Person) -> None:
    past = ["access", "billing", "grant", "ada", "--role", "viewer", "--expires", "2001-01-01"]
    assert "expire_time: " in cli.fails(2, "FIELD_INVALID", *past).err


def test_a_grant_is_revoked(cli: Cli, ada: Person) -> None:
    cli.done("access", "billing", "grant", "ada")
    gone = cli.done("access", "billing", "revoke", "ada").record
    assert (gone["user_id"], gone["tokens_revoked"]) == ("2", "0")
    cli.fails(4, "REVOKE_FAILED", "access", "billing", "revoke", "ada")


def test_the_owner_keeps_their_grant(cli: Cli) -> None:
    cli.fails(5, "CANNOT_REVOKE_OWNER", "access", "billing", "revoke", "admin")


def test_an_unknown_user_is_not_found_however_they_are_named(cli: Cli) -> None:
    for user in ("nobody", "nobody@example.org", "99"):
        cli.fails(4, "USER_NOT_FOUND", "access", "billing", "grant", user)


def test_an_email_of_several_users_is_an_error_that_lists_them(cli: Cli, ada: Person) -> None:
    cli.done("users", "create", "lovelace", "--email", "ada@example.org")
    refused = cli.fails(5, "USER_AMBIGUOUS", "access", "billing", "grant", "ada@example.org")
    assert refused.err.splitlines()[1:] == ["  2 ada", "  3 lovelace"]


def test_an_action_is_needed(cli: Cli) -> None:
    cli.fails(2, "USAGE", "access", "billing")
    cli.fails(2, "USAGE", "access", "billing", "give", "ada")
    cli.fails(2, "USAGE", "access", "billing", "grant", "ada", "--role", "king")
