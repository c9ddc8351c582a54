"""Bounds on what a call may bring along and how long it may take."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

from ..abilities.errors import DeadlineExceeded, Reason, ResourceExhausted
from .calls import Call, Headers, Step
from .sources import Network, source_of

#: Names and values of a request's metadata, in bytes.
METADATA_LIMIT = 8192
#: How many of them. gRPC adds 32 bytes to each, and its own limit must never be met first.
ENTRIES_LIMIT = 1024
#: A request, in bytes, unless it brings a file.
MESSAGE_LIMIT = 1 << 20
#: What a request that brings a file may have beside it, in bytes.
BESIDE_FILE = 64 * 1024
#: With less than this left, in seconds, the answer would come too late whatever is done.
LEAST_TIME = 0.020

_SHARE_RETRY = timedelta(seconds=1)

#: gRPC's own limits, far above ours: between its soft and its hard one it refuses at random.
CHANNEL_OPTIONS = (
    ("grpc.max_metadata_size", 8 * METADATA_LIMIT),
    ("grpc.absolute_max_metadata_size", 16 * METADATA_LIMIT),
)

#: Who does not answer a ping is gone: seen within 15 seconds. Clients may ping as often as any of
#: gRPC's implementations lets them, with or without a call.
KEEPALIVE_OPTIONS = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # By itself that one closes nothing: the ping has a time of its own, a minute by default.
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
)


def receive_limit(largest: int) -> tuple[str, int]:
    """What gRPC itself limits requests to, where the largest that we take has so many bytes.

    Above it, so that whoever sends a little too much is told why by us.
    """
    return ("grpc.max_receive_message_length", largest + MESSAGE_LIMIT)


def fits(headers: Headers) -> bool:
    """Whether there is no more metadata than any client of ours has use for."""
    return headers.size <= METADATA_LIMIT and headers.entries <= ENTRIES_LIMIT


def limit_metadata(call: Call) -> None:
    """A step that refuses more metadata than any client of ours has use for."""
    if not fits(call.headers):
        raise ResourceExhausted(
            Reason.METADATA_TOO_LARGE,
            "the request's metadata has {size} bytes in {count} entries: at most {limit} in "
            "{entries_limit}",
            size=call.headers.size,
            limit=METADATA_LIMIT,
            count=call.headers.entries,
            entries_limit=ENTRIES_LIMIT,
        )


class Deadlines:
    """Gives each call an end: its caller's, but the server's where that is later or there is none.

    Nothing can stop a thread, so past the server's end the client is let go, and whatever waits
    for the client wakes up; the thread ends when the database's own time-outs end its work.
    """

    def __init__(self, longest: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest = longest
        self._clock = clock
        self._lock = threading.Lock()
        self._open: set[Call] = set()

    def limit(self, call: Call) -> None:
        """A step that sets the call's deadline, and begins nothing that would come too late."""
        # What gRPC says of a call without a deadline is some centuries.
        remaining = call.context.time_remaining()
        if remaining is not None and remaining <= self._longest:
            if remaining < LEAST_TIME:
                raise DeadlineExceeded(
                    Reason.DEADLINE_TOO_SHORT,
                    "less than {milliseconds:.0f} ms of the deadline were left: allow more",
                    milliseconds=LEAST_TIME * 1000,
                )
            call.deadline = self._clock() + remaining
            return
        call.deadline = self._clock() + self._longest
        with self._lock:
            self._open.add(call)
        call.at_end(partial(self._close, call))

    def _close(self, call: Call) -> None:
        with self._lock:
            self._open.discard(call)

    def release_overdue(self) -> None:
        """Let go the clients of calls that are past the server's deadline: they see CANCELLED."""
        now = self._clock()
        with self._lock:
            overdue = [call for call in self._open if call.deadline <= now]
            self._open.difference_update(overdue)
        for call in overdue:
            call.let_go(now)


def share_among_sources(most: int, trusted_proxies: Sequence[Network] = ()) -> Step:
    """A step that lets each source have so many calls at a time, for those that last."""

    def source(call: Call) -> str:
        return source_of(call.peer, call.metadata("x-forwarded-for"), trusted_proxies)

    return _share(most, source, "from one address")


def share_among_users(most: int) -> Step:
    """A step that lets each user, with their agents, have so many calls at a time.

    It stands inside of the one that finds out who calls.
    """
    return _share(most, lambda call: str(call.caller.user.user_id), "of one user")


def _share(most: int, whose: Callable[[Call], str], said: str) -> Step:
    lock = threading.Lock()
    running: Counter[str] = Counter()

    def leave(key: str) -> None:
        with lock:
            running[key] -= 1
            if not running[key]:
                del running[key]

    def step(call: Call) -> None:
        key = whose(call)
        with lock:
            if running[key] >= most:
                raise ResourceExhausted(
                    Reason.OVERLOADED,
                    "at most {most} of these calls {said} at a time: end some first",
                    retry_after=_SHARE_RETRY,
                    most=most,
                    said=said,
                )
            running[key] += 1
        call.at_end(partial(leave, key))

    return step
