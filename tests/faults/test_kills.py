"""kill -9 of the server at any moment: what was acknowledged is there, and nothing twice."""

import random
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from tests.faults.conftest import Launch
from tests.faults.racing import until_killed
from tests.faults.writers import Writer, check_all, logged_revisions
from tests.processes import ServerProcess, launched

WRITERS = 6


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("kills", "longest_start"),
    [
        # The bar is 5 s. Where the machine is shared with other tests a process waits for its turn.
        pytest.param(6, 30.0, id="6-kills"),
        pytest.param(50, 5.0, id="50-kills", marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
    ],
)
def test_what_was_acknowledged_outlives_every_kill(
    launch: Launch,
    database_url: str,
    engine_name: str,
    kills: int,
    longest_start: float,
    record_property: Any,
) -> None:
    starts: list[float] = []

    def started() -> ServerProcess:
        process = launch().ready()
        starts.append(time.monotonic() - process.began)
        return process

    process = started()
    guest = process.server.user()
    changes_before = len(logged_revisions(process.server))
    writers = [Writer(number, guest.user_id) for number in range(WRITERS)]
    for _ in range(kills):
        until_killed(process, writers, Writer.write, after=random.randint(30, 150))
        process.close()
        process = started()
    check_all(process.server, writers, changes_before=changes_before)
    if engine_name == "sqlite":
        assert file_is_sound(database_url)
    record_property("measured: longest start, s", round(max(starts), 2))
    record_property("measured: changes", sum(writer.changes for writer in writers))
    assert max(starts) < longest_start


def file_is_sound(database_url: str) -> bool:
    connection = sqlite3.connect(str(make_url(database_url).database))
    try:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        return bool(verdict == "ok")
    finally:
        connection.close()


def test_a_kill_during_the_first_start_leaves_a_way_in(
    empty_database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    with launched(empty_database_url, folder, "--migrate") as process:
        # About to commit the administrator, or just after.
        while process.popen.poll() is None and not (folder / "administrator.token").exists():
            pass
        process.kill()
    with launched(empty_database_url, folder, "--migrate") as process:
        server = process.ready().server
        users = server.admin.call("UserService/ListUsers").users
        assert [user.login for user in users] == ["admin"]
