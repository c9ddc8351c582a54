import threading
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from accredit_service.abilities.errors import DeadlineExceeded
from accredit_service.interceptors.calls import Call
from accredit_service.interceptors.request_wait import SLOW, RequestWait
from accredit_service.interceptors.worker_pools import WorkerPool
from tests.service.running import PATIENCE


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class GoneError(Exception):
    """As gRPC says it."""


class Client:
    """A client that sends its request when it is told to, or goes; and its call's context."""

    def __init__(self) -> None:
        self._woken = threading.Event()
        self.begun = threading.Event()
        self.is_cancelled = False
        unlike_grpcs: Any = self
        self.call = Call("A/B", unlike_grpcs)

    def cancel(self) -> None:
        self.is_cancelled = True
        self._woken.set()

    def send(self) -> None:
        self._woken.set()

    def requests(self) -> Iterator[bytes]:
        self.begun.set()
        assert self._woken.wait(PATIENCE)
        if self.is_cancelled:
            raise GoneError
        yield b"request"


class Desk:
    """Requests that wait on a pool, and clients whose calls wait there."""

    def __init__(self, pool: WorkerPool, clock: Clock, patience: float) -> None:
        self.pool = pool
        self.clock = clock
        self.request_waits = RequestWait(pool, patience, clock)

    def begin(self) -> tuple[Client, Future[bytes | None]]:
        client = Client()
        answer = self.pool.submit(self.request_waits.request, client.call, client.requests())
        return client, answer

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.request_waits.check()


@contextmanager
def desk(*, threads: int, spare: int, patience: float = 5.0) -> Generator[Desk]:
    pool = WorkerPool("test", threads=threads, waiting=99, spare=spare)
    yield Desk(pool, Clock(), patience)
    pool.shutdown()


def test_a_request_that_comes_at_once_is_taken() -> None:
    with desk(threads=1, spare=0) as here:
        client, answer = here.begin()
        client.send()
        assert answer.result(PATIENCE) == b"request"
        here.pass_time(1000.0)
        assert not client.is_cancelled


def test_a_call_whose_request_is_slow_lends_its_place() -> None:
    with desk(threads=1, spare=2) as here:
        slow, answer = here.begin()
        assert slow.begun.wait(PATIENCE)
        others = [here.pool.submit(int, "7") for _ in range(3)]
        here.pass_time(SLOW / 2)
        assert not any(one.done() for one in others)
        here.pass_time(SLOW)
        assert [one.result(PATIENCE) for one in others] == [7, 7, 7]
        assert not slow.is_cancelled
        slow.send()
        assert answer.result(PATIENCE) == b"request"


def test_and_gets_it_back() -> None:
    with desk(threads=1, spare=1) as here:
        for _ in range(3):
            slow, answer = here.begin()
            assert slow.begun.wait(PATIENCE)
            here.pass_time(2 * SLOW)
            slow.send()
            assert answer.result(PATIENCE) == b"request"
        # There is one place, as at the beginning, and it is taken.
        taken, first = here.begin()
        assert taken.begun.wait(PATIENCE)
        second, answer = here.begin()
        assert here.pool._workers == 1
        taken.send()
        second.send()
        assert (first.result(PATIENCE), answer.result(PATIENCE)) == (b"request", b"request")


def test_a_request_has_so_long_to_come_and_then_its_client_is_let_go() -> None:
    with desk(threads=1, spare=9, patience=5.0) as here:
        client, answer = here.begin()
        assert client.begun.wait(PATIENCE)
        cancelled = []
        for seconds in (4.9, 0.1):
            here.pass_time(seconds)
            cancelled.append(client.is_cancelled)
        assert cancelled == [False, True]
        assert client.call.deadline == here.clock.now
        with pytest.raises(GoneError):
            answer.result(PATIENCE)


def test_of_too_many_those_go_that_have_waited_longest() -> None:
    with desk(threads=5, spare=3) as here:
        waiting = []
        for _ in range(5):
            waiting.append(here.begin())
            assert waiting[-1][0].begun.wait(PATIENCE)
            here.clock.now += 0.001
        here.pass_time(SLOW)
        assert [client.is_cancelled for client, _ in waiting] == [True, True, False, False, False]
        for client, answer in waiting[2:]:
            client.send()
            assert answer.result(PATIENCE) == b"request"


def test_a_request_that_comes_when_its_client_has_been_let_go_is_not_carried_out() -> None:
    with ThreadPoolExecutor(1) as lane_of_another_kind:
        clock = Clock()
        request_waits = RequestWait(WorkerPool("test", threads=1, waiting=0), 5.0, clock)
        client = Client()
        # The request was there before gRPC noticed that the call was over.
        client.cancel = client.send  # type: ignore[method-assign]
        answer = lane_of_another_kind.submit(request_waits.request, client.call, client.requests())
        assert client.begun.wait(PATIENCE)
        clock.now += 5.0
        request_waits.check()
        with pytest.raises(DeadlineExceeded):
            answer.result(PATIENCE)


def test_a_lane_counts_work_until_it_ends_however_it_ends() -> None:
    pool = WorkerPool("test", threads=1, waiting=0)
    pool.submit(lambda: None).result()
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 // 0).result()
    pool.shutdown()
    with pytest.raises(RuntimeError):
        pool.submit(lambda: None)
    assert pool.load == 0


def test_a_lane_works_on_so_many_at_once_and_on_all_of_them_in_turn() -> None:
    pool = WorkerPool("test", threads=3, waiting=0, spare=9)
    inside, most, lock, together = 0, 0, threading.Lock(), threading.Barrier(3)

    def work(number: int) -> int:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        together.wait(PATIENCE)
        with lock:
            inside -= 1
        return number

    answers = [pool.submit(work, number) for number in range(30)]
    assert [answer.result(PATIENCE) for answer in answers] == list(range(30))
    assert most == 3
    pool.shutdown()
    assert pool.load == 0


def test_work_that_is_cancelled_in_the_queue_is_left_out() -> None:
    pool = WorkerPool("test", threads=1, waiting=9)
    go_on = threading.Event()
    first = pool.submit(go_on.wait, PATIENCE)
    second, third = pool.submit(int, "2"), pool.submit(int, "3")
    assert second.cancel()
    go_on.set()
    assert (first.result(PATIENCE), third.result(PATIENCE)) == (True, 3)
    pool.shutdown()
    assert pool.load == 0


def test_a_lane_is_full_by_what_waits_for_it_not_by_what_waits_for_clients() -> None:
    pool = WorkerPool("test", threads=1, waiting=1, spare=1)
    go_on = threading.Event()
    running = [pool.submit(go_on.wait, PATIENCE) for _ in range(2)]
    full = [pool.is_full]
    for change in (pool.lend, pool.take_back):
        change()
        full.append(pool.is_full)
    assert full == [True, False, True]
    go_on.set()
    assert all(one.result(PATIENCE) for one in running)
    pool.shutdown()
