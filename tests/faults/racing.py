"""Many calls at one moment, over several connections."""

import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, islice
from typing import Any, TypeVar

import grpc

from tests.processes import PATIENCE, ServerProcess
from tests.server import Person, RefusedError, Server

T = TypeVar("T")
W = TypeVar("W")

# How often; each attempt waits for a second by itself.
ATTEMPTS = 20


def race(calls: Sequence[Callable[[], T]]) -> list[T | RefusedError]:
    """Begin all of them together; what each came to, in their order."""
    together = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T | RefusedError:
        together.wait()
        try:
            return call()
        except RefusedError as refusal:
            return refusal

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def patiently(call: Callable[[], T]) -> T:
    """Make the call again while the server has no connection free, as clients do."""
    for _ in range(ATTEMPTS):
        try:
            return call()
        except RefusedError as refusal:
            if refusal.reason != "OVERLOADED":
                raise
    return call()


def answers(outcomes: Iterable[Any]) -> list[Any]:
    """Those that were answered."""
    return [outcome for outcome in outcomes if not isinstance(outcome, RefusedError)]


def refusals(outcomes: Iterable[Any]) -> list[RefusedError]:
    """Those that were refused."""
    return [outcome for outcome in outcomes if isinstance(outcome, RefusedError)]


def reasons(outcomes: Iterable[Any]) -> list[tuple[str, str]]:
    """Code and reason of each refusal."""
    return [(refusal.code.name, refusal.reason) for refusal in refusals(outcomes)]


def until_killed(
    process: ServerProcess,
    workers: Sequence[W],
    work: Callable[[W, Person, Callable[[], object]], RefusedError],
    *,
    after: int,
) -> None:
    """Let them work, each over a connection, and kill the server after so many answers.

    ``work`` is told what to call for each answer, and goes on until a call fails.
    """
    acknowledged = threading.Semaphore(0)
    with (
        spread(process.server.admin, connections=len(workers)) as admins,
        ThreadPoolExecutor(len(workers)) as threads,
    ):
        working = [
            threads.submit(work, worker, admin, acknowledged.release)
            for worker, admin in zip(workers, admins, strict=True)
        ]
        for _ in range(after):
            assert acknowledged.acquire(timeout=PATIENCE), [one.result(0) for one in working]
        process.kill()
        failures = [one.result(PATIENCE) for one in working]
    assert {failure.code for failure in failures} == {grpc.StatusCode.UNAVAILABLE}, failures


@contextmanager
def spread(person: Person, *servers: Server, connections: int) -> Generator[list[Person]]:
    """The same person over so many connections, to their server or to these in turn."""
    opened = [each.again() for each in islice(cycle(servers or (person.server,)), connections)]
    try:
        yield [
            Person(
                each,
                person.token,
                token_id=person.token_id,
                user_id=person.user_id,
                agent_id=person.agent_id,
                login=person.login,
            )
            for each in opened
        ]
    finally:
        for each in opened:
            each.close()


def shared_out(people: Sequence[Person], count: int) -> list[Person]:
    """So many of them, in turn."""
    return list(islice(cycle(people), count))
