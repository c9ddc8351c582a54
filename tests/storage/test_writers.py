"""Writers on SQLite commit together, and each is told of its own write alone."""

import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from accredit_storage.errors import Conflict, LoginTaken, StoreBusy, StoreFull
from accredit_storage.schema import reservations
from accredit_storage.store import Store, WriteTransaction
from tests.storage.making import NOW, draft, user
from tests.storage.test_store import small_disk

pytestmark = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)

Act = Callable[[WriteTransaction], object]


def logins(store: Store) -> list[str]:
    with store.read() as tx:
        return [one.login for one in tx.users.page(after=None, limit=99)]


def queued(store: Store, count: int) -> None:
    """Wait until so many writers are in the queue."""
    assert store._writers is not None
    deadline = time.monotonic() + 30
    while len(store._writers._waiting) != count:
        assert time.monotonic() < deadline
        time.sleep(0.001)


@contextmanager
def counted(store: Store) -> Generator[list[None]]:
    """One item for each transaction that is committed."""
    commits: list[None] = []

    def note(_: object) -> None:
        commits.append(None)

    event.listen(store.engine, "commit", note)
    yield commits
    event.remove(store.engine, "commit", note)


def write(store: Store, act: Act) -> None:
    with store.write() as tx:
        act(tx)


def adds(login: str) -> Act:
    return lambda tx: user(tx, login)


def together(store: Store, *acts: Act) -> list[Future[None]]:
    """What becomes of writers who queue in this order while another one has the turn."""
    with ThreadPoolExecutor(9) as threads, store.write() as tx:
        user(tx, "first")
        outcomes = []
        for number, act in enumerate(acts, 1):
            outcomes.append(threads.submit(write, store, act))
            queued(store, number)
    return outcomes


def refers_to_nobody(tx: WriteTransaction) -> None:
    """What the COMMIT refuses, and nothing before it."""
    tx._connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    tx._connection.execute(
        reservations.insert(), {"agent_slug": "x", "owner_id": 7, "expire_at": NOW}
    )


def fails(error: BaseException) -> Act:
    def act(tx: WriteTransaction) -> None:
        user(tx, "undone")
        tx.record(draft())
        raise error

    return act


def test_those_who_queue_commit_together(store: Store) -> None:
    with counted(store) as commits:
        outcomes = together(store, *(adds(f"user {number}") for number in range(4)))
    assert [one.result() for one in outcomes] == [None] * 4
    assert logins(store) == ["first", "user 0", "user 1", "user 2", "user 3"]
    # One for all, and those that only read.
    assert len(commits) == 1


def test_only_so_many_commit_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accredit_storage.writers.TOGETHER", 2)
    with counted(store) as commits:
        outcomes = together(store, *(adds(f"user {number}") for number in range(4)))
    assert [one.result() for one in outcomes] == [None] * 4
    assert len(commits) == 3


def test_nobody_is_told_before_it_is_on_disk(store: Store) -> None:
    goes_on = threading.Event()

    def holds(tx: WriteTransaction) -> None:
        user(tx, "second")
        goes_on.wait(timeout=30)

    with ThreadPoolExecutor(2) as threads:
        with store.write() as tx:
            user(tx, "zero")
            first = threads.submit(write, store, adds("first"))
            queued(store, 1)
            second = threads.submit(write, store, holds)
            queued(store, 2)
            goes_on.set()
        assert (first.result(), second.result()) == (None, None)
    assert logins(store) == ["zero", "first", "second"]


def test_a_write_waits_for_those_that_commit_with_it(store: Store) -> None:
    entered, goes_on, done = threading.Event(), threading.Event(), threading.Event()

    def holds(_: WriteTransaction) -> None:
        entered.set()
        goes_on.wait(timeout=30)

    def first() -> None:
        with store.write() as tx:
            user(tx, "first")
            threads.submit(write, store, holds)
            queued(store, 1)
        done.set()

    with ThreadPoolExecutor(2) as threads:
        threads.submit(first)
        assert entered.wait(timeout=30)
        assert not done.is_set()
        assert logins(store) == []
        goes_on.set()
        assert done.wait(timeout=30)
        assert logins(store) == ["first"]


@pytest.mark.parametrize("error", [Conflict("x"), KeyError("x"), SystemExit()])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_one_undoes_is_its_own_alone(store: Store, error: BaseException, place: int) -> None:
    acts = [adds("ada"), adds("bob")]
    acts.insert(place, fails(error))
    outcomes = together(store, *acts)
    failed = outcomes.pop(place)
    assert failed.exception() is error
    assert [one.result() for one in outcomes] == [None, None]
    assert logins(store) == ["first", "ada", "bob"]
    with store.write() as tx:
        assert tx.record(draft()) == 1


def test_a_refusal_waits_for_what_it_may_rest_on(store: Store) -> None:
    entered, goes_on = threading.Event(), threading.Event()

    def holds(_: WriteTransaction) -> None:
        entered.set()
        goes_on.wait(timeout=30)

    with ThreadPoolExecutor(3) as threads:

        def first() -> None:
            with store.write() as tx:
                user(tx, "first")
                outcomes.append(threads.submit(write, store, fails(LoginTaken("first"))))
                queued(store, 1)
                threads.submit(write, store, holds)
                queued(store, 2)

        outcomes: list[Future[None]] = []
        threads.submit(first)
        assert entered.wait(timeout=30)
        assert not outcomes[0].done()
        goes_on.set()
        assert isinstance(outcomes[0].exception(), LoginTaken)
    assert logins(store) == ["first"]


def test_a_refusal_that_rests_on_what_was_not_kept_is_no_refusal(store: Store) -> None:
    def refers_to_nobody_and_waits() -> None:
        with store.write() as tx:
            refers_to_nobody(tx)
            outcomes.append(threads.submit(write, store, fails(LoginTaken("first"))))
            queued(store, 1)

    outcomes: list[Future[None]] = []
    with ThreadPoolExecutor(1) as threads, pytest.raises(Conflict):
        refers_to_nobody_and_waits()
    assert isinstance(outcomes[0].exception(), Conflict)


def test_a_first_one_that_fails_leaves_the_turn_to_the_next(store: Store) -> None:
    def fail() -> None:
        with store.write() as tx:
            user(tx, "undone")
            threads.submit(write, store, adds("next"))
            queued(store, 1)
            raise KeyError

    with ThreadPoolExecutor(1) as threads, pytest.raises(KeyError):
        fail()
    assert logins(store) == ["next"]


def test_those_whose_transaction_another_has_ended_may_do_it_again(store: Store) -> None:
    def ends(tx: WriteTransaction) -> None:
        tx._connection.exec_driver_sql("ROLLBACK")

    with ThreadPoolExecutor(2) as threads:

        def first() -> None:
            with store.write() as tx:
                user(tx, "first")
                outcomes.append(threads.submit(write, store, ends))
                queued(store, 1)
                outcomes.append(threads.submit(write, store, adds("third")))
                queued(store, 2)

        outcomes: list[Future[None]] = []
        with pytest.raises(Conflict, match="ended"):
            first()
        assert isinstance(outcomes[0].exception(), RuntimeError)
        outcomes[1].result()
    assert logins(store) == ["third"]
    write(store, adds("first"))
    assert logins(store) == ["third", "first"]


def test_a_disk_that_is_full_for_one_is_not_for_another(store: Store) -> None:
    def fills(tx: WriteTransaction) -> None:
        user(tx, "large", email="y" * 300_000)

    with small_disk(store):
        outcomes = together(store, fills, adds("second"))
    assert isinstance(outcomes[0].exception(), StoreFull)
    assert outcomes[1].result() is None
    assert logins(store) == ["first", "second"]


def test_all_are_told_of_a_commit_that_failed(store: Store) -> None:
    def first() -> None:
        with store.write() as tx:
            user(tx, "first")
            outcomes.append(threads.submit(write, store, refers_to_nobody))
            queued(store, 1)

    outcomes: list[Future[None]] = []
    with ThreadPoolExecutor(1) as threads, pytest.raises(Conflict) as caught:
        first()
    assert isinstance(outcomes[0].exception(), Conflict)
    assert outcomes[0].exception() is not caught.value
    assert logins(store) == []
    write(store, adds("next"))
    assert logins(store) == ["next"]


def test_who_waits_too_long_leaves_the_queue(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accredit_storage.writers.LOCK_WAIT", 0.05)
    with ThreadPoolExecutor(1) as threads:
        with store.write() as tx:
            user(tx, "first")
            late = threads.submit(write, store, adds("late"))
            assert isinstance(late.exception(timeout=30), StoreBusy)
        write(store, adds("next"))
    assert logins(store) == ["first", "next"]
