"""The audit trail, read and verified."""

from dataclasses import dataclass, replace

from accredit_storage.chain import Verification
from accredit_storage.changes import ChangeQuery
from accredit_storage.records import Change, Role, Subject, SubjectKind
from accredit_storage.store import Transaction

from .agent_refs import require_agent
from .app import App
from .errors import PermissionDenied, Reason, invalid
from .paging import Cursor, Page, PageRequest
from .permissions import Action
from .reads import Ask, reading

MAX_KINDS = 50
_VERIFIED_AT_ONCE = 20_000
_HASH_LENGTH = 32
_PAGE_CHARACTERS = 1_000_000


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


def list_changes(app: App, ask: Ask, query: ChangeQuery, page: PageRequest) -> Page[Change]:
    """One page of changes. Needs audit, or ADMIN on the agent that it filters by."""
    with reading(app, ask) as (tx, caller, now, head):
        if Action.AUDIT not in caller.actions:
            if query.agent_id is None:
                raise PermissionDenied(
                    Reason.ACTION_MISSING,
                    "the log needs the action audit, or a filter by an agent of yours",
                    metadata={"actions": Action.AUDIT.value},
                )
            require_agent(tx, caller, query.agent_id, Role.ADMIN, now)
        cursor = Cursor(page, caller, head.epoch)
        after = cursor.after(int)
        listed = _page(tx, query, cursor, None if after is None else after[0])
        if Action.AUDIT in caller.actions:
            return listed
        items = [_about(query.agent_id, change) for change in listed.items]
        return Page(items, listed.next_token, listed.token_after)


def verify_changes(app: App, ask: Ask, anchor: Anchor | None, page: PageRequest) -> Verified:
    """Recompute a stretch of the chain, after the anchor or the page token."""
    if anchor is not None:
        _check(anchor)
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


def _about(agent_id: int | None, change: Change) -> Change:
    """The change as far as it concerns one agent: a batch tells of other people's as well."""
    agents = {one.subject_id for one in change.subjects if one.kind is SubjectKind.AGENT}
    if agents <= {str(agent_id)}:
        return change
    own = Subject(kind=SubjectKind.AGENT, subject_id=str(agent_id))
    return replace(change, subjects=(own,), before=None, after=None)


def _check(anchor: Anchor) -> None:
    if anchor.revision < 0:
        raise invalid("anchor.revision", "0 or more")
    if len(anchor.hash) != (_HASH_LENGTH if anchor.revision else 0):
        raise invalid("anchor.hash", "32 bytes, or none for revision 0")
