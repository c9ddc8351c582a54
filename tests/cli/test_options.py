import subprocess
import sys

import click
import pytest

from accredit.cli import options as choices
from accredit.cli.root import accredit
from accredit.v1 import agent_pb2, change_pb2, registry_pb2, types_pb2, user_pb2
from accredit_service.settings import CLIENT_VARIABLES
from tests.cli.conftest import Cli
from tests.cli.processes import environment, run
from tests.server import Person


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        inner = commands(command, (*path, name)) if isinstance(command, click.Group) else []
        found += inner or [(*path, name)]
    return found


def test_the_commands_are_those_that_were_asked_for() -> None:
    groups: dict[str, set[str]] = {}
    for group, *rest in commands(accredit):
        groups.setdefault(group, set()).update(rest)
    assert groups == {
        "agents": {
            *("list", "create", "get", "update", "rename", "delete", "transfer"),
            *("resolve", "provision", "status", "offers", "accept", "decline", "default"),
        },
        "access": {"list", "grant", "revoke", "give-up"},
        "tokens": {"list", "create", "get", "rotate", "revoke", "revoke-all"},
        "users": {"list", "create", "get", "update", "deactivate", "delete"},
        "sites": {"list", "create", "get", "delete"},
        "files": {"list", "cat", "put", "append", "edit", "rm", "scaffold", "where"},
        "memory": {"today", "append", "search", "read", "list", "write", "rm"},
        "registry": {
            *("list", "show", "apply", "reconcile", "suppress", "unsuppress"),
            *("register", "unregister", "file-types"),
        },
        "changes": {"list", "verify"},
        "whoami": set(),
        "check": set(),
        "scope": set(),
        "authenticate": set(),
        "completion": set(),
    }


@pytest.mark.parametrize("path", commands(accredit), ids=" ".join)
def test_every_command_explains_itself(cli: Cli, path: tuple[str, ...]) -> None:
    # The agent of `access AGENT list` stands between.
    words = ("access", "x", *path[1:]) if path[0] == "access" else path
    said = cli.done(*words, "--help").out
    assert said.startswith("Usage: accredit")
    assert cli.done(*words, "-h").out == said


def test_the_environment_is_documented_and_the_server_lets_it_pass(cli: Cli) -> None:
    documented = cli.done("--help").out.partition("Environment:")[2]
    words = {word.strip(",.") for word in documented.split()}
    assert {word for word in words if word.startswith("ACCREDIT_")} == CLIENT_VARIABLES


def test_global_options_stand_before_the_command_or_after_it(cli: Cli) -> None:
    before = cli.done("--format", "json", "sites", "list")
    after = cli.done("sites", "list", "--format", "json")
    assert before.out == after.out == "[]\n"
    assert cli.done("--format", "csv", "sites", "list", "--format", "json").out == "[]\n"
    assert cli.done("sites", "list", env={"ACCREDIT_FORMAT": "json"}).out == "[]\n"
    named = {"ACCREDIT_FORMAT": "json"}
    assert cli.done("sites", "list", "--format", "csv", env=named).out.startswith("site_id,")
    assert cli.done("--format", "csv", "sites", "list", env=named).out.startswith("site_id,")


def test_an_address_and_a_token_file_can_be_given_anywhere(
    cli: Cli, ada: Person, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("tokens") / "token"
    file.write_text(ada.token)
    address = ["--address", ada.server.address]
    nobody = {"ACCREDIT_ADDRESS": "127.0.0.1:1"}
    for words in (
        [*address, "--token-file", str(file), "whoami"],
        ["whoami", *address, "--token-file", str(file)],
    ):
        # The file wins over the administrator's token in the environment.
        assert cli.done(*words, env=nobody).record["login"] == "ada"


def test_arguments_and_options_of_one_name_do_not_disturb_each_other(cli: Cli) -> None:
    cli.done("sites", "create", "north")
    cli.done("sites", "create", "south")
    cli.done("agents", "create", "one")
    assert cli.done("--site", "1", "sites", "get", "south").record["site_slug"] == "south"
    assert cli.done("sites", "get", "south", "--site", "north").record["site_slug"] == "south"
    assert cli.done("--agent", "x", "agents", "get", "one").record["agent_slug"] == "one"


def test_nothing_heavy_is_loaded_for_help() -> None:
    script = (
        "import sys, accredit.cli.root as root\n"
        "try: root.accredit.main(['agents', 'list', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'grpc', 'google.protobuf', 'rich', 'ruamel.yaml', 'asyncio'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=environment({}),
    )
    assert ran.stdout.splitlines()[-1] == "[]"


def test_the_version_is_that_of_the_distribution(cli: Cli) -> None:
    assert cli.done("--version").out.startswith("accredit 0.")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_printed(cli: Cli, shell: str) -> None:
    assert "_ACCREDIT_COMPLETE" in cli.done("completion", shell).out


def test_a_shell_is_answered_with_commands_and_options() -> None:
    def completed(words: str, at: int) -> list[str]:
        variables = {
            "_ACCREDIT_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(at),
        }
        ran = run([], variables)
        assert (ran.returncode, ran.stderr) == (0, "")
        return [line.partition(",")[2] for line in ran.stdout.splitlines()]

    assert completed("accredit ag", 1) == ["agents"]
    assert "transfer" in completed("accredit agents tr", 2)
    assert completed("accredit agents list --sta", 3) == ["--status"]
    assert completed("accredit agents list --status a", 4) == ["active", "archived", "any"]


@pytest.mark.parametrize(
    ("words", "enum", "prefix"),
    [
        (choices.ROLES, types_pb2.Role, "ROLE_"),
        (choices.AGENT_STATUSES, agent_pb2.AgentStatus, "AGENT_STATUS_"),
        (choices.STATUS_FILTERS, agent_pb2.AgentStatusFilter, "AGENT_STATUS_FILTER_"),
        (choices.LIST_SCOPES, agent_pb2.ListScope, "LIST_SCOPE_"),
        (choices.USER_KINDS, user_pb2.UserKind, "USER_KIND_"),
        (choices.USER_ROLES, user_pb2.UserRole, "USER_ROLE_"),
        (choices.MEMORY_LAYERS, registry_pb2.MemoryLayer, "MEMORY_LAYER_"),
        (choices.CHANGE_KINDS, change_pb2.ChangeKind, "CHANGE_KIND_"),
    ],
)
def test_the_words_are_the_members_of_the_apis_enums(
    words: tuple[str, ...], enum: type, prefix: str
) -> None:
    members = [name.removeprefix(prefix).lower() for name in dict(enum.items())]  # type: ignore[attr-defined]
    assert list(words) == members[1:]
