"""What calls send to the database, for tests that count it."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from tests.registry import Registry


@contextmanager
def statements(registry: Registry) -> Generator[list[str]]:
    """What the calls of the block send to the database.

    Not the pragmas: what a connection was used for last says whether it is told to write or not.
    """
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith("PRAGMA"):
            seen.append(statement)

    engine = registry.app.store.engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)
