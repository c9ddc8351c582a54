"""Moves that come too late, after somebody else has given them up; and trees of other databases."""

from collections.abc import Callable
from pathlib import Path

import pytest

from accredit_storage.directory.directories import Directories
from accredit_storage.directory.moves import Moves
from accredit_storage.directory.places import AgentPlace
from accredit_storage.errors import FilesUnavailable
from accredit_storage.records import Agent
from accredit_storage.store import Store
from tests.storage.making import NOW, user
from tests.storage.making import agent as make_agent


class StillError(Exception):
    """The process stands still, and loses its sessions."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def directories(store: Store, root: Path) -> Directories:
    made = Directories(store, root)
    made.start()
    return made


@pytest.fixture
def agent(store: Store, directories: Directories) -> Agent:
    """An agent with a file."""
    with store.write() as tx:
        made = make_agent(tx, user(tx))
    directories.reach(made, lambda place: directories.files.write(place, "kept.md", b"kept"))
    return made


def content(directories: Directories, agent: Agent) -> bytes:
    return directories.reach(
        agent, lambda place: directories.files.read(place, "kept.md").content, make=False
    )


@pytest.mark.parametrize("with_files", [True, False])
def test_what_a_late_delete_has_moved_is_put_back_when_it_fails(
    store: Store,
    directories: Directories,
    agent: Agent,
    with_files: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stands_still(step: str) -> None:
        if step == "moved":
            raise StillError

    moves = Moves(store, directories.tree, now=lambda: NOW, watch=stands_still)
    finish = moves.recovery.finish

    def withdrawn(holder: str) -> None:
        """As by another server, to which the lock was free and the directory at its source."""
        with store.write() as tx:
            for intent in tx.intents.of_holder(holder):
                tx.intents.remove(intent.intent_id)
        finish(holder)

    monkeypatch.setattr(moves.recovery, "finish", withdrawn)
    with pytest.raises(StillError):
        delete(moves, store, agent, with_files=with_files)
    assert directories.files.read(AgentPlace("scribe", agent.agent_id), "kept.md")


def delete(moves: Moves, store: Store, agent: Agent, *, with_files: bool) -> None:
    with (
        moves.delete(agent.agent_id, "scribe", with_files=with_files) as move,
        store.write() as tx,
    ):
        tx.agents.delete(agent.agent_id)
        move.settle(tx)


@pytest.mark.parametrize(
    "place",
    ["other", ".trash/0123", ".kept/scribe.1.20260101T000000Z", ".new/0123"],
)
def test_a_directory_that_is_in_a_wrong_place_is_found_when_it_is_missed(
    directories: Directories, root: Path, agent: Agent, place: str
) -> None:
    (root / "agents/scribe").rename(root / "agents" / place)
    directories.start()
    directories.sweep()
    directories.reach(agent, lambda at: directories.files.append(at, "kept.md", b" on"))
    assert content(directories, agent) == b"kept on"
    assert not (root / "agents" / place).exists()


def test_the_trash_of_a_deleted_agent_is_swept(
    directories: Directories, store: Store, root: Path, agent: Agent
) -> None:
    (root / "agents/scribe").rename(root / "agents/.trash/0123")
    with store.write() as tx:
        tx.agents.delete(agent.agent_id)
    directories.sweep()
    assert list((root / "agents/.trash").iterdir()) == []


def test_a_backup_by_hard_links_keeps_agents_from_nothing_but_those_files(
    directories: Directories, root: Path, tmp_path: Path, agent: Agent
) -> None:
    for name in (".agent", "kept.md"):
        (tmp_path / name.strip(".")).hardlink_to(root / "agents/scribe" / name)
    directories.reach(agent, lambda at: directories.files.write(at, "new.md", b"new"), make=False)
    assert (root / "agents/scribe/new.md").read_bytes() == b"new"


def away(root: Path) -> None:
    root.rename(root.with_name("away"))


def emptied(root: Path) -> None:
    away(root)
    root.mkdir()


def anothers(root: Path) -> None:
    (root / ".store").write_text("0" * 32)


@pytest.mark.parametrize("harm", [away, emptied, anothers])
def test_a_tree_that_is_not_the_databases_is_not_begun(
    store: Store, root: Path, agent: Agent, harm: Callable[[Path], None]
) -> None:
    harm(root)
    before = sorted(root.rglob("*")) if root.exists() else None
    later = Directories(store, root)
    with pytest.raises(FilesUnavailable, match="is its volume mounted"):
        later.start()
    with pytest.raises(FilesUnavailable):
        later.reach(agent, lambda place: later.files.write(place, "kept.md", b"elsewhere"))
    assert (sorted(root.rglob("*")) if root.exists() else None) == before


def test_it_is_begun_when_its_volume_is_there_again(store: Store, root: Path, agent: Agent) -> None:
    later = Directories(store, root)
    away(root)
    with pytest.raises(FilesUnavailable):
        later.start()
    root.with_name("away").rename(root)
    later.start()
    assert content(later, agent) == b"kept"


def test_servers_that_start_together_begin_one_tree(store: Store, root: Path) -> None:
    first, second = Directories(store, root), Directories(store, root)
    first.start()
    second.start()
    third = Directories(store, root.with_name("of-its-own"))
    with pytest.raises(FilesUnavailable):
        third.start()
