from tests.cli.conftest import Cli
from tests.server import Person


def test_a_user_is_created_and_shown_in_every_format(cli: Cli) -> None:
    made = cli.done(
        *["users", "create", "ada", "--role", "guest", "--kind", "human"],
        *["--name", "Ada Lovelace", "--email", "ada@example.org"],
    ).record
    assert made["user_id"] == "2"
    assert (made["role"], made["actions"]) == ("guest", "chat")
    for named in ("2", "ada", "ada@example.org"):
        assert cli.done("users", "get", named).record == made
    assert cli.json("users", "get", "ada")["user"]["displayName"] == "Ada Lovelace"
    header, row = cli.done("users", "get", "ada", "--format", "csv").out.splitlines()
    assert header.startswith("user_id,login,kind,role,display_name,email,active,actions")
    assert row.startswith("2,ada,human,guest,Ada Lovelace,ada@example.org,true,chat")
    assert "displayName: Ada Lovelace" in cli.done("users", "get", "ada", "--format", "yaml").out


def test_users_are_listed_and_filtered(cli: Cli, ada: Person) -> None:
    cli.done("users", "create", "checker", "--role", "service")

    def logins(*words: str) -> list[str]:
        return [user["login"] for user in cli.json("users", "list", *words)]

    assert logins() == ["admin", "ada", "checker"]
    assert logins("--text", "CHECK") == ["checker"]
    assert logins("--email", "ada@example.org") == ["ada"]
    assert logins("--role", "service") == ["checker"]
    cli.done("users", "deactivate", "ada")
    assert logins("--inactive") == ["ada"]
    assert logins("--active") == ["admin", "checker"]
    assert cli.done("users", "list", "--limit", "2").rows[2][1] == "ada"


def test_a_user_is_updated(cli: Cli, ada: Person) -> None:
    made = cli.done("users", "update", "ada", "--name", "Countess", "--email", "").record
    assert (made["display_name"], made["email"], made["login"]) == ("Countess", "", "ada")
    made = cli.done("users", "update", "2", "--login", "lovelace", "--role", "guest").record
    assert (made["login"], made["role"]) == ("lovelace", "guest")
    cli.fails(2, "USAGE", "users", "update", "ada")


def test_a_deactivated_user_is_active_again_on_request(cli: Cli, ada: Person) -> None:
    assert cli.done("users", "deactivate", "ada").record["active"] == "false"
    cli.acting_as(ada).fails(3, "USER_INACTIVE", "whoami")
    assert cli.done("users", "update", "ada", "--active").record["active"] == "true"
    cli.acting_as(ada).done("whoami")


def test_a_user_is_deleted_with_their_tokens(cli: Cli, ada: Person) -> None:
    cli.fails(2, "USAGE", "users", "delete", "ada")
    assert cli.done("users", "delete", "ada", "--dry-run").record["tokens_deleted"] == "1"
    assert cli.done("users", "delete", "ada@example.org", "--yes").record["login"] == "ada"
    cli.fails(4, "USER_NOT_FOUND", "users", "get", "ada")


def test_a_dry_run_creates_nobody(cli: Cli) -> None:
    cli.done("users", "create", "ada", "--dry-run")
    cli.fails(4, "USER_NOT_FOUND", "users", "get", "ada")


def test_what_the_server_protects_is_a_conflict(cli: Cli, ada: Person) -> None:
    cli.fails(5, "LOGIN_CONFLICT", "users", "create", "ada")
    cli.fails(5, "LAST_ADMIN", "users", "deactivate", "admin")
    cli.done("agents", "create", "hers", "--owner", "ada")
    cli.fails(5, "USER_OWNS_AGENTS", "users", "delete", "ada", "--yes")


def test_a_member_manages_nobody(cli: Cli, ada: Person) -> None:
    cli.acting_as(ada).fails(3, "ACTION_MISSING", "users", "list")
    assert cli.acting_as(ada).done("users", "get", "ada").record["login"] == "ada"
