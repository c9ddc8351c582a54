"""What calls send to the database, for tests that count it."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy import event

from accredit_storage.execution import Executor, Rows
from tests.server import Server

# The names of the threads that work on calls begin with these, by the pools that they are of.
_POOLS = ("calls", "files", "downloads", "streams")
#: The name of gRPC's polling thread has this.
POLLING = "(_serve)"


def is_of_a_call() -> bool:
    """Whether this thread works on a call."""
    name = threading.current_thread().name
    return name.startswith(_POOLS) or POLLING in name


@contextmanager
def statements(server: Server, *, everybody: bool = False) -> Generator[list[str]]:
    """What the calls of the block send to the database, or what ``everybody`` does.

    Not what the server does by itself meanwhile, nor the pragmas: whether a connection is told to
    write or not depends on what it was used for last.
    """
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if (everybody or is_of_a_call()) and not statement.startswith("PRAGMA"):
            seen.append(statement)

    engine = server.app.store.engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


@contextmanager
def fetched() -> Generator[list[Any]]:
    """The rows that the database returns to the calls of the block."""
    rows: list[Any] = []
    execute = Executor.execute

    def noted(self: Executor, *args: Any, **named: Any) -> Rows:
        found = execute(self, *args, **named)
        if is_of_a_call():
            rows.extend(found)
        return found

    with patch.object(Executor, "execute", noted):
        yield rows


@contextmanager
def transactions(server: Server) -> Generator[list[str]]:
    """The transactions that the calls of the block begin, by the threads that do."""
    begun: list[str] = []

    def note(_connection: Any) -> None:
        if is_of_a_call():
            begun.append(threading.current_thread().name)

    engine = server.app.store.engine
    event.listen(engine, "begin", note)
    yield begun
    event.remove(engine, "begin", note)
