"""Engines: how each database is connected to, and what it must be told to keep our promises."""

import enum
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, make_url
from sqlalchemy.pool import QueuePool

#: How long a call waits for a free connection, in seconds.
POOL_WAIT = 1.0
#: How long a writer waits for its turn or for the lock of a row, in seconds.
LOCK_WAIT = 5.0
#: How long one statement may run on PostgreSQL, in seconds.
STATEMENT_TIME = 30.0
#: How long PostgreSQL lets a transaction do nothing, in seconds: a stuck process must not hold up
#: every other writer, nor the revocation of a token, for longer than they wait for a lock.
IDLE_TIME = 5.0
#: How long PostgreSQL may take to accept a connection, in seconds.
CONNECT_TIME = 3


class Mode(enum.Enum):
    """What a transaction is for."""

    WRITE = "write"
    #: It sees one moment and changes nothing.
    READ = "read"
    #: One statement that reads, and sees one moment by itself.
    GLANCE = "glance"


def make_engine(url: str | URL, *, pool_size: int = 8) -> Engine:
    """An engine with at most ``pool_size`` connections, none of them opened yet.

    ``url`` names a SQLite file (``sqlite:///path``), which must exist by the time it is used, or a
    PostgreSQL database (``postgresql://…``). ValueError for anything else.
    """
    target = make_url(url)
    match target.get_backend_name(), target.get_driver_name():
        case "sqlite", "pysqlite":
            return _sqlite(target, pool_size)
        case "postgresql", "psycopg":
            return _postgresql(target, pool_size)
        case _:
            raise ValueError(f"{target.drivername!r} is not one of sqlite and postgresql")


def sqlite_path(url: str | URL) -> Path:
    """The file that a SQLite ``url`` names. ValueError for a database in memory."""
    name = make_url(url).database
    # In memory each connection would have a database of its own.
    if not name or name == ":memory:" or name.startswith("file:"):
        raise ValueError("a sqlite url must name a file: sqlite:///path")
    return Path(name).absolute()


@contextmanager
def any_text(connection: Connection) -> Generator[None]:
    """Meanwhile read what SQLite keeps as text and is no UTF-8 as text with lone surrogates.

    Its driver would raise, and whoever looks for altered rows could not say which one it is.
    """
    driver: Any = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        yield
        return
    kept, driver.text_factory = driver.text_factory, _decoded
    try:
        yield
    finally:
        driver.text_factory = kept


def _decoded(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


def _sqlite(url: URL, pool_size: int) -> Engine:
    # mode=rw: a mistyped path is an error and not a new, empty registry.
    location = f"{sqlite_path(url).as_uri()}?mode=rw"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            location,
            uri=True,
            timeout=LOCK_WAIT,
            # It begins nothing by itself, see SqliteDriver.
            isolation_level=None,
            # The pool hands a connection from thread to thread, to one at a time.
            check_same_thread=False,
            cached_statements=512,
        )
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA journal_mode = WAL")
            # Not NORMAL, which is the habit with WAL: an acknowledged commit must outlive a power
            # cut.
            connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
        return connection

    return create_engine(
        url,
        creator=connect,
        hide_parameters=True,
        poolclass=QueuePool,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_WAIT,
        pool_use_lifo=True,
    )


def _postgresql(url: URL, pool_size: int) -> Engine:
    settings = {
        "statement_timeout": int(STATEMENT_TIME * 1000),
        "lock_timeout": int(LOCK_WAIT * 1000),
        "idle_in_transaction_session_timeout": int(IDLE_TIME * 1000),
        "timezone": "UTC",
    }
    options = [f"-c {name}={value}" for name, value in settings.items()]
    arguments: dict[str, Any] = {
        "application_name": "accredit",
        "connect_timeout": CONNECT_TIME,
        # It would throw away all that is prepared, what PostgresDriver has too, after a ROLLBACK.
        "prepare_threshold": None,
        # A standby would answer from the past.
        "target_session_attrs": "read-write",
    }
    # What the operator says in the url wins: by being left out here, and of the options by being
    # the last.
    arguments = {name: value for name, value in arguments.items() if name not in url.query}
    arguments["options"] = " ".join([*options, str(url.query.get("options", ""))])
    return create_engine(
        url,
        connect_args=arguments,
        hide_parameters=True,
        # It begins nothing by itself, see PostgresDriver.
        isolation_level="AUTOCOMMIT",
        # Would ask each new connection for a type that we do not use.
        use_native_hstore=False,
        poolclass=QueuePool,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_WAIT,
        # After a lull the same few are used again, and not all the others found dead in turn.
        pool_use_lifo=True,
    )
