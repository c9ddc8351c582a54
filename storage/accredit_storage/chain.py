"""The chain that binds the change log: a row's hash covers the row and the hash of the one before.

A hash is SHA-256 over the canonical JSON of the list in ``_link``. Payloads enter by their digest
alone, so that one can be taken out later and the chain still holds. What a chain cannot show by
itself is that all of it was written anew: for that, somebody has to keep a (revision, hash)
elsewhere and bring it back as the anchor.
"""

import hashlib
import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, type_coerce, update

from accredit_storage.columns import PlainText, canonical_json, subjects_json
from accredit_storage.records import Draft, Head
from accredit_storage.schema import change_subjects, changes, store_state
from accredit_storage.statements import AnyRow

#: What stands in for the hash before the first row.
GENESIS = bytes(32)

_BATCH = 1000
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_counter = select(store_state.c.revision, store_state.c.head_hash).with_for_update()
_add_change = changes.insert()
_add_subject = change_subjects.insert()
_move_counter = update(store_state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What checking the log found.

    ``first_broken`` is the lowest revision that is missing, altered or not what the counter says;
    None: all that was checked is sound. Checked were ``checked`` rows, those after ``start``. A
    ``start`` above the anchor asked for says that the anchor's row was pruned, so that nothing
    could be compared with it. ``reached`` is the last sound (revision, hash): the anchor from which
    to go on where a limit ended the check. ``head`` is the counter's, to be kept elsewhere.
    """

    first_broken: int | None
    head: Head
    checked: int
    start: int
    reached: tuple[int, bytes]


def append(connection: Connection, draft: Draft) -> int:
    """Add ``draft`` to the log and move the counter: its revision.

    From its first statement on, no other transaction appends until this one ends.
    """
    counter = connection.execute(_counter).one()
    revision: int = counter.revision + 1
    before_digest, after_digest = _digest(draft.before), _digest(draft.after)
    hash_ = _link(
        counter.head_hash,
        revision,
        draft.at,
        draft.kind.name.lower(),
        (draft.actor.user_id, draft.actor.agent_id, draft.actor.token_id),
        draft.request_id,
        subjects_json(draft.subjects),
        (before_digest, after_digest),
    )
    connection.execute(
        _add_change,
        {
            "revision": revision,
            "kind": draft.kind,
            "at": draft.at,
            "actor_user_id": draft.actor.user_id,
            "actor_agent_id": draft.actor.agent_id,
            "actor_token_id": draft.actor.token_id,
            "request_id": draft.request_id,
            "subjects": draft.subjects,
            "before": draft.before,
            "before_digest": before_digest,
            "after": draft.after,
            "after_digest": after_digest,
            "hash": hash_,
        },
    )
    # Once each: a cascade may name what the change was about anyway.
    if subjects := dict.fromkeys(draft.subjects):
        connection.execute(
            _add_subject,
            [
                {"kind": subject.kind, "subject_id": subject.subject_id, "revision": revision}
                for subject in subjects
            ],
        )
    connection.execute(_move_counter, {"revision": revision, "head_hash": hash_})
    return revision


def verify(
    connection: Connection, *, anchor: tuple[int, bytes] | None, limit: int | None
) -> Verification:
    """Check up to ``limit`` rows after ``anchor``, from the oldest row on if None.

    Rows up to the anchor are vouched for by whoever kept it; check without one to see them.
    """
    state = connection.execute(select(store_state)).one()
    head = Head(epoch=state.epoch, revision=state.revision, hash=state.head_hash)
    start: tuple[int, bytes] = (state.anchor_revision, state.anchor_hash)
    if anchor is not None and anchor[0] >= start[0]:
        if (broken := _misfit(connection, anchor, oldest=start, newest=head.revision)) is not None:
            return Verification(
                first_broken=broken, head=head, checked=0, start=anchor[0], reached=start
            )
        start = anchor
    first_broken, reached = None, start
    for revision, link in _links(connection, start):
        if limit is not None and reached[0] - start[0] == limit:
            break
        if link is None or revision > head.revision:
            first_broken = reached[0] + 1
            break
        reached = (revision, link)
    else:
        # The rows have ended: the counter has to say the same.
        if reached[0] != head.revision:
            first_broken = reached[0] + 1
        elif reached[1] != head.hash:
            first_broken = reached[0]
    return Verification(
        first_broken=first_broken,
        head=head,
        checked=reached[0] - start[0],
        start=start[0],
        reached=reached,
    )


def _misfit(
    connection: Connection, anchor: tuple[int, bytes], *, oldest: tuple[int, bytes], newest: int
) -> int | None:
    """The revision that contradicts ``anchor``, None if the log has it."""
    if anchor[0] == oldest[0]:
        found: bytes | None = oldest[1]
    else:
        found = connection.execute(
            select(changes.c.hash).where(changes.c.revision == anchor[0])
        ).scalar()
    return None if found == anchor[1] else min(anchor[0], newest + 1)


def _links(connection: Connection, start: tuple[int, bytes]) -> Generator[tuple[int, bytes | None]]:
    """The revisions after ``start`` and their hashes; the first broken one has None, and ends."""
    reached, link = start
    while rows := connection.execute(_raw.where(changes.c.revision > reached).limit(_BATCH)).all():
        named = _named_subjects(connection, reached, rows[-1].revision)
        for row in rows:
            if row.revision != reached + 1 or not _is_sound(
                row, link, named.get(row.revision, set())
            ):
                yield row.revision, None
                return
            reached, link = row.revision, row.hash
            yield reached, link


# As stored: what somebody altered need not be JSON, nor a time, nor a kind that we know.
_raw = select(
    changes.c.revision,
    type_coerce(changes.c.kind, PlainText).label("kind"),
    type_coerce(changes.c.at, PlainText).label("at"),
    changes.c.actor_user_id,
    changes.c.actor_agent_id,
    changes.c.actor_token_id,
    changes.c.request_id,
    type_coerce(changes.c.subjects, PlainText).label("subjects"),
    type_coerce(changes.c.before, PlainText).label("before"),
    changes.c.before_digest,
    type_coerce(changes.c.after, PlainText).label("after"),
    changes.c.after_digest,
    changes.c.hash,
).order_by(changes.c.revision)

_raw_subjects = select(
    change_subjects.c.revision,
    type_coerce(change_subjects.c.kind, PlainText).label("kind"),
    change_subjects.c.subject_id,
)


def _named_subjects(
    connection: Connection, after: int, through: int
) -> dict[int, set[tuple[str, str]]]:
    """What ``change_subjects`` says about the revisions after ``after``, up to ``through``."""
    named: dict[int, set[tuple[str, str]]] = {}
    statement = _raw_subjects.where(
        change_subjects.c.revision > after, change_subjects.c.revision <= through
    )
    for revision, kind, subject_id in connection.execute(statement):
        named.setdefault(revision, set()).add((kind, subject_id))
    return named


def _is_sound(row: AnyRow, previous: bytes, named: set[tuple[str, str]]) -> bool:
    """Whether the row is what its hash says, and its payloads what their digests say.

    And whether looking up what is ``named`` to be its subjects leads to it.
    """
    try:
        link = _link(
            previous,
            row.revision,
            _instant(row.at),
            row.kind,
            (row.actor_user_id, row.actor_agent_id, row.actor_token_id),
            row.request_id,
            row.subjects,
            (row.before_digest, row.after_digest),
        )
        return (
            link == row.hash
            and _agrees(row.before, row.before_digest)
            and _agrees(row.after, row.after_digest)
            and named == {(kind, subject_id) for kind, subject_id in json.loads(row.subjects)}
        )
    except (AttributeError, TypeError, ValueError):
        # SQLite keeps a value of any type in any column, so an altered one may not even be
        # comparable.
        return False


def _link(
    previous: bytes,
    revision: int,
    at: datetime,
    kind: str,
    actor: tuple[int | None, int | None, str | None],
    request_id: str,
    subjects: str,
    digests: tuple[bytes | None, bytes | None],
) -> bytes:
    """The hash of one row."""
    covered = [
        previous.hex(),
        revision,
        (at - _UNIX_EPOCH) // _MICROSECOND,
        kind,
        *actor,
        request_id,
        subjects,
        *(None if digest is None else digest.hex() for digest in digests),
    ]
    return hashlib.sha256(canonical_json(covered).encode("ascii")).digest()


def _digest(payload: Mapping[str, Any] | None) -> bytes | None:
    return (
        None
        if payload is None
        else hashlib.sha256(canonical_json(payload).encode("ascii")).digest()
    )


def _agrees(payload: str | None, digest: bytes | None) -> bool:
    """Whether the stored text has the digest; without a text it was redacted."""
    return payload is None or hashlib.sha256(payload.encode()).digest() == digest


def _instant(stored: str | datetime) -> datetime:
    """A time as the driver gives it: PostgreSQL's has read it, SQLite's has not."""
    return (
        stored
        if isinstance(stored, datetime)
        else datetime.fromisoformat(stored).replace(tzinfo=UTC)
    )
