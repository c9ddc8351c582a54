import threading

import pytest

from accredit_service.interceptors.worker_pools import WorkerPool
from tests.service.running import PATIENCE


def test_a_pool_counts_work_until_it_ends_however_it_ends() -> None:
    pool = WorkerPool("test", threads=1, waiting=0)
    pool.submit(lambda: None).result()
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 // 0).result()
    pool.shutdown()
    with pytest.raises(RuntimeError):
        pool.submit(lambda: None)
    assert pool.load == 0


def test_a_pool_works_on_so_many_at_once_and_on_all_of_them_in_turn() -> None:
    pool = WorkerPool("test", threads=3, waiting=0)
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


def test_a_pool_is_full_by_what_it_works_on_and_what_waits() -> None:
    pool = WorkerPool("test", threads=1, waiting=1)
    go_on = threading.Event()
    full = []
    running = []
    for _ in range(2):
        full.append(pool.is_full)
        running.append(pool.submit(go_on.wait, PATIENCE))
    assert [*full, pool.is_full] == [False, False, True]
    go_on.set()
    assert all(one.result(PATIENCE) for one in running)
    pool.shutdown()
    assert not pool.is_full


def test_work_waits_where_the_machine_has_no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = WorkerPool("test", threads=2, waiting=9)

    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    go_on = threading.Event()
    first, second = pool.submit(go_on.wait, PATIENCE), pool.submit(int, "2")
    go_on.set()
    assert (first.result(PATIENCE), second.result(PATIENCE)) == (True, 2)
    pool.shutdown()
    assert pool.load == 0
