"""How a prepared statement is run on SQLite."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from accredit_storage.engine import Mode

Parameters = Sequence[Any]


class SqliteDriver:
    """One connection of the driver's, which itself keeps the statements that it has prepared."""

    #: A lock is taken when a transaction begins, and not with its first statement.
    begins_late = False

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self._writes: bool | None = None
        self.rowcount = -1

    def execute(self, text: str, parameters: Parameters = ()) -> Sequence[Any]:
        """Run a statement to its end: its rows."""
        cursor = self._cursor.execute(text, parameters)
        found = cursor.fetchall()
        self.rowcount = cursor.rowcount
        return found

    def execute_many(self, text: str, many: Sequence[Parameters]) -> None:
        """Run a statement that answers nothing once for each."""
        self.rowcount = self._cursor.executemany(text, many).rowcount

    def begin(self, mode: Mode, text: str = "") -> Sequence[Any]:
        """Begin a transaction with a statement that takes no parameters: its rows.

        The driver's own BEGIN would come before the first write: too late for a transaction that
        has read by then, which loses the updates of others without an error.
        """
        writes = mode is Mode.WRITE
        if self._writes is not writes:
            self._cursor.execute(f"PRAGMA query_only = {int(not writes)}")
            self._writes = writes
        # A writer takes the lock at once: begun as a reader it could not wait for it, only fail.
        self._cursor.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
        return self.execute(text) if text else ()

    def in_transaction(self) -> bool:
        """Whether a COMMIT would keep what was done."""
        return self._connection.in_transaction

    def commit(self) -> None:
        """Keep what was done."""
        self._connection.commit()
