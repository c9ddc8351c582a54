"""What a change is seen to give, change and free has to be among its subjects."""

from collections.abc import Iterator, Mapping
from typing import Any

from accredit_service.abilities.policy.subjects import STORE, login_subject
from accredit_storage.records import Change, ChangeKind, Subject, SubjectKind
from accredit_storage.store import Transaction

Snapshot = Mapping[str, Any]
#: Whose ids may stand in a snapshot, under which name, and as what.
_IDS = {
    "agent_id": SubjectKind.AGENT,
    "token_id": SubjectKind.TOKEN,
    "user_id": SubjectKind.USER,
    "new_owner_id": SubjectKind.USER,
    "offer_id": SubjectKind.TRANSFER_OFFER,
}

# What somebody declared is no agent yet: no answer goes by it.
_OF_DEFINITIONS = (ChangeKind.DEFINITION_REGISTERED, ChangeKind.DEFINITION_UNREGISTERED)


def require_listed(tx: Transaction, change: Change) -> None:
    """Raise AssertionError for a subject that a change should have, by what it did."""
    if change.subjects == (STORE,) or change.kind in _OF_DEFINITIONS:
        return
    assert len(set(change.subjects)) == len(change.subjects), change
    for expected in _expected(tx, change):
        assert expected in change.subjects, (expected, change)


def _expected(tx: Transaction, change: Change) -> Iterator[Subject]:
    before, after = change.before or {}, change.after or {}
    for snapshot in (before, *_made(after)):
        yield from _things(snapshot)
    for slug in _differing("agent_slug", before, after):
        yield Subject(kind=SubjectKind.AGENT_SLUG, subject_id=slug)
    for login in _differing("login", before, after):
        yield login_subject(tx, login)


def _made(after: Snapshot) -> list[Snapshot]:
    """What a change shows afterwards: of one that made several agents, each."""
    several: list[Snapshot] = list(after.get("agents", ()))
    return several or [after]


def _things(snapshot: Snapshot) -> Iterator[Subject]:
    for name, kind in _IDS.items():
        if snapshot.get(name):
            yield Subject(kind=kind, subject_id=str(snapshot[name]))
    if "role" in snapshot and "granted_by" in snapshot:
        grant = f"{snapshot['agent_id']}:user:{snapshot['user_id']}"
        yield Subject(kind=SubjectKind.GRANT, subject_id=grant)
    if "owner_id" in snapshot:
        yield Subject(kind=SubjectKind.USER, subject_id=str(snapshot["owner_id"]))


def _differing(name: str, before: Snapshot, after: Snapshot) -> Iterator[str]:
    """Texts that were given or freed: all that only one side of the change has."""
    sides = [{str(one[name]) for one in _made(side) if one.get(name)} for side in (before, after)]
    yield from sorted(sides[0] ^ sides[1])
