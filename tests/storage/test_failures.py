"""What a driver raises and what becomes of it, code by code."""

import sqlite3

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ProgrammingError

from accredit_storage.errors import Conflict, StoreBusy, StoreFull, StoreUnavailable
from accredit_storage.failures import translated
from accredit_storage.store import Store


def raised_by_sqlite(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("the driver's words")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("08006", StoreUnavailable),
        ("23001", Conflict),
        ("23503", Conflict),
        ("23505", Conflict),
        ("25006", StoreUnavailable),
        ("25P03", StoreUnavailable),
        ("40001", Conflict),
        ("40P01", Conflict),
        ("53100", StoreFull),
        ("53200", StoreUnavailable),
        ("53300", StoreBusy),
        ("55P03", StoreBusy),
        ("57014", StoreBusy),
        ("57P01", StoreUnavailable),
        ("57P03", StoreUnavailable),
        ("58030", StoreUnavailable),
        ("XX001", StoreUnavailable),
    ],
)
def test_what_postgresql_refuses(state: str, expected: type[Exception]) -> None:
    orig = psycopg.errors.lookup(state)("the driver's words")
    with pytest.raises(expected) as caught, translated():
        raise DBAPIError.instance("SELECT", {}, orig, psycopg.Error)
    assert "driver" not in str(caught.value)


@pytest.mark.parametrize("state", ["22003", "23502", "23514", "25P02", "42601", "42P01"])
def test_what_is_a_bug_on_postgresql(state: str) -> None:
    orig = psycopg.errors.lookup(state)("the driver's words")
    with pytest.raises(DBAPIError), translated():
        raise DBAPIError.instance("SELECT", {}, orig, psycopg.Error)


@pytest.mark.parametrize("kind", [psycopg.OperationalError, psycopg.InterfaceError])
def test_no_answer_is_unavailable(kind: type[psycopg.Error]) -> None:
    with pytest.raises(StoreUnavailable), translated():
        raise DBAPIError.instance("SELECT", {}, kind("connection refused"), psycopg.Error)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sqlite3.SQLITE_BUSY, StoreBusy),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StoreBusy),
        (sqlite3.SQLITE_LOCKED, StoreBusy),
        (sqlite3.SQLITE_FULL, StoreFull),
        (sqlite3.SQLITE_CANTOPEN, StoreUnavailable),
        (sqlite3.SQLITE_CORRUPT, StoreUnavailable),
        (sqlite3.SQLITE_IOERR_WRITE, StoreUnavailable),
        (sqlite3.SQLITE_NOTADB, StoreUnavailable),
        (sqlite3.SQLITE_READONLY_DBMOVED, StoreUnavailable),
        (sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY, Conflict),
        (sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, Conflict),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, Conflict),
    ],
)
def test_what_sqlite_refuses(code: int, expected: type[Exception]) -> None:
    with pytest.raises(expected) as caught, translated():
        raise OperationalError("SELECT", {}, raised_by_sqlite(code))
    assert "driver" not in str(caught.value)


@pytest.mark.parametrize(
    "code",
    [
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CONSTRAINT_CHECK,
        sqlite3.SQLITE_CONSTRAINT_NOTNULL,
        sqlite3.SQLITE_MISUSE,
    ],
)
def test_what_is_a_bug_on_sqlite(code: int) -> None:
    with pytest.raises(OperationalError), translated():
        raise OperationalError("SELECT", {}, raised_by_sqlite(code))


def test_a_refusal_of_the_sqlite_module_itself_is_a_bug() -> None:
    with pytest.raises(ProgrammingError), translated():
        raise ProgrammingError("SELECT", {}, sqlite3.ProgrammingError("closed"))
    with pytest.raises(InterfaceError), translated():
        raise InterfaceError("SELECT", {}, sqlite3.InterfaceError("wrong type"))


def test_bad_sql_stays_a_bug(store: Store) -> None:
    with pytest.raises(DBAPIError), store.read() as tx:
        tx._connection.execute(text("SELECT nothing FROM nowhere"))


def test_a_secret_does_not_stand_in_the_error(store: Store) -> None:
    with pytest.raises(DBAPIError) as caught, store.read() as tx:
        tx._connection.execute(text("SELECT :digest FROM nowhere"), {"digest": "a secret"})
    assert "a secret" not in str(caught.value)
