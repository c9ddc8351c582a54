"""Many calls at one moment, over several connections."""

import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, islice
from typing import Any, TypeVar

from tests.server import Person, RefusedError, Server

T = TypeVar("T")

# How often; each attempt waits for a second by itself.
PATIENCE = 20


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
    for _ in range(PATIENCE):
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
