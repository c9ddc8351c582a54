"""SQLite: many readers beside a writer, a disk that fills up, a file that cannot be written."""

import shutil
import subprocess
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from tests.faults.racing import spread
from tests.faults.writers import is_intact
from tests.processes import StartFailed, launched
from tests.server import Person, RefusedError, Server, running_server

READERS = 32


@pytest.fixture
def on_sqlite(
    sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Generator[Server]:
    """A server on a file, whose callers wait for a connection however slow the machine is."""
    monkeypatch.setattr("accredit_storage.engine.POOL_WAIT", 60.0)
    path = tmp_path / "accredit.db"
    shutil.copyfile(sqlite_template, path)
    with running_server(f"sqlite:///{path}", tmp_path) as server:
        yield server


@pytest.mark.parametrize(
    "writes", [60, pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])]
)
def test_no_reader_beside_a_writer_is_told_that_the_file_is_locked(
    on_sqlite: Server, writes: int
) -> None:
    agent = on_sqlite.agent(on_sqlite.admin)
    ref = {"agent_id": agent.agent_id}
    written = threading.Event()

    def read(person: Person) -> int:
        reads = 0
        while not written.is_set():
            seen = person.call("AgentService/GetAgent", agent=ref).agent
            listed = person.call("AgentService/ListAgents").agents
            assert [one.agent_id for one in listed] == [agent.agent_id]
            # What was read later is not older.
            assert int(listed[0].agent_name[1:] or 0) >= int(seen.agent_name[1:] or 0)
            reads += 2
        return reads

    with (
        spread(on_sqlite.admin, connections=READERS) as people,
        ThreadPoolExecutor(READERS) as pool,
    ):
        name(on_sqlite.admin, ref, 0)
        reading = [pool.submit(read, person) for person in people]
        try:
            for number in range(writes):
                name(on_sqlite.admin, ref, number)
        finally:
            written.set()
        assert min(one.result() for one in reading) > 0


def name(person: Person, ref: dict[str, Any], number: int) -> None:
    person.call("AgentService/UpdateAgent", agent=ref, update={"agent_name": f"n{number}"})


@contextmanager
def small_disk(folder: Path, size: str = "4m") -> Generator[Path]:
    """A file system of its own with little room; skips where that is not allowed."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", folder],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def full_disk(server: Server, folder: Path) -> Iterator[None]:
    """Whatever room is left on the disk of ``folder`` is taken until the block ends."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    yield
    ballast.unlink()


@contextmanager
def full_file(server: Server, folder: Path) -> Iterator[None]:
    """The database file may not grow until the block ends."""
    engine = server.app.store.engine

    def limit(connection: Any, _record: Any) -> None:
        # Never below what the file has already.
        connection.execute("PRAGMA max_page_count = 1")

    event.listen(engine, "connect", limit)
    engine.dispose()
    yield
    event.remove(engine, "connect", limit)
    engine.dispose()


@contextmanager
def on_small_disk(template: Path, tmp_path: Path) -> Generator[tuple[Server, Path]]:
    with small_disk(tmp_path / "small") as folder:
        shutil.copyfile(template, folder / "accredit.db")
        with running_server(f"sqlite:///{folder / 'accredit.db'}", folder) as server:
            yield server, folder


@contextmanager
def on_any_disk(template: Path, tmp_path: Path) -> Generator[tuple[Server, Path]]:
    shutil.copyfile(template, tmp_path / "accredit.db")
    with running_server(f"sqlite:///{tmp_path / 'accredit.db'}", tmp_path) as server:
        yield server, tmp_path


@pytest.mark.parametrize(
    ("place", "full"),
    [
        pytest.param(on_small_disk, full_disk, id="the-disk-is-full"),
        pytest.param(on_any_disk, full_file, id="the-file-may-not-grow"),
    ],
)
def test_without_room_writes_are_refused_and_checking_goes_on(
    sqlite_template: Path,
    tmp_path: Path,
    place: Callable[..., Any],
    full: Callable[..., Any],
) -> None:
    with place(sqlite_template, tmp_path) as (server, folder):
        member = server.user()
        agent = server.agent(member)
        acknowledged = [agent.agent_slug]
        with full(server, folder):
            refusal = fill(server, acknowledged)
            assert refusal.what == "RESOURCE_EXHAUSTED STORAGE_FULL"
            for _ in range(20):
                answer = server.admin.call("AuthService/Authenticate", token=member.token)
                assert answer.principal.user_id == member.user_id
                allowed = server.admin.call(
                    "AuthService/Authorize",
                    token=member.token,
                    demand={"agent": {"agent_id": agent.agent_id}, "minimum_role": 1},
                )
                assert allowed.WhichOneof("outcome") == "principal"
            assert fill(server, acknowledged).what == "RESOURCE_EXHAUSTED STORAGE_FULL"
        # There is room again, and the server has not been started anew.
        member.call("TokenService/RevokeToken", token_id=member.token_id)
        assert member.refused("AuthService/WhoAmI").reason == "TOKEN_INVALID"
        listed = server.admin.call("AgentService/ListAgents", scope="LIST_SCOPE_ALL", page_size=500)
        assert sorted(one.agent_slug for one in listed.agents) == sorted(acknowledged)
        assert is_intact(server)


def fill(server: Server, acknowledged: list[str]) -> RefusedError:
    """Create agents until one is refused."""
    while True:
        try:
            made = server.agent(server.admin, config={"padding": "x" * 60_000})
        except RefusedError as refusal:
            return refusal
        acknowledged.append(made.agent_slug)
        assert len(acknowledged) < 400, "it was never full"


def test_a_start_on_a_disk_that_takes_no_writes_is_refused_with_a_sentence(
    sqlite_template: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "small") as folder:
        shutil.copyfile(sqlite_template, folder / "accredit.db")
        remount = ["mount", "-o", "remount,ro", str(folder)]
        subprocess.run(remount, check=True)
        url = f"sqlite:///{folder / 'accredit.db'}"
        with (
            launched(url, tmp_path / "data") as process,
            pytest.raises(StartFailed, match="does not accept writes") as failure,
        ):
            process.ready()
    assert "Traceback" not in str(failure.value)


def test_a_start_on_what_is_no_database_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "accredit.db"
    path.write_bytes(b"a letter to somebody" * 1000)
    with (
        launched(f"sqlite:///{path}", tmp_path / "data") as process,
        pytest.raises(StartFailed, match="accredit-server: the database") as failure,
    ):
        process.ready()
    assert "Traceback" not in str(failure.value)
    assert path.read_bytes() == b"a letter to somebody" * 1000
