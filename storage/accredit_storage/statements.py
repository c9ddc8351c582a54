"""What the statements of several repositories have in common.

Statements that run often are built once, at import, with ``bindparam`` for what varies: building
one costs more than SQLite takes to run it.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    FromClause,
    Row,
    Select,
    Table,
    func,
    or_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from accredit_storage.errors import StoreError
from accredit_storage.failures import is_unique_violation

#: A row, and a query, of however many columns.
AnyRow: TypeAlias = Row[*tuple[Any, ...]]
AnySelect: TypeAlias = Select[*tuple[Any, ...]]
#: Makes an INSERT that knows ON CONFLICT.
InsertMaker: TypeAlias = Callable[[Table], postgresql.Insert | sqlite.Insert]

T = TypeVar("T")

_AT_ONCE = 1000
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def by_dialect(build: Callable[[InsertMaker], Executable]) -> dict[str, Executable]:
    """What ``build`` makes of each dialect's ``insert``, by the dialect's name.

    Both databases know ON CONFLICT, and SQLAlchemy spells it once for each.
    """
    return {"postgresql": build(postgresql.insert), "sqlite": build(sqlite.insert)}


def locked(
    statement: AnySelect, *, lock: bool, share: bool = False, of: FromClause | None = None
) -> AnySelect:
    """``statement`` with its rows kept from change, ``share``, or from others, ``lock``.

    Until the transaction ends; of several tables those ``of`` one. SQLite needs neither: a writer
    is alone from its first statement.
    """
    if lock or share:
        return statement.with_for_update(read=not lock, of=of)
    return statement


def unexpired(expire_at: ColumnElement[datetime | None], at: datetime) -> ColumnElement[bool]:
    """True where ``expire_at`` is not set or after ``at``; at that very instant it has expired."""
    return or_(expire_at.is_(None), expire_at > at)


def any_contains(columns: tuple[ColumnElement[str], ...], text: str) -> ColumnElement[bool]:
    """True where one of ``columns`` has ``text`` in it, A to Z being the same as a to z."""
    # Not str.lower(), which folds letters that the databases leave alone.
    needle = text.translate(_ASCII_LOWER)
    return or_(*(func.lower(column).contains(needle, autoescape=True) for column in columns))


@contextmanager
def refusing_taken(connection: Connection, refusal: StoreError) -> Generator[None]:
    """Raise ``refusal`` where a unique value within is taken, and leave the transaction usable.

    The savepoint is for PostgreSQL, which refuses every statement after a failed one.
    """
    try:
        with connection.begin_nested():
            yield
    except IntegrityError as error:
        if is_unique_violation(error):
            raise refusal from error
        raise


def chunks(items: Sequence[T]) -> Generator[Sequence[T]]:
    """The items in order, as many at a time as one statement takes with ease."""
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
