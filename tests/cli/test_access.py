from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.conftest import Cli
from tests.registry import Person


@pytest.fixture(autouse=True)
def _agent(cli: Cli) -> None:
    cli.done("agents", "create", "billing")


@pytest.mark.parametrize("user", ["ada", "ada@example.org", "2"])
def test_the_slug_comes_first_and_the_role_is_viewer_by_default(
    cli: Cli, ada: Person, user: str
) -> None:
    made = cli.done("access", "billing", "grant", user).record
    assert (made["user_id"], made["role"], made["granted_by"]) == ("2", "viewer", "1")


def test_grants_are_listed_in_every_format(cli: Cli, ada: Person) -> None:
    cli.done("access", "1", "grant", "ada", "--role", "operator")
    header, _, row = cli.done("access", "1", "list").rows
    assert header[:4] == ["USER_ID", "DISPLAY_NAME", "EMAIL", "ROLE"]
    assert row[:4] == ["2", "Ada", "ada@example.org", "operator"]
    lines = cli.done("access", "billing", "list", "--format", "csv").out.splitlines()
    assert lines[0] == "user_id,display_name,email,role,granted_by,grant_time,expire_time"
    grants = cli.json("access", "billing", "list")
    assert [grant["principal"]["userId"] for grant in grants] == ["1", "2"]
    assert "principal:" in cli.done("access", "billing", "list", "--format", "yaml").out


def test_a_grant_can_end(cli: Cli, ada: Person) -> None:
    at = cli.json("access", "billing", "grant", "ada", "--expires", "2099-12-31T00:00Z")
    assert at["grant"]["expireTime"] == "2099-12-31T00:00:00Z"
    after = cli.json("access", "billing", "grant", "ada", "--expires", "30d")["grant"]
    left = datetime.fromisoformat(after["expireTime"]) - datetime.now(UTC)
    assert timedelta(days=29) < left < timedelta(days=31)
    never = cli.json("access", "billing", "grant", "ada")["grant"]
    assert "expireTime" not in never


def test_a_grant_cannot_have_ended(cli: Cli, ada: Person) -> None:
    past = ["access", "billing", "grant", "ada", "--expires", "2001-01-01"]
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
