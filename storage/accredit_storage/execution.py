"""Statements that are compiled once and then run straight on the driver's cursor.

SQLAlchemy writes the SQL, knows the types and keeps pool and transactions. To run a statement
through it costs several times what the driver needs, and a call runs a dozen. So a statement that
is ``prepared`` is compiled at its first use, together with what makes its parameters and reads its
columns. Others run through SQLAlchemy, and errors become the same ones in either way.
"""

import re
import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NoReturn, Protocol, TypeAlias

from sqlalchemy import (
    Connection,
    Dialect,
    Executable,
    FromClause,
    Select,
)
from sqlalchemy.sql.expression import ReturnsRows, UpdateBase

from accredit_storage.engine import Mode
from accredit_storage.sqlite_driver import SqliteDriver

Values: TypeAlias = Mapping[str, Any]

_NO_VALUES: Values = {}
_DRIVER = "accredit.driver"
# A parameter of psycopg's dialect, or a percent sign that it has doubled.
_PLACE = re.compile(r"%\((\w+)\)s|%%")


class Rows:
    """What a statement has answered, read to its end."""

    __slots__ = ("_rows", "rowcount")

    def __init__(self, rows: Sequence[Any], rowcount: int) -> None:
        self._rows = rows
        #: How many rows the statement has changed.
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def all(self) -> Sequence[Any]:
        """Every row."""
        return self._rows

    def one(self) -> Any:
        """The only row. RuntimeError where there is none, or another."""
        if len(self._rows) != 1:
            raise RuntimeError(f"{len(self._rows)} rows instead of one")
        return self._rows[0]

    def one_or_none(self) -> Any:
        """The only row, None where there is none. RuntimeError where there is another."""
        return self.one() if self._rows else None

    def scalars(self) -> list[Any]:
        """The first column of every row."""
        return [row[0] for row in self._rows]

    def scalar(self) -> Any:
        """The first column of the first row, None where there is none."""
        return self._rows[0][0] if self._rows else None

    def scalar_one(self) -> Any:
        """The first column of the only row. RuntimeError where there is none, or another."""
        return self.one()[0]


class Prepared:
    """A statement that is compiled once for each dialect, and each set of parameters.

    The set matters to an INSERT or UPDATE that states no values: it takes them from the parameters.
    """

    def __init__(self, build: Callable[[str], Executable]) -> None:
        self._build = build
        self._compiled: dict[tuple[str, ...], _Compiled] = {}

    def statement(self, dialect: str) -> Executable:
        """The statement itself, for a dialect."""
        return self._build(dialect)

    def compiled(self, dialect: Dialect, values: Values) -> "_Compiled":
        """The statement for these values."""
        key = (dialect.name, *values)
        found = self._compiled.get(key)
        if found is None:
            found = _Compiled(self._build(dialect.name), dialect, list(values))
            self._compiled[key] = found
        return found


def prepared(statement: Executable) -> Prepared:
    """The statement, the same for each dialect."""
    return Prepared(lambda _: statement)


@cache
def locked(
    statement: Prepared, *, lock: bool, share: bool = False, of: FromClause | None = None
) -> Prepared:
    """``statement`` with its rows kept from change, ``share``, or from others, ``lock``.

    Until the transaction ends; of several tables those ``of`` one. SQLite needs neither: a writer
    is alone from its first statement.
    """
    if not lock and not share:
        return statement

    def build(dialect: str) -> Executable:
        selected = statement.statement(dialect)
        assert isinstance(selected, Select)  # noqa: S101 - nothing else has rows to lock
        return selected.with_for_update(read=not lock, of=of)

    return Prepared(build)


class Driver(Protocol):
    """One connection of a driver's. Its refusals are the driver's own."""

    #: Whether a transaction begins with its first statement and not before.
    begins_late: bool
    #: How many rows the last statement has changed.
    rowcount: int

    def execute(self, text: str, parameters: Sequence[Any] = ()) -> Sequence[Any]:
        """Run a statement to its end: its rows."""

    def execute_many(self, text: str, many: Sequence[Sequence[Any]]) -> None:
        """Run a statement that answers nothing once for each."""

    def begin(self, mode: Mode, text: str = "") -> Sequence[Any]:
        """Begin a transaction, together with a statement that takes no parameters: its rows."""

    def in_transaction(self) -> bool:
        """Whether a COMMIT would keep what was done.

        After an error PostgreSQL turns a COMMIT into a ROLLBACK, and SQLite may have rolled back by
        itself, both without a word.
        """

    def commit(self) -> None:
        """Keep what was done."""


class Executor:
    """The statements of one transaction: it answers them as SQLAlchemy's connection would."""

    def __init__(self, connection: Connection, begins: Mode | None = None) -> None:
        self.dialect = connection.dialect
        self._connection = connection
        self._driver = driver_of(connection)
        self._listeners = connection.engine.dispatch
        #: As what the transaction is still to begin.
        self._begins = begins
        if not self._driver.begins_late:
            self.begin()

    @property
    def connection(self) -> Connection:
        """SQLAlchemy's connection, within the transaction."""
        self.begin()
        return self._connection

    def begin(self, text: str = "") -> bool:
        """Begin the transaction, together with a statement; False where it has begun already."""
        if self._begins is None:
            return False
        mode, self._begins = self._begins, None
        try:
            self._driver.begin(mode, text)
        except BaseException as error:  # noqa: BLE001 - it is raised
            self._refuse(error, text or "BEGIN")
        return True

    def execute(
        self, statement: Prepared | Executable, values: Values | Sequence[Values] | None = None
    ) -> Rows:
        """Run the statement, once for each of several ``values``; those answer no rows."""
        if not isinstance(statement, Prepared):
            result = self.connection.execute(statement, values)
            return Rows(result.all() if result.returns_rows else (), result.rowcount)
        if values is None:
            values = _NO_VALUES
        elif isinstance(values, Sequence):
            return self._execute_many(statement.compiled(self.dialect, values[0]), values)
        compiled = statement.compiled(self.dialect, values)
        try:
            parameters = compiled.parameters(values)
            if self._listeners.before_cursor_execute:
                self._tell("before_cursor_execute", compiled, parameters)
            if self._begins is None:
                found = self._driver.execute(compiled.text, parameters)
            else:
                found = self._first(compiled.text, parameters)
            if self._listeners.after_cursor_execute:
                self._tell("after_cursor_execute", compiled, parameters)
        except BaseException as error:  # noqa: BLE001 - it is raised
            self._refuse(error, compiled.text)
        return Rows(compiled.rows(found), self._driver.rowcount)

    def run(self, text: str) -> None:
        """Run a statement as it stands, for its effect."""
        try:
            self._driver.execute(text)
        except BaseException as error:  # noqa: BLE001 - it is raised
            self._refuse(error, text)

    def in_transaction(self) -> bool:
        """Whether a COMMIT would keep what was done."""
        return self._driver.in_transaction()

    def commit(self) -> bool:
        """End the transaction; False where nothing of it would be kept, and then it goes on."""
        if self._begins is not None:
            return True
        try:
            if not self._driver.in_transaction():
                return False
            self._driver.commit()
        except BaseException as error:  # noqa: BLE001 - it is raised
            self._refuse(error, "COMMIT")
        return True

    def scalar(self, statement: Prepared | Executable) -> Any:
        """The first column of the first row, None where there is none."""
        return self.execute(statement).scalar()

    def _first(self, text: str, parameters: Sequence[Any]) -> Sequence[Any]:
        assert self._begins is not None  # noqa: S101 - else there was one before
        mode, self._begins = self._begins, None
        if not parameters:
            return self._driver.begin(mode, text)
        self._driver.begin(mode)
        return self._driver.execute(text, parameters)

    def _execute_many(self, compiled: "_Compiled", values: Sequence[Values]) -> Rows:
        self.begin()
        try:
            many = [compiled.parameters(each) for each in values]
            self._tell("before_cursor_execute", compiled, many, many=True)
            self._driver.execute_many(compiled.text, many)
            self._tell("after_cursor_execute", compiled, many, many=True)
        except BaseException as error:  # noqa: BLE001 - it is raised
            self._refuse(error, compiled.text)
        return Rows((), self._driver.rowcount)

    def _tell(
        self, name: str, compiled: "_Compiled", parameters: Sequence[Any], *, many: bool = False
    ) -> None:
        """Tell SQLAlchemy's listeners, as it would itself."""
        for listener in getattr(self._listeners, name):
            listener(self._connection, None, compiled.text, parameters, None, many)

    def _refuse(self, error: BaseException, text: str) -> NoReturn:
        """Raise an error as SQLAlchemy does, which lets go of connections that are lost."""
        self._connection._handle_dbapi_exception(error, text, None, None, None)


def driver_of(connection: Connection) -> Driver:
    """What runs statements on the connection; the same for as long as the pool keeps that."""
    kept: Driver | None = connection.info.get(_DRIVER)
    if kept is None:
        kept = connection.info[_DRIVER] = _new_driver(connection.connection.driver_connection)
    return kept


def _new_driver(connection: Any) -> Driver:
    if isinstance(connection, sqlite3.Connection):
        return SqliteDriver(connection)
    # A server on SQLite need not have psycopg.
    from accredit_storage.postgres_driver import PostgresDriver

    return PostgresDriver(connection)


class _Compiled:
    """A statement as the driver takes it, and as its rows are read."""

    def __init__(self, statement: Executable, dialect: Dialect, names: list[str]) -> None:
        compiled: Any = statement.compile(dialect=dialect, column_keys=names)  # type: ignore[attr-defined]
        self.text, order = _positional(compiled)
        self._parameters = [_parameter(compiled.binds[name], dialect) for name in order]
        columns: Any = ()
        if isinstance(statement, UpdateBase | ReturnsRows):
            columns = statement.exported_columns
        self._readers = [
            (index, reader)
            for index, column in enumerate(columns)
            if (reader := column.type.dialect_impl(dialect).result_processor(dialect, None))
        ]
        names = list(columns.keys()) if columns else []
        self._has_rows = bool(names)
        row: Any = namedtuple("Row", names, rename=True)  # type: ignore[misc]
        self._make: Callable[[Sequence[Any]], Any] = row._make

    def parameters(self, values: Values) -> tuple[Any, ...]:
        """What the driver is given, in the order in which the text names it."""
        return tuple(
            [
                constant if name is None else values[name] if write is None else write(values[name])
                for name, write, constant in self._parameters
            ]
        )

    def rows(self, found: Sequence[Any]) -> list[Any]:
        """The rows as named tuples, whose values are those of the columns' types."""
        if not self._has_rows:
            # SQLAlchemy asks for the key of a row that it adds, which nobody wants to know here.
            return []
        make, readers = self._make, self._readers
        rows = []
        for row in found:
            values = list(row)
            for index, read in readers:
                # None is None, whatever the type.
                if values[index] is not None:
                    values[index] = read(values[index])
            rows.append(make(values))
        return rows


def _positional(compiled: Any) -> tuple[str, list[str]]:
    """The text with numbered parameters or question marks, and the parameters' names in order."""
    if compiled.positiontup is not None:
        return compiled.string, list(compiled.positiontup)
    order: list[str] = []

    def numbered(place: re.Match[str]) -> str:
        name = place[1]
        if name is None:
            return "%"
        if name not in order:
            order.append(name)
        return f"${order.index(name) + 1}"

    return _PLACE.sub(numbered, compiled.string), order


def _parameter(bind: Any, dialect: Dialect) -> tuple[str | None, Callable[[Any], Any] | None, Any]:
    """The name of a parameter, what writes its value, and the value itself of a constant."""
    write = bind.type.dialect_impl(dialect).bind_processor(dialect)
    if bind.required:
        return bind.key, write, None
    constant = bind.effective_value
    return None, None, constant if write is None else write(constant)
