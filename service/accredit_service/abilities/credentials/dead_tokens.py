"""Tokens that are dead for good, remembered so that the database is asked about each once.

Only what cannot come to life again is kept: a token that was revoked, or has expired. A live one is
looked up at every use, because it may be revoked at any moment, on any server.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from accredit_storage.records import Credential

#: How many are remembered, of 32 bytes each; the least recently used make room.
SIZE = 100_000
#: Seconds for which a token without a row is remembered. It was deleted with its agent, as a rule;
#: but the first administrator's is in its file a moment before it is in the database.
MISSING_FOR = 10.0


class DeadTokens:
    """The dead tokens of one history of a store, by the digests of their texts."""

    def __init__(self, size: int = SIZE, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._dead: OrderedDict[bytes, _Dead] = OrderedDict()
        self._looked_up: dict[bytes, threading.Event] = {}
        self._epoch: str | None = None
        self._forgotten = 0

    def holds(self, digest: bytes, now: datetime) -> bool:
        """Whether the token is known to be dead at ``now``."""
        # Most are not, and what is added meanwhile was looked up by somebody else.
        if digest not in self._dead:
            return False
        with self._lock:
            dead = self._dead.get(digest)
            if dead is None:
                return False
            if self._clock() >= dead.forget_at:
                del self._dead[digest]
                return False
            self._dead.move_to_end(digest)
            return dead.since is None or now >= dead.since

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._dead)

    def find(
        self, digest: bytes, look_up: Callable[[bytes], Credential | None], now: datetime
    ) -> Credential | None:
        """The credential behind a digest; None for a dead one, which is looked up once.

        Where several ask at once, one looks up first. Only if that one found it dead do the others
        take its word: a live one may have been revoked since.
        """
        if self.holds(digest, now):
            return None
        mine = threading.Event()
        with self._lock:
            first = self._looked_up.setdefault(digest, mine)
        if first is not mine:
            first.wait()
            return None if self.holds(digest, now) else self._found(digest, look_up, now)
        try:
            return self._found(digest, look_up, now)
        finally:
            with self._lock:
                del self._looked_up[digest]
            mine.set()

    @property
    def forgotten(self) -> int:
        """How often they were forgotten: what was looked up before is of another history."""
        return self._forgotten

    def forget(self) -> None:
        """Forget them all, as where the store has lost changes."""
        with self._lock:
            self._forgotten += 1
            self._dead.clear()

    def remember(self, digest: bytes, credential: Credential | None, forgotten: int) -> None:
        """Remember that a token is dead, or has no row, if none was forgotten since its look-up."""
        dead = self._judged(credential)
        with self._lock:
            if self._forgotten == forgotten:
                self._dead[digest] = dead
                self._dead.move_to_end(digest)
                if len(self._dead) > self._size:
                    self._dead.popitem(last=False)

    def belong_to(self, epoch: str) -> bool:
        """Forget what is of another history, as after a restore: whether anything changed."""
        with self._lock:
            if self._epoch == epoch:
                return False
            is_first = self._epoch is None
            self._epoch = epoch
            if not is_first:
                self._forgotten += 1
                self._dead.clear()
            return not is_first

    def _found(
        self, digest: bytes, look_up: Callable[[bytes], Credential | None], now: datetime
    ) -> Credential | None:
        began = self.forgotten
        credential = look_up(digest)
        if credential is not None and not credential.token.has_ended(now):
            return credential
        self.remember(digest, credential, began)
        return None

    def _judged(self, credential: Credential | None) -> "_Dead":
        if credential is None:
            return _Dead(since=None, forget_at=self._clock() + MISSING_FOR)
        token = credential.token
        return _Dead(since=token.expire_at if token.revoked_at is None else None)


@dataclass(frozen=True, slots=True)
class _Dead:
    """``since`` is the end of an expired token: a clock that is set back gives it its time back."""

    since: datetime | None
    forget_at: float = math.inf
