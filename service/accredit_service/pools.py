"""The threads of a server: a pool for each kind of call, and how many calls each takes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from .abilities.policy.methods import Pool
from .interceptors.arrivals import HELD, Arrivals
from .interceptors.worker_pools import WorkerPool

#: Calls that may wait for a thread, for each thread there is: room for a few hundred that come at
#: once, which are worked off within a second. More would be answered too late.
WAITING = 16
#: Streams at a time; each holds a thread of its own while it lasts.
STREAMS = 64
#: Files that are being read at a time: all of them, and those of one user. Whoever reads slowly
#: holds a thread for as long as a call may take.
DOWNLOADS = 64
DOWNLOADS_OF_ONE = 8
#: Watchers of the server's health at a time, likewise: all of them, and those of one address.
HEALTH_WATCHERS = 256
WATCHERS_OF_ONE = 16
#: Seconds that a request may take to come once its call has begun: the largest one comes within
#: that over a slow line.
REQUEST_PATIENCE = 5.0
#: The same for health, which everybody may ask and whose requests are tiny.
HEALTH_PATIENCE = 1.0
#: Calls of a kind, at most, whose request is slow to come.
SLOW_REQUESTS = 64


@dataclass(frozen=True, slots=True)
class Pools:
    """The threads, by kind of call, and the requests that each kind waits for."""

    calls: Arrivals
    files: Arrivals
    downloads: Arrivals
    streams: Arrivals
    health: Arrivals
    watchers: Arrivals
    refusals: WorkerPool

    @classmethod
    def make(cls, threads: int, largest: int, clock: Callable[[], float]) -> Self:
        """``threads`` for calls, and as many for files; a request has ``largest`` bytes at most."""
        # Nobody's request is read there.
        refusals = WorkerPool("refusals", threads=4, waiting=1024)

        def pool(name: str, threads: int, waiting: int, patience: float) -> Arrivals:
            return Arrivals(
                WorkerPool(name, threads=threads, waiting=waiting),
                patience,
                most=SLOW_REQUESTS,
                refusals=refusals,
                held=max(HELD, 4 * largest),
                clock=clock,
            )

        return cls(
            calls=pool("calls", threads, WAITING * threads, REQUEST_PATIENCE),
            files=pool("files", threads, WAITING * threads, REQUEST_PATIENCE),
            downloads=pool("downloads", DOWNLOADS, 0, REQUEST_PATIENCE),
            streams=pool("streams", STREAMS, 0, REQUEST_PATIENCE),
            health=pool("health", 64, 256, HEALTH_PATIENCE),
            watchers=pool("watchers", HEALTH_WATCHERS, 0, HEALTH_PATIENCE),
            refusals=refusals,
        )

    def of(self, pool: Pool) -> Arrivals:
        """The one that a method's row names."""
        found: Arrivals = getattr(self, pool.value)
        return found

    def arrivals(self) -> Sequence[Arrivals]:
        """Those where a request is waited for."""
        return (
            self.calls,
            self.files,
            self.downloads,
            self.streams,
            self.health,
            self.watchers,
        )

    @property
    def capacity(self) -> int:
        """How many calls there may be at a time."""
        return sum(one.capacity for one in self.arrivals()) + self.refusals.capacity

    def all(self) -> Sequence[WorkerPool]:
        """All threads."""
        return [*(one.pool for one in self.arrivals()), self.refusals]

    def check(self) -> None:
        """Let go the calls whose request is too slow: again and again."""
        for one in self.arrivals():
            one.check()
