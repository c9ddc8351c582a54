"""`accredit-server redact`, as an operator runs it."""

import os
import pty
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from accredit_service.cli import main

PATIENCE = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with one change in its log."""
    data = tmp_path / "data"
    for command in ("migrate", "bootstrap"):
        assert CliRunner().invoke(main, [command, "--data-dir", str(data)]).exit_code == 0
    return data


def redact(folder: Path, *words: str) -> Result:
    """The command, in this process, where there is no terminal."""
    return CliRunner().invoke(main, ["redact", *words, "--data-dir", str(folder)])


def rows(folder: Path) -> list[tuple[int, str, bool]]:
    """Each change: its revision, its kind, and whether it has a payload."""
    with closing(sqlite3.connect(folder / "accredit.sqlite3")) as database:
        query = "SELECT revision, kind, after IS NOT NULL FROM changes ORDER BY revision"
        return [(revision, kind, bool(has)) for revision, kind, has in database.execute(query)]


WRITTEN = [(1, "bootstrapped", True)]
REDACTED = [(1, "bootstrapped", False), (2, "change_redacted", True)]


def test_it_says_what_it_did(folder: Path) -> None:
    done = redact(folder, "1", "--yes")
    assert (done.exit_code, done.output) == (0, "redacted: 1\n")
    assert rows(folder) == REDACTED
    again = redact(folder, "--yes", "1", "2")
    assert (again.exit_code, again.output) == (0, "redacted: 2\nhad no payloads: 1\n")
    well = CliRunner().invoke(main, ["doctor", "--data-dir", str(folder)])
    assert "change log: ok" in well.output


def test_without_a_terminal_it_needs_a_yes(folder: Path) -> None:
    done = redact(folder, "1")
    assert done.exit_code == 1
    assert done.stderr == "accredit-server: no terminal to confirm on: pass --yes\n"
    assert rows(folder) == WRITTEN


def test_what_is_not_in_the_log_is_an_error(folder: Path) -> None:
    done = redact(folder, "1", "7", "9", "--yes")
    assert done.exit_code == 1
    assert done.stderr == ("accredit-server: revisions: not in the log: 7, 9; unknown, or pruned\n")
    assert rows(folder) == WRITTEN


@pytest.mark.parametrize("words", [[], ["0"], ["-1"], ["x"], [str(2**63)]])
def test_what_is_no_revision_is_a_mistake(folder: Path, words: list[str]) -> None:
    assert redact(folder, "--yes", "--", *words).exit_code == 2
    assert rows(folder) == WRITTEN


@pytest.mark.parametrize(
    ("typed", "code", "said", "left"),
    [
        ("n\n", 1, "nothing was redacted", WRITTEN),
        ("\n", 1, "nothing was redacted", WRITTEN),
        ("y\n", 0, "redacted: 1", REDACTED),
    ],
)
def test_on_a_terminal_it_asks(
    folder: Path, typed: str, code: int, said: str, left: list[tuple[int, str, bool]]
) -> None:
    ours, theirs = pty.openpty()
    program = [sys.executable, "-m", "accredit_service.cli", "redact", "1"]
    with subprocess.Popen(
        [*program, "--data-dir", str(folder)],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "ACCREDIT_LOG_LEVEL": "error"},
    ) as process:
        os.close(theirs)
        os.write(ours, typed.encode())
        seen, _ = process.communicate(timeout=PATIENCE)
    os.close(ours)
    assert "Take the payloads out of 1? There is no way back. [y/N]" in seen.decode()
    assert (process.returncode, said in seen.decode()) == (code, True)
    assert rows(folder) == left
