"""Calls whose request has not come yet: no thread waits for it.

gRPC takes a thread for a call and lets it wait there for the request. Headers without a request
cost a client nothing, so a stranger could hold every thread; and the hand-over to a thread that
only goes to sleep again costs as much as a whole answer. Here a call has a thread when its request
is there. One that is answered from memory needs none.

This takes the place of what ``grpc._server`` does at the same point, and uses its parts, which are
nobody's promise: pyproject.toml holds gRPC to the minor release that this was written for.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Protocol, TypeAlias

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # it has no stubs
from grpc._server import _RECEIVE_MESSAGE_TOKEN, _Context, _receive_message, _status

from ..abilities.errors import DeadlineExceeded, InvalidArgument, Reason, Refusal, ResourceExhausted
from .worker_pools import WorkerPool

#: Seconds after which a call counts as slow. Requests commonly come together with their headers.
SLOW = 0.02
#: Bytes of the requests of one kind that have come and are not answered yet, at most.
HELD = 64 << 20

_NO_FLAGS = 0
_RETRY = timedelta(seconds=1)

#: A call's request, or a refusal where there is none that may be answered.
Arrived: TypeAlias = bytes | Refusal


class Behaviour(Protocol):
    """What answers the calls of a method."""

    def at_once(self, request: bytes, context: grpc.ServicerContext) -> bytes | None:
        """The reply if that takes no wait; None, or any exception, where a thread has to find it.

        It runs on gRPC's one polling thread.
        """


class Arrivals(ThreadPoolExecutor):
    """What gRPC takes for the thread pool of methods with one request.

    ``most`` calls may wait for a slow request, for ``patience`` seconds each. Those that are let go
    see CANCELLED. ``held``: bytes of requests that have come, at most. ``refusals`` tells those who
    are refused here.
    """

    def __init__(
        self,
        pool: WorkerPool,
        patience: float,
        *,
        most: int,
        refusals: WorkerPool,
        held: int = HELD,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(max_workers=1)
        self.pool = pool
        self.capacity = pool.capacity + most
        self._patience = patience
        self._most = most
        self._refusals = refusals
        self._held_room = held
        self._clock = clock
        self._lock = threading.Lock()
        # The one that has waited longest comes first.
        self._awaited: dict[_Arrival, None] = {}
        self._held = 0

    @property
    def is_full(self) -> bool:
        """Whether another call would have to wait too long."""
        return self.pool.is_full or self.pool.load + len(self._awaited) >= self.capacity

    @property
    def is_crowded(self) -> bool:
        """Whether too many calls wait for their request, whatever the threads do."""
        return len(self._awaited) >= self.capacity

    def submit(self, run: Any, /, *args: Any, **_: Any) -> Any:
        """See Executor; gRPC only ever submits calls, with what it would do with them."""
        respond, event, state, behaviour, _take, *coding = args
        arrival = _Arrival(
            self,
            event,
            state,
            behaviour,
            lambda arrived: run(respond, event, state, behaviour, lambda: arrived, *coding),
            self._clock(),
        )
        with self._lock:
            self._awaited[arrival] = None
        arrival.expect()
        return arrival

    def receive(self, arrival: "_Arrival", request: bytes | None) -> None:
        """Answer a call whose request has come, or will not come any more."""
        with self._lock:
            del self._awaited[arrival]
            is_too_much = request is not None and self._held + len(request) > self._held_room
        if arrival.is_given_up:
            # It came after all; but its client has been told otherwise.
            late = DeadlineExceeded(Reason.DEADLINE_TOO_SHORT, "the request came too late")
            self._hand_over(self._refusals, arrival, late)
        elif request is None:
            self._hand_over(self._refusals, arrival, _none())
        elif arrival.answer_at_once(request):
            pass
        elif is_too_much or self.pool.is_full:
            self._hand_over(self._refusals, arrival, overloaded())
        else:
            self._hand_over(self.pool, arrival, request)

    def _hand_over(self, pool: WorkerPool, arrival: "_Arrival", arrived: Arrived) -> None:
        size = len(arrived) if isinstance(arrived, bytes) else 0
        with self._lock:
            self._held += size
        try:
            pool.submit(self._work, arrival, arrived, size)
        except RuntimeError:
            # The server has stopped, and every call with it.
            self._end(arrival, size)

    def _work(self, arrival: "_Arrival", arrived: Arrived, size: int) -> None:
        try:
            arrival.respond(arrived)
        finally:
            self._end(arrival, size)

    def _end(self, arrival: "_Arrival", size: int) -> None:
        with self._lock:
            self._held -= size
        arrival.end()

    def check(self) -> None:
        """Let go those that are too slow or too many: again and again.

        Where they are too many those go that have waited longest. So whoever opens calls without
        a request gets rid of their own, and a request that comes at all still comes in time.
        """
        now = self._clock()
        with self._lock:
            slow = [
                arrival
                for arrival in self._awaited
                if now - arrival.begun_at >= SLOW and not arrival.is_given_up
            ]
            excess = len(slow) - self._most
            overdue = [
                arrival
                for index, arrival in enumerate(slow)
                if index < excess or now - arrival.begun_at >= self._patience
            ]
            for arrival in overdue:
                arrival.is_given_up = True
        for arrival in overdue:
            arrival.let_go()


class _Arrival:
    """One call that waits for its request, and what gRPC holds of it: its tag and its future."""

    __slots__ = (
        "_arrivals",
        "_behaviour",
        "_event",
        "_received",
        "_state",
        "_told",
        "begun_at",
        "is_given_up",
        "respond",
    )

    def __init__(
        self,
        arrivals: Arrivals,
        event: Any,
        state: Any,
        behaviour: Behaviour,
        respond: Callable[[Arrived], None],
        begun_at: float,
    ) -> None:
        self._arrivals = arrivals
        self._event = event
        self._state = state
        self._behaviour = behaviour
        self._received = _receive_message(state, event.call, None)
        self._told: Callable[[Any], None] | None = None
        #: Answers the call, on the thread that calls it.
        self.respond = respond
        self.begun_at = begun_at
        self.is_given_up = False

    def expect(self) -> None:
        """Ask gRPC for the request. It holds the state's lock."""
        self._event.call.start_server_batch((cygrpc.ReceiveMessageOperation(_NO_FLAGS),), self)
        self._state.due.add(_RECEIVE_MESSAGE_TOKEN)

    def __call__(self, event: Any) -> Any:
        """See a tag of ``grpc._server``: the request has come. What it returns, gRPC goes on by."""
        outcome = self._received(event)
        request, self._state.request = self._state.request, None
        self._arrivals.receive(self, request)
        return outcome

    def answer_at_once(self, request: bytes) -> bool:
        """Whether the call could be answered without a thread of its own, and was."""
        try:
            reply = self._behaviour.at_once(request, _Context(self._event, self._state, None))
        except Exception:  # noqa: BLE001 - a thread does it again, and says what is wrong
            return False
        if reply is None:
            return False
        _status(self._event, self._state, reply)
        self.end()
        return True

    def let_go(self) -> None:
        """End the call for its client; gRPC then says that no request will come."""
        self._event.call.cancel()

    def add_done_callback(self, told: Callable[[Any], None]) -> None:
        """See Future; gRPC adds one, before the request can have come."""
        self._told = told

    def end(self) -> None:
        """Tell gRPC that the call takes no more work."""
        if self._told is not None:
            self._told(self)


def _none() -> InvalidArgument:
    return InvalidArgument(Reason.REQUEST_MALFORMED, "the call carries no request: send one")


def overloaded() -> ResourceExhausted:
    """What is said to a call that the server has no room for."""
    return ResourceExhausted(
        Reason.OVERLOADED,
        "the server has more calls than it can answer in time: try again later",
        retry_after=_RETRY,
    )
