"""What the drivers raise, in the words of ``errors``. Nothing else knows the drivers' codes."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from accredit_storage.errors import (
    Conflict,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreUnavailable,
)

_BY_SQLSTATE: dict[str, type[StoreError]] = {
    "23001": Conflict,  # RESTRICT: something refers to it.
    "23503": Conflict,  # Foreign key: what it refers to has gone, or something refers to it.
    "23505": Conflict,  # Unique: somebody else was first.
    "25006": StoreUnavailable,  # Read-only.
    "25P03": StoreUnavailable,  # The server ended a transaction that did nothing for too long.
    "40001": Conflict,  # Serialisation failure.
    "40P01": Conflict,  # Deadlock.
    "53100": StoreFull,  # Disk full.
    "53300": StoreBusy,  # Too many connections.
    "55P03": StoreBusy,  # Lock timeout.
    "57014": StoreBusy,  # Statement timeout.
}

# Connections, resources, operators, the system, the server itself.
_UNAVAILABLE_CLASSES = frozenset({"08", "53", "57", "58", "XX"})

# By the extended code or else by the primary one, its low byte.
_BY_SQLITE_CODE: dict[int, type[StoreError]] = {
    sqlite3.SQLITE_BUSY: StoreBusy,
    sqlite3.SQLITE_LOCKED: StoreBusy,
    sqlite3.SQLITE_FULL: StoreFull,
    sqlite3.SQLITE_CANTOPEN: StoreUnavailable,
    sqlite3.SQLITE_CORRUPT: StoreUnavailable,
    sqlite3.SQLITE_IOERR: StoreUnavailable,
    sqlite3.SQLITE_NOMEM: StoreUnavailable,
    sqlite3.SQLITE_NOTADB: StoreUnavailable,
    sqlite3.SQLITE_PERM: StoreUnavailable,
    sqlite3.SQLITE_PROTOCOL: StoreUnavailable,
    sqlite3.SQLITE_READONLY: StoreUnavailable,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: Conflict,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: Conflict,
    sqlite3.SQLITE_CONSTRAINT_TRIGGER: Conflict,  # RESTRICT.
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: Conflict,
}

_WORDS: dict[type[StoreError], str] = {
    Conflict: "another transaction changed what this one rests on",
    StoreBusy: "the database did not give a lock or an answer in time",
    StoreFull: "the database has no room to write",
    StoreUnavailable: "the database does not answer or does not accept writes",
}


@contextmanager
def translated() -> Generator[None]:
    """Raise what the database refuses within as StoreErrors, and what a column refuses as itself.

    A broken CHECK, a wrong type and bad SQL stay what they are: bugs.
    """
    try:
        yield
    except PoolTimeout as error:
        raise StoreBusy("no database connection came free in time") from error
    except DBAPIError as error:
        kind = _refusal(error)
        if kind is None:
            raise
        # Words of our own: the driver's may quote what is in the rows.
        raise kind(_WORDS[kind]) from error
    except StatementError as error:
        if isinstance(error.orig, ValueError):
            raise error.orig from error
        raise


def is_unique_violation(error: IntegrityError) -> bool:
    """Whether ``error`` says that a value is taken."""
    if isinstance(error.orig, sqlite3.Error):
        return error.orig.sqlite_errorcode in (
            sqlite3.SQLITE_CONSTRAINT_UNIQUE,
            sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
        )
    return _sqlstate(error) == "23505"


def _refusal(error: DBAPIError) -> type[StoreError] | None:
    """The StoreError that ``error`` amounts to, None for a bug."""
    if isinstance(error.orig, sqlite3.Error):
        # Absent where the driver refused by itself.
        code = getattr(error.orig, "sqlite_errorcode", 0)
        return _BY_SQLITE_CODE.get(code) or _BY_SQLITE_CODE.get(code & 0xFF)
    state = _sqlstate(error)
    if state is None:
        # There was no answer to carry one: not connected, or no longer.
        is_lost = isinstance(error, OperationalError | InterfaceError)
        return StoreUnavailable if is_lost else None
    is_down = state[:2] in _UNAVAILABLE_CLASSES
    return _BY_SQLSTATE.get(state) or (StoreUnavailable if is_down else None)


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)
