"""The chain that binds the change log: a row's hash covers the row and the hash of the one before.

A hash is SHA-256 over the canonical JSON of the list in ``_link``; docs/change-log.md says so byte
by byte, for those who recompute it from replies. Payloads enter by their digest alone, so that one
can be taken out later and the chain still holds. What a chain cannot show by itself is that all of
it was written anew: for that, somebody has to keep a (revision, hash) elsewhere and bring it back
as the anchor.
"""

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    LargeBinary,
    Text,
    bindparam,
    cast,
    func,
    select,
    true,
    type_coerce,
    update,
)

from accredit_storage.arrays import tuple_values, tuples
from accredit_storage.canonical import canonical_json, digest
from accredit_storage.columns import PlainText, named_subjects
from accredit_storage.engine import any_text
from accredit_storage.execution import Executor, Prepared, prepared
from accredit_storage.records import Draft, Head
from accredit_storage.schema import change_subjects, changes, store_state
from accredit_storage.statements import AnyRow, AnySelect

#: What stands in for the hash before the first row.
GENESIS = bytes(32)

_BATCH = 1000
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_counter = prepared(select(store_state.c.epoch, store_state.c.revision, store_state.c.head_hash))
# The payloads as the texts that their digests are made of, so that each is written once.
_written = {
    **{column.name: bindparam(column.name, type_=column.type) for column in changes.c},
    **{name: bindparam(name, type_=PlainText) for name in ("before", "after")},
}
_add_change = prepared(changes.insert().values(_written))
_add_subject = prepared(change_subjects.insert())
_move_counter = prepared(update(store_state))


def _at_once(dialect: str) -> Executable:
    """All that a change writes, and its hash, in one statement of PostgreSQL's.

    Each statement is a journey, and from the first one to the commit every other writer waits.
    """
    covered = func.concat(
        '["',
        func.encode(store_state.c.head_hash, "hex"),
        '","',
        cast(store_state.c.revision + 1, Text),
        '",',
        bindparam("covered", type_=Text()),
    )
    counter = (
        update(store_state)
        .values(
            revision=store_state.c.revision + 1,
            head_hash=func.sha256(func.convert_to(covered, "UTF8"), type_=LargeBinary()),
        )
        .returning(store_state.c.epoch, store_state.c.revision, store_state.c.head_hash)
        .cte("counter")
    )
    values = {**_written, "revision": counter.c.revision, "hash": counter.c.head_hash}
    added = changes.insert().from_select(list(values), select(*values.values()))
    kind, subject_id = change_subjects.c.kind, change_subjects.c.subject_id
    touched = tuples((kind, subject_id), "touched", dialect)
    listed = change_subjects.insert().from_select(
        ["kind", "subject_id", "revision"],
        select(touched.c.kind, touched.c.subject_id, counter.c.revision).join_from(
            touched, counter, true()
        ),
    )
    return select(counter).add_cte(added.cte("added"), listed.cte("listed"))


_append = Prepared(_at_once)


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


@dataclass(frozen=True, slots=True)
class Appended:
    """A change that was added: where the log stands with it, and what its hash covers."""

    head: Head
    covered: list[Any]

    def follows(self, position: Head) -> bool:
        """Whether it is the next one after ``position``, in the same history."""
        head = self.head
        if position.epoch != head.epoch or position.revision + 1 != head.revision:
            return False
        return _link(position.hash, head.revision, self.covered) == head.hash


def append(connection: Executor, draft: Draft) -> Appended:
    """Add ``draft`` to the log and move the counter.

    From its first statement on, no other transaction appends until this one ends.
    """
    before, after = _text(draft.before), _text(draft.after)
    values = {
        "kind": draft.kind,
        "at": draft.at,
        "actor_user_id": draft.actor.user_id,
        "actor_agent_id": draft.actor.agent_id,
        "actor_token_id": draft.actor.token_id,
        "request_id": draft.request_id,
        "subjects": draft.subjects,
        "before": before,
        "before_digest": _digest(before),
        "after": after,
        "after_digest": _digest(after),
    }
    covered = _covered(
        draft.at,
        draft.kind.name.lower(),
        (draft.actor.user_id, draft.actor.agent_id, draft.actor.token_id),
        draft.request_id,
        named_subjects(draft.subjects),
        (values["before_digest"], values["after_digest"]),
    )
    # Once each: a cascade may name what the change was about anyway.
    subjects = [(one.kind, one.subject_id) for one in dict.fromkeys(draft.subjects)]
    if connection.dialect.name == "postgresql":
        touched = tuple_values("touched", subjects, 2, "postgresql")
        # Without the bracket that opens the list: the statement writes what comes before.
        values["covered"] = canonical_json(covered)[1:]
        epoch, revision, hash_ = connection.execute(_append, {**values, **touched}).one()
        return Appended(Head(epoch=epoch, revision=revision, hash=hash_), covered)
    epoch, revision, previous = connection.execute(_counter).one()
    revision, hash_ = revision + 1, _link(previous, revision + 1, covered)
    connection.execute(_add_change, {**values, "revision": revision, "hash": hash_})
    if subjects:
        keys = ("kind", "subject_id", "revision")
        rows = [dict(zip(keys, (*subject, revision), strict=True)) for subject in subjects]
        connection.execute(_add_subject, rows)
    connection.execute(_move_counter, {"revision": revision, "head_hash": hash_})
    return Appended(Head(epoch=epoch, revision=revision, hash=hash_), covered)


def verify(
    connection: Executor, *, anchor: tuple[int, bytes] | None, limit: int | None
) -> Verification:
    """Check up to ``limit`` rows after ``anchor``, from the oldest row on if None.

    Rows up to the anchor are vouched for by whoever kept it; check without one to see them.
    """
    with any_text(connection.connection):
        return _verification(connection, anchor, limit)


def _verification(
    connection: Executor, anchor: tuple[int, bytes] | None, limit: int | None
) -> Verification:
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
    connection: Executor, anchor: tuple[int, bytes], *, oldest: tuple[int, bytes], newest: int
) -> int | None:
    """The revision that contradicts ``anchor``, None if the log has it."""
    if anchor[0] == oldest[0]:
        found: bytes | None = oldest[1]
    else:
        found = connection.execute(
            select(changes.c.hash).where(changes.c.revision == anchor[0])
        ).scalar()
    return None if found == anchor[1] else min(anchor[0], newest + 1)


def _links(connection: Executor, start: tuple[int, bytes]) -> Generator[tuple[int, bytes | None]]:
    """The revisions after ``start`` and their hashes; the first broken one has None, and ends."""
    reached, link = start
    raw, read_time = _raw[connection.dialect.name], _read_time[connection.dialect.name]
    while rows := connection.execute(raw.where(changes.c.revision > reached).limit(_BATCH)).all():
        listed = _listed_subjects(connection, reached, rows[-1].revision)
        for row in rows:
            follows = row.revision == reached + 1
            if not (follows and _is_sound(row, read_time, link, listed.get(row.revision, set()))):
                yield row.revision, None
                return
            reached, link = row.revision, row.hash
            yield reached, link


def _rows(at: ColumnElement[str]) -> AnySelect:
    """The rows as stored: what somebody altered need not be JSON, nor a kind that we know."""
    return select(
        changes.c.revision,
        type_coerce(changes.c.kind, PlainText).label("kind"),
        at.label("at"),
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


_raw = {
    "sqlite": _rows(type_coerce(changes.c.at, PlainText)),
    # As text, because the driver has no value for "infinity" and for times before the year 1.
    "postgresql": _rows(cast(changes.c.at, Text)),
}

_raw_subjects = select(
    change_subjects.c.revision,
    type_coerce(change_subjects.c.kind, PlainText).label("kind"),
    change_subjects.c.subject_id,
)


def _listed_subjects(
    connection: Executor, after: int, through: int
) -> dict[int, set[tuple[str, str]]]:
    """What ``change_subjects`` says about the revisions after ``after``, up to ``through``."""
    listed: dict[int, set[tuple[str, str]]] = {}
    statement = _raw_subjects.where(
        change_subjects.c.revision > after, change_subjects.c.revision <= through
    )
    for revision, kind, subject_id in connection.execute(statement):
        listed.setdefault(revision, set()).add((kind, subject_id))
    return listed


def _is_sound(
    row: AnyRow,
    read_time: Callable[[str], datetime],
    previous: bytes,
    listed: set[tuple[str, str]],
) -> bool:
    """Whether the row is what its hash says, in the very form in which ``append`` writes it.

    And whether its payloads are what their digests say, and looking up its subjects leads to it.
    """
    if not _has_types(row):
        return False
    try:
        subjects = json.loads(row.subjects)
        covered = _covered(
            read_time(row.at),
            row.kind,
            (row.actor_user_id, row.actor_agent_id, row.actor_token_id),
            row.request_id,
            subjects,
            (row.before_digest, row.after_digest),
        )
        link = _link(previous, row.revision, covered)
        return (
            link == row.hash
            and row.subjects == canonical_json(subjects)
            and _agrees(row.before, row.before_digest)
            and _agrees(row.after, row.after_digest)
            and listed == {(kind, subject_id) for kind, subject_id in subjects}
        )
    except (AttributeError, RecursionError, TypeError, ValueError):
        # What is no JSON, no list of pairs, no time or no UTF-8.
        return False


def _has_types(row: AnyRow) -> bool:
    """Whether each value is of its column's type: SQLite keeps any type in any column."""
    texts = (row.kind, row.at, row.request_id, row.subjects)
    optional_texts = (row.actor_token_id, row.before, row.after)
    optional_ids = (row.actor_user_id, row.actor_agent_id)
    optional_digests = (row.before_digest, row.after_digest)
    return (
        all(type(value) is str for value in texts)
        and all(value is None or type(value) is str for value in optional_texts)
        and all(value is None or type(value) is int for value in optional_ids)
        and all(value is None or type(value) is bytes for value in optional_digests)
        and type(row.hash) is bytes
    )


def _link(previous: bytes, revision: int, covered: list[Any]) -> bytes:
    """The hash of one row, which ``_at_once`` makes as well."""
    return digest(canonical_json([previous.hex(), str(revision), *covered]))


def _covered(
    at: datetime,
    kind: str,
    actor: tuple[int | None, int | None, str | None],
    request_id: str,
    subjects: list[list[str]],
    digests: tuple[Any, Any],
) -> list[Any]:
    """What a hash covers of its own row. Numbers enter as texts, since JSON's reach 2^53 only."""
    user_id, agent_id, token_id = actor
    return [
        str((at - _UNIX_EPOCH) // _MICROSECOND),
        kind,
        None if user_id is None else str(user_id),
        None if agent_id is None else str(agent_id),
        token_id,
        request_id,
        subjects,
        *(None if one is None else one.hex() for one in digests),
    ]


def _text(payload: Mapping[str, Any] | None) -> str | None:
    return None if payload is None else canonical_json(payload)


def _digest(payload: str | None) -> bytes | None:
    return None if payload is None else digest(payload)


def _agrees(payload: str | None, stored: bytes | None) -> bool:
    """Whether the stored text has the digest; without a text it was redacted."""
    return payload is None or digest(payload) == stored


def _naive_time(stored: str) -> datetime:
    """What SQLite keeps: the text that we wrote. ValueError for any other text of that time."""
    at = datetime.fromisoformat(stored)
    if stored != at.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds"):
        raise ValueError(stored)
    return at.replace(tzinfo=UTC)


# PostgreSQL keeps an instant, and writes it in its session's zone.
_read_time = {"sqlite": _naive_time, "postgresql": datetime.fromisoformat}
