"""Writers on SQLite, which has one at a time: they queue here, and commit together.

A commit waits for the disk, and costs as much as all else that a change needs. So whoever has
written hands the transaction on to the next in the queue and waits. The last one commits for all.
Nobody is told of a write before it is on disk, and what one writer undoes is that one's alone.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from accredit_storage.engine import LOCK_WAIT, Mode
from accredit_storage.errors import Conflict, StoreBusy, StoreUnavailable
from accredit_storage.execution import Executor

#: How many writers may commit together: the first waits for all that the others do.
TOGETHER = 16

# How long those who have written wait for the commit, in seconds: far longer than any block takes.
_LONGEST = 60.0
_SAVEPOINT = "writer"


class _Transaction:
    """One transaction of SQLite's, and those whose writes are in it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.began = connection.begin()
        self.executor = Executor(connection, Mode.WRITE)
        #: How many have written, and wait for the commit.
        self.members = 0
        self.ended = threading.Event()
        #: Makes what they are told instead of success.
        self.refusal: Callable[[], BaseException] | None = None

    @property
    def is_open(self) -> bool:
        """Whether a COMMIT would keep what was done."""
        return not self.connection.invalidated and self.executor.in_transaction()


class _Waiter:
    """One in the queue: with the turn it may be handed a transaction that others have begun."""

    def __init__(self) -> None:
        self.called = threading.Event()
        self.transaction: _Transaction | None = None


class Writers:
    """The queue of one process. Those of other processes wait for SQLite's own lock."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._waiting: deque[_Waiter] = deque()
        self._taken = False

    @contextmanager
    def turn(self, bugs: tuple[type[BaseException], ...]) -> Generator[Connection]:
        """Write alone, and be on disk when the block has ended without an exception.

        ``bugs`` end the connection, see ``Store``. RuntimeError where the block has ended the
        transaction. Raises StoreBusy if others keep the turn for too long, and Conflict where
        another writer has ended the transaction that this one had written in.
        """
        transaction = self._take() or self._begin()
        try:
            if transaction.members:
                transaction.executor.run(f"SAVEPOINT {_SAVEPOINT}")
            yield transaction.connection
            if not transaction.is_open:
                # COMMIT would succeed here, and keep nothing.
                raise RuntimeError("the error of a statement was ignored")
            if transaction.members:
                transaction.executor.run(f"RELEASE {_SAVEPOINT}")
        except BaseException as error:
            # It may rest on what those before have written: so it is not told before that is kept.
            self._undo(transaction, is_bug=isinstance(error, bugs))
            raise
        transaction.members += 1
        if transaction.members == TOGETHER:
            self._commit(transaction)
        else:
            self._await_commit(transaction)

    def _take(self) -> _Transaction | None:
        """Wait for the turn: with it, the transaction of those before, None where it has ended."""
        with self._lock:
            if not self._taken:
                self._taken = True
                return None
            waiter = _Waiter()
            self._waiting.append(waiter)
        try:
            called = waiter.called.wait(LOCK_WAIT)
        except BaseException:
            if not self._leave(waiter):
                self._decline(waiter.transaction)
            raise
        if not called and self._leave(waiter):
            raise StoreBusy("other writers did not finish in time")
        return waiter.transaction

    def _leave(self, waiter: _Waiter) -> bool:
        """Leave the queue; False where it has been called meanwhile."""
        with self._lock:
            if waiter.called.is_set():
                return False
            self._waiting.remove(waiter)
            return True

    def _decline(self, transaction: _Transaction | None) -> None:
        """See to it that those before are committed, and that the next gets the turn."""
        if transaction is None:
            self._let_go()
        else:
            self._await_commit(transaction)

    def _hand_on(self, transaction: _Transaction) -> bool:
        """Give the turn to the next in the queue, with the transaction; False: nobody is there."""
        with self._lock:
            if not self._waiting:
                return False
            waiter = self._waiting.popleft()
            waiter.transaction = transaction
            waiter.called.set()
            return True

    def _let_go(self) -> None:
        """Give the turn to the next in the queue, or to whoever comes."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().called.set()
            else:
                self._taken = False

    def _begin(self) -> _Transaction:
        try:
            connection = self._engine.connect()
            try:
                return _Transaction(connection)
            except BaseException:
                connection.close()
                raise
        except BaseException:
            self._let_go()
            raise

    def _await_commit(self, transaction: _Transaction) -> None:
        """Have the next in the queue go on, or commit where there is none; raise what that met."""
        if not self._hand_on(transaction):
            self._commit(transaction)
            return
        if not transaction.ended.wait(_LONGEST):
            raise StoreUnavailable("nobody knows whether it will be committed")
        if transaction.refusal is not None:
            raise transaction.refusal()

    def _undo(self, transaction: _Transaction, *, is_bug: bool) -> None:
        """Undo what the block did, and see to it that those before are committed, or told."""
        if transaction.members and transaction.is_open and self._undone(transaction):
            if is_bug:
                # The next one must not get a connection that the bug has left half-read.
                self._commit(transaction, is_bug=True)
            else:
                self._await_commit(transaction)
            return
        # Nothing of it is kept for certain, so that the others may do theirs again.
        transaction.refusal = lambda: Conflict("another writer ended the transaction of this one")
        self._end(transaction, is_bug=is_bug)

    def _undone(self, transaction: _Transaction) -> bool:
        try:
            transaction.executor.run(f"ROLLBACK TO {_SAVEPOINT}")
            transaction.executor.run(f"RELEASE {_SAVEPOINT}")
        except SQLAlchemyError:
            return False
        return True

    def _commit(self, transaction: _Transaction, *, is_bug: bool = False) -> None:
        try:
            transaction.executor.commit()
            transaction.began.commit()
        except BaseException as error:
            transaction.refusal = _told(error)
            raise
        finally:
            self._end(transaction, is_bug=is_bug)

    def _end(self, transaction: _Transaction, *, is_bug: bool) -> None:
        """Give the connection back, the turn to the next, and the others their answer."""
        try:
            with suppress(SQLAlchemyError):
                transaction.began.close()
            if is_bug:
                transaction.connection.invalidate()
            transaction.connection.close()
        finally:
            self._let_go()
            transaction.ended.set()


def _told(error: BaseException) -> Callable[[], BaseException]:
    """What the others are told of a COMMIT that failed: each a new one, as raising writes to it."""
    if isinstance(error, DBAPIError) and isinstance(error.orig, BaseException):
        kind, text, orig = type(error), error.statement, error.orig
        return lambda: kind(text, None, orig, hide_parameters=True)
    return lambda: StoreUnavailable("nobody knows whether it was committed")
