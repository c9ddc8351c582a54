"""Bringing a database to this version's schema, and saying whether this version can serve it."""

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, inspect, make_url, select, text

from accredit_storage.engine import Mode, make_engine, sqlite_path
from accredit_storage.errors import SchemaMismatch, StoreUnavailable
from accredit_storage.execution import Executor
from accredit_storage.failures import translated
from accredit_storage.schema import store_state
from accredit_storage.store import Store, Transaction, advisory_key

#: The generation of this server. A release whose migration makes a database unfit for the servers
#: before it raises this, and writes it into ``store_state.oldest_server``.
SERVER = 4

#: How long an upgrade waits for another one, and for the transactions before it, in seconds.
PATIENCE = 60

_COMMAND = "`accredit-server migrate`"


def upgrade(url: str | URL) -> None:
    """Bring the database at ``url`` to this version's schema; a missing SQLite file is made first.

    All of it or nothing, in one transaction. Any number of processes may do it at once: one works,
    the others wait and find it done. A newer database is left as it is. Raises SchemaMismatch for
    one that this version cannot serve.
    """
    target = make_url(url)
    if target.get_backend_name() == "sqlite":
        _make_file(sqlite_path(target))
    engine = make_engine(target, pool_size=1)
    try:
        with translated(), engine.connect() as connection, _alone(connection):
            if not _is_newer(connection):
                command.upgrade(alembic_config(connection), "head")
    finally:
        engine.dispose()


def check(store: Store) -> None:
    """Raise SchemaMismatch unless this version can serve the database of ``store``.

    A newer schema is served while the database allows servers of this generation.
    """
    url = store.engine.url
    if url.get_backend_name() == "sqlite" and not sqlite_path(url).exists():
        raise SchemaMismatch(f"there is no database at {url.database}: run {_COMMAND}")
    with store.read() as transaction:
        if _is_newer(transaction._connection):
            return
        revision = _revision(transaction._connection)
    newest = _scripts().get_current_head()
    if revision is None:
        raise SchemaMismatch(f"the database holds no accredit schema: run {_COMMAND}")
    if revision != newest:
        raise SchemaMismatch(
            f"the database is at schema {revision}, this server needs {newest}: run {_COMMAND}"
        )


def check_generation(tx: Transaction) -> None:
    """Raise SchemaMismatch once a later version has shut this one out: one statement."""
    _check_generation(tx._connection)


def is_new(store: Store) -> bool:
    """Whether there is no database of ours, be it that a start broke off before it was made."""
    try:
        with store.read() as transaction:
            return not inspect(transaction._connection).has_table(store_state.name)
    except StoreUnavailable:
        # There is no file.
        return True


def alembic_config(connection: Connection) -> Config:
    """What Alembic's commands take to work on ``connection``, in the transaction it is in."""
    config = Config()
    config.set_main_option("script_location", str(_folder()))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _make_file(path: Path) -> None:
    """Make an empty database, which only we may read, and SQLite's journals beside it likewise."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


@contextmanager
def _alone(connection: Connection) -> Generator[None]:
    """One transaction, committed at the end, in which nobody else upgrades."""
    if connection.dialect.name == "sqlite":
        # Alembic alters a SQLite table by making it anew, and dropping the old one would take
        # along what refers to it. This pragma does nothing inside a transaction.
        cursor = connection.connection.cursor()
        cursor.execute("PRAGMA foreign_keys = OFF")
        cursor.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000}")
        cursor.close()
        with connection.begin():
            Executor(connection, Mode.WRITE).begin()
            yield
            if dangling := connection.execute(text("PRAGMA foreign_key_check")).all():
                raise RuntimeError(f"the migration left dangling references: {dangling[:3]}")
    else:
        with connection.begin():
            Executor(connection, Mode.WRITE).begin()
            connection.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE}s'"))
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            key = {"key": advisory_key("migrate")}
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), key)
            yield


def _is_newer(connection: Connection) -> bool:
    """Whether a later version has upgraded the database.

    SchemaMismatch if that one has shut this one out.
    """
    revision = _revision(connection)
    if revision is None or revision in {script.revision for script in _scripts().walk_revisions()}:
        return False
    _check_generation(connection)
    return True


def _check_generation(connection: Connection) -> None:
    oldest = connection.execute(select(store_state.c.oldest_server)).scalar_one()
    if oldest > SERVER:
        raise SchemaMismatch(
            f"the database is at schema {_revision(connection)}, which needs a server of"
            f" generation {oldest}, and this one is of generation {SERVER}: install a newer release"
        )


def _revision(connection: Connection) -> str | None:
    """The revision that the database is at; None without our tables."""
    if not inspect(connection).has_table(store_state.name):
        return None
    return MigrationContext.configure(connection).get_current_revision()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(_folder()))


def _folder() -> Path:
    return Path(__file__).with_name("migrations")
