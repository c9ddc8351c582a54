"""PostgreSQL killed, stopped or cut off while our server runs on: it says so, and recovers."""

import os
import select
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse

from accredit_storage import migrate
from tests.faults.racing import patiently, race, reasons, refusals, shared_out, spread
from tests.faults.writers import Writer, check_all, logged_revisions
from tests.postgres import PostgresServer, running_postgres
from tests.processes import PATIENCE, await_health, health_of
from tests.server import Person, RefusedError, Server, running_server

pytestmark = pytest.mark.timeout(180)
WRITERS = 6


@pytest.fixture(scope="module")
def doomed() -> Generator[PostgresServer]:
    """A PostgreSQL that keeps what it has acknowledged, for nobody but these tests."""
    with running_postgres(durable=True) as database_server:
        yield database_server


@pytest.fixture
def doomed_url(doomed: PostgresServer) -> str:
    """A migrated database on it."""
    url = doomed.url(doomed.create_database())
    migrate.upgrade(url)
    return url


@pytest.fixture
def on_postgres(doomed_url: str, tmp_path: Path) -> Generator[Server]:
    """A server on it."""
    with running_server(doomed_url, tmp_path) as server:
        yield server


@pytest.fixture
def impatient(doomed_url: str, tmp_path: Path) -> Generator[Server]:
    """The same; a call gets five seconds at most."""
    with running_server(doomed_url, tmp_path, default_deadline=5.0) as server:
        yield server


class EnoughError(Exception):
    """A writer was told to stop."""


class Writing:
    """Writers in threads of their own, who go on after each failure once they are told to."""

    def __init__(self, server: Server, stack: ExitStack) -> None:
        guest = server.user()
        self.changes_before = len(logged_revisions(server))
        self.writers = [Writer(number, guest.user_id) for number in range(WRITERS)]
        self.failures: list[RefusedError] = []
        self._acknowledged = threading.Semaphore(0)
        self._stopped = threading.Event()
        self._going = threading.Event()
        self._going.set()
        admins = stack.enter_context(spread(server.admin, connections=WRITERS))
        pool = stack.enter_context(ThreadPoolExecutor(WRITERS))
        stack.callback(self._stop)
        self._threads = [
            pool.submit(self._write, writer, admin)
            for writer, admin in zip(self.writers, admins, strict=True)
        ]

    def await_writes(self, count: int) -> None:
        """Wait until so many more writes are acknowledged."""
        for _ in range(count):
            assert self._acknowledged.acquire(timeout=PATIENCE), self.failures[-5:]

    def pause_on_failure(self) -> None:
        """From now on a writer whose write fails waits."""
        self._going.clear()

    def go_on(self) -> None:
        """Let those that wait try again."""
        self._going.set()

    def finish(self) -> None:
        """Stop all of them; raises what went wrong in them."""
        self._stop()
        for thread in self._threads:
            thread.result(PATIENCE)

    def _stop(self) -> None:
        self._stopped.set()
        self._going.set()

    def _write(self, writer: Writer, admin: Person) -> None:
        try:
            while True:
                self.failures.append(writer.write(admin, self._after_each))
                self._going.wait(PATIENCE)
                if self._stopped.is_set():
                    return
        except EnoughError:
            pass

    def _after_each(self) -> None:
        self._acknowledged.release()
        if self._stopped.is_set():
            raise EnoughError


def children_of(pid: int) -> list[int]:
    """The processes that it started, by what Linux keeps of each."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in parentheses, may hold anything.
            after_name = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(after_name[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def await_end(pids: Sequence[int]) -> None:
    """Wait until none of these processes is left."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ended, _, _ = select.select([descriptor], [], [], PATIENCE)
            assert ended
        finally:
            os.close(descriptor)


def kill_all(database_server: PostgresServer) -> None:
    """Kill the first process, and wait until the others have noticed and ended."""
    pid = database_server.pid
    # Held, so that it makes no more of them.
    os.kill(pid, signal.SIGSTOP)
    children = children_of(pid)
    os.kill(pid, signal.SIGKILL)
    await_end([pid, *children])
    # They name a process, which is still there as a zombie where nobody takes in orphans; the next
    # start would believe that it runs.
    (database_server.socket_folder / "data" / "postmaster.pid").unlink()
    (database_server.socket_folder / ".s.PGSQL.5432.lock").unlink()


def crash_everything(database_server: PostgresServer) -> None:
    """Kill the whole server, and start it again."""
    kill_all(database_server)
    database_server.start()


def crash_one_connection(database_server: PostgresServer) -> None:
    """Kill the process of one connection: PostgreSQL throws out all, and recovers by itself."""
    with connected(database_server) as connection:
        (pid,) = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'accredit' LIMIT 1"
        ).fetchone() or (0,)
        os.kill(pid, signal.SIGKILL)
        await_end([pid, connection.info.backend_pid])
    while True:
        try:
            connected(database_server).close()
        except psycopg.OperationalError:
            continue
        return


def cut_connections(database_server: PostgresServer) -> None:
    """Throw our server out of the database, over and over."""
    with connected(database_server) as connection:
        for _ in range(20):
            connection.execute(
                "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
                " WHERE application_name = 'accredit'"
            )


def connected(database_server: PostgresServer) -> psycopg.Connection:
    return psycopg.connect(
        host=str(database_server.socket_folder), user="postgres", dbname="postgres", autocommit=True
    )


@pytest.mark.parametrize("fault", [crash_everything, crash_one_connection, cut_connections])
def test_nothing_acknowledged_is_lost_and_all_goes_on(
    doomed: PostgresServer, on_postgres: Server, fault: Callable[[PostgresServer], None]
) -> None:
    with ExitStack() as stack:
        writing = Writing(on_postgres, stack)
        writing.await_writes(60)
        writing.pause_on_failure()
        fault(doomed)
        writing.go_on()
        await_health(on_postgres.address, serving=True)
        # Each writer and each connection of the pool may have failed once more by then.
        writing.await_writes(120)
        writing.finish()
    check_all(on_postgres, writing.writers, changes_before=writing.changes_before)
    assert writing.failures
    assert set(reasons(writing.failures)) == {("UNAVAILABLE", "DATABASE_UNAVAILABLE")}
    assert all(failure.retry_after for failure in writing.failures)


def test_while_it_is_down_the_server_lives_and_is_not_ready(
    doomed: PostgresServer, on_postgres: Server
) -> None:
    kill_all(doomed)
    try:
        await_health(on_postgres.address, serving=False)
        assert health_of(on_postgres.address, "") == HealthCheckResponse.SERVING
        refusal = on_postgres.admin.refused("AuthService/WhoAmI")
        assert refusal.what == "UNAVAILABLE DATABASE_UNAVAILABLE"
        assert refusal.retry_after
    finally:
        doomed.start()
    await_health(on_postgres.address, serving=True)
    on_postgres.admin.call("AuthService/WhoAmI")


def test_while_it_hangs_every_call_ends_by_its_deadline(
    doomed: PostgresServer, impatient: Server
) -> None:
    wish: dict[str, Any] = {
        "agent_slug": "hung",
        "owner": {"user_id": impatient.admin.user_id},
        "create_if_missing": True,
    }
    with spread(impatient.admin, connections=8) as admins:
        asked = [
            # Memory does not answer what is not about access.
            *(partial(admin.call, "SiteService/ListSites") for admin in shared_out(admins, 20)),
            *(
                partial(admin.call, "AgentService/CreateAgent", **wish)
                for admin in shared_out(admins, 20)
            ),
        ]
        for admin in admins:
            admin.server.timeout = 30.0
        assert reasons(race(asked)) == []
        for place, admin in enumerate(admins):
            # Some name no deadline of their own.
            admin.server.timeout = 1.0 if place % 3 else None
        stopped = [doomed.pid, *children_of(doomed.pid)]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            hung = race(asked)
            await_health(impatient.address, serving=False)
            assert health_of(impatient.address, "") == HealthCheckResponse.SERVING
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        await_health(impatient.address, serving=True)
        # What hung is worked off first, by the same threads and connections.
        for admin in admins:
            admin.server.timeout = 30.0
        again = race([partial(patiently, call) for call in asked])
    assert len(refusals(hung)) == len(asked)
    assert {one.code for one in refusals(hung)} <= {
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAVAILABLE,
    }
    assert reasons(again) == []
    # Nothing stays behind: the pool's eight, and those of readiness and of the feed.
    with connected(doomed) as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'accredit'"
        ).fetchone() or (0,)
    assert count <= 10
