"""What the statements of several repositories have in common.

Statements that run often are ``prepared``, with ``bindparam`` for what varies: building one costs
more than SQLite takes to run it.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import (
    ColumnElement,
    Executable,
    Select,
    Table,
    bindparam,
    func,
    or_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from accredit_storage.errors import StoreError
from accredit_storage.execution import Executor, Prepared
from accredit_storage.failures import is_unique_violation

#: A query of however many columns, and a row of one: a named tuple.
AnyRow: TypeAlias = Any
AnySelect: TypeAlias = Select[*tuple[Any, ...]]
#: Makes an INSERT that knows ON CONFLICT.
InsertMaker: TypeAlias = Callable[[Table], postgresql.Insert | sqlite.Insert]

T = TypeVar("T")

_AT_ONCE = 1000
_ESCAPE = "/"
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def by_dialect(build: Callable[[InsertMaker], Executable]) -> Prepared:
    """What ``build`` makes of a dialect's ``insert``.

    Both databases know ON CONFLICT, and SQLAlchemy spells it once for each.
    """
    inserts: dict[str, InsertMaker] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
    return Prepared(lambda dialect: build(inserts[dialect]))


def unexpired(
    expire_at: ColumnElement[datetime | None], at: datetime | ColumnElement[datetime]
) -> ColumnElement[bool]:
    """True where ``expire_at`` is not set or after ``at``; at that very instant it has expired."""
    return or_(expire_at.is_(None), expire_at > at)


def any_like(columns: tuple[ColumnElement[str], ...], name: str) -> ColumnElement[bool]:
    """True where one of ``columns`` is like the parameter ``name``, see ``containing``."""
    return or_(
        *(
            func.lower(column).like(bindparam(name, type_=column.type), escape=_ESCAPE)
            for column in columns
        )
    )


def containing(text: str) -> str:
    """The pattern of what has ``text`` in it, A to Z being the same as a to z."""
    # Not str.lower(), which folds letters that the databases leave alone.
    needle = text.translate(_ASCII_LOWER)
    for special in (_ESCAPE, "%", "_"):
        needle = needle.replace(special, _ESCAPE + special)
    return f"%{needle}%"


def reader(record: type[T], names: Sequence[str]) -> Callable[[Sequence[Any]], T]:
    """What makes a record of a row that begins with these columns, by their position.

    It sets the slots of the record, and takes a fraction of the time of a frozen dataclass's own
    ``__init__``. Such a record checks nothing that this would leave out.
    """
    if sorted(names) != sorted(field.name for field in fields(record)):  # type: ignore[arg-type]
        raise TypeError(f"not the fields of {record.__name__}: {names}")
    setters = [getattr(record, name).__set__ for name in names]

    def read(row: Sequence[Any]) -> T:
        made = object.__new__(record)
        for setter, value in zip(setters, row, strict=False):
            setter(made, value)
        return made

    return read


@contextmanager
def refusing_taken(connection: Executor, refusal: StoreError) -> Generator[None]:
    """Raise ``refusal`` where a unique value within is taken, and leave the transaction usable.

    The savepoint is for PostgreSQL, which refuses every statement after a failed one.
    """
    try:
        with connection.connection.begin_nested():
            yield
    except IntegrityError as error:
        if is_unique_violation(error):
            raise refusal from error
        raise


def chunks(items: Sequence[T]) -> Generator[Sequence[T]]:
    """The items in order, as many at a time as one statement takes with ease."""
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
