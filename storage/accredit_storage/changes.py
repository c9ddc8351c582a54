"""The change log as its readers see it, and what may be taken out of it."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    LargeBinary,
    and_,
    delete,
    func,
    or_,
    select,
    type_coerce,
    update,
)

from accredit_storage import chain
from accredit_storage.arrays import among, tuple_values, tuples
from accredit_storage.chain import Verification
from accredit_storage.execution import Executor, Prepared
from accredit_storage.records import Actor, AgentId, Change, ChangeKind, Subject, UserId
from accredit_storage.schema import change_subjects, changes, store_state
from accredit_storage.statements import AnyRow, AnySelect

#: How many rows one call of ``prune`` takes out at most, so that its transaction stays short.
PRUNE_AT_ONCE = 10_000

_before = changes.alias("before_it")
# Of the oldest change that is kept, the anchor has the hash before.
_previous_hash = func.coalesce(
    select(_before.c.hash).where(_before.c.revision == changes.c.revision - 1).scalar_subquery(),
    select(store_state.c.anchor_hash)
    .where(store_state.c.anchor_revision == changes.c.revision - 1)
    .scalar_subquery(),
    type_=LargeBinary,
)
_columns = (
    changes.c.revision,
    changes.c.kind,
    changes.c.actor_user_id,
    changes.c.actor_agent_id,
    changes.c.actor_token_id,
    changes.c.request_id,
    changes.c.subjects,
    changes.c.before,
    changes.c.after,
    changes.c.before_digest,
    changes.c.after_digest,
    changes.c.at,
    changes.c.hash,
    _previous_hash.label("previous_hash"),
)


_payloads = Prepared(
    lambda dialect: (
        select(changes.c.revision, or_(changes.c.before.is_not(None), changes.c.after.is_not(None)))
        .where(among(changes.c.revision, "keys", dialect))
        .with_for_update()
    )
)
_redact = Prepared(
    lambda dialect: (
        update(changes)
        .where(among(changes.c.revision, "keys", dialect))
        .values(before=None, after=None)
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeQuery:
    """Which changes to list: those of which everything given is true.

    They touched at least one of ``subjects``; the actors are who did it. Without ``kinds``, all of
    them. ``from_at`` is included, ``to_at`` and ``after_revision`` are not.
    """

    subjects: tuple[Subject, ...] = ()
    actor_user_id: UserId | None = None
    actor_agent_id: AgentId | None = None
    actor_token_id: str | None = None
    kinds: tuple[ChangeKind, ...] = ()
    from_at: datetime | None = None
    to_at: datetime | None = None
    after_revision: int = 0
    newest_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Redacted:
    """What taking payloads out came to, as revisions in order.

    ``taken`` had payloads until now, ``without`` had none any more, or never; ``missing`` are not
    in the log.
    """

    taken: tuple[int, ...]
    without: tuple[int, ...]
    missing: tuple[int, ...]


class Changes:
    """The change log that one transaction sees."""

    def __init__(self, connection: Executor) -> None:
        self._connection = connection

    def sizes(self, query: ChangeQuery, *, after: int | None, limit: int) -> list[int]:
        """How many characters the changes have that ``page`` would answer, all but a few."""
        parts = (changes.c.before, changes.c.after, changes.c.subjects)
        before, after_, subjects = (func.coalesce(func.length(part), 0) for part in parts)
        dialect = self._connection.dialect.name
        statement = _page(query, after, dialect).with_only_columns(
            type_coerce(before + after_ + subjects, Integer), maintain_column_froms=True
        )
        rows = self._connection.execute(statement.limit(limit), _arrays(query, dialect))
        return rows.scalars()

    def page(self, query: ChangeQuery, *, after: int | None, limit: int) -> list[Change]:
        """Up to ``limit`` changes in the order of their revisions, or against it.

        ``after`` is the revision of the last one already had.
        """
        dialect = self._connection.dialect.name
        statement = _page(query, after, dialect).limit(limit)
        rows = self._connection.execute(statement, _arrays(query, dialect))
        return [_change(row) for row in rows]

    def hash_at(self, revision: int) -> bytes | None:
        """The hash of one change; None if it was pruned or there is none yet."""
        statement = select(changes.c.hash).where(changes.c.revision == revision)
        found: bytes | None = self._connection.execute(statement).scalar()
        return found

    def verify(
        self, *, anchor: tuple[int, bytes] | None = None, limit: int | None = None
    ) -> Verification:
        """Check the rows after ``anchor``, a (revision, hash) kept elsewhere, or all: see chain.

        Up to ``limit`` rows. In a reading transaction, so that the log does not grow meanwhile.
        """
        return chain.verify(self._connection, anchor=anchor, limit=limit)

    def redact(self, revisions: Collection[int]) -> Redacted:
        """Take the payloads out of these changes, if they are all there.

        The log still verifies: it goes by the payloads' digests.
        """
        keys = {"keys": revisions}
        rows = self._connection.execute(_payloads, keys).all()
        missing = set(revisions).difference(row[0] for row in rows)
        if not missing:
            self._connection.execute(_redact, keys)
        return Redacted(
            taken=tuple(sorted(row[0] for row in rows if row[1])),
            without=tuple(sorted(row[0] for row in rows if not row[1])),
            missing=tuple(sorted(missing)),
        )

    def prune(self, before: datetime) -> int:
        """Take out the oldest changes, up to the first made at or after ``before``: how many.

        At most PRUNE_AT_ONCE; call again, each time in a transaction of its own, until none is
        left. The last one taken out becomes the anchor from which the rest verifies.
        """
        oldest = self._connection.execute(select(func.min(changes.c.revision))).scalar()
        if oldest is None:
            return 0
        end = oldest + PRUNE_AT_ONCE
        # Up to a row and not by time alone: a clock that was set back must not tear a hole.
        first_kept = self._connection.execute(
            select(func.min(changes.c.revision)).where(
                changes.c.at >= before, changes.c.revision < end
            )
        ).scalar()
        pruned = changes.c.revision < (end if first_kept is None else first_kept)
        last = self._connection.execute(
            select(changes.c.revision, changes.c.hash)
            .where(pruned)
            .order_by(changes.c.revision.desc())
            .limit(1)
        ).one_or_none()
        if last is None:
            return 0
        count = self._connection.execute(delete(changes).where(pruned)).rowcount
        self._connection.execute(
            update(store_state)
            # Another server may have pruned as far, or farther, meanwhile.
            .where(store_state.c.anchor_revision < last.revision)
            .values(anchor_revision=last.revision, anchor_hash=last.hash)
        )
        return count


def _arrays(query: ChangeQuery, dialect: str) -> dict[str, Any]:
    """The values of the lists in ``_page``."""
    values: dict[str, Any] = {"kinds": query.kinds} if query.kinds else {}
    if len(query.subjects) > 1:
        asked = [(one.kind, one.subject_id) for one in query.subjects]
        values |= tuple_values("asked", asked, 2, dialect)
    return values


def _page(query: ChangeQuery, after: int | None, dialect: str) -> AnySelect:
    """The changes asked for after that revision, in order.

    By way of the subjects, where there are any: SQLite would otherwise read the whole log for those
    of an agent that rarely changes.
    """
    statement = select(*_columns).where(*_conditions(query, dialect))
    revision: ColumnElement[int] = changes.c.revision
    if query.subjects:
        within = _within(query, after)
        revision, statement = _of_subjects(query.subjects, statement, within, dialect)
    statement = statement.where(*_within(query, after)(revision))
    return statement.order_by(revision.desc() if query.newest_first else revision)


def _within(
    query: ChangeQuery, after: int | None
) -> Callable[[ColumnElement[int]], list[ColumnElement[bool]]]:
    """The bounds of the page, on whichever column has the revision."""

    def bounds(revision: ColumnElement[int]) -> list[ColumnElement[bool]]:
        floor, ceiling = query.after_revision, None
        if after is not None and query.newest_first:
            ceiling = after
        elif after is not None:
            floor = max(floor, after)
        found = [revision > floor] if floor else []
        return found if ceiling is None else [*found, revision < ceiling]

    return bounds


def _of_subjects(
    subjects: tuple[Subject, ...],
    statement: AnySelect,
    bounds: Callable[[ColumnElement[int]], list[ColumnElement[bool]]],
    dialect: str,
) -> tuple[ColumnElement[int], AnySelect]:
    """The statement with only the changes that touched one of these, and where it has revisions."""
    kind, subject_id = change_subjects.c.kind, change_subjects.c.subject_id
    revision = change_subjects.c.revision
    if len(subjects) == 1:
        # In the order of the index, so that the database reads no further than the page.
        joined = statement.join(change_subjects, revision == changes.c.revision)
        of_it = (kind == subjects[0].kind, subject_id == subjects[0].subject_id)
        return revision, joined.where(*of_it)
    asked = tuples((kind, subject_id), "asked", dialect)
    of_any = and_(kind == asked.c.kind, subject_id == asked.c.subject_id)
    touched = select(revision).join(asked, of_any).where(*bounds(revision)).distinct().subquery()
    joined = statement.join(touched, touched.c.revision == changes.c.revision)
    # Bounds on both: PostgreSQL may read the two side by side, and does not conclude them.
    return touched.c.revision, joined.where(*bounds(changes.c.revision))


def _conditions(query: ChangeQuery, dialect: str) -> list[ColumnElement[bool]]:
    actor = {
        changes.c.actor_user_id: query.actor_user_id,
        changes.c.actor_agent_id: query.actor_agent_id,
        changes.c.actor_token_id: query.actor_token_id,
    }
    conditions = [column == value for column, value in actor.items() if value is not None]
    if query.kinds:
        conditions.append(among(changes.c.kind, "kinds", dialect))
    if query.from_at is not None:
        conditions.append(changes.c.at >= query.from_at)
    if query.to_at is not None:
        conditions.append(changes.c.at < query.to_at)
    return conditions


def _change(row: AnyRow) -> Change:
    revision, kind, user_id, agent_id, token_id, request_id, *rest = row
    subjects, before, after, before_digest, after_digest, at, hash_, previous_hash = rest
    return Change(
        revision=revision,
        kind=kind,
        actor=Actor(user_id=user_id, agent_id=agent_id, token_id=token_id),
        request_id=request_id,
        subjects=subjects,
        before=before,
        after=after,
        before_digest=before_digest,
        after_digest=after_digest,
        at=at,
        hash=hash_,
        previous_hash=previous_hash,
    )
