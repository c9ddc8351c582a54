"""Transactions: what they see, what they keep, and what a database in trouble looks like."""

import re
import sqlite3
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import URL, event, text
from sqlalchemy.exc import DBAPIError

from accredit_storage import migrate
from accredit_storage.changes import ChangeQuery
from accredit_storage.errors import Conflict, StoreBusy, StoreFull, StoreUnavailable
from accredit_storage.records import AgentUpdate, UserUpdate
from accredit_storage.store import Store
from tests.storage.making import NOW, about_agent, agent, all_at_once, draft, user

on_sqlite = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)


def count_users(store: Store) -> int:
    with store.read() as tx:
        return tx.users.count()


def test_what_is_committed_is_there_for_another_store(store: Store, database_url: str) -> None:
    with store.write() as tx:
        user(tx)
    other = Store.open(database_url)
    assert count_users(other) == 1
    other.close()


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt, SystemExit])
def test_any_exception_undoes_the_transaction(store: Store, error: type[BaseException]) -> None:
    def fail() -> None:
        with store.write() as tx:
            user(tx)
            raise error

    with pytest.raises(error):
        fail()
    assert count_users(store) == 0


def test_a_read_sees_one_moment(store: Store) -> None:
    with store.write() as tx:
        user(tx, "ada")
    with store.read() as tx:
        before = (tx.head(), tx.users.count())
        with store.write() as other:
            user(other, "bob")
            other.record(draft())
        assert (tx.head(), tx.users.count()) == before
    with store.read() as tx:
        assert (tx.head().revision, tx.users.count()) == (1, 2)


def test_a_read_of_one_statement_reads_what_is_committed(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx, "ada")
        with store.read(one_statement=True) as other:
            assert other.users.find(ada.user_id) is None
    with store.read(one_statement=True) as tx:
        assert tx.users.find(ada.user_id) == ada


def test_a_connection_forgets_how_it_was_used_last(database_url: str) -> None:
    store = Store.open(database_url, pool_size=1)
    for _ in range(3):
        with store.read(one_statement=True) as tx:
            tx.head()
        with store.read() as tx:
            before = tx.users.count()
            assert before == tx.users.count()
        with store.write() as tx:
            user(tx, f"user {before}")
    assert count_users(store) == 3
    store.close()


def test_a_bug_leaves_no_connection_in_its_moment(database_url: str) -> None:
    store, other = Store.open(database_url, pool_size=1), Store.open(database_url)
    for name in ("ada", "bob", "eve"):
        with store.write() as tx:
            user(tx, name)
            tx.record(draft())

    def set_kind(kind: str) -> None:
        with other.write() as tx:
            tx._connection.execute(text("UPDATE changes SET kind = :kind"), {"kind": kind})

    def listed() -> int:
        with store.read() as tx:
            return len(tx.changes.page(ChangeQuery(), after=None, limit=9))

    set_kind("unknown")
    # Whoever keeps the exception keeps the frames that were reading.
    with pytest.raises(KeyError) as kept:
        listed()
    set_kind("agent_updated")
    assert listed() == 3
    with store.write() as tx:
        user(tx, "joe")
    assert count_users(store) == 4
    assert kept.value.args == ("unknown",)
    store.close()
    other.close()


def test_nothing_is_written_in_a_read(store: Store) -> None:
    with pytest.raises(StoreUnavailable), store.read() as tx:
        user(tx)
    with store.write() as tx:
        user(tx)
    assert count_users(store) == 1


def test_a_writer_and_readers_do_not_wait_for_each_other(store: Store) -> None:
    with store.read() as reader:
        assert reader.users.count() == 0
        with store.write() as writer:
            user(writer)
            assert count_users(store) == 0
            assert reader.users.count() == 0
    assert count_users(store) == 1


def test_an_exclusive_name_makes_checking_and_acting_one(store: Store) -> None:
    def add_the_first(number: int) -> bool:
        with store.write() as tx:
            tx.exclusive("first user")
            if tx.users.count():
                return False
            user(tx, f"user {number}")
            return True

    assert all_at_once(8, add_the_first).count(True) == 1


def test_a_shared_name_is_shared_but_not_with_whoever_wants_it_alone(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accredit_storage.engine.LOCK_WAIT", 0.05)
    store = Store.open(database_url)
    with store.write() as tx:
        tx.shared("a")
        if store.engine.dialect.name == "postgresql":
            with store.write() as other:
                other.shared("a")
            with pytest.raises(StoreBusy), store.write() as other:
                other.exclusive("a")
    with store.write() as tx:
        tx.exclusive("a")
    store.close()


def test_stores_of_several_processes_lose_no_update(store: Store, database_url: str) -> None:
    with store.write() as tx:
        counted = agent(tx, user(tx), config={"n": 0}).agent_id

    def count_up(_: int) -> None:
        # A store of its own, so that only the database keeps them apart.
        ours = Store.open(database_url)
        for _ in range(20):
            with ours.write() as tx:
                found = tx.agents.find(counted, lock=True)
                assert found is not None
                tx.agents.update(counted, AgentUpdate(config={"n": found.config["n"] + 1}), at=NOW)
                tx.record(draft(about_agent(counted)))
        ours.close()

    all_at_once(4, count_up)
    with store.read() as reader:
        found = reader.agents.find(counted)
        verified = reader.changes.verify()
    assert found is not None
    assert found.config == {"n": 80}
    assert (verified.first_broken, verified.checked) == (None, 80)


@on_postgresql
def test_different_names_do_not_wait_for_each_other(store: Store) -> None:
    with store.write() as tx, store.write() as other:
        tx.exclusive("a")
        other.exclusive("b")


def test_a_new_epoch_leaves_the_log_as_it_is(store: Store) -> None:
    with store.write() as tx:
        tx.record(draft())
        before = tx.head()
        epoch = tx.renew_epoch()
    with store.read() as tx:
        after = tx.head()
        assert tx.changes.verify().first_broken is None
    assert after.epoch == epoch != before.epoch
    assert len(epoch) == 32
    assert (after.revision, after.hash) == (before.revision, before.hash)


def test_no_free_connection_is_busy(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accredit_storage.engine.POOL_WAIT", 0.01)
    store = Store.open(database_url, pool_size=1)
    with store.read(), pytest.raises(StoreBusy), store.read():
        pass
    assert count_users(store) == 0
    store.close()


@on_sqlite
def test_waiting_writers_leave_the_connections_to_readers(database_url: str) -> None:
    store = Store.open(database_url, pool_size=2)

    def write(number: int) -> None:
        with store.write() as tx:
            user(tx, f"user {number}")

    with ThreadPoolExecutor(4) as threads:
        with store.write() as tx:
            waiting = [threads.submit(write, number) for number in range(4)]
            tx.head()
            assert count_users(store) == 0
        for writer in waiting:
            writer.result()
    assert count_users(store) == 4
    store.close()


def test_a_lock_that_does_not_come_free_is_busy(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accredit_storage.engine.LOCK_WAIT", 0.05)
    monkeypatch.setattr("accredit_storage.store.LOCK_WAIT", 0.05)
    monkeypatch.setattr("accredit_storage.writers.LOCK_WAIT", 0.05)
    ours, theirs = Store.open(database_url), Store.open(database_url)
    for other in (ours, theirs):
        with ours.write() as tx:
            tx.record(draft())
            with pytest.raises(StoreBusy), other.write() as waiting:
                waiting.record(draft())
    with theirs.write() as tx:
        assert tx.record(draft()) == 3
    ours.close()
    theirs.close()


@on_postgresql
def test_a_shared_lock_keeps_the_row_as_it_is(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accredit_storage.engine.LOCK_WAIT", 0.05)
    store = Store.open(database_url)
    with store.write() as tx:
        ada = user(tx)
    for shares in (True, False):
        with store.write() as tx:
            tx.users.find(ada.user_id, share=shares, lock=not shares)
            with pytest.raises(StoreBusy), store.write() as other:
                other.users.update(ada.user_id, UserUpdate(active=False), at=NOW)
            with store.read() as reader:
                assert reader.users.find(ada.user_id) == ada
            if shares:
                with store.write() as other:
                    assert other.users.find(ada.user_id, share=True) == ada
    store.close()


@on_postgresql
def test_a_deadlock_is_a_conflict_for_one_of_the_two(database_url: str) -> None:
    store = Store.open(f"{database_url}&options=-c%20deadlock_timeout%3D10ms")
    with store.write() as tx:
        ids = [user(tx, login).user_id for login in ("ada", "bob")]
    both_hold_one = threading.Barrier(2)

    def cross(number: int) -> str:
        try:
            with store.write() as tx:
                tx.users.find(ids[number], lock=True)
                both_hold_one.wait(timeout=30)
                tx.users.find(ids[1 - number], lock=True)
        except Conflict:
            return "conflict"
        return "done"

    assert sorted(all_at_once(2, cross)) == ["conflict", "done"]
    store.close()


def cut_off(database_url: str) -> None:
    """Throw every connection out of the database, except the one that says so."""
    store = Store.open(database_url)
    with store.read() as tx:
        tx._connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    store.close()


@on_postgresql
def test_a_lost_connection_is_unavailable_and_the_next_one_works(
    store: Store, database_url: str
) -> None:
    def lose_it() -> None:
        with store.write() as tx:
            user(tx)
            cut_off(database_url)
            tx.users.count()

    with pytest.raises(StoreUnavailable):
        lose_it()
    assert count_users(store) == 0


@on_postgresql
def test_a_connection_lost_while_committing_is_unavailable(store: Store, database_url: str) -> None:
    def lose_it() -> None:
        with store.write() as tx:
            user(tx)
            cut_off(database_url)

    with pytest.raises(StoreUnavailable):
        lose_it()
    assert count_users(store) == 0


@on_postgresql
def test_connections_lost_in_the_pool_cost_one_call(store: Store, database_url: str) -> None:
    with store.read() as one, store.read() as two:
        one.head()
        two.head()
    cut_off(database_url)
    with pytest.raises(StoreUnavailable):
        count_users(store)
    assert all_at_once(4, lambda _: count_users(store)) == [0] * 4


@on_postgresql
def test_a_database_that_refuses_writes_is_unavailable(store: Store) -> None:
    with store.write() as tx:
        name = tx._connection.exec_driver_sql("SELECT current_database()").scalar_one()
        tx._connection.exec_driver_sql(
            f"ALTER DATABASE {name} SET default_transaction_read_only = on"
        )
    store.close()
    with pytest.raises(StoreUnavailable):
        count_users(store)


@on_postgresql
def test_the_sessions_have_their_bounds_and_the_operators_options_win(database_url: str) -> None:
    asked = "&options=-c%20lock_timeout%3D123ms&application_name=mine"
    store = Store.open(f"{database_url}{asked}")
    with store.read() as tx:

        def setting(name: str) -> str:
            shown = tx._connection.execute(text(f"SHOW {name}")).scalar_one()
            return str(shown)

        assert setting("statement_timeout") == "30s"
        assert setting("lock_timeout") == "123ms"
        assert setting("idle_in_transaction_session_timeout") == "5s"
        assert setting("application_name") == "mine"
        assert setting("timezone") == "UTC"
        assert setting("transaction_isolation") == "repeatable read"
        assert setting("transaction_read_only") == "on"
    with store.write() as tx:
        assert setting("transaction_isolation") == "read committed"
    store.close()


@on_postgresql
def test_a_statement_that_takes_too_long_is_busy(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accredit_storage.engine.STATEMENT_TIME", 0.01)
    store = Store.open(database_url)
    with pytest.raises(StoreBusy), store.read() as tx:
        tx._connection.execute(text("SELECT pg_sleep(10)"))
    store.close()


@on_postgresql
def test_a_swallowed_error_does_not_look_like_a_commit(store: Store) -> None:
    def swallow() -> None:
        with store.write() as tx:
            user(tx)
            with suppress(DBAPIError):
                tx._connection.execute(text("SELECT 1 / 0"))

    with pytest.raises(RuntimeError, match="ignored"):
        swallow()
    assert count_users(store) == 0


@on_sqlite
def test_a_transaction_that_sqlite_gave_up_does_not_look_like_a_commit(store: Store) -> None:
    with pytest.raises(RuntimeError, match="ignored"), store.write() as tx:
        tx._connection.exec_driver_sql("ROLLBACK")
    with store.write() as tx:
        user(tx)
    assert count_users(store) == 1


@contextmanager
def small_disk(store: Store) -> Generator[None]:
    """Let the file grow by no page."""

    def limit(connection: sqlite3.Connection, _: object) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    store.close()
    event.listen(store.engine, "connect", limit)
    yield
    event.remove(store.engine, "connect", limit)
    store.close()


@on_sqlite
def test_a_full_disk_refuses_writes_and_keeps_what_there_was(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx)
    with small_disk(store):
        with pytest.raises(StoreFull), store.write() as tx:
            agent(tx, ada, config={"prompt": "x" * 1_000_000})
        with store.read() as tx:
            assert tx.users.find(ada.user_id) == ada
        with store.write() as tx:
            assert tx.users.update(ada.user_id, UserUpdate(active=False), at=NOW) is not None
    with store.write() as tx:
        agent(tx, ada, config={"prompt": "x" * 1_000_000})


@on_sqlite
def test_a_missing_file_is_unavailable_and_not_made(tmp_path: Path, engine_name: str) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'nobody.db'}")
    with pytest.raises(StoreUnavailable):
        count_users(store)
    assert not (tmp_path / "nobody.db").exists()


@on_sqlite
def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path, engine_name: str) -> None:
    (tmp_path / "notes.txt").write_text("not a database" * 100)
    store = Store.open(f"sqlite:///{tmp_path / 'notes.txt'}")
    with pytest.raises(StoreUnavailable):
        count_users(store)


@on_sqlite
def test_a_path_may_have_any_characters(
    tmp_path: Path, engine_name: str, sqlite_template: Path
) -> None:
    path = tmp_path / "a ?#%é'.db"
    path.write_bytes(sqlite_template.read_bytes())
    store = Store.open(URL.create("sqlite", database=str(path)))
    assert count_users(store) == 0
    store.close()


@on_sqlite
def test_sqlite_is_told_to_wait_and_to_keep_what_it_acknowledged(store: Store) -> None:
    with store.write() as tx:

        def pragma(name: str) -> object:
            return tx._connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()

        assert pragma("journal_mode") == "wal"
        assert pragma("synchronous") == 2
        assert pragma("foreign_keys") == 1
        assert pragma("busy_timeout") == 5000


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?uri=true", "mysql://localhost/x"]
)
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="sqlite"):
        Store.open(url)


def test_a_login_is_known_by_a_digest_that_only_this_store_can_compute(
    store: Store, empty_database_url: str
) -> None:
    migrate.upgrade(empty_database_url)
    other = Store.open(empty_database_url)
    with store.read() as tx, other.read() as elsewhere:
        digest = tx.login_digest("Ada")
        assert re.fullmatch("[0-9a-f]{32}", digest)
        assert tx.login_digest("Ada") == digest
        # However the letters are written: so the log of one store tells who is meant in one word.
        assert tx.login_digest("aDA") == digest
        assert tx.login_digest("ada.") != digest
        assert elsewhere.login_digest("Ada") != digest
    other.close()
