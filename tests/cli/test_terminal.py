import re

import pytest

from tests.cli.conftest import Cli
from tests.cli.processes import on_terminal
from tests.server import Server


@pytest.fixture
def variables(server: Server) -> dict[str, str]:
    return {"ACCREDIT_ADDRESS": server.address, "ACCREDIT_TOKEN": server.admin.token}


def without_styles(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_a_table_is_laid_out_for_the_terminal(cli: Cli, variables: dict[str, str]) -> None:
    cli.done("agents", "create", "one", "--name", "[bold]One[/bold] :smile:")
    code, seen = on_terminal(["agents", "list"], variables)
    assert code == 0
    assert "\x1b[1m" in seen
    header, row = without_styles(seen).splitlines()
    assert header.split()[:2] == ["AGENT_ID", "AGENT_SLUG"]
    assert "[bold]One[/bold] :smile:" in row
    code, seen = on_terminal(["agents", "get", "one"], variables)
    assert re.search(r"agent_slug +one", without_styles(seen))


@pytest.mark.parametrize("format", ["table", "csv", "json", "yaml"])
def test_what_somebody_else_wrote_cannot_drive_the_terminal(
    cli: Cli, variables: dict[str, str], format: str
) -> None:
    config = '{"description": "Evil\u202etxet", "a": "\x9b31m"}'
    cli.done("agents", "create", "one", "--config", config)
    for words in (["agents", "list"], ["agents", "get", "one"]):
        code, seen = on_terminal([*words, "--format", format], variables)
        assert code == 0
        assert "Evil\\u202etxet" in without_styles(seen)
        assert "\u202e" not in seen
        assert "\x9b" not in seen


def test_deleting_asks_and_says_what_goes(cli: Cli, variables: dict[str, str]) -> None:
    cli.done("agents", "create", "doomed")
    words = ["agents", "delete", "doomed"]
    code, seen = on_terminal(words, variables, asked="[y/N]", typed="n\n")
    assert code == 1
    assert "Delete doomed (id 1) with 1 grants and 0 tokens, and put its files aside? [y/N]" in seen
    assert "nothing was deleted" in seen
    assert cli.done("agents", "get", "doomed").code == 0
    code, _ = on_terminal(words, variables, asked="[y/N]", typed="y\n")
    assert code == 0
    cli.fails(4, "AGENT_NOT_FOUND", "agents", "get", "doomed")


def test_users_and_sites_are_asked_about_as_well(cli: Cli, variables: dict[str, str]) -> None:
    cli.done("users", "create", "ada")
    cli.done("sites", "create", "north")
    code, seen = on_terminal(["users", "delete", "ada"], variables, asked="[y/N]", typed="\n")
    assert code == 1
    assert "Delete ada (id 2) with 0 tokens?" in seen
    code, seen = on_terminal(["sites", "delete", "north"], variables, asked="[y/N]", typed="y\n")
    assert code == 0
    assert "Delete north (id 1)?" in seen


def test_an_end_of_input_is_an_interruption(cli: Cli, variables: dict[str, str]) -> None:
    cli.done("agents", "create", "doomed")
    code, seen = on_terminal(["agents", "delete", "doomed"], variables, asked="[y/N]", typed="\x04")
    assert code == 130
    assert "Traceback" not in seen


def test_a_token_is_asked_for_without_showing_it(server: Server, variables: dict[str, str]) -> None:
    token = server.admin.token
    code, seen = on_terminal(["authenticate"], variables, asked="Token: ", typed=f"{token}\n")
    assert code == 0
    assert "allowed" in seen
    assert token not in seen


def test_a_token_about_to_expire_is_warned_about_after_the_output(
    cli: Cli, variables: dict[str, str]
) -> None:
    soon = cli.done("tokens", "create", "--full-rights", "--expires", "3d", "--secret-only").out
    cli.done("sites", "create", "north")
    code, seen = on_terminal(["sites", "list"], {**variables, "ACCREDIT_TOKEN": soon.strip()})
    assert code == 0
    assert "warning: your token expires in 2 days" in seen.splitlines()[-1]
    _, seen = on_terminal(["sites", "list"], variables)
    assert "warning" not in seen
