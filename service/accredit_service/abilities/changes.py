"""Changes, the audit trail: read and verified by calls, redacted by operators."""

import enum
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from accredit_storage.chain import Verification
from accredit_storage.changes import ChangeQuery, Redacted
from accredit_storage.records import AgentId, Change, ChangeKind, Role, Subject, SubjectKind
from accredit_storage.store import Transaction

from .calls.app import App
from .calls.mutations import Effect, record
from .calls.paging import Cursor, Page, PageRequest
from .calls.reads import Ask, reading
from .errors import actions_missing, invalid
from .input.agent_refs import require_agent
from .input.user_refs import UserRef, require_user
from .policy.permissions import Action
from .policy.rights import Principal

MAX_KINDS = 50
#: How many subjects a filter names at most, and how long the id of one may be, in characters.
MAX_SUBJECTS = 100
MAX_SUBJECT_ID = 1000
#: How many changes are redacted at a time.
MAX_REVISIONS = 1000
_VERIFIED_AT_ONCE = 20_000
_HASH_LENGTH = 32
_PAGE_CHARACTERS = 1_000_000

_DIGITS = re.compile("[1-9][0-9]{0,18}")


class View(enum.Enum):
    """How much of a change is shown."""

    FULL = "full"
    PARTIAL = "partial"


# The kinds whose payloads hold nothing but agents, their grants, tokens, offers and files. Any
# other kind is shown in part to whoever may not audit: a user who is deactivated has an e-mail.
_OF_AGENTS = frozenset(
    {
        ChangeKind.AGENT_CREATED,
        ChangeKind.AGENT_UPDATED,
        ChangeKind.AGENT_RENAMED,
        ChangeKind.AGENT_TRANSFERRED,
        ChangeKind.AGENT_DELETED,
        ChangeKind.GRANT_CHANGED,
        ChangeKind.GRANT_REVOKED,
        ChangeKind.TOKEN_CREATED,
        ChangeKind.TOKEN_ROTATED,
        ChangeKind.TOKEN_REVOKED,
        ChangeKind.TRANSFER_OFFERED,
        ChangeKind.TRANSFER_DECLINED,
        ChangeKind.FILE_WRITTEN,
        ChangeKind.FILE_DELETED,
        ChangeKind.FILES_SCAFFOLDED,
        ChangeKind.BULK,
        ChangeKind.DEFINITION_RECONCILED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFilter:
    """Which changes are meant: those of which everything given is true.

    They touched at least one of ``subjects``. Without ``kinds``, all of them. ``from_at`` is
    included, ``to_at`` is not.
    """

    kinds: tuple[ChangeKind, ...] = ()
    subjects: tuple[Subject, ...] = ()
    actor_user: UserRef | None = None
    actor_agent_id: AgentId | None = None
    actor_token_id: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A change as far as the caller may see it."""

    change: Change
    view: View


@dataclass(frozen=True, slots=True)
class Anchor:
    """A revision, and the hash it had when somebody noted it down."""

    revision: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found, and the token that goes on where this call ended; empty at the end."""

    verification: Verification
    next_token: str


def list_changes(
    app: App,
    ask: Ask,
    wanted: ChangeFilter,
    page: PageRequest,
    *,
    after_revision: int = 0,
    newest_first: bool = False,
) -> Page[Shown]:
    """One page of changes. Needs audit, or ADMIN on every agent that it filters by.

    Raises InvalidArgument for a filter that breaks a rule, PermissionDenied, and NotFound for the
    login of an actor whom nobody knows.
    """
    _check_filter(wanted)
    if after_revision < 0:
        raise invalid("after_revision", "0, or a revision")
    with reading(app, ask) as (tx, caller, now, head):
        audits = Action.AUDIT in caller.actions
        if not audits:
            _require_own(tx, caller, wanted.subjects, now)
        query = _query(tx, wanted, after_revision, newest_first)
        # A login may be another's tomorrow.
        cursor = Cursor(page, caller, head.epoch, about=query.actor_user_id)
        after = cursor.after(int)
        listed = _page(tx, query, cursor, None if after is None else after[0])
    shown = [Shown(one, View.FULL) if audits else _own_part(wanted, one) for one in listed.items]
    return Page(shown, listed.next_token, lambda one: listed.token_after(one.change))


def verify_changes(app: App, ask: Ask, anchor: Anchor | None, page: PageRequest) -> Verified:
    """Recompute a stretch of the chain, after the anchor or the page token."""
    if anchor is not None:
        _check_anchor(anchor)
    with reading(app, ask) as (tx, caller, _now, head):
        cursor = Cursor(page, caller, head.epoch)
        after = cursor.after(int, str)
        start = None if anchor is None or anchor.revision == 0 else (anchor.revision, anchor.hash)
        if after is not None:
            start = (after[0], bytes.fromhex(after[1]))
        found = tx.changes.verify(anchor=start, limit=_VERIFIED_AT_ONCE)
        goes_on = found.first_broken is None and found.reached[0] < found.head.revision
        reached = (found.reached[0], found.reached[1].hex())
        return Verified(found, cursor.continuing(reached) if goes_on else "")


def redact(app: App, revisions: Collection[int]) -> Redacted:
    """Take what was before and after out of these changes, and log that.

    Where none of them has a payload any more, nothing is logged. Raises InvalidArgument if one is
    not in the log, or for too many; then nothing is done.
    """
    asked = set(revisions)
    if len(asked) > MAX_REVISIONS:
        raise invalid("revisions", "at most {limit} at a time", limit=MAX_REVISIONS)
    with app.store.write() as tx:
        redacted = tx.changes.redact(asked)
        if redacted.missing:
            missing = ", ".join(map(str, redacted.missing))
            raise invalid(
                "revisions", "not in the log: {missing}; unknown, or pruned", missing=missing
            )
        if redacted.taken:
            # No answer rests on the log: it has no subjects.
            effect = Effect(
                value=None,
                kind=ChangeKind.CHANGE_REDACTED,
                after={"revisions": list(redacted.taken)},
            )
            record(tx, effect, app.now())
    return redacted


def _page(tx: Transaction, query: ChangeQuery, cursor: Cursor, after: int | None) -> Page[Change]:
    """A page that ends early rather than hold more than is sensible to send."""
    sizes = tx.changes.sizes(query, after=after, limit=cursor.size + 1)
    fits, total = 0, 0
    for size in sizes[: cursor.size]:
        total += size
        if fits and total > _PAGE_CHARACTERS:
            break
        fits += 1
    found = tx.changes.page(query, after=after, limit=fits) if fits else []

    def token_after(change: Change) -> str:
        return cursor.continuing((change.revision,))

    return Page(found, token_after(found[-1]) if fits < len(sizes) else "", token_after)


def _require_own(
    tx: Transaction, caller: Principal, subjects: tuple[Subject, ...], now: datetime
) -> None:
    """Raise PermissionDenied unless these are agents, at least one, each the caller's as ADMIN."""
    if not subjects or any(one.kind is not SubjectKind.AGENT for one in subjects):
        raise actions_missing(
            [Action.AUDIT],
            "the log needs the action {actions}, or a filter by agents of yours and nothing else",
        )
    for one in dict.fromkeys(subjects):
        require_agent(tx, caller, AgentId(int(one.subject_id)), Role.ADMIN, now)


def _query(
    tx: Transaction, wanted: ChangeFilter, after_revision: int, newest_first: bool
) -> ChangeQuery:
    user = wanted.actor_user
    return ChangeQuery(
        # By id also one who is gone.
        actor_user_id=require_user(tx, user).user_id if isinstance(user, str) else user,
        actor_agent_id=wanted.actor_agent_id,
        actor_token_id=wanted.actor_token_id,
        subjects=tuple(dict.fromkeys(wanted.subjects)),
        kinds=wanted.kinds,
        from_at=wanted.from_at,
        to_at=wanted.to_at,
        after_revision=after_revision,
        newest_first=newest_first,
    )


def _own_part(wanted: ChangeFilter, change: Change) -> Shown:
    """The change as far as it concerns the agents filtered by.

    A batch tells of other agents as well, and a change of a user of that user.
    """
    own = set(wanted.subjects)
    touched = [agent for one in change.subjects if (agent := _agent_of(one)) is not None]
    if change.kind in _OF_AGENTS and own.issuperset(touched):
        return Shown(change, View.FULL)
    part = replace(
        change,
        subjects=tuple(one for one in change.subjects if one in own),
        before=None,
        after=None,
        before_digest=None,
        after_digest=None,
    )
    return Shown(part, View.PARTIAL)


def _agent_of(one: Subject) -> Subject | None:
    """The agent that a subject tells of; STORE tells of every one."""
    if one.kind is SubjectKind.GRANT:
        return Subject(kind=SubjectKind.AGENT, subject_id=one.subject_id.partition(":")[0])
    return one if one.kind in (SubjectKind.AGENT, SubjectKind.STORE) else None


def _check_filter(wanted: ChangeFilter) -> None:
    for index, one in enumerate(wanted.subjects):
        is_right, rule = _FORMS.get(one.kind, _ANY_FORM)
        if not is_right(one.subject_id):
            raise invalid(f"filter.subjects[{index}].subject_id", rule)
    if wanted.from_at is not None and wanted.to_at is not None and wanted.from_at >= wanted.to_at:
        raise invalid("filter.end_time", "later than start_time")


def _is_id(text: str) -> bool:
    return _DIGITS.fullmatch(text) is not None and int(text) < 2**63


def _is_grant(text: str) -> bool:
    agent_id, _, user_id = text.partition(":user:")
    return _is_id(agent_id) and _is_id(user_id)


def _is_name(text: str) -> bool:
    return 0 < len(text) <= MAX_SUBJECT_ID and "\0" not in text


def _is_empty(text: str) -> bool:
    return not text


_ANY_FORM = (_is_name, f"1 to {MAX_SUBJECT_ID} characters, none of them NUL")
# An id of another form would match nothing, without a word.
_FORMS = {
    SubjectKind.AGENT: (_is_id, "an agent_id in digits"),
    SubjectKind.USER: (_is_id, "a user_id in digits"),
    SubjectKind.SITE: (_is_id, "a site_id in digits"),
    SubjectKind.GRANT: (_is_grant, 'a grant as "agent_id:user:user_id"'),
    SubjectKind.STORE: (_is_empty, "empty: it is everything"),
}


def _check_anchor(anchor: Anchor) -> None:
    if anchor.revision < 0:
        raise invalid("anchor.revision", "0 or more")
    if len(anchor.hash) != (_HASH_LENGTH if anchor.revision else 0):
        raise invalid("anchor.hash", "32 bytes, or none for revision 0")
