"""How commands end when something is wrong: with a code and a line, and nothing else."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accredit.cli import root, sites
from accredit.cli.failures import ExitCode
from tests.cli.conftest import Cli
from tests.cli.processes import PATIENCE, run, start
from tests.client.peer import Fail, Peer, because, until_gone
from tests.server import Person, Server

CODES = {
    grpc.StatusCode.CANCELLED: 7,
    grpc.StatusCode.UNKNOWN: 7,
    grpc.StatusCode.INVALID_ARGUMENT: 2,
    grpc.StatusCode.DEADLINE_EXCEEDED: 6,
    grpc.StatusCode.NOT_FOUND: 4,
    grpc.StatusCode.ALREADY_EXISTS: 5,
    grpc.StatusCode.PERMISSION_DENIED: 3,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 7,
    grpc.StatusCode.FAILED_PRECONDITION: 5,
    grpc.StatusCode.ABORTED: 5,
    grpc.StatusCode.OUT_OF_RANGE: 2,
    grpc.StatusCode.UNIMPLEMENTED: 7,
    grpc.StatusCode.INTERNAL: 7,
    grpc.StatusCode.UNAVAILABLE: 6,
    grpc.StatusCode.DATA_LOSS: 7,
    grpc.StatusCode.UNAUTHENTICATED: 3,
}
SECRET = f"acr_{'a' * 16}_{'b' * 49}"


@pytest.fixture
def peer() -> Any:
    with Peer() as running:
        yield running


@pytest.fixture
def asking(peer: Peer) -> Cli:
    """The command on a server that answers as the test says."""
    return Cli(peer.address, None)


def test_every_code_is_decided() -> None:
    assert set(CODES) == set(grpc.StatusCode) - {grpc.StatusCode.OK}


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_each_code_has_its_exit_code(peer: Peer, asking: Cli, code: grpc.StatusCode) -> None:
    peer.script("ListSites", Fail(code, "so it is", because("SITE_IN_USE")))
    asking.fails(CODES[code], "SITE_IN_USE", "--timeout", "0.3", "sites", "list")


def test_a_code_stands_in_for_a_reason_that_is_missing(peer: Peer, asking: Cli) -> None:
    peer.script("ListSites", Fail(grpc.StatusCode.INTERNAL, "so it is"))
    assert asking.fails(7, "INTERNAL", "sites", "list").err == "error: so it is (INTERNAL)\n"


def test_the_request_id_of_a_bug_is_told(peer: Peer, asking: Cli) -> None:
    def fail(_: Any, context: grpc.ServicerContext) -> Message:
        context.set_trailing_metadata((("x-request-id", "f00"),))
        context.abort(grpc.StatusCode.INTERNAL, "no")
        raise AssertionError("abort raises")

    peer.script("ListSites", fail)
    assert "f00" in asking.fails(7, "INTERNAL", "sites", "list").err


def test_fields_are_told_line_by_line(peer: Peer, asking: Cli) -> None:
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="site_slug", description="not digits only")
    bad.field_violations.add(field="site_name", description="one line")
    failure = Fail(grpc.StatusCode.INVALID_ARGUMENT, "no", because("FIELD_INVALID"), bad)
    peer.script("CreateSite", failure)
    assert asking.fails(2, "FIELD_INVALID", "sites", "create", "1").err.splitlines()[1:] == [
        "  site_slug: not digits only",
        "  site_name: one line",
    ]


def test_what_a_server_says_cannot_drive_the_terminal(peer: Peer, asking: Cli) -> None:
    peer.script("ListSites", Fail(grpc.StatusCode.NOT_FOUND, "a\x1b[2Jb\nc\u202ed"))
    refused = asking.fails(4, "NOT_FOUND", "sites", "list")
    assert refused.err == "error: a\\x1b[2Jb\\nc\\u202ed (NOT_FOUND)\n"


def test_a_secret_that_a_proxy_echoes_is_not_repeated(peer: Peer, asking: Cli) -> None:
    peer.script("ListSites", Fail(grpc.StatusCode.UNKNOWN, f"bad header: Bearer {SECRET}"))
    assert SECRET not in asking.fails(7, "UNKNOWN", "sites", "list").err


def test_a_call_that_takes_too_long_ends(peer: Peer, asking: Cli) -> None:
    peer.script("ListSites", until_gone)
    asking.fails(6, "DEADLINE_EXCEEDED", "sites", "list", "--timeout", "0.2")


def test_a_server_that_is_not_there_is_unavailable() -> None:
    nowhere = Cli("127.0.0.1:1", None)
    nowhere.fails(6, "UNAVAILABLE", "sites", "list", "--timeout", "0.3")


def test_a_call_without_a_token_is_told_where_tokens_come_from(cli: Cli) -> None:
    refused = cli.acting_as(None).fails(3, "TOKEN_MISSING", "sites", "list")
    assert "ACCREDIT_TOKEN" in refused.err
    unknown = {"ACCREDIT_TOKEN": SECRET}
    refused = cli.fails(3, "TOKEN_MALFORMED", "sites", "list", env=unknown)
    assert SECRET not in refused.err


def test_settings_that_cannot_work_are_mistakes(cli: Cli, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    cli.fails(2, "USAGE", "sites", "list", "--token-file", missing)
    cli.fails(2, "USAGE", "sites", "list", "--ca-file", missing)
    cli.fails(2, "USAGE", "sites", "list", "--insecure", "--ca-file", __file__)
    cli.fails(2, "USAGE", "sites", "list", "--timeout", "0")
    cli.fails(2, "USAGE", "sites", "list", "--timeout", "nan")
    cli.fails(2, "USAGE", "sites", "list", "--site", "0")
    cli.fails(2, "USAGE", "sites", "list", env={"ACCREDIT_SITE": "north"})
    cli.fails(2, "USAGE", "sites", "list", env={"ACCREDIT_FORMAT": "xml"})
    cli.fails(2, "USAGE", "sites", "list", env={"ACCREDIT_TOKEN": "two words"})
    cli.fails(4, "SITE_NOT_FOUND", "sites", "list", "--site", "nowhere")


def test_no_address_is_a_mistake() -> None:
    ran = run(["sites", "list"], {})
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "ACCREDIT_ADDRESS" in ran.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["nothing"],
        ["agents", "lst"],
        ["agents", "list", "--nothing"],
        ["agents", "list", "extra"],
        ["agents", "list", "--limit", "-1"],
        ["agents", "list", "--status"],
        ["agents", "get", "99999999999999999999"],
        ["agents", "get", "0"],
        ["agents", "create", "x", "--config", "{"],
        ["agents", "create", "x", "--config", "[]"],
        ["agents", "create", "x", "--config", "@/nowhere"],
        ["tokens", "create", "--full-rights", "--expires", "soon"],
        ["changes", "list", "--since", "2026-01-01T00:00"],
        ["users", "get", "\udcff"],
        ["completion", "tcsh"],
    ],
    ids=lambda words: ascii(" ".join(words)),
)
def test_a_mistake_is_told_in_a_line_and_how_to_find_help(cli: Cli, words: list[str]) -> None:
    cli.fails(2, "USAGE", *words)


def test_a_mistake_says_where_help_is(cli: Cli) -> None:
    refused = cli.fails(2, "USAGE", "agents", "list", "--nothing")
    assert refused.err.splitlines()[-1] == "  try: accredit agents list --help"


def test_a_group_alone_shows_its_help(cli: Cli) -> None:
    for words in ([], ["agents"]):
        ran = cli.run(*words)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("Usage: accredit")


def test_a_bug_is_told_in_a_line_without_secrets(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(f"had {SECRET}")

    monkeypatch.setattr(sites, "show_list", broken)
    refused = cli.fails(7, "BUG", "sites", "list")
    assert "RuntimeError" in refused.err
    assert SECRET not in refused.err


# No process can be given a NUL in an argument.
RUBBISH = st.text(max_size=20).filter(lambda text: not text.startswith("-") and "\0" not in text)
COMMANDS = st.sampled_from(
    [
        ["agents", "get"],
        ["agents", "create"],
        ["agents", "list", "--text"],
        ["agents", "list", "--user"],
        ["agents", "list", "--site"],
        ["agents", "create", "x", "--config"],
        ["agents", "transfer", "x"],
        ["check"],
        ["check", "x", "--site"],
        ["users", "get"],
        ["users", "list", "--email"],
        ["sites", "get"],
        ["tokens", "get"],
        ["tokens", "create", "--full-rights", "--label"],
        ["tokens", "create", "--capability"],
        ["tokens", "create", "--full-rights", "--expires"],
        ["changes", "list", "--agent"],
        ["changes", "list", "--since"],
        ["changes", "verify", "--anchor"],
        ["files", "list", "--legacy"],
        ["files", "cat", "--shared"],
        ["files", "rm", "--yes", "--network"],
        ["files", "put", "x", "-", "--user"],
        ["memory", "today", "--agent"],
        ["memory", "read"],
        ["memory", "search"],
        ["registry", "show"],
        ["registry", "apply"],
        ["registry", "suppress"],
        ["registry", "register"],
        ["registry", "register", "x", "--seed"],
        ["registry", "register", "x", "--owner"],
        ["registry", "file-types", "register"],
        ["--site"],
        ["--agent"],
    ]
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(command=COMMANDS, rubbish=RUBBISH)
def test_rubbish_ends_with_an_answer_or_a_line(cli: Cli, command: list[str], rubbish: str) -> None:
    ran = cli.run(*command, rubbish, *(["whoami"] if command[0].startswith("--") else []))
    assert ran.code in {0, 1, 2, 3, 4, 5}, ran
    assert "BUG" not in ran.err


def test_an_interruption_is_quiet(peer: Peer) -> None:
    called = threading.Event()

    def hang(request: Any, context: grpc.ServicerContext) -> Message:
        called.set()
        return until_gone(request, context)

    peer.script("ListSites", hang)
    process = start(
        ["sites", "list", "--timeout", "60"],
        {"ACCREDIT_ADDRESS": peer.address},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert called.wait(PATIENCE)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (130, "", "\n")


@pytest.mark.parametrize("words", [["--help"], ["completion", "bash"], ["sites", "list"]])
def test_a_reader_that_left_is_no_reason_to_complain(server: Server, words: list[str]) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    variables = {"ACCREDIT_ADDRESS": server.address, "ACCREDIT_TOKEN": server.admin.token}
    ran = run(words, variables, stdout=theirs, stderr=subprocess.PIPE, capture_output=False)
    os.close(theirs)
    assert (ran.returncode, ran.stderr) == (141, "")


def test_output_that_cannot_be_written_is_a_failure(server: Server) -> None:
    variables = {"ACCREDIT_ADDRESS": server.address, "ACCREDIT_TOKEN": server.admin.token}
    with Path("/dev/full").open("w") as full:
        ran = run(
            ["sites", "list"], variables, stdout=full, stderr=subprocess.PIPE, capture_output=False
        )
    assert ran.returncode == 7
    assert ran.stderr == "error: No space left on device (FAILED)\n"


@pytest.mark.parametrize("only", [[], ["--secret-only"]], ids=["shown", "secret-only"])
@pytest.mark.parametrize("has_left", [True, False], ids=["reader left", "disk full"])
def test_a_secret_that_cannot_be_shown_is_told_to_be_lost(
    server: Server, only: list[str], has_left: bool
) -> None:
    variables = {"ACCREDIT_ADDRESS": server.address, "ACCREDIT_TOKEN": server.admin.token}
    ours, theirs = os.pipe()
    os.close(ours)
    with Path("/dev/full").open("w") as full:
        ran = run(
            ["tokens", "create", "--full-rights", *only],
            variables,
            stdout=theirs if has_left else full,
            stderr=subprocess.PIPE,
            capture_output=False,
        )
    os.close(theirs)
    assert ran.returncode == 7
    assert ran.stderr.endswith("is lost: revoke it (SECRET_LOST)\n")
    assert ran.stderr.count("\n") == 1


def test_what_the_output_cannot_hold_is_told(server: Server, cli: Cli) -> None:
    cli.done("sites", "create", "north", "--name", "N\u00f6rd")
    ran = run(
        ["sites", "list"],
        {
            "ACCREDIT_ADDRESS": server.address,
            "ACCREDIT_TOKEN": server.admin.token,
            "PYTHONIOENCODING": "ascii",
        },
    )
    assert ran.returncode == 7
    assert "(ENCODING)" in ran.stderr


def test_the_library_alone_says_what_the_command_needs() -> None:
    ran = subprocess.run(
        [
            *(sys.executable, "-c"),
            "import sys; sys.modules['click'] = None; from accredit.cli import main; main()",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert ran.returncode == 1
    assert ran.stderr == (
        "error: the command needs more than the library: pip install 'accredit[cli]'\n"
    )


def test_every_exit_code_is_documented(cli: Cli) -> None:
    documented = cli.done("--help").out.partition("Exit codes:")[2].partition("Environment:")[0]
    assert [int(line.split()[0]) for line in documented.splitlines() if line.strip()] == list(
        ExitCode
    )


def test_the_root_is_what_is_installed() -> None:
    assert root.accredit.name == "accredit"


def test_a_server_that_denies_is_no_failure(cli: Cli, ada: Person) -> None:
    assert cli.acting_as(ada).run("check", "nothing").err == ""
