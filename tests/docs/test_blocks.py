"""What the other pages show works as well: blocks of Python, of shell and of SQL."""

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest

import accredit
from tests.docs.conftest import environment, python, shell, trying
from tests.docs.pages import DOCS, ROOT, Block, blocks
from tests.postgres import PostgresServer
from tests.server import Server, running_server
from tools.seed import seed

OPERATIONS = DOCS / "operations.md"
EXAMPLE = ROOT / "examples" / "guarded_service"

pytestmark = pytest.mark.timeout(180)


def under(server: Server, folder: Path) -> dict[str, str]:
    """What somebody has set who reads the pages."""
    token = folder / "administrator.token"
    token.write_text(server.admin.token)
    return {
        **environment(),
        "PATH": f"{ROOT}/.venv/bin:{ROOT}/build/bin:{os.environ['PATH']}",
        "PYTHONPATH": str(EXAMPLE),
        "ACCREDIT_ADDRESS": server.address,
        "ACCREDIT_TOKEN_FILE": str(token),
    }


@pytest.mark.usefixtures("grpcurl")
def test_the_page_on_clients_and_the_health_check(database_url: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(running_server(database_url, tmp_path))
        client = stack.enter_context(accredit.Client(server.address, token=server.admin.token))
        seed(client, tmp_path)
        env = under(server, tmp_path)
        bash = stack.enter_context(shell(tmp_path, env))
        interpreter = stack.enter_context(python(tmp_path, env))
        interpreter.run("import notes.v1.notes_pb2")
        said = ""
        shown = blocks(DOCS / "clients.md") + blocks(OPERATIONS, "Health")
        for block in shown:
            text = block.text.replace("accredit-data", str(tmp_path))
            said += (bash if block.language == "sh" else interpreter).run(text)
        assert {block.language for block in shown} == {"sh", "python"}
        assert "billing-bot" in said
        assert '"status": "SERVING"' in said


@pytest.mark.usefixtures("grpcurl")
def test_the_example_as_its_page_shows_it(sqlite_template: Path, tmp_path: Path) -> None:
    run, example, text = blocks(EXAMPLE / "README.md")
    assert run == Block("console", "$ make example\n")
    with ExitStack() as stack:
        tried = stack.enter_context(trying(tmp_path / "data"))
        env = {
            **environment(),
            "PYTHONPATH": str(EXAMPLE),
            "ACCREDIT_ADDRESS": tried.address,
            "ACCREDIT_TOKEN_FILE": str(tried.folder / "notes.token"),
        }
        notes = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "notes", "--listen", "127.0.0.1:0"],
                env=env,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(notes.terminate)
        assert notes.stdout is not None
        address = notes.stdout.readline().split()[-1]
        bash = stack.enter_context(shell(tmp_path, environment()))
        block = example.text.replace("accredit-data", str(tried.folder))
        said = bash.run(block.replace("127.0.0.1:50061", address)).splitlines()
        assert all(line in said for line in text.text.splitlines())


def sql(comment: str) -> str:
    """The statement for one database."""
    (found,) = (
        block.text for block in blocks(OPERATIONS, "Backups") if f"-- {comment}\n" in block.text
    )
    return found


def test_a_restored_store_with_a_new_epoch_refuses_the_future(
    sqlite_template: Path, tmp_path: Path
) -> None:
    live, restored = tmp_path / "live.sqlite3", tmp_path / "restored.sqlite3"
    live.write_bytes(sqlite_template.read_bytes())
    (backup,) = (block.text for block in blocks(OPERATIONS, "Backups") if block.language == "sh")
    statement = re.findall(r'"(VACUUM INTO .*)"', backup)[0]
    with running_server(f"sqlite:///{live}", tmp_path) as server:
        owner = server.user()
        with closing(sqlite3.connect(live)) as connection:
            connection.execute(statement.replace("accredit-backup.sqlite3", str(restored)))
        token = server.admin.call("SiteService/CreateSite", site_slug="s").consistency_token
    with closing(sqlite3.connect(restored)) as connection:
        connection.executescript(sql("SQLite"))
    with running_server(f"sqlite:///{restored}", tmp_path) as server:
        found = server.admin.call("UserService/GetUser", user={"user_id": owner.user_id})
        assert found.user.login == owner.login
        refused = server.admin.refused(
            "SiteService/ListSites", consistency={"at_least_as_fresh": token}
        )
        assert refused.reason == "CONSISTENCY_TOKEN_INVALID"
        assert server.admin.call("ChangeService/VerifyChanges").intact


def test_the_epoch_is_renewed_on_postgresql_too(
    postgres: PostgresServer, postgres_template: str
) -> None:
    name = postgres.create_database(template=postgres_template)
    url = str(postgres.url(name)).replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url, autocommit=True) as connection:
        before = connection.execute("SELECT epoch FROM store_state").fetchone()
        connection.execute(sql("PostgreSQL").encode())
        after = connection.execute("SELECT epoch FROM store_state").fetchone()
    assert before is not None
    assert after is not None
    assert before != after
    assert len(after[0]) == len(before[0]) == 32
    postgres.drop_database(name)
