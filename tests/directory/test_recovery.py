"""Who undoes what: the dead are undone, the living left alone, and a lost lock breaks nothing."""

import threading
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from pathlib import Path

import pytest
from sqlalchemy import text

from accredit_storage.directory.directories import Directories
from accredit_storage.directory.move_locks import AT_A_TIME, move_locks
from accredit_storage.directory.tree import DirectoryTree
from accredit_storage.errors import Conflict, DirectoryConflict, StoreBusy
from accredit_storage.records import Agent
from accredit_storage.store import Store
from tests.directory.agreeing import (
    FILES,
    Undone,
    agents,
    assert_agree,
    contents,
    created,
    deleted,
    on_shelf,
    renamed,
)
from tests.directory.crashing import move_and_die
from tests.directory.making import PATIENCE, started


@pytest.fixture
def scribe(store: Store, directories: Directories) -> Agent:
    """An agent with files."""
    return created(store, directories)


@pytest.fixture
def other(database_url: str, root: Path) -> Generator[Directories]:
    """Another server on the same database and root."""
    store = Store.open(database_url)
    yield Directories(store, root)
    store.close()


def lose_lock(store: Store, directories: Directories) -> None:
    """What a broken session does to the lock of the one move that is under way."""
    if store.engine.dialect.name == "sqlite":
        (lock,) = (directories.tree.root / ".locks").iterdir()
        lock.unlink()
        return
    with store.read() as tx:
        ended = tx.connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks"
                " WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        )
        assert [row[0] for row in ended] == [True]


def test_a_second_server_that_starts_in_a_live_move_undoes_nothing(
    store: Store, directories: Directories, other: Directories, scribe: Agent
) -> None:
    def look() -> None:
        recovered = other.start()
        assert [intent.target for intent in recovered.under_way] == ["clerk"]
        assert recovered.undone == ()

    renamed(store, directories, scribe, "clerk", before=look, after=look)
    assert other.start().under_way == ()
    assert agents(store) == {"clerk": scribe.agent_id}
    assert_agree(store, directories)


def test_nor_does_it_remove_what_is_being_made_ready_or_removed(
    store: Store, directories: Directories, other: Directories, scribe: Agent
) -> None:
    with directories.moves.create("clerk") as creation:
        directories.files.write(creation.place, "SOUL.md", b"")
        other.start()
        assert directories.files.paths(creation.place) == ["SOUL.md"]

    def look() -> None:
        other.start()
        raise Undone

    with pytest.raises(Undone):
        deleted(store, directories, scribe, with_files=True, after=look)
    assert contents(directories, "scribe") == {**FILES, "name": b"scribe"}
    assert_agree(store, directories)


def test_an_undone_move_is_told_of(
    store: Store,
    database_url: str,
    directories: Directories,
    root: Path,
    scribe: Agent,
    caplog: pytest.LogCaptureFixture,
) -> None:
    process = started(move_and_die, database_url, root, "rename", scribe.agent_id, "moved", False)
    process.join(PATIENCE)
    while not (recovered := directories.start()).undone:
        assert recovered.under_way
    (intent,) = recovered.undone
    assert (intent.agent_id, intent.source, intent.target) == (scribe.agent_id, "scribe", "clerk")
    assert "move undone" in caplog.messages
    assert directories.start().undone == ()


def test_a_move_that_lost_its_lock_and_was_undone_gives_up(
    store: Store, directories: Directories, other: Directories, scribe: Agent
) -> None:
    def undo_it() -> None:
        lose_lock(store, directories)
        assert len(other.start().undone) == 1

    with pytest.raises(Conflict):
        renamed(store, directories, scribe, "clerk", before=undo_it)
    assert agents(store) == {"scribe": scribe.agent_id}
    assert_agree(store, directories)


def test_so_does_the_making_of_an_agent(
    store: Store, directories: Directories, other: Directories, scribe: Agent
) -> None:
    def undo_it() -> None:
        lose_lock(store, directories)
        assert len(other.start().undone) == 1

    with pytest.raises(Conflict):
        created(store, directories, "clerk", before=undo_it)
    assert_agree(store, directories)


@pytest.mark.parametrize("commits", [True, False])
def test_a_recovery_that_comes_upon_a_settled_move_waits_for_how_it_ends(
    store: Store,
    directories: Directories,
    other: Directories,
    scribe: Agent,
    commits: bool,
) -> None:
    begun = threading.Event()

    def recover() -> int:
        begun.set()
        return len(other.start().undone)

    with ThreadPoolExecutor(1) as threads:

        def come_upon() -> None:
            recovering.append(threads.submit(recover))
            assert begun.wait(PATIENCE)
            assert contents(directories, "clerk")
            if not commits:
                raise Undone

        recovering: list[Future[int]] = []
        with nullcontext() if commits else pytest.raises(Undone):
            renamed(
                store,
                directories,
                scribe,
                "clerk",
                before=lambda: lose_lock(store, directories),
                after=come_upon,
            )
        recovering[0].result(PATIENCE)
    assert agents(store) == {("clerk" if commits else "scribe"): scribe.agent_id}
    assert_agree(store, directories)


def test_what_cannot_be_undone_now_is_told_and_tried_again(
    store: Store, database_url: str, directories: Directories, root: Path, scribe: Agent
) -> None:
    process = started(move_and_die, database_url, root, "rename", scribe.agent_id, "moved", False)
    process.join(PATIENCE)
    # Somebody puts a directory where the agent's own has to go back to.
    stray = root / "agents" / "scribe"
    stray.mkdir()
    while not (recovered := directories.start()).failed:
        assert recovered.under_way
    (error,) = recovered.failed.values()
    assert isinstance(error, DirectoryConflict)
    with pytest.raises(DirectoryConflict):
        directories.reach(scribe, directories.files.list)
    stray.rmdir()
    assert len(directories.reach(scribe, directories.files.list)) == 3
    directories.start()
    assert_agree(store, directories)


def test_leftovers_on_the_shelves_are_swept_and_what_is_kept_is_not(
    store: Store, directories: Directories, scribe: Agent
) -> None:
    agents_ = directories.tree.root / "agents"
    for shelf in (".new", ".trash", ".kept"):
        (agents_ / shelf / "left" / "a").mkdir(parents=True)
        (agents_ / shelf / "left" / "a" / "file").write_bytes(b"")
    if store.engine.dialect.name == "sqlite":
        (directories.tree.root / ".locks" / "left").write_bytes(b"")
    directories.start()
    assert on_shelf(directories, ".kept") == ["left"]
    assert_agree(store, directories)


def test_a_move_whose_end_could_not_be_told_is_left_to_recovery(
    store: Store,
    directories: Directories,
    scribe: Agent,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stray = directories.tree.root / "agents" / "scribe"

    def be_in_the_way() -> None:
        stray.mkdir()
        raise Undone

    with pytest.raises(Undone):
        renamed(store, directories, scribe, "clerk", after=be_in_the_way)
    assert "move left to recovery" in caplog.messages
    stray.rmdir()
    assert len(directories.start().undone) == 1
    assert_agree(store, directories)


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("connections", "moves"), [(1, 1), (4, 2), (40, AT_A_TIME)])
def test_moves_leave_half_of_the_connections_to_others(
    database_url: str,
    tree: DirectoryTree,
    connections: int,
    moves: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store.open(database_url, pool_size=connections)
    locks = move_locks(store, tree)
    with ExitStack() as stack:
        for number in range(moves):
            stack.enter_context(locks.held(str(number)))
        monkeypatch.setattr("accredit_storage.directory.move_locks.LOCK_WAIT", 0.02)
        with pytest.raises(StoreBusy):
            stack.enter_context(locks.held("one more"))
    store.close()
