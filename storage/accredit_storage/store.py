"""The store: transactions, and the repositories that each of them carries."""

import hashlib
import hmac
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex
from typing import Self

from sqlalchemy import URL, BigInteger, Connection, Engine, bindparam, func, select, update

from accredit_storage import chain
from accredit_storage.agents import Agents
from accredit_storage.changes import Changes
from accredit_storage.credentials import Credentials
from accredit_storage.declared_slugs import DeclaredSlugs
from accredit_storage.definitions import Definitions, Suppressions
from accredit_storage.engine import LOCK_WAIT, Mode, make_engine
from accredit_storage.errors import StoreBusy
from accredit_storage.execution import Executor, prepared
from accredit_storage.failures import translated
from accredit_storage.grants import Grants
from accredit_storage.log_tail import Tail, name_of, tail
from accredit_storage.memory_file_types import MemoryFileTypes
from accredit_storage.questions import Questions
from accredit_storage.records import Draft, Head, TokenKey, folded
from accredit_storage.requests import Requests
from accredit_storage.reservations import Reservations
from accredit_storage.schema import file_trees, store_state
from accredit_storage.sites import Sites
from accredit_storage.statements import by_dialect
from accredit_storage.tokens import Tokens
from accredit_storage.transfer_offers import TransferOffers
from accredit_storage.users import Users
from accredit_storage.waiting import before_waiting
from accredit_storage.writers import Writers

# What a mistake in the code, or a row that somebody altered by hand, raises.
_BUGS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    RuntimeError,
    TypeError,
    ValueError,
)

_claim_files = by_dialect(
    lambda insert: insert(file_trees).on_conflict_do_nothing(index_elements=["row_id"])
)
_files_id = prepared(select(file_trees.c.files_id))
_token_keys = prepared(select(store_state.c.token_keys))
_login_key = prepared(select(store_state.c.login_key))
_last_old_ids = prepared(select(store_state.c.last_old_agent, store_state.c.last_old_user))
_head = prepared(select(store_state.c.epoch, store_state.c.revision, store_state.c.head_hash))
_locks = {
    name: prepared(select(func.__getattr__(name)(bindparam("key", type_=BigInteger()))))
    for name in ("pg_advisory_xact_lock", "pg_advisory_xact_lock_shared")
}
_set = prepared(update(store_state))


@dataclass(frozen=True, slots=True)
class Recorded:
    """A change of this process's that was committed, and the names of what it touched.

    See ``log_tail.name_of``.
    """

    appended: chain.Appended
    names: Sequence[str]


class Transaction:
    """One consistent view of what is stored; it and its repositories end with its block."""

    def __init__(self, connection: Connection, begins: Mode | None = None) -> None:
        self._executor = executor = Executor(connection, begins)
        self._login_key: bytes | None = None
        self.agents = Agents(executor)
        self.reservations = Reservations(executor)
        self.grants = Grants(executor)
        self.transfer_offers = TransferOffers(executor)
        self.tokens = Tokens(executor)
        self.credentials = Credentials(executor)
        self.questions = Questions(executor)
        self.users = Users(executor)
        self.sites = Sites(executor)
        self.changes = Changes(executor)
        self.requests = Requests(executor)
        self.definitions = Definitions(executor)
        self.declared_slugs = DeclaredSlugs(executor)
        self.suppressions = Suppressions(executor)
        self.memory_file_types = MemoryFileTypes(executor)

    @property
    def _connection(self) -> Connection:
        """For what is no statement of a repository's."""
        return self._executor.connection

    def end(self) -> bool:
        """Commit; False where nothing of it would be kept. Its block does so when it ends."""
        return self._executor.commit()

    def head(self) -> Head:
        """Where the log stands in this view."""
        epoch, revision, hash_ = self._executor.execute(_head).one()
        return Head(epoch=epoch, revision=revision, hash=hash_)

    def tail(self, position: Head | None) -> Tail:
        """What was added to the log since a position."""
        return tail(self._executor, position)

    def login_digest(self, login: str) -> str:
        """What stands for a login in the log: 32 hexadecimal digits only this store can compute.

        The same for every spelling that differs in case only.
        """
        if self._login_key is None:
            self._login_key = self.login_key()
        return login_digest(self._login_key, login)

    def login_key(self) -> bytes:
        """The key to the digests of logins, which is a secret of the store's."""
        return bytes(self._executor.execute(_login_key).scalar_one())

    def token_keys(self) -> tuple[TokenKey, ...]:
        """The keys under which tokens are minted: at least one."""
        keys: tuple[TokenKey, ...] = self._executor.execute(_token_keys).scalar_one()
        return keys

    def files_id(self) -> str | None:
        """Which tree of files belongs to this store; None before one does."""
        found: str | None = self._executor.scalar(_files_id)
        return found

    def last_old_ids(self) -> tuple[int, int]:
        """The highest ids of an agent and of a user whose directories may have their old names."""
        agent_id, user_id = self._executor.execute(_last_old_ids).one()
        return agent_id, user_id


class WriteTransaction(Transaction):
    """A transaction that may change things; see Store.write."""

    def __init__(self, connection: Connection, begins: Mode | None = None) -> None:
        super().__init__(connection, begins)
        #: What was written into the log, if anything was: nobody else does until this ends.
        self.recorded: Recorded | None = None
        self._head: Head | None = None

    def head(self) -> Head:
        """Where the log stands in this view, with what it has written."""
        return super().head() if self._head is None else self._head

    def record(self, draft: Draft) -> int:
        """Write ``draft`` into the change log, and return the revision that it became.

        Revisions have no gaps and are in the order of the commits, because this locks the one
        counter until the transaction ends: so it comes last, and only ``requests.finish`` after it.
        RuntimeError if called twice.
        """
        if self.recorded is not None:
            raise RuntimeError("a transaction records one change")
        appended = chain.append(self._executor, draft)
        self.recorded = Recorded(appended, [name_of(subject) for subject in draft.subjects])
        self._head = appended.head
        return appended.head.revision

    def exclusive(self, name: str) -> None:
        """Wait until no other transaction holds ``name``, and hold it until this one ends.

        SQLite needs nothing: there a writer is alone anyway.
        """
        self._lock("pg_advisory_xact_lock", name)

    def shared(self, name: str) -> None:
        """Wait until no other transaction holds ``name`` exclusively, and keep it from that.

        First come, first served: whoever waits to hold it alone is let in before those who ask to
        share it later. That is what a row locked FOR SHARE does not give.
        """
        self._lock("pg_advisory_xact_lock_shared", name)

    def _lock(self, function: str, name: str) -> None:
        if self._executor.dialect.name == "postgresql":
            key = advisory_key(name)
            if not self._executor.begin(f"SELECT {function}({key})"):
                self._executor.execute(_locks[function], {"key": key})

    def claim_files(self, files_id: str) -> str:
        """Take a tree of files for this store's, unless another is: the one that is then."""
        self._executor.execute(_claim_files, {"row_id": 1, "files_id": files_id})
        return self.files_id() or files_id

    def set_token_keys(self, keys: tuple[TokenKey, ...]) -> None:
        """Mint under these from now on. ValueError for none."""
        if not keys:
            raise ValueError("a store without a key mints nothing")
        self._executor.execute(_set, {"token_keys": keys})

    def renew_epoch(self) -> str:
        """Declare void what anybody remembers of this store, as after a restore: the new epoch."""
        epoch = token_hex(16)
        self._executor.execute(_set, {"epoch": epoch})
        self._head = None
        return epoch


class Store:
    """All that outlives the process, on SQLite or PostgreSQL. Threads may share it.

    What a database refuses is raised as one of ``errors`` when the transaction's block ends, and
    then nothing was written. Any other exception is a bug.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._observers: list[Callable[[Recorded], None]] = []
        # SQLite has one writer at a time. Those of this process queue here, without a connection
        # each; left to the busy timeout they would poll, and keep readers out of the pool.
        self._writers = Writers(engine) if engine.dialect.name == "sqlite" else None
        # On PostgreSQL several write at once, but never all connections: those who wait for a lock
        # would keep the readers out.
        self._permits = threading.Semaphore(max(1, engine.pool.size() - 2))  # type: ignore[attr-defined]

    @classmethod
    def open(cls, url: str | URL, *, pool_size: int = 8) -> Self:
        """The store at ``url``, see make_engine; connects when used, and checks no schema."""
        return cls(make_engine(url, pool_size=pool_size))

    @contextmanager
    def read(self, *, one_statement: bool = False) -> Generator[Transaction]:
        """A transaction that sees one moment, that of its first statement, and changes nothing.

        A block that sends no more than ``one_statement`` may say so: that one sees one moment by
        itself, and PostgreSQL is then asked once and not three times.
        """
        before_waiting()
        with (
            translated(),
            self.engine.begin() as connection,
            _thrown_away_on_bugs(connection),
        ):
            transaction = Transaction(connection, Mode.GLANCE if one_statement else Mode.READ)
            yield transaction
            transaction.end()

    @contextmanager
    def write(self) -> Generator[WriteTransaction]:
        """A transaction that is committed when its block ends, and undone by any exception.

        Committed is on disk, as far as PostgreSQL is not configured otherwise. There each statement
        sees what was committed before it, so that what a decision rests on has to be locked. A
        connection lost while committing raises StoreUnavailable: then nobody knows whether it was.
        On SQLite those who queue commit together, see ``writers``: each block comes back, and each
        exception out of one, when what it may rest on is on disk.
        """
        before_waiting()
        if self._writers is not None:
            with translated(), self._writers.turn(_BUGS) as connection:
                transaction = WriteTransaction(connection)
                yield transaction
            self._tell(transaction)
            return
        with translated(), _held(self._permits), self.engine.begin() as connection:
            with _thrown_away_on_bugs(connection):
                transaction = WriteTransaction(connection, Mode.WRITE)
                yield transaction
            if not transaction.end():
                # COMMIT would succeed here, and keep nothing.
                raise RuntimeError("the error of a statement was ignored")
        self._tell(transaction)

    def _tell(self, transaction: WriteTransaction) -> None:
        if transaction.recorded is not None:
            for observer in self._observers:
                observer(transaction.recorded)

    def after_commit(self, observer: Callable[[Recorded], None]) -> None:
        """Have each change of this process's told to ``observer`` before anybody hears of it.

        It is committed then, so that the observer must not fail.
        """
        self._observers.append(observer)

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file of ours."""
        return self.engine.dialect.name == "sqlite"

    def close(self) -> None:
        """Close the connections that are idle now; the others close as they are given back."""
        self.engine.dispose()


@contextmanager
def _thrown_away_on_bugs(connection: Connection) -> Generator[None]:
    """Keep ``connection`` out of the pool if a bug ends the block.

    Whoever keeps the exception keeps its frames, and with them a half-read cursor. On SQLite that
    would hold the moment that the connection sees, also for those who get it next.
    """
    try:
        yield
    except _BUGS:
        connection.invalidate()
        raise


def login_digest(key: bytes, login: str) -> str:
    """What stands for a login under a store's key; see ``Transaction.login_digest``."""
    return hmac.digest(key, folded(login).encode(), "sha256").hex()[:32]


def advisory_key(name: str) -> int:
    """The number under which PostgreSQL locks ``name`` for us."""
    digest = hashlib.sha256(f"accredit:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


@contextmanager
def _held(permit: threading.Semaphore) -> Generator[None]:
    """Hold ``permit``; StoreBusy if it does not come free in time."""
    if not permit.acquire(timeout=LOCK_WAIT):
        raise StoreBusy("other writers did not finish in time")
    try:
        yield
    finally:
        permit.release()
