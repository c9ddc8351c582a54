"""A rename that lands after another server has withdrawn its intent loses no files."""

import os
import subprocess
from collections.abc import Generator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from accredit_storage.directory.directories import Directories
from accredit_storage.directory.moves import Creation, Move, Moves
from accredit_storage.directory.tree import DirectoryTree
from accredit_storage.errors import Conflict, DirectoryConflict, FilesUnavailable, StoreUnavailable
from accredit_storage.records import Agent
from accredit_storage.store import Store, WriteTransaction
from tests.directory.agreeing import (
    FILES,
    Undone,
    agents,
    assert_agree,
    contents,
    created,
    deleted,
    on_shelf,
    undo,
)
from tests.storage.making import NOW, agent, all_at_once

#: On SQLite there is nothing left to be committed, which the store takes for a bug.
COMMIT_FAILS = (RuntimeError, StoreUnavailable)

THEIRS = {**FILES, "name": b"scribe"}


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


def lose_everything(tx: WriteTransaction, other: Directories) -> None:
    """End what a server has in the database: its transaction, and the lock of its move."""
    if tx.connection.dialect.name == "sqlite":
        connection = tx.connection.connection.dbapi_connection
        assert connection
        connection.rollback()
        (lock,) = (other.tree.root / ".locks").iterdir()
        lock.unlink()
        return
    with other.moves.recovery._store.read() as theirs:
        theirs.connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )


class Late:
    """A server that stands still in the very rename, until another has undone the move."""

    def __init__(self, store: Store, root: Path, other: Directories) -> None:
        self._store = store
        self._other = other
        self._agents = root / "agents"
        self._moving: tuple[Move | Creation, WriteTransaction] | None = None
        tree = DirectoryTree(root)
        self.moves = Moves(store, tree, now=lambda: datetime.now(UTC), watch=self._watch)

    def _watch(self, step: str) -> None:
        if step != "moved":
            return
        assert self._moving
        move, tx = self._moving
        source = self._agents / move.intent.source
        target = self._agents / move.intent.target
        # As before the rename.
        target.rename(source)
        lose_everything(tx, self._other)
        assert len(self._other.start().undone) == 1
        # And now it lands; a directory that was only being made has gone.
        if source.exists():
            source.rename(target)

    def settle(self, move: Move, tx: WriteTransaction) -> None:
        """Move the directory, late."""
        self._moving = move, tx
        move.settle(tx)

    def move(self, kind: str, who: Agent) -> None:
        """Rename or delete the agent, which fails after its directory was moved."""
        if kind == "rename":
            moving = self.moves.rename(who.agent_id, who.agent_slug, "clerk")
        else:
            moving = self.moves.delete(who.agent_id, who.agent_slug, with_files=kind == "delete")
        with moving as move, self._store.write() as tx:
            if kind == "rename":
                tx.agents.update(who.agent_id, at=NOW, agent_slug="clerk")
            else:
                tx.agents.delete(who.agent_id)
            self.settle(move, tx)

    def create(self, slug: str) -> None:
        """Create an agent, which fails after its directory was moved."""
        with self.moves.create(slug) as creation, self._store.write() as tx:
            self._moving = creation, tx
            owner = tx.users.find_by_login("ada")
            assert owner
            creation.settle_as(tx, agent(tx, owner, slug).agent_id)


@pytest.mark.parametrize("kind", ["rename", "delete", "keep"])
def test_whoever_made_it_puts_the_directory_back(
    store: Store,
    directories: Directories,
    other: Directories,
    root: Path,
    scribe: Agent,
    kind: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(COMMIT_FAILS):
        Late(store, root, other).move(kind, scribe)
    assert contents(directories, "scribe") == THEIRS
    assert "lost directory found" in caplog.messages
    assert_agree(store, directories)


def test_also_where_its_caller_says_nothing_of_the_failure(
    store: Store, directories: Directories, other: Directories, root: Path, scribe: Agent
) -> None:
    late = Late(store, root, other)
    moving = late.moves.delete(scribe.agent_id, "scribe", with_files=True)
    with moving as move, suppress(*COMMIT_FAILS), store.write() as tx:
        tx.agents.delete(scribe.agent_id)
        late.settle(move, tx)
    assert contents(directories, "scribe") == THEIRS
    assert_agree(store, directories)


@pytest.mark.parametrize("shelf", [".trash", ".new"])
def test_what_is_a_living_agents_is_never_swept(
    store: Store, directories: Directories, scribe: Agent, shelf: str
) -> None:
    agents_ = directories.tree.root / "agents"
    (agents_ / "scribe").rename(agents_ / shelf / "left")
    (agents_ / shelf / "nobodys").mkdir()
    directories.start()
    directories.sweep()
    assert on_shelf(directories, shelf) == ["left"]
    assert contents(directories, f"{shelf}/left") == THEIRS


def test_what_is_a_dead_agents_is_swept_by_the_hour(
    store: Store, directories: Directories, scribe: Agent
) -> None:
    agents_ = directories.tree.root / "agents"
    (agents_ / "scribe").rename(agents_ / ".trash" / "left")
    with store.write() as tx:
        tx.agents.delete(scribe.agent_id)
    (agents_ / ".new" / "left").mkdir()
    directories.sweep()
    assert_agree(store, directories)


@pytest.mark.parametrize("lost", ["clerk", ".trash/left", ".new/left", ".kept/left"])
def test_a_lost_directory_is_found_before_a_new_one_is_made(
    store: Store, directories: Directories, scribe: Agent, lost: str
) -> None:
    agents_ = directories.tree.root / "agents"
    (agents_ / "scribe").rename(agents_ / lost)
    directories.reach(
        scribe, lambda place: directories.files.write(place, "new.md", b"written after")
    )
    assert contents(directories, "scribe") == {**THEIRS, "new.md": b"written after"}
    assert_agree(store, directories)


def test_a_lost_directory_is_found_by_many_at_once(
    store: Store, directories: Directories, scribe: Agent
) -> None:
    agents_ = directories.tree.root / "agents"
    (agents_ / "scribe").rename(agents_ / "clerk")

    def write(number: int) -> None:
        directories.reach(
            scribe, lambda place: directories.files.append(place, "log", f"{number}\n".encode())
        )

    all_at_once(6, write)
    found = contents(directories, "scribe")
    assert len(found.pop("log").splitlines()) == 6
    assert found == THEIRS
    assert_agree(store, directories)


def test_a_lost_directory_is_left_alone_while_a_move_touches_it(
    store: Store, directories: Directories, scribe: Agent
) -> None:
    created(store, directories, "poet")
    agents_ = directories.tree.root / "agents"
    (agents_ / "scribe").rename(agents_ / "clerk")
    with (
        directories.moves.rename(scribe.agent_id, "scribe", "novelist"),
        pytest.raises(Conflict),
    ):
        directories.moves.ensure(scribe.agent_id, "scribe")
    assert contents(directories, "clerk") == THEIRS
    directories.moves.ensure(scribe.agent_id, "scribe")
    assert contents(directories, "scribe") == THEIRS


def test_a_lost_directory_replaces_no_stray(
    store: Store, directories: Directories, scribe: Agent
) -> None:
    agents_ = directories.tree.root / "agents"
    (agents_ / "scribe").rename(agents_ / "clerk")
    (agents_ / "scribe").mkdir()
    with pytest.raises(DirectoryConflict) as caught:
        directories.reach(scribe, directories.files.list)
    assert caught.value.name == "scribe"
    assert contents(directories, "clerk") == THEIRS
    assert contents(directories, "scribe") == {}


def test_what_may_not_be_entered_keeps_no_agent_from_its_directory(
    store: Store, directories: Directories, scribe: Agent
) -> None:
    agents_ = directories.tree.root / "agents"
    (agents_ / "a file").write_bytes(b"")
    (agents_ / "a link").symlink_to(agents_ / "scribe")
    (agents_ / "scribe").rename(agents_ / "clerk")
    assert len(directories.reach(scribe, directories.files.list)) == 3
    assert agents(store) == {"scribe": scribe.agent_id}


def test_a_late_creation_leaves_no_stray(
    store: Store, directories: Directories, other: Directories, root: Path, scribe: Agent
) -> None:
    with pytest.raises(COMMIT_FAILS):
        Late(store, root, other).create("clerk")
    assert_agree(store, directories)
    created(store, directories, "clerk")
    assert_agree(store, directories)


@pytest.mark.parametrize("kind", ["file", "link"])
@pytest.mark.parametrize("shelf", [".new", ".kept", ".trash"])
def test_what_is_no_shelf_is_the_operators_fault_and_no_callers(
    store: Store, directories: Directories, scribe: Agent, shelf: str, kind: str
) -> None:
    path = directories.tree.root / "agents" / shelf
    path.rmdir()
    path.write_bytes(b"") if kind == "file" else path.symlink_to(path.parent)
    with pytest.raises(FilesUnavailable, match="folder"):
        directories.moves.homes.on(shelf)
    with pytest.raises(FilesUnavailable, match="folder"):
        directories.tree.prepare()


def test_the_directory_of_a_creation_that_failed_is_nobodys(
    store: Store, directories: Directories, root: Path, scribe: Agent
) -> None:
    # On SQLite the next agent gets the id that this one was to have.
    found = []

    def watch(step: str) -> None:
        if step == "withdrawn":
            found.extend(directories.moves.homes.on(".new"))
            owners.extend(directories.moves.homes.owner(name) for name in found)

    owners: list[int | None] = []
    moves = Moves(store, directories.tree, now=lambda: datetime.now(UTC), watch=watch)
    poets = Directories(store, root)
    poets.moves = moves
    with pytest.raises(Undone):
        created(store, poets, "poet", after=undo)
    assert len(found) == 1
    assert owners == [0]
    assert_agree(store, directories)


def test_a_tree_too_deep_to_be_removed_keeps_nobody_from_deleting(
    store: Store, directories: Directories, scribe: Agent
) -> None:
    here = os.open(directories.tree.root / "agents" / "scribe", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    deleted(store, directories, scribe, with_files=True)
    directories.sweep()
    assert agents(store) == {}
    # Or what clears the test's folder away meets it.
    subprocess.run(["rm", "-rf", str(directories.tree.root / "agents" / ".trash")], check=True)
