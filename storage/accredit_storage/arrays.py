"""Lists of keys as one parameter, so that a statement has one shape however many there are.

PostgreSQL takes an array, SQLite a JSON text. A list that is written into the statement would be
compiled anew at each call, which costs more than all else that an answer needs.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Dialect,
    FromClause,
    Select,
    Text,
    TypeDecorator,
    any_,
    bindparam,
    column,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine

from accredit_storage.execution import Prepared

_POSTGRESQL = "postgresql"


class _Keys(TypeDecorator[Collection[Any]]):
    """Values of one type, or on SQLite rows of values of several."""

    impl = Text
    cache_ok = True

    def __init__(self, *items: TypeEngine[Any]) -> None:
        super().__init__()
        self.items = items

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Arrays have one type of item."""
        return ARRAY(self.items[0]) if dialect.name == _POSTGRESQL else Text()

    def process_bind_param(self, value: Collection[Any] | None, dialect: Dialect) -> Any:
        """The array's own type sees to its items; in JSON they are as in a column."""
        if value is None or dialect.name == _POSTGRESQL:
            return value if value is None else list(value)
        processors = [item.dialect_impl(dialect).bind_processor(dialect) for item in self.items]
        if len(processors) == 1:
            return json.dumps([_bound(processors[0], one) for one in value])
        return json.dumps(
            [[_bound(*each) for each in zip(processors, row, strict=True)] for row in value]
        )


def among(of: ColumnElement[Any], name: str, dialect: str) -> ColumnElement[bool]:
    """True where the column has one of the values in the parameter ``name``, a list."""
    keys = bindparam(name, type_=_Keys(of.type))
    if dialect == _POSTGRESQL:
        return of == any_(keys)
    return of.in_(select(func.json_each(keys).table_valued("value").c.value))


def by_keys(statement: Select[Any], of: ColumnElement[Any]) -> Prepared:
    """The statement for the rows whose column has one of ``keys``."""
    return Prepared(lambda dialect: statement.where(among(of, "keys", dialect)))


def tuples(columns: Sequence[ColumnElement[Any]], name: str, dialect: str) -> FromClause:
    """The rows in the parameters of ``tuple_values``, as a table with the columns' names."""
    if dialect == _POSTGRESQL:
        parts = [
            bindparam(f"{name}_{number}", type_=_Keys(of.type)) for number, of in enumerate(columns)
        ]
        named = [column(str(of.key), of.type) for of in columns]
        return func.unnest(*parts).table_valued(*named, name=name).render_derived()
    each = func.json_each(bindparam(name, type_=_Keys(*(of.type for of in columns))))
    value = each.table_valued("value").c.value
    return select(
        *(
            func.json_extract(value, f"$[{number}]").label(str(of.key))
            for number, of in enumerate(columns)
        )
    ).subquery(name)


def tuple_values(
    name: str, rows: Collection[tuple[Any, ...]], width: int, dialect: str
) -> Mapping[str, Collection[Any]]:
    """The parameters of ``tuples``, for rows of ``width`` values."""
    if dialect == _POSTGRESQL:
        return {f"{name}_{number}": [row[number] for row in rows] for number in range(width)}
    return {name: rows}


def _bound(process: Callable[[Any], Any] | None, value: Any) -> Any:
    return value if process is None else process(value)
