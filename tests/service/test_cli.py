import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner, Result

from accredit.v1 import auth_pb2, auth_pb2_grpc
from accredit_service.cli import main
from accredit_service.settings import SETTINGS
from accredit_storage.directory.tree import DirectoryTree
from tests.postgres import PostgresServer
from tests.service.running import PATIENCE

SECRET = re.compile(r"acr_[0-9A-Za-z]{16}_[0-9A-Za-z]{56}")


# types-grpcio makes every call of bytes an error.
insecure_channel: Any = grpc.insecure_channel


@dataclass
class Process:
    """`accredit-server serve`, running."""

    inner: subprocess.Popen[str]
    address: str
    stdout: list[str]
    stderr: Path

    def who_am_i(self, token: str, *, timeout: float = PATIENCE) -> str:
        with insecure_channel(self.address) as channel:
            answer = auth_pb2_grpc.AuthServiceStub(channel).WhoAmI(
                auth_pb2.WhoAmIRequest(),
                metadata=[("authorization", f"Bearer {token}")],
                timeout=timeout,
            )
        return str(answer.user.login)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.inner.send_signal(number)
        return self.inner.wait(PATIENCE)

    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.stderr.read_text().splitlines()]


@dataclass
class Commands:
    """The program, on a data folder of its own."""

    folder: Path
    stack: ExitStack
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def token_file(self) -> Path:
        return self.folder / "data" / "administrator.token"

    def arguments(self, *given: str) -> list[str]:
        return [*given, "--data-dir", str(self.folder / "data")]

    def run(self, *given: str) -> Result:
        """A command that ends, in this process."""
        return CliRunner(env={**self.environ, "COLUMNS": "100"}).invoke(
            main, self.arguments(*given)
        )

    def fails(self, *given: str, code: int = 1) -> str:
        """A command that fails: its sentence."""
        result = self.run(*given)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        (line,) = result.stderr.splitlines()
        return line

    def serve(self, *given: str) -> Process:
        """The server as an operator starts it, up to where it listens."""
        return self.stack.enter_context(_serving(self, *given))

    def serve_fails(self, *given: str, code: int = 1) -> str:
        """A server that does not start: its sentence."""
        ended = subprocess.run(
            _program(self, *given), env=_environ(self), capture_output=True, text=True, timeout=60
        )
        assert ended.returncode == code, ended.stderr
        assert "Traceback" not in ended.stderr
        return ended.stderr.splitlines()[-1]


def _program(commands: Commands, *given: str) -> list[str]:
    asked = commands.arguments("serve", "--listen", "127.0.0.1:0", *given)
    return [sys.executable, "-m", "accredit_service.cli", *asked]


def _environ(commands: Commands) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ACCREDIT_")}
    return {**clean, **commands.environ}


@contextmanager
def _serving(commands: Commands, *given: str) -> Generator[Process]:
    stderr = commands.folder / "stderr"
    with (
        stderr.open("w") as log,
        subprocess.Popen(
            _program(commands, *given),
            env=_environ(commands),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as inner,
    ):
        assert inner.stdout is not None
        said: list[str] = []
        try:
            for line in inner.stdout:
                said.append(line.rstrip())
                if line.startswith("listening on "):
                    break
            else:
                raise AssertionError(stderr.read_text())
            yield Process(inner, said[-1].removeprefix("listening on "), said, stderr)
        finally:
            inner.kill()


@pytest.fixture
def commands(tmp_path: Path) -> Generator[Commands]:
    with ExitStack() as stack:
        yield Commands(tmp_path, stack)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_first_start_makes_everything_and_the_second_nothing(commands: Commands) -> None:
    first = commands.serve()
    token = commands.token_file.read_text().strip()
    assert SECRET.fullmatch(token)
    assert (mode(commands.token_file), mode(commands.token_file.parent)) == (0o600, 0o700)
    assert first.who_am_i(token) == "admin"
    # Standard output is no terminal here, and so may be a log.
    assert any(str(commands.token_file) in line for line in first.stdout)
    assert token not in "".join(first.stdout) + first.stderr.read_text()
    assert first.stop() == 0
    assert first.events()[-2:] == ["stopping", "stopped"]

    second = commands.serve()
    assert len(second.stdout) == 1
    assert second.who_am_i(token) == "admin"
    assert second.stop(signal.SIGINT) == 0


def test_many_first_starts_at_once_make_one_administrator(commands: Commands) -> None:
    started: list[Process] = []
    lock = threading.Lock()

    def start() -> None:
        process = commands.serve()
        with lock:
            started.append(process)

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 3
    token = commands.token_file.read_text().strip()
    assert [process.who_am_i(token) for process in started] == ["admin"] * 3
    assert sum(len(process.stdout) == 2 for process in started) == 1


def test_a_start_that_broke_off_before_there_was_a_schema_is_made_good(commands: Commands) -> None:
    commands.token_file.parent.mkdir()
    database = commands.token_file.with_name("accredit.sqlite3")
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    assert commands.serve().stop() == 0


def test_a_default_owner_whom_nobody_knows_keeps_the_server_from_starting(
    commands: Commands,
) -> None:
    sentence = commands.serve_fails("--default-owner", "nobody", code=2)
    assert sentence == (
        "accredit-server: default_owner: there is no user 'nobody': start without the setting, "
        "create them, and set it then"
    )
    assert commands.serve("--default-owner", "admin").stop() == 0


def test_a_second_signal_does_not_wait_for_the_grace(commands: Commands) -> None:
    process = commands.serve("--grace", "3600")
    token = commands.token_file.read_text().strip()
    # A stream that does not end by itself.
    with insecure_channel(process.address) as channel:
        never = threading.Event()
        stream = channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        )(iter(lambda: never.wait(PATIENCE), True), metadata=[("authorization", f"Bearer {token}")])
        process.who_am_i(token)
        process.inner.send_signal(signal.SIGTERM)
        while "stopping" not in process.events():
            pass
        assert process.inner.poll() is None
        assert process.stop() == 128 + signal.SIGTERM
        never.set()
        stream.cancel()


def test_a_call_stuck_in_the_database_does_not_keep_the_process_alive(commands: Commands) -> None:
    process = commands.serve("--grace", "0.1")
    token = commands.token_file.read_text().strip()
    database = commands.token_file.with_name("accredit.sqlite3")
    with sqlite3.connect(database, isolation_level=None) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with insecure_channel(process.address) as channel:
            stuck = channel.unary_unary("/accredit.v1.SiteService/CreateSite").future(
                b"\x0a\x01x", metadata=[("authorization", f"Bearer {token}")]
            )
            # Behind it in time, so that it has been taken on.
            assert process.who_am_i(token) == "admin"
            assert process.stop() == 0
            assert isinstance(stuck.exception(), grpc.RpcError)
    connection.close()


def test_an_address_in_use_is_a_sentence(commands: Commands) -> None:
    process = commands.serve()
    said = commands.serve_fails("--listen", process.address)
    assert "address already in use" in said
    assert "--listen" in said


def test_postgresql_is_migrated_only_when_that_is_asked_for(
    commands: Commands, postgres: PostgresServer
) -> None:
    name = postgres.create_database()
    commands.environ["ACCREDIT_DATABASE_URL"] = postgres.url(name)
    assert "accredit-server migrate" in commands.serve_fails()
    assert "accredit-server migrate" in commands.fails("migrate", "--check")
    process = commands.serve("--migrate")
    assert process.who_am_i(commands.token_file.read_text().strip()) == "admin"
    assert process.stop() == 0
    assert commands.run("migrate", "--check").exit_code == 0
    postgres.drop_database(name)


def test_migrate_makes_the_schema_and_can_be_repeated(commands: Commands) -> None:
    for _ in range(2):
        result = commands.run("migrate")
        assert (result.exit_code, result.stdout) == (0, "the schema is up to date\n")
    assert commands.run("migrate", "--check").exit_code == 0


def test_bootstrap_prints_the_token_once_and_keeps_it_in_a_private_file(
    commands: Commands,
) -> None:
    commands.run("migrate")
    result = commands.run("bootstrap", "--login", "root")
    assert result.exit_code == 0
    token = result.stdout.strip()
    assert SECRET.fullmatch(token)
    assert commands.token_file.read_text().strip() == token
    assert mode(commands.token_file) == 0o600
    assert "--new-token" in commands.fails("bootstrap")


def test_the_glass_can_be_broken(commands: Commands) -> None:
    commands.run("migrate")
    first = commands.run("bootstrap").stdout.strip()
    for login in ([], ["--login", "admin"]):
        result = commands.run("bootstrap", "--new-token", *login)
        token = result.stdout.strip()
        assert SECRET.fullmatch(token)
        (kept,) = [
            path
            for path in commands.token_file.parent.glob("administrator-*.token")
            if path.read_text().strip() == token
        ]
        assert mode(kept) == 0o600
        assert str(kept) in result.stderr
    assert commands.token_file.read_text().strip() == first
    assert "no active administrator 'nobody'" in commands.fails(
        "bootstrap", "--new-token", "--login", "nobody"
    )


def test_bootstrap_needs_a_schema(commands: Commands) -> None:
    assert "database" in commands.fails("bootstrap")


def test_a_login_that_cannot_be_one_is_a_sentence(commands: Commands) -> None:
    commands.run("migrate")
    assert "login" in commands.fails("bootstrap", "--login", "a b")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["--threads", "many"], "--threads"),
        (["--tls-key", "/nonexistent"], "tls_certificate"),
        (["--listen", "0.0.0.0:0"], "insecure-plaintext"),
        (["--config", "/nonexistent"], "/nonexistent"),
        (["--database-url", "mysql://x"], "database_url"),
        (["--database-url", "hunter2"], "database_url"),
        (["--database-url", "sqlite://"], "database_url"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_setting_is_a_sentence_that_names_it(
    commands: Commands, given: Sequence[str], named: str
) -> None:
    said = commands.fails("serve", *given, code=2)
    assert said.startswith("accredit-server: ")
    assert named in said
    assert "hunter2" not in said


def test_a_variable_nobody_knows_is_a_sentence_too(commands: Commands) -> None:
    commands.environ["ACCREDIT_THREDS"] = "3"
    assert "ACCREDIT_THREDS" in commands.fails("serve", code=2)


def test_a_bug_is_a_sentence_and_at_debug_a_traceback(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("hunter2")

    monkeypatch.setattr("accredit_storage.migrate.upgrade", broken)
    said = commands.fails("migrate")
    assert "a bug, ZeroDivisionError" in said
    assert "hunter2" not in said
    result = commands.run("migrate", "--log-level", "debug")
    assert result.exit_code == 1
    assert "broken" in result.stderr


def test_a_data_folder_that_cannot_be_made_is_a_sentence(commands: Commands) -> None:
    (commands.folder / "data").write_text("a file")
    assert "data" in commands.fails("migrate")


def test_a_data_folder_that_is_open_to_everybody_is_complained_of(commands: Commands) -> None:
    assert "open to every user" not in commands.run("migrate").stderr
    commands.token_file.parent.chmod(0o755)
    assert "data folder open to every user" in commands.run("migrate").stderr


def test_the_help_has_every_setting_with_its_variable(commands: Commands) -> None:
    shown = CliRunner(env={"COLUMNS": "500"}).invoke(main, ["serve", "--help"]).output
    for setting in SETTINGS.values():
        assert setting.flag in shown
        assert setting.variable in shown


@dataclass(frozen=True)
class Ill:
    because: str
    subject: str
    harm: Callable[[Commands], object]
    environ: Mapping[str, str] = field(default_factory=dict)


def _execute(commands: Commands, *statements: str) -> None:
    with sqlite3.connect(commands.token_file.with_name("accredit.sqlite3")) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def _stray(commands: Commands) -> None:
    tree = DirectoryTree(commands.token_file.with_name("files"))
    tree.prepare()
    (tree.root / "agents" / "nobodys").mkdir(mode=0o700)


def _lost(commands: Commands) -> None:
    DirectoryTree(commands.token_file.with_name("files")).prepare()
    _execute(commands, "UPDATE users SET files_made = 1")


def _open_files(commands: Commands) -> None:
    tree = DirectoryTree(commands.token_file.with_name("files"))
    tree.prepare()
    (tree.root / "agents").chmod(0o755)


def _nothing(commands: Commands) -> None:
    pass


@pytest.mark.parametrize(
    "case",
    [
        Ill("a setting is unknown", "settings", _nothing, {"ACCREDIT_NONSENSE": "1"}),
        Ill("it would serve plaintext", "settings", _nothing, {"ACCREDIT_LISTEN": "0.0.0.0:1"}),
        Ill(
            "the data folder is open to everybody",
            "data folder",
            lambda commands: commands.token_file.parent.chmod(0o755),
        ),
        Ill(
            "the token file is open to everybody",
            "data folder",
            lambda commands: commands.token_file.chmod(0o644),
        ),
        Ill("there is no data folder", "data folder", _nothing, {"ACCREDIT_DATA_DIR": "/none"}),
        Ill(
            "there is no database",
            "database",
            lambda commands: commands.token_file.with_name("accredit.sqlite3").unlink(),
        ),
        Ill(
            "the schema is of a later release",
            "schema",
            lambda commands: _execute(
                commands,
                "UPDATE alembic_version SET version_num = 'of a later release'",
                "UPDATE store_state SET oldest_server = 99",
            ),
        ),
        Ill(
            "the change log was tampered with",
            "change log",
            lambda commands: _execute(commands, "UPDATE changes SET kind = 'bulk'"),
        ),
        Ill(
            "no administrator is active",
            "administrators",
            lambda commands: _execute(commands, "UPDATE users SET active = 0"),
        ),
        Ill(
            "there is no such default owner",
            "default owner",
            _nothing,
            {"ACCREDIT_DEFAULT_OWNER": "nobody"},
        ),
        Ill(
            "the default owner is not active",
            "default owner",
            lambda commands: _execute(commands, "UPDATE users SET active = 0"),
            {"ACCREDIT_DEFAULT_OWNER": "admin"},
        ),
        Ill("the files are open to everybody", "files", _open_files),
        Ill("a name in the tree is not ours", "stray names", _stray),
        Ill("a directory was lost", "lost directories", _lost),
    ],
)
def test_the_doctor_finds_what_is_wrong(commands: Commands, case: Ill) -> None:
    commands.run("migrate")
    commands.run("bootstrap")
    arguments = ["doctor", "--data-dir", str(commands.folder / "data")]
    well = CliRunner().invoke(main, arguments)
    assert well.exit_code == 0, well.output
    assert "PROBLEM" not in well.output
    assert well.output.count(": ok") == 11
    case.harm(commands)
    if "ACCREDIT_DATA_DIR" in case.environ:
        arguments = ["doctor"]
    ill = CliRunner(env=case.environ).invoke(main, arguments)
    assert ill.exit_code == 1, ill.output
    assert re.search(f"^{case.subject}: PROBLEM: ", ill.output, re.MULTILINE), ill.output
    assert "Traceback" not in ill.output


def test_the_doctor_finds_a_database_that_does_not_answer(commands: Commands) -> None:
    commands.run("migrate")
    result = commands.run("doctor", "--database-url", "postgresql://u:hunter2@127.0.0.1:1/x")
    assert result.exit_code == 1
    assert "schema: PROBLEM: " in result.output
    assert "hunter2" not in result.output


def test_the_doctor_finds_broken_tls_files(commands: Commands, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("nonsense")
    key.chmod(0o600)
    result = commands.run("doctor", "--tls-key", str(key), "--tls-certificate", str(key))
    assert result.exit_code == 1
    assert "TLS: PROBLEM: " in result.output
