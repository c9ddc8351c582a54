"""The one pump from the change log to what is kept in memory.

It knows a position of the log, and everything that is kept is true at that position: what a change
touches is forgotten before the position moves past the change. SQLite is asked before every answer
whether anybody has written, so nothing is ever stale there. PostgreSQL is polled; between two polls
an answer may be as old as the poll, and after ``bound`` seconds without one nothing that is kept
may be used any more.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from accredit_storage.data_versions import DataVersions
from accredit_storage.errors import StoreBusy, StoreError, StoreUnavailable
from accredit_storage.log_tail import Tail, name_of
from accredit_storage.records import Head, Subject, SubjectKind
from accredit_storage.store import Recorded, Store
from accredit_storage.waiting import before_waiting

from .entries import Entries

_EVERYTHING = name_of(Subject(kind=SubjectKind.STORE, subject_id=""))

#: Seconds for which a call waits for the log to be read by another one.
PATIENCE = 1.0
#: How many positions are remembered, to compare consistency tokens with.
_REMEMBERED = 10_000


def boot_clock() -> float:
    """Seconds on a clock that neither jumps nor stops while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Feed:
    """Where the log stands, as far as this process has followed it."""

    def __init__(
        self,
        store: Store,
        *,
        bound: float = 1.0,
        clock: Callable[[], float] = boot_clock,
        forgotten: Callable[[Head], None] = lambda head: None,
    ) -> None:
        """``forgotten`` is told where the feed stands after it has forgotten everything."""
        # A connection of its own: a pool that is busy is no log that cannot be read.
        self._store = Store.open(store.engine.url, pool_size=1)
        self._bound = bound
        self._clock = clock
        self._forgotten = forgotten
        self._versions = DataVersions(store.engine.url) if store.is_sqlite else None
        #: Held while what is kept changes. Whoever puts something in holds it too.
        self.lock = threading.RLock()
        self._kept: list[Entries[Any, Any]] = []
        self._position: Head | None = None
        self._hashes: dict[int, bytes] = {}
        #: How often everything was forgotten.
        self.forgotten = 0
        self._followed_at = float("-inf")
        self._reading = threading.Lock()
        self._begun = self._ended = 0
        store.after_commit(self._committed)

    def keep(self, entries: Entries[Any, Any]) -> None:
        """Drop from these too."""
        self._kept.append(entries)

    @property
    def position(self) -> Head | None:
        """Where it has followed the log to; each move makes a new object. None: nowhere yet."""
        return self._position

    def current(self) -> Head | None:
        """A position that is fresh enough to answer at; None where there is none.

        Raises StoreUnavailable.
        """
        if self._versions is not None:
            self._versions.follow(self.follow)
        elif self._clock() - self._followed_at > self._bound:
            return None
        return self._position

    def follow(self) -> None:
        """Follow the log to where it stands now. Raises StoreError.

        Where several ask at once, one reading that began after they asked does for all.
        """
        before_waiting()
        asked = self._begun
        if not self._reading.acquire(timeout=PATIENCE):
            raise StoreBusy("the log is still being read for another call")
        try:
            if self._ended > asked:
                return
            self._begun += 1
            begun, sent_at = self._begun, self._clock()
            position = self._position
            # More than one statement, but what is at or below the first one's answer stays.
            with self._store.read(one_statement=True) as tx:
                tail = tx.tail(position)
            self._move(tail, position)
            self._followed_at = sent_at
            self._ended = begun
        finally:
            self._reading.release()

    def poll(self) -> None:
        """The same again and again: what fails is tried at the next time."""
        with suppress(StoreError):
            self.follow()

    @property
    def is_polled(self) -> bool:
        """Whether somebody has to ``poll``: SQLite is asked before every answer."""
        return self._versions is None

    def forget(self) -> None:
        """Forget everything, as where somebody has changed rows behind the log's back."""
        with self.lock:
            self._forget(self._position)

    def hash_at(self, revision: int) -> bytes | None:
        """The hash of a revision of this history, if it is remembered."""
        return self._hashes.get(revision)

    def close(self) -> None:
        """Let go what it holds of the database."""
        if self._versions is not None:
            self._versions.close()
        self._store.close()

    def _move(self, tail: Tail, position: Head | None) -> None:
        """Forget what has changed since ``position``, and stand at the tail's head."""
        with self.lock:
            if tail.is_standby:
                self._forget(None)
                raise StoreUnavailable("the database is a standby")
            current = self._position
            if tail.names is None or current is None or current.epoch != tail.head.epoch:
                # Not to where it stood before a commit of this process's that has come meanwhile.
                self._forget(tail.head if current is position else None)
            elif tail.head.revision > current.revision:
                self._drop(tail.names, tail.head)
            # Else this process's own commits have moved it on meanwhile.

    def _committed(self, recorded: Recorded) -> None:
        """Forget what this process has changed before anybody hears that it did."""
        with self.lock:
            current, head = self._position, recorded.appended.head
            if current is not None and recorded.appended.follows(current):
                self._drop(recorded.names, head)
                return
            # A higher revision alone may be one that the store has lost since.
            is_passed = self._hashes.get(head.revision) == head.hash
        # On SQLite whoever asks next sees it; on PostgreSQL others have written in between.
        if self._versions is None and not is_passed:
            try:
                self.follow()
            except StoreError:
                with self.lock:
                    self._forget(None)

    def _drop(self, names: Sequence[str], head: Head) -> None:
        if _EVERYTHING in names:
            self._forget(head)
            return
        for entries in self._kept:
            entries.drop(names)
        # Last: whoever has read at the position before may have seen some of this gone, but nothing
        # old at the new one.
        self._stand_at(head)

    def _forget(self, head: Head | None) -> None:
        for entries in self._kept:
            entries.clear()
        self.forgotten += 1
        # Perhaps of changes that the store has lost.
        self._hashes.clear()
        if head is None:
            self._followed_at = float("-inf")
        else:
            self._forgotten(head)
        self._stand_at(head)

    def _stand_at(self, head: Head | None) -> None:
        self._position = head
        if head is not None:
            self._hashes[head.revision] = head.hash
            if len(self._hashes) > _REMEMBERED:
                del self._hashes[next(iter(self._hashes))]
