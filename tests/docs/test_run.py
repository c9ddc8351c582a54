"""`make run`: what it prints works, once and again, and it ends in good order."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

import accredit
from tests.docs.conftest import ROOT, Trying, environment, trying
from tests.server import running_server
from tools.seed import seed

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Trying]:
    with trying(tmp_path_factory.mktemp("run") / "data") as running:
        yield running


def pasted(line: str) -> "subprocess.CompletedProcess[str]":
    """The line in another terminal, in the same directory."""
    return subprocess.run(
        ["bash", "-c", line],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.usefixtures("grpcurl")
def test_every_line_works_by_itself(server: Trying) -> None:
    lines = [line for line in server.to_paste if line]
    programs = {line.split()[0].rpartition("/")[2] for line in lines}
    assert programs >= {"accredit", "grpcurl", "python"}
    for line in lines:
        done = pasted(line)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        assert done.stdout, line
        assert "denial" not in done.stdout


def test_tokens_are_for_our_eyes_only(server: Trying) -> None:
    files = list(server.folder.glob("*.token"))
    assert {file.stem for file in files} == {"administrator", "ada", "bob", "notes"}
    for file in files:
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.read_text().strip() not in server.said


def test_it_runs_again_on_what_is_there_and_ends_when_told_to(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with trying(folder) as first:
        assert first.stop(signal.SIGINT) == 0
    tokens = {file.name: file.read_text() for file in folder.glob("*.token")}
    with trying(folder) as again:
        assert pasted(again.to_paste[0]).returncode == 0
        assert again.stop(signal.SIGTERM) == 0
    assert {file.name: file.read_text() for file in folder.glob("*.token")} == tokens
    (folder / "administrator.token").unlink()
    done = subprocess.run(
        [sys.executable, "-m", "tools.run"],
        cwd=ROOT,
        env={**environment(), "ACCREDIT_DATA_DIR": str(folder), "ACCREDIT_LISTEN": "127.0.0.1:0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "bootstrap --new-token" in done.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [("ACCREDIT_LISTEN", "192.0.2.1:50051"), ("ACCREDIT_TLS_CERTIFICATE", "cert.pem")],
)
def test_it_is_for_this_machine_only(variable: str, value: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.run"],
        cwd=ROOT,
        env={**environment(), variable: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "accredit-server serve" in done.stderr


def test_the_examples_are_made_once_and_a_dead_token_is_replaced(
    sqlite_template: Path, tmp_path: Path
) -> None:
    database = tmp_path / "accredit.db"
    shutil.copyfile(sqlite_template, database)
    with (
        running_server(f"sqlite:///{database}", tmp_path) as server,
        accredit.Client(server.address, token=server.admin.token) as client,
    ):
        seed(client, tmp_path)
        made = list(client.changes.iterate_changes())
        seed(client, tmp_path)
        assert list(client.changes.iterate_changes()) == made
        bob = tmp_path / "bob.token"
        old = bob.read_text()
        client.tokens.revoke_token(token_id=old.split("_")[1])
        seed(client, tmp_path)
        new = client.auth.authenticate(token=bob.read_text().strip())
        assert new.principal.login == "bob"
