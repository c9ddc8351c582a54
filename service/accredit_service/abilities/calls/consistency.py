"""Which state of the store an answer was judged at, what it rests on, and how fresh it must be.

A consistency token is a digest of the store's epoch, a revision and the beginning of the hash at
it. What the database of the one primary answers is never older than any token of that history, and
memory follows the log as far as a token asks. What remains to be refused is a token of another
store, of a future that a restore has undone, or of changes that a failover has lost.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, Self

from accredit_storage.errors import StoreError
from accredit_storage.records import Agent, AgentId, Head, Subject, SubjectKind
from accredit_storage.store import Transaction

from ...feed import Feed
from ..errors import Reason, invalid
from ..policy.rights import EffectiveRole, Principal, earliest
from ..policy.subjects import grant_subject, slug_subject, subject
from . import opaque

_STORE_LENGTH = 16
_REVISION_LENGTH = 8
#: How many bytes of a change's hash tell its history from another one.
HASH_PREFIX = 8


@dataclass(frozen=True, slots=True)
class Consistency:
    """How fresh an answer must be.

    ``at_least`` is a consistency token, empty for none. ``fully``: of no moment before the call.
    """

    at_least: str = ""
    fully: bool = False


@dataclass(slots=True, kw_only=True)
class Basis:
    """What an answer rests on and how long it may be kept. It grows while the answer is made."""

    head: Head
    judged_at: datetime
    cacheable: bool = True
    valid_until: datetime | None = None
    subjects: set[Subject] = field(default_factory=set)
    #: And agents that the asker may not know of, if they are there. Only what lists the asker, or
    #: the name asked for, can show them; a reply that ended with each of their changes would tell.
    hidden: set[Subject] = field(default_factory=set)
    #: What the asker's right to the answer rests on, and until when: nobody is told.
    asker_until: datetime | None = None
    asker: set[Subject] = field(default_factory=set)
    #: The token that was found to be good, whose use each such answer is.
    used_token_id: str = ""

    def on(self, *subjects: Subject) -> Self:
        """And on these."""
        self.subjects.update(subjects)
        return self

    def until(self, moment: datetime | None) -> Self:
        """And good no longer than to a moment."""
        if moment is not None:
            self.valid_until = earliest((self.valid_until, moment))
        return self

    def not_kept(self) -> Self:
        """And not to be kept at all."""
        self.cacheable = False
        return self

    def asked_with(self, subjects: Iterable[Subject], until: datetime | None) -> Self:
        """And that the asker may know it rests on these, and ends then."""
        self.asker.update(subjects)
        if until is not None:
            self.asker_until = earliest((self.asker_until, until))
        return self

    def on_principal(self, principal: Principal) -> Self:
        """And on who speaks."""
        self.subjects |= principal.rests_on
        return self.until(principal.valid_until)

    def on_agent(
        self,
        ref: AgentId | str,
        principal: Principal,
        agent: Agent | None,
        effective: EffectiveRole | None,
        *,
        may_be_hidden: bool = False,
    ) -> Self:
        """And on the agent that ``ref`` means, and the principal's role on it.

        ``agent`` None: there is none, or none that the asker may know of. Then the
        name stands for it, together with the principal: a change that gives somebody a role lists
        them, and a change that gives an agent a name lists the name.
        """
        named = slug_subject(ref) if isinstance(ref, str) else subject(SubjectKind.AGENT, ref)
        if agent is None and may_be_hidden and not isinstance(ref, str):
            self.hidden.add(named)
        else:
            self.subjects.add(named)
        if effective is not None:
            self.until(effective.until)
        if agent is not None:
            self.subjects.add(subject(SubjectKind.AGENT, agent.agent_id))
            self.subjects.add(grant_subject(agent.agent_id, principal.user.user_id))
        return self


def token_of(head: Head) -> str:
    """The consistency token of a state; opaque, URL-safe."""
    raw = _store_of(head) + head.revision.to_bytes(_REVISION_LENGTH, "big")
    return opaque.text_of(raw + head.hash[:HASH_PREFIX])


def epoch_of(head: Head) -> str:
    """What callers know a store's history by: 32 hexadecimal digits."""
    return _store_of(head).hex()


def _store_of(head: Head) -> bytes:
    """What tells one store from another. Not the epoch itself, which is the key to page tokens."""
    return _digest_of(head.epoch)


@lru_cache(maxsize=4)
def _digest_of(epoch: str) -> bytes:
    return hashlib.sha256(f"store {epoch}".encode()).digest()[:_STORE_LENGTH]


def current(feed: Feed, consistency: Consistency) -> Head | None:
    """A position at which memory may answer; None where only the database can."""
    head = feed.current()
    if head is None or not (consistency.at_least or consistency.fully):
        return head
    given = _parse(consistency.at_least) if consistency.at_least else None
    if consistency.fully or (given is not None and given.revision > head.revision):
        try:
            feed.follow()
        except StoreError:
            return None
        head = feed.position
    if head is None or given is None:
        return head if consistency.fully else None
    if given.store != _store_of(head) or given.revision > head.revision:
        return None
    # What is not remembered, or not as it should be, the log has to tell of.
    found = feed.hash_at(given.revision)
    return head if found is not None and found[:HASH_PREFIX] == given.hash_prefix else None


def require(tx: Transaction, consistency: Consistency, head: Head) -> None:
    """Raise InvalidArgument if the answer would be of another history than the one asked for."""
    token = consistency.at_least
    if token and not _is_known(tx, token, head):
        raise invalid(
            "consistency.at_least_as_fresh",
            "a consistency_token that this store has given",
            Reason.CONSISTENCY_TOKEN_INVALID,
        )


def _is_known(tx: Transaction, token: str, head: Head) -> bool:
    given = _parse(token)
    if given is None or given.store != _store_of(head) or given.revision > head.revision:
        return False
    is_head = given.revision == head.revision
    found = head.hash if is_head else tx.changes.hash_at(given.revision)
    # What was pruned cannot be compared any more.
    return found is None or found[:HASH_PREFIX] == given.hash_prefix


class _Given(NamedTuple):
    """What a consistency token says."""

    store: bytes
    revision: int
    hash_prefix: bytes


def _parse(token: str) -> _Given | None:
    try:
        raw = opaque.bytes_of(token)
    except ValueError:
        return None
    if len(raw) != _STORE_LENGTH + _REVISION_LENGTH + HASH_PREFIX:
        return None
    revision = int.from_bytes(raw[_STORE_LENGTH:-HASH_PREFIX], "big")
    return _Given(raw[:_STORE_LENGTH], revision, raw[-HASH_PREFIX:])
