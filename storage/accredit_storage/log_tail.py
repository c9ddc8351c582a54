"""What has been added to the change log since a position: the feed of what is kept in memory."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Text, bindparam, func, literal, select, type_coerce

from accredit_storage.execution import Executor, Prepared, prepared
from accredit_storage.records import ChangeKind, Head, Subject
from accredit_storage.schema import changes, store_state

#: Who is further behind than this forgets everything, which costs less than to go through it all.
MOST_CHANGES = 5000

_KINDS = frozenset(kind.name.lower() for kind in ChangeKind)
_position = Prepared(
    lambda dialect: select(
        store_state.c.epoch,
        store_state.c.revision,
        store_state.c.head_hash,
        func.pg_is_in_recovery() if dialect == "postgresql" else literal(False),
        select(changes.c.hash)
        .where(changes.c.revision == bindparam("at_revision"))
        .scalar_subquery(),
    )
)
# As text: a later version may have kinds that this one cannot read.
_since = prepared(
    select(type_coerce(changes.c.kind, Text), type_coerce(changes.c.subjects, Text))
    .where(
        changes.c.revision > bindparam("after"),
        changes.c.revision <= bindparam("until"),
    )
    .limit(MOST_CHANGES + 1)
)


@dataclass(frozen=True, slots=True)
class Tail:
    """Where the log stands, and the names of what has changed up to there.

    ``names`` None: nobody knows. The position is not of this history any more, or too far back, or
    something happened that this version does not understand. A standby's log may be of the past.
    """

    head: Head
    names: Sequence[str] | None
    is_standby: bool = False


def name_of(subject: Subject) -> str:
    """A subject as one text, such as "agent:5": what is kept in memory is dropped by it."""
    # Not ``value``, which takes longer than all else here.
    return f"{subject.kind._value_}:{subject.subject_id}"


def tail(connection: Executor, position: Head | None) -> Tail:
    """What was added since ``position``; None for the first time."""
    at_revision = 0 if position is None else position.revision
    row = connection.execute(_position, {"at_revision": at_revision}).one()
    epoch, revision, hash_, is_standby, hash_at = row
    head = Head(epoch=epoch, revision=revision, hash=hash_)
    if is_standby:
        return Tail(head, None, is_standby=True)
    if head == position:
        return Tail(head, ())
    if position is None or position.epoch != epoch or position.revision > revision:
        return Tail(head, None)
    if position.revision and hash_at != position.hash:
        return Tail(head, None)
    return Tail(head, _names(connection, at_revision, revision))


def _names(connection: Executor, after: int, until: int) -> Sequence[str] | None:
    rows = connection.execute(_since, {"after": after, "until": until}).all()
    # One that is missing was pruned or taken out.
    if len(rows) != until - after:
        return None
    if not all(kind in _KINDS for kind, _ in rows):
        return None
    return [f"{kind}:{key}" for _, subjects in rows for kind, key in json.loads(subjects)]
