"""The locks that whoever moves directories holds, and that are gone when their process is.

Each move has a lock of its own, named after its ``holder``. So it can be told whether a move that
was announced is still being made: by whether its lock is taken.
"""

import threading
from collections.abc import Collection, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import Protocol

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from accredit_storage.directory.folders import Folder
from accredit_storage.directory.locks import locked, locked_if_free
from accredit_storage.directory.refusals import translated
from accredit_storage.directory.tree import MOVE_LOCKS, DirectoryTree
from accredit_storage.engine import LOCK_WAIT
from accredit_storage.errors import StoreBusy
from accredit_storage.failures import translated as database_translated
from accredit_storage.store import Store, WriteTransaction, advisory_key

#: How many moves one process makes at a time on PostgreSQL, and never more than half as many as it
#: may have connections: each takes one of its own, and waits for a disk inside its transaction.
AT_A_TIME = 4


class MoveLocks(Protocol):
    """The locks of holders, by their names."""

    def held(self, holder: str) -> AbstractContextManager[None]:
        """Hold a lock that nobody else knows of yet."""
        ...

    def claimed(self, holder: str) -> AbstractContextManager[WriteTransaction | None]:
        """A transaction for whose length the lock is ours, None if the holder is still there."""
        ...

    def sweep(self, holders: Collection[str]) -> None:
        """Remove what is left of locks that nobody holds, other than those of ``holders``."""
        ...


def move_locks(store: Store, tree: DirectoryTree) -> MoveLocks:
    """Where the database is on this machine, so is the lock; otherwise it is in the database."""
    if store.engine.dialect.name == "postgresql":
        return _AdvisoryLocks(store)
    return _FileLocks(store, tree)


class _AdvisoryLocks:
    """See MoveLocks. A lock of a PostgreSQL session, which ends with its connection."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sessions = store.engine.execution_options(isolation_level="AUTOCOMMIT")
        most = max(1, store.engine.pool.size() // 2)  # type: ignore[attr-defined]
        self._room = threading.BoundedSemaphore(min(AT_A_TIME, most))

    @contextmanager
    def held(self, holder: str) -> Generator[None]:
        """See MoveLocks."""
        if not self._room.acquire(timeout=LOCK_WAIT):
            raise StoreBusy("other moves did not finish in time")
        with ExitStack() as stack:
            stack.callback(self._room.release)
            with database_translated():
                session = stack.enter_context(self._sessions.connect())
                # Out of the pool, so that its place there is free for the transaction of the move,
                # and its end is the end of the lock.
                session.detach()
                session.execute(select(func.pg_advisory_lock(advisory_key(holder))))
            stack.callback(_unlock, session, holder)
            yield

    @contextmanager
    def claimed(self, holder: str) -> Generator[WriteTransaction | None]:
        """See MoveLocks."""
        claim = select(func.pg_try_advisory_xact_lock(advisory_key(holder)))
        with self._store.write() as tx:
            yield tx if tx.connection.scalar(claim) else None

    def sweep(self, holders: Collection[str]) -> None:
        """See MoveLocks. They leave nothing."""


class _FileLocks:
    """See MoveLocks. A locked file below the root."""

    def __init__(self, store: Store, tree: DirectoryTree) -> None:
        self._store = store
        self._tree = tree

    @contextmanager
    def held(self, holder: str) -> Generator[None]:
        """See MoveLocks."""
        with ExitStack() as stack:
            with translated():
                folder = stack.enter_context(self._tree.top(MOVE_LOCKS))
                stack.enter_context(locked(folder, holder))
                stack.callback(_remove, folder, holder)
            yield

    @contextmanager
    def claimed(self, holder: str) -> Generator[WriteTransaction | None]:
        """See MoveLocks."""
        with ExitStack() as stack:
            with translated():
                folder = stack.enter_context(self._tree.top(MOVE_LOCKS))
                is_free = stack.enter_context(locked_if_free(folder, holder))
            yield stack.enter_context(self._store.write()) if is_free else None

    def sweep(self, holders: Collection[str]) -> None:
        """See MoveLocks."""
        with translated(), self._tree.top(MOVE_LOCKS) as folder:
            for entry in folder.entries():
                if entry.name in holders:
                    continue
                with locked_if_free(folder, entry.name) as is_free:
                    if is_free:
                        _remove(folder, entry.name)


def _unlock(session: Connection, holder: str) -> None:
    # The session's end would do, but the server takes a moment to notice that.
    with suppress(SQLAlchemyError):
        session.execute(select(func.pg_advisory_unlock(advisory_key(holder))))


def _remove(folder: Folder, name: str) -> None:
    with suppress(OSError):
        folder.remove(name)
