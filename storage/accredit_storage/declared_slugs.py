"""Pages of the slugs that are declared, by the store and by one server of its own together.

A slug stands where the first of its definitions does: by priority, then by origin, then by when it
was first declared. Those that are suppressed do not count while one is left that is not. So what
decides is the least of (suppressed, priority, origin, place). A page is one statement. It goes
along the index of priorities as far as the page does. Beyond the page it reads only where the store
has the slugs that the server declares too, and the suppressed names.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    Executable,
    FromClause,
    Integer,
    Text,
    bindparam,
    case,
    cast,
    column,
    func,
    literal,
    null,
    or_,
    select,
    tuple_,
    type_coerce,
    union_all,
)

from accredit_storage.arrays import tuple_values, tuples
from accredit_storage.columns import CanonicalJson, Key, PlainText
from accredit_storage.execution import Executor, Prepared
from accredit_storage.records import StoredDefinition, StoredSeed
from accredit_storage.schema import definition_seeds, definitions, suppressions
from accredit_storage.statements import AnyRow, AnySelect

#: The origin of what is in the store. A server's own have higher ones.
STORED = 0
# Before all, and after all of one priority and origin.
_BEGINNING = (-(2**31), STORED, 0)
_END = 2**63 - 1


class OwnDefinition(NamedTuple):
    """One that a server has beside the store, as far as it says where its slug stands."""

    agent_slug: str
    source: str
    priority: int
    origin: int
    place: int


class Overridden(NamedTuple):
    """One in the store over which another wins."""

    priority: int
    turn: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlugQuery:
    """Which slugs to list: those of the store and of ``own``, from where on, and how many.

    ``suppressed`` are names beside those in the store. ``after`` is the order of the last slug
    already had.
    """

    own: Sequence[OwnDefinition]
    suppressed: Collection[str]
    after: tuple[int, int, int] | None
    limit: int
    #: How many of a slug's ``others`` to read.
    most_others: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredSlug:
    """A slug that is declared, with its definitions that count; ``suppressed``: none contributes.

    Of those in the store ``strongest`` wins over the ``others``; ``own`` are the numbers of the
    query's. ``order`` is the least (priority, origin, place) of all that count, see above.
    """

    suppressed: bool
    order: tuple[int, int, int]
    strongest: StoredDefinition | None
    others: Sequence[Overridden]
    own: Sequence[int]


class DeclaredSlugs:
    """The declared slugs that one transaction sees."""

    def __init__(self, connection: Executor) -> None:
        self._connection = connection

    def page(self, query: SlugQuery) -> list[DeclaredSlug]:
        """Up to ``query.limit`` slugs in their order, by one statement."""
        priority, origin, place = query.after or _BEGINNING
        dialect = self._connection.dialect.name
        own = [(number, *one) for number, one in enumerate(query.own)]
        values = {
            "after_priority": priority,
            "after_origin": origin,
            "after_place": place,
            "after_id": place if origin == STORED else _END,
            "limit": query.limit,
            "most_others": query.most_others,
            **tuple_values("suppressed", [(name,) for name in query.suppressed], 1, dialect),
            **tuple_values("own", own, len(_OWN), dialect),
        }
        return [_declared(row) for row in self._connection.execute(_page, values)]


def _declared(row: AnyRow) -> DeclaredSlug:
    suppressed, priority, origin, place, own, others, seeds, *columns = row
    strongest = None
    if columns[0] is not None:
        strongest = StoredDefinition(
            **dict(zip(definitions.c.keys(), columns, strict=True)),
            memory_seeds={
                filename: StoredSeed(size, bytes.fromhex(sha256))
                for filename, (size, sha256) in (seeds or {}).items()
            },
        )
    return DeclaredSlug(
        suppressed=bool(suppressed),
        order=(priority, origin, place),
        strongest=strongest,
        others=[Overridden(*one) for one in others or ()],
        own=[number for number in own or () if number is not None],
    )


_OWN: Sequence[ColumnElement[Any]] = (
    column("number", Integer()),
    column("agent_slug", PlainText()),
    column("source", PlainText()),
    column("priority", Integer()),
    column("origin", Integer()),
    column("place", Key),
)
_limit = bindparam("limit", type_=Integer())


class _Json(NamedTuple):
    """How a dialect makes JSON of rows; of no rows it may be NULL."""

    array: Any
    of_rows: Any
    by_name: Any
    hex: Any


_JSON = {
    "sqlite": _Json(
        func.json_array, func.json_group_array, func.json_group_object, lambda of: func.hex(of)
    ),
    "postgresql": _Json(
        func.json_build_array,
        func.json_agg,
        func.json_object_agg,
        lambda of: func.encode(of, "hex"),
    ),
}


def _build(dialect: str) -> Executable:
    names = _suppressed_names(dialect)
    json = _JSON[dialect]
    rows = tuples(_OWN, "own", dialect)
    own = select(*rows.c, _is_suppressed(rows, names).label("suppressed")).cte("own_definitions")
    first = _first(own, names, json)
    counted = definitions.alias("counted")
    counts = (
        counted.c.agent_slug == first.c.agent_slug,
        _is_suppressed(counted, names) == first.c.suppressed,
    )
    strongest_first = (counted.c.priority.desc(), counted.c.turn.desc())
    strongest = select(counted.c.definition_id).where(*counts).order_by(*strongest_first).limit(1)
    others = (
        select(counted.c.priority, counted.c.turn, counted.c.source)
        .where(*counts)
        .order_by(*strongest_first)
        .limit(bindparam("most_others", type_=Integer()))
        .offset(1)
        .correlate(first)
        .subquery("others")
    )
    found = select(
        first,
        strongest.scalar_subquery().label("strongest"),
        _read(select(json.of_rows(json.array(*others.c))).scalar_subquery()).label("others"),
    ).subquery("found")
    seed = definition_seeds.c
    seeds = (
        select(json.by_name(seed.filename, json.array(seed.size, json.hex(seed.sha256))))
        .where(seed.definition_id == definitions.c.definition_id)
        .scalar_subquery()
    )
    order = _order(found)
    return (
        select(
            found.c.suppressed,
            *order,
            found.c.own,
            found.c.others,
            _read(seeds).label("seeds"),
            *definitions.c,
        )
        .outerjoin_from(found, definitions, definitions.c.definition_id == found.c.strongest)
        .order_by(*order)
    )


def _first(own: CTE, names: CTE, json: _Json) -> FromClause:
    """The definitions by which the slugs of the page stand where they do.

    Slugs that only the store declares and those of ``own`` are each cut to the limit by themselves,
    so that a page costs a page of the store and not the whole.
    """
    stored = (
        definitions.c.agent_slug,
        _is_suppressed(definitions, names).label("suppressed"),
        definitions.c.priority,
        literal(STORED).label("origin"),
        definitions.c.definition_id.label("place"),
    )
    only_stored, of_own = _only_stored(stored, own, names), _of_own(stored, own, json)
    # A query around each, because SQLite takes no LIMIT in an arm of a UNION.
    both = union_all(select(only_stored.subquery()), select(of_own.subquery())).subquery("both")
    return select(both).order_by(*_order(both)).limit(_limit).subquery("first")


def _only_stored(stored: Sequence[Any], own: CTE, names: CTE) -> AnySelect:
    """The first definition of each slug that only the store declares."""
    earlier = definitions.alias("earlier")
    first_of_slug = (
        select(earlier.c.definition_id)
        .where(earlier.c.agent_slug == definitions.c.agent_slug)
        .order_by(_is_suppressed(earlier, names), earlier.c.priority, earlier.c.definition_id)
        .limit(1)
    ).scalar_subquery()
    return (
        select(*stored, _read(null()).label("own"))
        .where(
            tuple_(definitions.c.priority, definitions.c.definition_id)
            > tuple_(_after("priority", Integer()), _after("id", Key)),
            definitions.c.agent_slug.not_in(select(own.c.agent_slug)),
            # By value, not by NOT EXISTS: PostgreSQL would join, and go beyond the limit for it.
            definitions.c.definition_id == first_of_slug,
        )
        .order_by(definitions.c.priority, definitions.c.definition_id)
        .limit(_limit)
    )


def _of_own(stored: Sequence[Any], own: CTE, json: _Json) -> AnySelect:
    """The first definition of each slug that the server declares, whoever else does."""
    own_slugs = select(own.c.agent_slug)
    shared = union_all(
        select(*(own.c[of.key] for of in stored), own.c.number),
        select(*stored, cast(null(), Integer())).where(definitions.c.agent_slug.in_(own_slugs)),
    ).subquery("shared")
    slug, suppressed = shared.c.agent_slug, shared.c.suppressed
    nth = func.row_number().over(partition_by=slug, order_by=(suppressed, *_order(shared)))
    numbers = json.of_rows(shared.c.number).over(partition_by=(slug, suppressed))
    ranked = select(shared, _read(numbers).label("own"), nth.label("nth")).subquery("ranked")
    after = (_after("priority", Integer()), _after("origin", Integer()), _after("place", Key))
    return (
        select(*(ranked.c[of.key] for of in stored), ranked.c.own)
        .where(ranked.c.nth == 1, tuple_(*_order(ranked)) > tuple_(*after))
        .order_by(*_order(ranked))
        .limit(_limit)
    )


def _order(of: FromClause) -> tuple[ColumnElement[int], ...]:
    return (of.c.priority, of.c.origin, of.c.place)


def _suppressed_names(dialect: str) -> CTE:
    """There are few: people enter them by hand."""
    given = tuples([suppressions.c.name], "suppressed", dialect)
    return union_all(select(suppressions.c.name), select(given.c.name)).cte("suppressed_names")


def _is_suppressed(of: FromClause, names: CTE) -> ColumnElement[int]:
    """1 where a definition's slug or source is suppressed, else 0: it is sorted by."""
    among = select(names.c.name)
    return case((or_(of.c.agent_slug.in_(among), of.c.source.in_(among)), 1), else_=0)


def _after(name: str, type_: Any) -> ColumnElement[Any]:
    return bindparam(f"after_{name}", type_=type_)


def _read(json: ColumnElement[Any]) -> ColumnElement[Any]:
    """JSON as this module reads it: psycopg would read PostgreSQL's own type by itself."""
    return type_coerce(cast(json, Text()), CanonicalJson())


_page = Prepared(_build)
