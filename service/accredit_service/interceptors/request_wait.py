"""Calls whose request has not come yet: what they may hold meanwhile, and for how long.

gRPC waits for a request on a thread of the pool, and headers without a request cost a client
nothing. So a call whose request is slow lends its slot to the next one, only so many may be slow
at a time, and none for longer than it takes a good client to send what it has.
"""

import threading
import time
from collections.abc import Callable, Iterator

from ..abilities.errors import DeadlineExceeded, Reason
from .calls import Call
from .worker_pools import WorkerPool

#: Seconds after which a call counts as slow. Requests commonly come together with their headers.
SLOW = 0.02


class RequestWait:
    """The calls of a pool that wait for their request.

    Nothing can stop a thread that waits in gRPC but the end of its call, so those that are let go
    see CANCELLED.
    """

    def __init__(
        self, pool: WorkerPool, patience: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``patience``: the seconds that a request may take to come."""
        self.pool = pool
        self._patience = patience
        self._clock = clock
        self._lock = threading.Lock()
        # The one that has waited longest comes first.
        self._awaited: dict[Call, _Arrival] = {}

    def request(self, call: Call, requests: Iterator[bytes]) -> bytes | None:
        """The call's one request, or None where its client sends none.

        Raises DeadlineExceeded, or whatever gRPC raises where the client has gone.
        """
        arrival = _Arrival(self._clock())
        with self._lock:
            self._awaited[call] = arrival
        try:
            request = next(requests, None)
        finally:
            with self._lock:
                del self._awaited[call]
                if arrival.has_lent:
                    self.pool.take_back()
        if arrival.is_given_up:
            # It came after all; but its client has been told otherwise.
            raise DeadlineExceeded(Reason.DEADLINE_TOO_SHORT, "the request came too late")
        return request

    def check(self) -> None:
        """Let the slow lend their slots, and go if they are too slow or too many: again and again.

        Where they are too many those go that have waited longest. So whoever opens calls without
        a request gets rid of their own, and a request that comes at all still comes in time.
        """
        now = self._clock()
        with self._lock:
            slow = [
                (call, arrival)
                for call, arrival in self._awaited.items()
                if now - arrival.begun_at >= SLOW and not arrival.is_given_up
            ]
            excess = len(slow) - self.pool.spare
            for index, (call, arrival) in enumerate(slow):
                if index < excess or now - arrival.begun_at >= self._patience:
                    arrival.is_given_up = True
                    call.let_go(now)
                elif not arrival.has_lent:
                    arrival.has_lent = True
                    self.pool.lend()


class _Arrival:
    """One wait for a request."""

    __slots__ = ("begun_at", "has_lent", "is_given_up")

    def __init__(self, begun_at: float) -> None:
        self.begun_at = begun_at
        self.has_lent = False
        self.is_given_up = False
