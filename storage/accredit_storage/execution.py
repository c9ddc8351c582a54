"""Statements that are compiled once and then run straight on the driver's cursor.

SQLAlchemy writes the SQL, knows the types and keeps pool and transactions. To run a statement
through it costs several times what the driver needs, and a call runs a dozen. So a statement that
is ``prepared`` is compiled at its first use, together with what makes its parameters and reads its
columns. Others run through SQLAlchemy, and errors become the same ones in either way.
"""

import re
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NoReturn, TypeAlias

from sqlalchemy import (
    Connection,
    Dialect,
    Executable,
    FromClause,
    Select,
)
from sqlalchemy.sql.expression import ReturnsRows, UpdateBase

from accredit_storage.engine import driver_cursor

Values: TypeAlias = Mapping[str, Any]

_NO_VALUES: Values = {}
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


class Executor:
    """The statements of one transaction: it answers them as SQLAlchemy's connection would."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.dialect = connection.dialect
        self._cursor = driver_cursor(connection)

    def execute(
        self, statement: Prepared | Executable, values: Values | Sequence[Values] | None = None
    ) -> Rows:
        """Run the statement, once for each of several ``values``; those answer no rows."""
        if not isinstance(statement, Prepared):
            result = self.connection.execute(statement, values)
            return Rows(result.all() if result.returns_rows else (), result.rowcount)
        if isinstance(values, Sequence):
            return self._execute_many(statement.compiled(self.dialect, values[0]), values)
        values = _NO_VALUES if values is None else values
        compiled, cursor = statement.compiled(self.dialect, values), self._cursor
        try:
            parameters = compiled.parameters(values)
            self._notify("before_cursor_execute", compiled, parameters)
            cursor.execute(compiled.text, parameters)
            found = cursor.fetchall() if compiled.has_rows else ()
            self._notify("after_cursor_execute", compiled, parameters)
        except BaseException as error:  # noqa: BLE001 - it is raised
            self._refuse(error, compiled)
        return Rows(compiled.rows(found), cursor.rowcount)

    def _execute_many(self, compiled: "_Compiled", values: Sequence[Values]) -> Rows:
        cursor = self._cursor
        try:
            parameters = [compiled.parameters(each) for each in values]
            self._notify("before_cursor_execute", compiled, parameters, many=True)
            cursor.executemany(compiled.text, parameters)
            self._notify("after_cursor_execute", compiled, parameters, many=True)
        except BaseException as error:  # noqa: BLE001 - it is raised
            self._refuse(error, compiled)
        return Rows((), cursor.rowcount)

    def scalar(self, statement: Prepared | Executable) -> Any:
        """The first column of the first row, None where there is none."""
        return self.execute(statement).scalar()

    def _refuse(self, error: BaseException, compiled: "_Compiled") -> NoReturn:
        """Raise an error as SQLAlchemy does, which lets go of connections that are lost."""
        self.connection._handle_dbapi_exception(error, compiled.text, None, None, None)

    def _notify(
        self, name: str, compiled: "_Compiled", parameters: Any, *, many: bool = False
    ) -> None:
        """Tell those who listen to what is sent."""
        for listener in getattr(self.connection.dispatch, name):
            listener(self.connection, self._cursor, compiled.text, parameters, None, many)


class _Compiled:
    """A statement as the driver takes it, and as its rows are read."""

    def __init__(self, statement: Executable, dialect: Dialect, names: list[str]) -> None:
        compiled: Any = statement.compile(dialect=dialect, column_keys=names)  # type: ignore[attr-defined]
        self.text, order = _positional(compiled)
        self._parameters = [_parameter(compiled.binds[name], dialect) for name in order]
        columns: Any = ()
        if isinstance(statement, UpdateBase | ReturnsRows):
            columns = statement.exported_columns
        self.has_rows = bool(columns)
        self._readers = [
            (index, reader)
            for index, column in enumerate(columns)
            if (reader := column.type.dialect_impl(dialect).result_processor(dialect, None))
        ]
        names = list(columns.keys()) if columns else []
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
