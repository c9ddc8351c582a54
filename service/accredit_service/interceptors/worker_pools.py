"""Threads for the calls, a pool for each kind, so that no kind can starve another."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class _Work(NamedTuple):
    """A call to make, and whom to tell how it ended."""

    future: Future[Any]
    run: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class WorkerPool(ThreadPoolExecutor):
    """A pool that knows how much work it has, and says when it should get no more.

    A plain pool queues without a bound: under overload every call would be answered after its
    caller has stopped waiting for it. It is one only by name, since gRPC takes no other; the thread
    that was busy last gets the next call, from hand to hand, which costs less than a queue.

    ``threads`` is how many calls are worked on at once, ``waiting`` how many may wait for one.
    """

    def __init__(self, name: str, *, threads: int, waiting: int) -> None:
        super().__init__(max_workers=1, thread_name_prefix=name)
        self.capacity = threads + waiting
        self._name = name
        self._most = threads
        self._lock = threading.Lock()
        self._load = 0
        self._backlog: deque[_Work] = deque()
        self._all: list[_Worker] = []
        self._idle: list[_Worker] = []
        self._is_shut = False
        # How many work now.
        self._busy = 0
        # One there is from the beginning: where the machine has no more threads, it does the work.
        self._idle.append(self._another())

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
        future: Future[T] = Future()
        work = _Work(future, fn, args, kwargs)
        with self._lock:
            if self._is_shut:
                raise RuntimeError("the pool was shut down")
            self._load += 1
            if self._busy >= self._most or not self._hand_over(work):
                self._backlog.append(work)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See Executor. What has begun ends by itself, and keeps no process from ending."""
        with self._lock:
            self._is_shut = True
            idle, self._idle = self._idle, []
            for worker in idle:
                worker.begin(None)
        super().shutdown(wait=wait, cancel_futures=cancel_futures)
        for worker in self._all if wait else ():
            worker.thread.join()

    def next_work(self, worker: "_Worker") -> _Work | None:
        """What a worker that has ended its work does next; None: it is one of the idle now."""
        with self._lock:
            self._load -= 1
            if self._backlog:
                return self._backlog.popleft()
            self._busy -= 1
            if self._is_shut:
                worker.begin(None)
            else:
                self._idle.append(worker)
            return None

    def _hand_over(self, work: _Work) -> bool:
        """Whether a thread took it; if the machine has no more, those at work get to it later."""
        try:
            worker = self._idle.pop() if self._idle else self._another()
        except RuntimeError:
            return False
        self._busy += 1
        worker.begin(work)
        return True

    def _another(self) -> "_Worker":
        worker = _Worker(self, self._name)
        self._all.append(worker)
        return worker


class _Worker:
    """A thread, which waits for work, does it and all there is behind it, and waits again."""

    __slots__ = ("_pool", "_wake", "_work", "thread")

    def __init__(self, pool: WorkerPool, name: str) -> None:
        self._pool = pool
        self._work: _Work | None = None
        # Held while there is nothing to do.
        self._wake = threading.Lock()
        self._wake.acquire()
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def begin(self, work: _Work | None) -> None:
        """Do this; None: end."""
        self._work = work
        self._wake.release()

    def _run(self) -> None:
        while True:
            self._wake.acquire()
            work, self._work = self._work, None
            if work is None:
                return
            while work is not None:
                _do(work)
                work = self._pool.next_work(self)


def _do(work: _Work) -> None:
    future, run, args, kwargs = work
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(run(*args, **kwargs))
    except BaseException as error:  # noqa: BLE001 - it is the caller's, as in any pool
        future.set_exception(error)
        # A failure holds on to what is here, and must not in turn be held by it.
        del future, run, args, kwargs, work
