"""Against guessing tokens: how many wrong ones are looked up, for a source and for a token id.

256 random bits are not guessed; but each guess costs the database a query. So wrong credentials
are rationed, in the memory of each process. A credential that has worked here before is not
subject to it, so that nobody can shut out a neighbour behind the same address.
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

_WINDOW = 60.0
# One machine commonly has a whole /64 to take addresses from.
_IPV6_SITE = 64


class Ration:
    """So many uses a minute for each key, whichever minute one looks at.

    Half may be used at once and the other half comes back over a minute: a full bucket that
    refilled at the whole rate would give twice as many in its first one. Only the moment at which
    the bucket is full again is kept, so a key costs two words.
    """

    def __init__(
        self, per_minute: int, *, keys: int = SOURCES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = 2 * _WINDOW / per_minute
        self._depth = max(_WINDOW, self._interval)
        self._keys = keys
        self._clock = clock
        self._lock = threading.Lock()
        # In the order of their last use, so that the idle ones make room.
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def take(self, key: Hashable) -> float:
        """Use one. 0, or the seconds to wait where none is left; then nothing was used."""
        with self._lock:
            now = self._clock()
            full_at = max(self._full_at.get(key, now), now) + self._interval
            if (wait := full_at - now - self._depth) > 1e-6:
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


class KnownCredentials:
    """Digests of credentials that worked; the least recently used make room for new ones."""

    def __init__(self, size: int = KNOWN) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._digests: OrderedDict[bytes, None] = OrderedDict()

    def __contains__(self, digest: bytes) -> bool:
        """Whether it worked the last time."""
        return digest in self._digests

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._digests)

    def add(self, digest: bytes) -> None:
        """It worked."""
        with self._lock:
            self._digests[digest] = None
            self._digests.move_to_end(digest)
            if len(self._digests) > self._size:
                self._digests.popitem(last=False)

    def discard(self, digest: bytes) -> None:
        """It does not work any more."""
        with self._lock:
            self._digests.pop(digest, None)


class Guard:
    """Says whether a credential may be looked up, and learns how that ended."""

    def __init__(
        self,
        per_minute: int,
        *,
        sources: int = SOURCES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``per_minute`` 0: everything may."""
        self._rations: Sequence[Ration] = ()
        if per_minute:
            # Apart, so that one source that makes up ids does not push the sources out.
            self._rations = (
                Ration(per_minute, keys=sources, clock=clock),
                Ration(per_minute, keys=sources, clock=clock),
            )
        self._known = KnownCredentials()
        self._ended = threading.Condition()
        self._open = 0

    def admit(
        self, source: str, token_id: str, digest: bytes, *, patience: float = 0.0
    ) -> "Attempt | timedelta":
        """An attempt to be ended in one of its ways, or how long to wait.

        Where the ration is out only because of attempts that have not ended, waits so many seconds
        for them: they may be right. After a restart nobody is known, and a client that begins with
        many calls at once has done nothing wrong.
        """
        if digest in self._known:
            return Attempt(self._known, digest)
        give_up = time.monotonic() + patience
        with self._ended:
            while True:
                outcome = self._admit(source, token_id, digest)
                left = give_up - time.monotonic()
                if isinstance(outcome, Attempt) or not self._open or left <= 0:
                    break
                self._ended.wait(left)
            if isinstance(outcome, Attempt) and outcome.taken:
                self._open += 1
            return outcome

    def _admit(self, source: str, token_id: str, digest: bytes) -> "Attempt | timedelta":
        attempt = Attempt(self._known, digest, self._end)
        if digest in self._known:
            return attempt
        # By now it may be known, if it was waited for. Otherwise taken before the look-up and given
        # back if it was right: many at once would all be let in if only failures counted.
        for ration, key in zip(self._rations, (source, token_id), strict=False):
            if wait := ration.take(key):
                attempt.give_back()
                return timedelta(seconds=math.ceil(wait))
            attempt.taken.append((ration, key))
        return attempt

    def _end(self) -> None:
        with self._ended:
            self._open -= 1
            self._ended.notify_all()


class Attempt:
    """One look-up of a credential. What it took stays taken unless it worked or is pardoned."""

    def __init__(
        self, known: KnownCredentials, digest: bytes, ended: Callable[[], None] = lambda: None
    ) -> None:
        self.taken: list[tuple[Ration, Hashable]] = []
        self._known = known
        self._digest = digest
        self._ended = ended

    def worked(self) -> None:
        """The credential was right."""
        self._known.add(self._digest)
        self.pardon()

    def failed(self) -> None:
        """The credential was wrong."""
        self._known.discard(self._digest)
        self._end()

    def pardon(self) -> None:
        """Whether it was right was not found out, or does not count."""
        self.give_back()
        self._end()

    def give_back(self) -> None:
        """Undo what it took."""
        for ration, key in self.taken:
            ration.give_back(key)

    def _end(self) -> None:
        if self.taken:
            self.taken.clear()
            self._ended()


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
