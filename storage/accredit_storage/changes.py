"""The change log as its readers see it, and what may be taken out of it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    and_,
    delete,
    func,
    select,
    type_coerce,
    update,
)

from accredit_storage import chain
from accredit_storage.chain import Verification
from accredit_storage.records import Actor, Change, ChangeKind, SubjectKind
from accredit_storage.schema import change_subjects, changes, store_state
from accredit_storage.statements import AnyRow, AnySelect

#: How many rows one call of ``prune`` takes out at most, so that its transaction stays short.
PRUNE_AT_ONCE = 10_000

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
    changes.c.at,
    changes.c.hash,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeQuery:
    """Which changes to list: those of which everything given is true.

    ``agent_id`` and ``user_id`` are subjects, the actors are who did it. Without ``kinds``, all of
    them. ``from_at`` is included, ``to_at`` is not.
    """

    agent_id: int | None = None
    user_id: int | None = None
    actor_user_id: int | None = None
    actor_agent_id: int | None = None
    actor_token_id: str | None = None
    kinds: tuple[ChangeKind, ...] = ()
    from_at: datetime | None = None
    to_at: datetime | None = None
    newest_first: bool = False


class Changes:
    """The change log that one transaction sees."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def sizes(self, query: ChangeQuery, *, after: int | None, limit: int) -> list[int]:
        """How many characters the payloads have of the changes that ``page`` would answer."""
        lengths = [
            func.coalesce(func.length(part), 0) for part in (changes.c.before, changes.c.after)
        ]
        statement = _page(query, after).with_only_columns(
            type_coerce(lengths[0] + lengths[1], Integer), maintain_column_froms=True
        )
        return list(self._connection.execute(statement.limit(limit)).scalars())

    def page(self, query: ChangeQuery, *, after: int | None, limit: int) -> list[Change]:
        """Up to ``limit`` changes in the order of their revisions, or against it.

        ``after`` is the revision of the last one already had.
        """
        rows = self._connection.execute(_page(query, after).limit(limit))
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

    def redact(self, revision: int) -> bool:
        """Take the payloads out of one change; False if there is no such revision.

        The log still verifies: it goes by the payloads' digests.
        """
        of_revision = changes.c.revision == revision
        statement = update(changes).where(of_revision).values(before=None, after=None)
        return self._connection.execute(statement).rowcount > 0

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


def _page(query: ChangeQuery, after: int | None) -> AnySelect:
    """The changes asked for after that revision, in order.

    By way of the subjects, where there are any: SQLite would otherwise read the whole log for those
    of an agent that rarely changes.
    """
    statement = select(*_columns).where(*_conditions(query))
    revision: ColumnElement[int] = changes.c.revision
    asked = ((SubjectKind.AGENT, query.agent_id), (SubjectKind.USER, query.user_id))
    for kind, subject_id in asked:
        if subject_id is not None:
            subject = change_subjects.alias()
            revision = subject.c.revision
            statement = statement.join(
                subject,
                and_(
                    revision == changes.c.revision,
                    subject.c.kind == kind,
                    subject.c.subject_id == str(subject_id),
                ),
            )
    if after is not None:
        statement = statement.where(revision < after if query.newest_first else revision > after)
    return statement.order_by(revision.desc() if query.newest_first else revision)


def _conditions(query: ChangeQuery) -> list[ColumnElement[bool]]:
    actor = {
        changes.c.actor_user_id: query.actor_user_id,
        changes.c.actor_agent_id: query.actor_agent_id,
        changes.c.actor_token_id: query.actor_token_id,
    }
    conditions = [column == value for column, value in actor.items() if value is not None]
    if query.kinds:
        conditions.append(changes.c.kind.in_(query.kinds))
    if query.from_at is not None:
        conditions.append(changes.c.at >= query.from_at)
    if query.to_at is not None:
        conditions.append(changes.c.at < query.to_at)
    return conditions


def _change(row: AnyRow) -> Change:
    revision, kind, user_id, agent_id, token_id, request_id, *rest = row
    subjects, before, after, at, hash_ = rest
    return Change(
        revision=revision,
        kind=kind,
        actor=Actor(user_id=user_id, agent_id=agent_id, token_id=token_id),
        request_id=request_id,
        subjects=subjects,
        before=before,
        after=after,
        at=at,
        hash=hash_,
    )
