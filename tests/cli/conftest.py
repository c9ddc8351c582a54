"""The command line on a real server."""

import json
import os
import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from accredit.cli.root import accredit
from tests.server import Person, Server, running_server


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, parsed."""
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """What it printed, line by line and word by word."""
        return [line.split() for line in self.out.splitlines()]

    @property
    def record(self) -> dict[str, str]:
        """The table of one thing: name and value."""
        parts = (line.partition(" ") for line in self.out.splitlines())
        return {name: value.strip() for name, _, value in parts}


class Cli:
    """Runs commands as somebody, the administrator by default."""

    def __init__(self, address: str, caller: Person | None) -> None:
        self._address = address
        self._caller = caller

    def acting_as(self, caller: Person | None) -> "Cli":
        """The same as somebody else; None has no token."""
        return Cli(self._address, caller)

    def run(
        self, *words: str, input: str | bytes | None = None, env: dict[str, str] | None = None
    ) -> Ran:
        """Run a command, however it ends."""
        token = {} if self._caller is None else {"ACCREDIT_TOKEN": self._caller.token}
        result = CliRunner().invoke(
            accredit,
            words,
            input=input,
            env={"ACCREDIT_ADDRESS": self._address, **token, **(env or {})},
        )
        assert isinstance(result.exception, SystemExit | None), result.exception
        assert "Traceback" not in result.output
        return Ran(result.exit_code, result.stdout, result.stderr)

    def done(self, *words: str, **more: Any) -> Ran:
        """Run a command that works."""
        ran = self.run(*words, **more)
        assert ran.code == 0, ran
        return ran

    def json(self, *words: str, **more: Any) -> Any:
        """Run a command that works, with its answer as JSON."""
        return self.done(*words, "--format", "json", **more).json

    def fails(self, code: int, reason: str, *words: str, **more: Any) -> Ran:
        """Run a command that ends with that code and that reason, and prints nothing."""
        ran = self.run(*words, **more)
        first = ran.err.splitlines()[0]
        assert (ran.code, ran.out) == (code, ""), ran
        assert first.startswith("error: ")
        assert first.endswith(f"({reason})"), ran
        return ran


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ACCREDIT_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    # So that what the command sets for its own process does not outlive the test.
    monkeypatch.setenv("GRPC_VERBOSITY", "NONE")


@pytest.fixture
def server(sqlite_template: Path, tmp_path: Path) -> Generator[Server]:
    """A server of the test's own."""
    database = tmp_path / "accredit.db"
    shutil.copyfile(sqlite_template, database)
    with running_server(f"sqlite:///{database}", tmp_path / "data") as running:
        yield running


@pytest.fixture
def cli(server: Server) -> Cli:
    """The command, run by the administrator."""
    return Cli(server.address, server.admin)


@pytest.fixture
def ada(server: Server) -> Person:
    """A member."""
    return server.user(login="ada", email="ada@example.org", display_name="Ada")
