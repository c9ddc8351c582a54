"""A server that stops in the middle of its work, as a machine that is swapped out does."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from accredit_storage.engine import IDLE_TIME, LOCK_WAIT
from tests.faults.racing import spread
from tests.faults.writers import Writer, check_all, logged_revisions
from tests.postgres import PostgresServer
from tests.processes import PATIENCE, ServerProcess, launched
from tests.server import RefusedError


@pytest.fixture
def two_on_postgres(
    postgres: PostgresServer, postgres_template: str, tmp_path: Path
) -> Generator[tuple[ServerProcess, ServerProcess]]:
    url = postgres.url(postgres.create_database(template=postgres_template))
    with launched(url, tmp_path / "data") as first, launched(url, tmp_path / "data") as second:
        yield first.ready(), second.ready()


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_it_holds_up_the_others_for_a_bounded_time(
    two_on_postgres: tuple[ServerProcess, ServerProcess], record_property: Any
) -> None:
    hung, other = two_on_postgres
    member = other.server.user()
    before = len(logged_revisions(other.server))
    writers = [Writer(number, member.user_id) for number in range(6)]
    acknowledged = threading.Semaphore(0)
    with (
        spread(hung.server.admin, connections=len(writers)) as admins,
        ThreadPoolExecutor(len(writers)) as threads,
    ):
        for admin in admins:
            admin.server.timeout = 5.0
        writing = [
            threads.submit(writer.write, admin, acknowledged.release)
            for writer, admin in zip(writers, admins, strict=True)
        ]
        for _ in range(100):
            assert acknowledged.acquire(timeout=PATIENCE)
        os.kill(hung.popen.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            refusals: Counter[str] = Counter()
            # Reading and checking do not wait for anybody.
            assert other.server.admin.call("AuthService/Authenticate", token=member.token)
            while not revoked(other, member.token_id, refusals):
                assert time.monotonic() - began < IDLE_TIME + 2 * LOCK_WAIT + 10
            record_property("measured: held up for, s", round(time.monotonic() - began, 1))
        finally:
            os.kill(hung.popen.pid, signal.SIGCONT)
        for one in writing:
            one.result(PATIENCE)
    assert set(refusals) <= {"RESOURCE_EXHAUSTED OVERLOADED"}
    assert member.refused("AuthService/WhoAmI").reason == "TOKEN_INVALID"
    check_all(other.server, writers, changes_before=before + 1)


def revoked(process: ServerProcess, token_id: str, refusals: Counter[str]) -> bool:
    try:
        process.server.admin.call("TokenService/RevokeToken", token_id=token_id)
    except RefusedError as refusal:
        refusals[refusal.what] += 1
        return False
    return True
