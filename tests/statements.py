"""What calls send to the database, for tests that count it."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from tests.server import Server

#: The names of the threads that work on calls begin with these, by the pools that they are of.
THREADS = ("calls", "files", "downloads", "streams")


@contextmanager
def statements(server: Server, *, everybody: bool = False) -> Generator[list[str]]:
    """What the calls of the block send to the database, or what ``everybody`` does.

    Not what the server does by itself meanwhile, nor the pragmas: whether a connection is told to
    write or not depends on what it was used for last.
    """
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        of_a_call = everybody or threading.current_thread().name.startswith(THREADS)
        if of_a_call and not statement.startswith("PRAGMA"):
            seen.append(statement)

    engine = server.app.store.engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


@contextmanager
def transactions(server: Server) -> Generator[list[str]]:
    """The transactions that the calls of the block begin, by the threads that do."""
    begun: list[str] = []

    def note(_connection: Any) -> None:
        name = threading.current_thread().name
        if name.startswith(THREADS):
            begun.append(name)

    engine = server.app.store.engine
    event.listen(engine, "begin", note)
    yield begun
    event.remove(engine, "begin", note)
