"""Threads for the calls, a pool for each kind, so that no kind can starve another."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeAlias, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_Work: TypeAlias = tuple[Future[Any], Callable[[], Any]]


class WorkerPool(ThreadPoolExecutor):
    """A pool that knows how much work it has, and says when it should get no more.

    A plain pool queues without a bound: under overload every call would be answered after its
    caller has stopped waiting for it.

    ``threads`` is how many calls are worked on at once. A call that only waits for its client may
    lend its slot to another: for that there are ``spare`` threads beside them.
    """

    def __init__(self, name: str, *, threads: int, waiting: int, spare: int = 0) -> None:
        super().__init__(max_workers=threads + spare, thread_name_prefix=name)
        self.spare = spare
        self.capacity = threads + waiting + spare
        self._room = threads + waiting
        self._lock = threading.Lock()
        self._load = 0
        self._backlog: deque[_Work] = deque()
        # How many may work now, and how many do; those that have lent their slot are among them.
        self._slots = threads
        self._workers = 0
        self._lent = 0

    @property
    def is_full(self) -> bool:
        """Whether another call would have to wait too long."""
        return self._load - self._lent >= self._room

    @property
    def load(self) -> int:
        """How many calls it works on or has waiting."""
        return self._load

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See Executor."""
        future: Future[T] = Future()
        # Also called for work that was cancelled before it began.
        future.add_done_callback(self._done)
        with self._lock:
            if self._workers < self._slots:
                self._begin()
            self._load += 1
            self._backlog.append((future, partial(fn, *args, **kwargs)))
        return future

    def lend(self) -> None:
        """Let another call be worked on meanwhile; to be followed by ``take_back``."""
        with self._lock:
            self._slots += 1
            self._lent += 1
            if self._backlog:
                self._begin()

    def take_back(self) -> None:
        """Go on with the work. Until one of the others has ended there is one too many."""
        with self._lock:
            self._slots -= 1
            self._lent -= 1

    def _begin(self) -> None:
        super().submit(self._work)
        self._workers += 1

    def _work(self) -> None:
        # One after the other in the same thread: to wake another one for each costs more.
        while (work := self._next()) is not None:
            future, run = work
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(run())
            except BaseException as error:  # noqa: BLE001 - it is the caller's, as in any pool
                future.set_exception(error)
            # A failure holds on to what is here, and must not in turn be held by it.
            del work, future, run

    def _next(self) -> _Work | None:
        with self._lock:
            if self._backlog and self._workers <= self._slots:
                return self._backlog.popleft()
            self._workers -= 1
            return None

    def _done(self, _future: object = None) -> None:
        with self._lock:
            self._load -= 1
