"""The in-memory view that answers Authenticate, Authorize and Check.

It holds records and no answers: whatever is asked is judged anew from them. Everything that it
holds is true at the feed's position. An answer takes its records one after the other, so it is good
only if the position is the same before and after; see ``calls.reads.answered``. What it does not
hold it reads from the database, once however many ask, and keeps unless the log has moved on.

Nothing that changes anything decides on it.
"""

import threading
import time
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from accredit_storage.agents import Viewer
from accredit_storage.errors import StoreError
from accredit_storage.log_tail import name_of
from accredit_storage.records import (
    Agent,
    AgentId,
    AgentStatus,
    Credential,
    Head,
    SubjectKind,
    User,
    UserId,
    folded,
)
from accredit_storage.store import Store, Transaction, login_digest
from accredit_storage.waiting import before_waiting

from .abilities import facts
from .abilities.credentials.dead_tokens import DeadTokens
from .abilities.facts import MOST_OWNED, NOTHING, Judged, Pair, Reached
from .abilities.policy.rights import Decision, Principal, judge, rests_on
from .entries import Entries
from .feed import Feed

_Ref: TypeAlias = AgentId | str

#: Seconds for which a call waits for another one that reads the same.
_PATIENCE = 5.0
#: Seconds for which a caller is let as far as to the call that judges them again.
_LATELY = 1.0
_MOST_LATELY = 1000
# What the records take, in bytes, measured with some room to spare.
_CREDENTIAL_BYTES = 2600
_AGENT_BYTES = 900
_USER_BYTES = 700
_GRANT_BYTES = 450
_NOTHING_BYTES = 60
_TEXT_BYTES = 90
_NO_CONFIG: Mapping[str, Any] = {}


class MovedError(Exception):
    """What is asked for is not held, or not any more: begin again, or ask the database."""


class _Item(NamedTuple):
    """Something to be kept, its size in bytes, and the names of what it rests on."""

    key: Hashable
    value: Any
    size: int
    names: Sequence[str]


class _Known:
    """A credential, and what it was judged to be when that was good for a while."""

    __slots__ = ("credential", "judged")

    def __init__(self, credential: Credential) -> None:
        self.credential = credential
        self.judged: Judged | None = None


class _Seen(NamedTuple):
    """What a viewer sees, and from when until when; None: from or for ever, by the clock alone."""

    reached: Reached
    since: datetime | None
    until: datetime | None

    def holds_at(self, now: datetime) -> bool:
        """Whether it is what they see at that moment."""
        is_begun = self.since is None or now >= self.since
        return is_begun and (self.until is None or now < self.until)


class _Lately(NamedTuple):
    """Whom a token spoke for, how often all was forgotten before, and when on a steady clock."""

    judged: Judged
    forgotten: int
    at: float


class Authority:
    """Records by what they are asked for, true at the position of ``feed``; see ``facts.Facts``."""

    def __init__(self, store: Store, feed: Feed, dead_tokens: DeadTokens, *, room: int) -> None:
        """``room`` in bytes."""
        self._room = room
        self._store = store
        self._feed = feed
        self._dead = dead_tokens
        # By digest: credentials. By pair: agents with grants. By ("user", id or login): users, None
        # where there is none. By ("owner", id): agents. By ("seen", ref, user id, id of the agent
        # whose token it is or 0): what is seen.
        self._entries: Entries[Hashable, Any] = Entries(room, feed.lock)
        feed.keep(self._entries)
        self._login_key: tuple[str, bytes] | None = None
        self._lately: dict[bytes, _Lately] = {}
        self._flights: dict[Hashable, threading.Event] = {}
        self._flying = threading.Lock()

    @property
    def size(self) -> int:
        """How many bytes it takes, by its own account."""
        return self._entries.size

    def __len__(self) -> int:
        """How many entries it has."""
        return len(self._entries)

    @property
    def is_on(self) -> bool:
        """Whether it has any room."""
        return self._room > 0

    def judged(self, digest: bytes, now: datetime) -> Judged:
        """See Facts."""
        judged = self.held(digest, now)
        if judged is None:
            self._fly(digest, lambda: self._fill_token(digest, None))
            judged = self.held(digest, now)
        if judged is None:
            raise MovedError
        return judged

    def held(self, digest: bytes, now: datetime) -> Judged | None:
        """The same if no look-up is needed, else None."""
        entry = self._entries.get(digest)
        if entry is None:
            is_dead = self._dead.holds(digest, now)
            return Judged(None, Decision.TOKEN_INVALID) if is_dead else None
        known: _Known = entry.value
        judged = known.judged
        if judged is not None:
            principal = judged.outcome
            if isinstance(principal, Principal) and (
                principal.valid_until is None or now < principal.valid_until
            ):
                return judged
        judged = Judged(known.credential, judge(known.credential, now))
        # A denial may end by itself, so it is judged each time.
        known.judged = judged if isinstance(judged.outcome, Principal) else None
        if known.judged is not None:
            self._note_lately(digest, known.judged)
        elif judged.outcome is Decision.TOKEN_INVALID:
            # Nor does the database look it up again.
            self._dead.remember(digest, known.credential, self._dead.forgotten)
        return judged

    def lately(self, digest: bytes) -> Judged | None:
        """Whom a token spoke for less than a second ago, whatever has changed since.

        For calls alone that judge their caller again: most of what an owner changes drops their own
        credential, which would be read twice for each such call.
        """
        found = self._lately.get(digest)
        if found is None or found.forgotten != self._feed.forgotten:
            return None
        return found.judged if time.monotonic() - found.at < _LATELY else None

    def _note_lately(self, digest: bytes, judged: Judged) -> None:
        if len(self._lately) >= _MOST_LATELY:
            self._lately.clear()
        self._lately[digest] = _Lately(judged, self._feed.forgotten, time.monotonic())

    def prepare(self, digest: bytes, ref: _Ref, now: datetime) -> None:
        """See Facts."""
        if self._entries.get(digest) is None and not self._dead.holds(digest, now):
            self._fly(digest, lambda: self._fill_token(digest, ref))

    def agent(self, agent_id: AgentId) -> Agent | None:
        """See Facts."""
        # Together with the grant of nobody.
        return self.reached([(agent_id, UserId(0))])[agent_id, UserId(0)].agent

    def reached(self, pairs: Collection[Pair]) -> Mapping[Pair, Reached]:
        """See Facts."""
        found: dict[Pair, Reached] = self._entries.find(pairs)
        missing = [pair for pair in pairs if pair not in found] if len(found) < len(pairs) else []
        if missing:
            self._fly(tuple(missing), lambda: self._fill_pairs(missing))
            found = self._entries.find(pairs)
            if any(pair not in found for pair in pairs):
                raise MovedError
        return found

    def seen(
        self, refs: Collection[_Ref], user_id: UserId, viewer: Viewer
    ) -> Mapping[_Ref, Reached]:
        """See Facts."""
        found = self._held_seen(refs, user_id, viewer)
        missing = [ref for ref in refs if ref not in found]
        if missing:
            key = ("seen", user_id, viewer.agent_id, *missing)
            self._fly(key, lambda: self._fill_seen(missing, user_id, viewer))
            found = self._held_seen(refs, user_id, viewer)
            if any(ref not in found for ref in missing):
                raise MovedError
        return found

    def _held_seen(
        self, refs: Collection[_Ref], user_id: UserId, viewer: Viewer
    ) -> dict[_Ref, Reached]:
        found = {}
        get = self._entries.get
        for ref in refs:
            entry = get(("seen", ref, user_id, viewer.agent_id))
            if entry is not None and entry.value.holds_at(viewer.at):
                found[ref] = entry.value.reached
        return found

    def users(self, refs: Collection[UserId | str]) -> Mapping[UserId | str, User]:
        """See Facts."""
        keys = {ref: ("user", folded(ref) if isinstance(ref, str) else ref, None) for ref in refs}
        missing = {key[1] for key in keys.values() if self._entries.get(key) is None}
        if missing:
            self._fly(("users", *missing), lambda: self._fill_users(missing))
        found = {ref: self._entries.get(key) for ref, key in keys.items()}
        if any(entry is None for entry in found.values()):
            raise MovedError
        return {
            ref: entry.value
            for ref, entry in found.items()
            if entry is not None and entry.value is not None
        }

    def owned(self, user_id: UserId) -> Sequence[Agent]:
        """See Facts."""
        key = ("owner", user_id, None)
        entry = self._entries.get(key)
        if entry is None:
            self._fly(key, lambda: self._fill_owned(user_id))
            entry = self._entries.get(key)
        if entry is None:
            raise MovedError
        owned: Sequence[Agent] = entry.value
        return owned

    def login_digest(self, login: str) -> str:
        """See Facts."""
        position = self._feed.position
        epoch = "" if position is None else position.epoch
        if self._login_key is None or self._login_key[0] != epoch:
            self._fly(("login key", epoch, None), lambda: self._read_login_key(epoch))
        known = self._login_key
        if known is None or known[0] != epoch:
            raise MovedError
        return login_digest(known[1], login)

    def used(self, tokens: Mapping[str, datetime]) -> None:
        """Know when tokens were last used, as was just written down: no change tells of that."""
        with self._feed.lock:
            for token_id, at in tokens.items():
                for known in self._entries.resting_on(_name(SubjectKind.TOKEN, token_id)):
                    if isinstance(known, _Known):
                        token = replace(known.credential.token, last_used_at=at)
                        known.credential = replace(known.credential, token=token)
                        known.judged = None

    def _fly(self, key: Hashable, fill: Callable[[], None]) -> None:
        """Fill once, however many ask for the same at that time."""
        before_waiting()
        mine = threading.Event()
        with self._flying:
            flight = self._flights.setdefault(key, mine)
        if flight is not mine:
            flight.wait(_PATIENCE)
            return
        try:
            fill()
        finally:
            with self._flying:
                del self._flights[key]
            mine.set()

    def _fill_token(self, digest: bytes, ref: _Ref | None) -> None:
        forgotten = self._dead.forgotten
        with self._store.read(one_statement=True) as tx:
            if ref is None:
                found = tx.questions.of_token(digest)
            else:
                found = tx.questions.of_token_on(digest, ref)
        items = []
        credential = found.credential
        if credential is None or credential.token.revoked_at is not None:
            self._dead.remember(digest, credential, forgotten)
        else:
            items.append(_credential_item(digest, credential))
            if ref is not None:
                pair = (ref, credential.user.user_id)
                items.append(_pair_item(pair, Reached(found.agent, found.grant)))
        self._keep(found.head, items)

    def _read_login_key(self, epoch: str) -> None:
        with self._store.read(one_statement=True) as tx:
            self._login_key = (epoch, tx.login_key())

    def _fill_pairs(self, pairs: Sequence[Pair]) -> None:
        if len(pairs) == 1:
            ((ref, user_id),) = pairs
            with self._store.read(one_statement=True) as tx:
                one = tx.questions.of_user_on(user_id, ref)
            self._keep(one.head, [_pair_item(pairs[0], Reached(one.agent, one.grant))])
            return
        with self._store.read() as tx:
            head, found = tx.head(), facts.reached(tx, pairs)
        self._keep(head, [_pair_item(pair, reached) for pair, reached in found.items()])

    def _fill_seen(self, refs: Sequence[_Ref], user_id: UserId, viewer: Viewer) -> None:
        if len(refs) == 1:
            with self._store.read(one_statement=True) as tx:
                one = tx.questions.of_user_on(user_id, refs[0], viewer)
            self._keep(
                one.head, [_seen_item(refs[0], user_id, viewer, Reached(one.agent, one.grant))]
            )
            return
        with self._store.read() as tx:
            head, found = tx.head(), facts.seen(tx, refs, user_id, viewer)
        self._keep(
            head, [_seen_item(ref, user_id, viewer, reached) for ref, reached in found.items()]
        )

    def _fill_users(self, refs: Collection[UserId | str]) -> None:
        with self._store.read() as tx:
            head, found = tx.head(), facts.users(tx, refs)
            items = [_user_item(tx, ref, found.get(ref)) for ref in refs]
        self._keep(head, items)

    def _fill_owned(self, user_id: UserId) -> None:
        with self._store.read() as tx:
            head, owned = tx.head(), tx.agents.owned(user_id, MOST_OWNED + 1)
        if len(owned) > MOST_OWNED:
            # Too much to hold: the database says which of them are active.
            return
        names = [_name(SubjectKind.USER, user_id)]
        names += [_name(SubjectKind.AGENT, agent.agent_id) for agent in owned]
        held = tuple(
            _without_config(agent) for agent in owned if agent.status is AgentStatus.ACTIVE
        )
        size = _NOTHING_BYTES + _AGENT_BYTES * len(held)
        self._keep(head, [_Item(("owner", user_id, None), held, size, names)])

    def _keep(self, head: Head, items: Sequence[_Item]) -> None:
        """Keep what was read at ``head``, unless the log has moved on since."""
        position = self._feed.position
        if position is None or position.revision < head.revision or position.epoch != head.epoch:
            # Where it cannot, nothing is kept, and the database has the answer.
            with suppress(StoreError):
                self._feed.follow()
        with self._feed.lock:
            if self._feed.position != head:
                return
            for item in items:
                self._entries.put(item.key, item.value, item.names, item.size)


def _credential_item(digest: bytes, credential: Credential) -> _Item:
    agent = credential.agent
    if agent is not None:
        credential = replace(credential, agent=_without_config(agent))
    size = _CREDENTIAL_BYTES + _USER_BYTES * len(credential.vouchers)
    ceiling = credential.token.ceiling
    if ceiling is not None:
        # Once in the ceiling and once in the principal.
        size += 2 * sum(_TEXT_BYTES + len(one) for one in ceiling.capabilities)
    names = [name_of(one) for one in rests_on(credential)]
    return _Item(digest, _Known(credential), size, names)


def _pair_item(pair: Pair, reached: Reached) -> _Item:
    ref, user_id = pair
    agent, grant = reached
    kind = SubjectKind.AGENT if isinstance(ref, int) else SubjectKind.AGENT_SLUG
    names = [_name(kind, ref)]
    if agent is None:
        return _Item(pair, NOTHING, _NOTHING_BYTES, names)
    names.append(_name(SubjectKind.AGENT, agent.agent_id))
    names.append(_name(SubjectKind.GRANT, f"{agent.agent_id}:user:{user_id}"))
    size = _AGENT_BYTES + (0 if grant is None else _GRANT_BYTES)
    return _Item(pair, Reached(_without_config(agent), grant), size, names)


def _seen_item(ref: _Ref, user_id: UserId, viewer: Viewer, reached: Reached) -> _Item:
    key = ("seen", ref, user_id, viewer.agent_id)
    # A change that gives somebody a role, or renews their grant, lists them. So other changes of a
    # hidden agent need not drop the entry, which the time of the next question would tell.
    names = [_name(SubjectKind.USER, user_id)]
    if isinstance(ref, str):
        # An agent that they see may be renamed to it.
        names.append(_name(SubjectKind.AGENT_SLUG, ref))
    agent, grant = reached
    if agent is None:
        # The clock may be set back to where a grant that has expired counts.
        return _Item(key, _Seen(NOTHING, viewer.at, None), _NOTHING_BYTES, names)
    names.append(_name(SubjectKind.AGENT, agent.agent_id))
    names.append(_name(SubjectKind.GRANT, f"{agent.agent_id}:user:{user_id}"))
    has_own_role = agent.owner_id == viewer.user_id or agent.agent_id == viewer.agent_id
    until = None if has_own_role or grant is None else grant.expire_at
    seen = _Seen(Reached(_without_config(agent), grant), None, until)
    return _Item(key, seen, _AGENT_BYTES + _GRANT_BYTES, names)


def _user_item(tx: Transaction, ref: UserId | str, user: User | None) -> _Item:
    if isinstance(ref, str):
        names = [_name(SubjectKind.LOGIN, tx.login_digest(ref))]
    else:
        names = [_name(SubjectKind.USER, ref)]
    if user is not None:
        names.append(_name(SubjectKind.USER, user.user_id))
    return _Item(("user", ref, None), user, _USER_BYTES, names)


def _without_config(agent: Agent) -> Agent:
    # It may be large, and no answer from here has it.
    return replace(agent, config=_NO_CONFIG) if agent.config else agent


def _name(kind: SubjectKind, subject_id: object) -> str:
    return f"{kind.value}:{subject_id}"
