"""Threads for the calls, a pool for each kind, so that no kind can starve another."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Lane(ThreadPoolExecutor):
    """A pool that knows how much work it has, and says when it should get no more.

    A plain pool queues without a bound: under overload every call would be answered after its
    caller has stopped waiting for it.
    """

    def __init__(self, name: str, *, threads: int, waiting: int) -> None:
        super().__init__(max_workers=threads, thread_name_prefix=name)
        self.capacity = threads + waiting
        self._lock = threading.Lock()
        self._load = 0

    @property
    def is_full(self) -> bool:
        """Whether another call would have to wait too long."""
        return self._load >= self.capacity

    @property
    def load(self) -> int:
        """How many calls it works on or has waiting."""
        return self._load

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See Executor."""
        with self._lock:
            self._load += 1
        try:
            future = super().submit(fn, *args, **kwargs)
        except BaseException:
            self._done()
            raise
        # Also called for work that was cancelled before it began.
        future.add_done_callback(self._done)
        return future

    def _done(self, _future: object = None) -> None:
        with self._lock:
            self._load -= 1
