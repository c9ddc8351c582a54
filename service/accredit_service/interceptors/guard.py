"""Against guessing tokens: how many wrong ones are looked up, for a source and for a token id.

256 random bits are not guessed; but each guess costs the database a query. So wrong credentials
are rationed, in the memory of each process. Nobody may shut out another by it:

* A credential that has worked here before is not subject to it. When it stops working, its client
  has guessed nothing: what it tries from then on counts for its token id only.
* One wrong text, tried again and again, uses up a part of its source's ration, never all of it.
* Ids are public. Where others have used up an id's ration, a few look-ups a second are left in all
  for whoever has a right credential with that id.
"""

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from datetime import timedelta
from typing import TypeAlias
from urllib.parse import unquote

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

#: How many sources, and how many token ids, are remembered.
SOURCES = 100_000
#: How many working credentials are remembered, by their digests.
KNOWN = 50_000

#: Look-ups a second for ids whose ration is used up, all of them together.
APPEALS = 20

_WINDOW = 60.0
# The part of its source's ration that one text may use.
_TEXT_SHARE = 3
# One machine commonly has a whole /64 to take addresses from.
_IPV6_SITE = 64


class Ration:
    """So many uses a minute, or ``window``, for each key, whichever minute one looks at.

    Half may be used at once and the other half comes back over a minute: a full bucket that
    refilled at the whole rate would give twice as many in its first one. Only the moment at which
    the bucket is full again is kept, so a key costs two words.
    """

    def __init__(
        self,
        uses: int,
        *,
        window: float = _WINDOW,
        keys: int = SOURCES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval = 2 * window / uses
        self._depth = max(window, self._interval)
        self._keys = keys
        self._clock = clock
        self._lock = threading.Lock()
        # In the order of their last use, so that the idle ones make room.
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def wait(self, key: Hashable) -> float:
        """The seconds until there is one to use; 0 where there is."""
        with self._lock:
            return self._wait(key)[0]

    def take(self, key: Hashable) -> float:
        """Use one. 0, or the seconds to wait where none is left; then nothing was used."""
        with self._lock:
            wait, full_at = self._wait(key)
            if wait:
                return wait
            self._full_at[key] = full_at
            self._full_at.move_to_end(key)
            if len(self._full_at) > self._keys:
                self._full_at.popitem(last=False)
            return 0.0

    def give_back(self, key: Hashable) -> None:
        """Undo one ``take``."""
        with self._lock:
            full_at = self._full_at.get(key, -math.inf) - self._interval
            if full_at > self._clock():
                self._full_at[key] = full_at
            else:
                self._full_at.pop(key, None)

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._full_at)

    def _wait(self, key: Hashable) -> tuple[float, float]:
        """The seconds until one can be used, and when all of them can if one is used now."""
        now = self._clock()
        full_at = max(self._full_at.get(key, now), now) + self._interval
        wait = full_at - now - self._depth
        return (wait if wait > 1e-6 else 0.0), full_at


class KnownCredentials:
    """Digests of credentials; the least recently used make room for new ones."""

    def __init__(self, size: int = KNOWN) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._digests: OrderedDict[bytes, None] = OrderedDict()

    def __contains__(self, digest: bytes) -> bool:
        """Whether it is remembered."""
        return digest in self._digests

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._digests)

    def add(self, digest: bytes) -> None:
        """Remember it, as the last to be forgotten."""
        with self._lock:
            self._digests[digest] = None
            self._digests.move_to_end(digest)
            if len(self._digests) > self._size:
                self._digests.popitem(last=False)

    def discard(self, digest: bytes) -> None:
        """Forget it."""
        with self._lock:
            self._digests.pop(digest, None)


class Guard:
    """Says whether a credential may be looked up, and learns how that ended."""

    def __init__(
        self,
        per_minute: int,
        *,
        sources: int = SOURCES,
        patient: int = 8,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``per_minute`` 0: everything may. ``patient``: how many may wait at a time."""
        self._is_off = not per_minute
        # Apart, so that one source that makes up ids does not push the sources out.
        self._sources, self._ids, self._texts = (
            Ration(max(1, uses), keys=sources, clock=clock)
            for uses in (per_minute, per_minute, per_minute // _TEXT_SHARE)
        )
        self._appeals = Ration(APPEALS, window=1.0, clock=clock)
        # Those that worked the last time, and those that had worked before they failed.
        self._known = KnownCredentials()
        self._former = KnownCredentials()
        self._changed = threading.Condition()
        self._open = 0
        self._patient = patient
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """How many wait now for what others find out."""
        return self._waiting

    def admit(
        self, source: str, token_id: str, digest: bytes, *, patience: float = 0.0
    ) -> "Attempt | timedelta":
        """An attempt to be ended in one of its ways, or how long to wait.

        Where the ration is out only because of attempts that have not ended, waits so many seconds
        for them: they may be right. After a restart nobody is known, and a client that begins with
        many calls at once has done nothing wrong.
        """
        attempt = Attempt(self, digest)
        if digest in self._known or self._is_off:
            return attempt
        give_up = time.monotonic() + patience
        with self._changed:
            while wait := self._missing(attempt, source, token_id):
                attempt.give_back()
                left = give_up - time.monotonic()
                is_hopeless = left <= 0 or not (self._open or wait <= left)
                if is_hopeless or self._waiting >= self._patient:
                    return timedelta(seconds=math.ceil(wait))
                self._waiting += 1
                self._changed.wait(min(left, wait))
                self._waiting -= 1
            if attempt.taken:
                self._open += 1
        return attempt

    def worked(self, digest: bytes) -> None:
        """The credential was right."""
        self._known.add(digest)

    def failed(self, digest: bytes) -> None:
        """The credential was wrong."""
        if digest in self._known or digest in self._former:
            self._former.add(digest)
            self._known.discard(digest)
        else:
            self._texts.take(digest)

    def end(self) -> None:
        """An attempt that took something has ended."""
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    def _missing(self, attempt: "Attempt", source: str, token_id: str) -> float:
        """Take what the attempt needs: 0, or the seconds until there is what it lacks."""
        # By now it may be known, if it was waited for. Otherwise taken before the look-up and given
        # back if it was right: many at once would all be let in if only failures counted.
        if attempt.digest in self._known:
            return 0.0
        if attempt.digest in self._former:
            return attempt.take(self._ids, token_id)
        if wait := self._texts.wait(attempt.digest) or attempt.take(self._sources, source):
            return wait
        return attempt.take(self._ids, token_id) and attempt.take(self._appeals, None)


class Attempt:
    """One look-up of a credential. What it took stays taken unless it worked or is pardoned."""

    def __init__(self, guard: Guard, digest: bytes) -> None:
        self.digest = digest
        self.taken: list[tuple[Ration, Hashable]] = []
        self._guard = guard

    def take(self, ration: Ration, key: Hashable) -> float:
        """See Ration."""
        wait = ration.take(key)
        if not wait:
            self.taken.append((ration, key))
        return wait

    def worked(self) -> None:
        """The credential was right."""
        self._guard.worked(self.digest)
        self.pardon()

    def failed(self) -> None:
        """The credential was wrong."""
        self._guard.failed(self.digest)
        self._end()

    def pardon(self) -> None:
        """Whether it was right was not found out, or does not count."""
        taken = bool(self.taken)
        self.give_back()
        if taken:
            self._guard.end()

    def give_back(self) -> None:
        """Undo what it took."""
        for ration, key in self.taken:
            ration.give_back(key)
        self.taken.clear()

    def _end(self) -> None:
        if self.taken:
            self.taken.clear()
            self._guard.end()


def source_of(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """Where a call comes from, as far as it can be known: the key that failures count under.

    ``forwarded`` is the x-forwarded-for of the call. Each proxy adds at its end whom it was called
    by, so it is read from there, and only as far as trusted proxies wrote it.
    """
    address = _peer_address(peer)
    hops = [hop.strip() for value in forwarded for hop in value.split(",")]
    while address is not None and any(address in network for network in trusted) and hops:
        hop = _address(hops.pop())
        if hop is None:
            break
        address = hop
    if address is None:
        return peer.partition(":")[0]
    if address.version == 6:
        return str(ipaddress.ip_network((address, _IPV6_SITE), strict=False))
    return str(address)


def _peer_address(peer: str) -> "ipaddress.IPv4Address | ipaddress.IPv6Address | None":
    """The address in gRPC's words for a peer: ``ipv4:10.0.0.7:4711``, ``ipv6:%5B::1%5D:4711``."""
    kind, _, rest = unquote(peer).partition(":")
    if kind not in ("ipv4", "ipv6"):
        return None
    return _address(rest.rpartition(":")[0].strip("[]"))


def _address(text: str) -> "ipaddress.IPv4Address | ipaddress.IPv6Address | None":
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # One machine must not count twice on a dual-stack socket.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
