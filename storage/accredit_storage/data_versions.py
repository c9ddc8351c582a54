"""Whether anybody has written to a SQLite file: asked before every answer, in microseconds."""

import sqlite3
from collections import deque
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import URL

from accredit_storage.engine import LOCK_WAIT, sqlite_path
from accredit_storage.errors import StoreUnavailable
from accredit_storage.waiting import WouldWaitError, may_wait


class DataVersions:
    """Connections that are only asked for ``PRAGMA data_version``.

    The number says whether another connection, of any process, has committed since the same
    connection was last asked. Two connections' numbers have nothing to do with each other, so each
    is kept with its own last one.
    """

    def __init__(self, url: URL) -> None:
        """``url`` names the file, which must be there by the time it is used."""
        self._path: Path = sqlite_path(url)
        # One for each thread that asks at the same time. Appending and popping need no lock.
        self._idle: deque[tuple[sqlite3.Cursor, int]] = deque()
        self._is_closed = False
        # Of work that may not wait: its connection, the number last seen there, and the last of
        # those that the log was read after.
        self._watch: sqlite3.Cursor | None = None
        self._seen = self._followed = -1

    def follow(self, catch_up: Callable[[], None]) -> None:
        """Call ``catch_up`` if anything was committed since it was last called from here.

        What was committed before this call is known when it returns. Raises StoreUnavailable, or
        WouldWaitError where the work may not wait and something was committed; all work that may
        not wait is that of one thread.
        """
        if not may_wait():
            if not self._is_followed():
                raise WouldWaitError
            return
        try:
            cursor, last = self._idle.pop()
        except IndexError:
            cursor, last = self._connected().cursor(), -1
        # Versions are read before what they tell of: what comes in between is seen later.
        seen = self._seen
        try:
            version = _version(cursor)
            if version != last or seen != self._followed:
                catch_up()
                last, self._followed = version, seen
        except BaseException:
            cursor.connection.close()
            raise
        self._idle.append((cursor, last))
        if self._is_closed:
            self.close()

    def _is_followed(self) -> bool:
        """Whether all is known that was committed. Where not, the next ``follow`` sees to it."""
        try:
            if self._watch is None:
                self._watch = self._connected(wait=0.0).cursor()
            self._seen = _version(self._watch)
        except StoreUnavailable:
            # Perhaps busy for a moment; if it is more than that, ``follow`` says so.
            return False
        return self._seen == self._followed

    def close(self) -> None:
        """Close the connections."""
        self._is_closed = True
        if self._watch is not None:
            self._watch.connection.close()
        while self._idle:
            self._idle.pop()[0].connection.close()

    def _connected(self, wait: float = LOCK_WAIT) -> sqlite3.Connection:
        try:
            return sqlite3.connect(
                f"{self._path.as_uri()}?mode=rw",
                uri=True,
                timeout=wait,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise StoreUnavailable("the database file cannot be opened") from error


def _version(cursor: sqlite3.Cursor) -> int:
    try:
        version: int = cursor.execute("PRAGMA data_version").fetchone()[0]
    except sqlite3.Error as error:
        raise StoreUnavailable("the database file cannot be read") from error
    return version
