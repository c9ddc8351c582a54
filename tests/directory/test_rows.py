"""Rows and their directories: found, lost, given back, put aside, and whose nobody else gets."""

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import make_url

from accredit_storage.directory.directories import Directories
from accredit_storage.directory.places import Place, place_of
from accredit_storage.directory.sweeping import lost, strays
from accredit_storage.engine import sqlite_path
from accredit_storage.errors import DirectoryMissing, FilesUnavailable, OwnerMissing
from accredit_storage.records import Agent
from accredit_storage.store import Store
from tests.directory.agreeing import assert_agree
from tests.directory.making import snapshot
from tests.storage.making import agent, user

LATER = datetime.now(UTC) + timedelta(hours=2)


def made(store: Store, directories: Directories, slug: str = "scribe") -> Agent:
    """An agent whose directory was made, with its slug in a file."""
    with store.write() as tx:
        row = agent(tx, tx.users.find_by_login("ada") or user(tx), slug)
    directories.make(row)
    with store.write() as tx:
        tx.agents.set_files_made([row.agent_id])
    directories.files.write(place_of(row), "name", slug.encode())
    return row


def name_of(directories: Directories, row: Agent) -> bytes:
    return directories.reach(row, lambda place: directories.files.read(place, "name").content)


def sweep(
    store: Store,
    directories: Directories,
    at: datetime = LATER,
    kept_for: timedelta | None = None,
) -> None:
    """Put the tree in order as of a moment."""
    later = Directories(store, directories.tree.root, now=lambda: at, kept_for=kept_for)
    later.start()


@pytest.fixture
def scribe(store: Store, directories: Directories) -> Agent:
    return made(store, directories)


def test_a_directory_that_was_not_made_is_missing_and_one_that_was_is_lost(
    store: Store, directories: Directories, scribe: Agent
) -> None:
    with store.write() as tx:
        bare = agent(tx, user(tx, "bob"), "bare")
    with pytest.raises(DirectoryMissing):
        name_of(directories, bare)
    home = directories.tree.root.joinpath(*place_of(scribe).names)
    shutil.rmtree(home)
    for act in (directories.files.paths, directories.state_of):
        with pytest.raises(FilesUnavailable, match="is missing"):
            directories.reach(scribe, act)
    assert not home.exists()
    assert lost(store, directories.tree) == [f"agents/scribe ({place_of(scribe).name})"]
    with store.write() as tx:
        tx.agents.delete(scribe.agent_id)
    with pytest.raises(OwnerMissing):
        name_of(directories, scribe)


@pytest.mark.parametrize("shelf", [".kept", ".trash"])
@pytest.mark.parametrize("by", ["who reads", "the sweep"])
def test_what_was_put_aside_is_given_back_to_its_row(
    store: Store, directories: Directories, scribe: Agent, shelf: str, by: str
) -> None:
    directories.tree.put_aside(place_of(scribe), shelf=shelf)
    if by == "the sweep":
        sweep(store, directories)
    assert name_of(directories, scribe) == b"scribe"
    assert_agree(store, directories)


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_beside_an_older_database_nobody_gets_the_files_of_a_later_time(
    store: Store, database_url: str, directories: Directories, tmp_path: Path
) -> None:
    early = made(store, directories, "early")
    backup, path = tmp_path / "backup.db", sqlite_path(make_url(database_url))
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    late = made(store, directories, "late")
    store.close()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copyfile(backup, path)
    older = Store.open(database_url)
    again = Directories(older, directories.tree.root)
    again.start()
    twin = made(older, again, "another")
    assert (twin.agent_id, twin.directory_key != late.directory_key) == (late.agent_id, True)
    assert name_of(again, twin) == b"another"
    assert name_of(again, early) == b"early"
    sweep(older, again)
    kept = directories.tree.root / "agents" / ".kept" / place_of(late).name
    assert (kept / "name").read_bytes() == b"late"
    assert_agree(older, again)
    older.close()


def test_a_directory_without_a_row_is_put_aside_after_an_hour_and_kept_for_ever(
    store: Store, directories: Directories, scribe: Agent
) -> None:
    home = directories.tree.root.joinpath(*place_of(scribe).names)
    with store.write() as tx:
        tx.agents.delete(scribe.agent_id)
    sweep(store, directories, datetime.now(UTC) + timedelta(minutes=59))
    assert home.is_dir()
    sweep(store, directories)
    kept = directories.tree.root / "agents" / ".kept" / home.name
    assert snapshot(kept)["name"] == b"scribe"
    sweep(store, directories, datetime.now(UTC) + timedelta(days=10_000))
    assert kept.is_dir()
    week = timedelta(days=7)
    sweep(store, directories, datetime.now(UTC) + timedelta(days=6), kept_for=week)
    assert kept.is_dir()
    sweep(store, directories, datetime.now(UTC) + timedelta(days=8), kept_for=week)
    assert not kept.exists()


def test_the_trash_is_emptied_after_an_hour(
    store: Store, directories: Directories, scribe: Agent
) -> None:
    trash = directories.tree.root / "agents" / ".trash"
    with store.write() as tx:
        tx.agents.delete(scribe.agent_id)
    directories.tree.put_aside(place_of(scribe), shelf=".trash")
    (trash / "of the time before").mkdir()
    sweep(store, directories, datetime.now(UTC))
    assert len(list(trash.iterdir())) == 2
    sweep(store, directories)
    assert list(trash.iterdir()) == []


def test_nothing_follows_a_link(
    store: Store, directories: Directories, scribe: Agent, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("kept")
    root = directories.tree.root
    with store.write() as tx:
        tx.agents.delete(scribe.agent_id)
    directories.tree.put_aside(place_of(scribe), shelf=".trash")
    (root / "agents/.trash" / place_of(scribe).name / "link").symlink_to(outside)
    (root / "agents/.trash" / "linked").symlink_to(outside)
    (root / "agents/.id" / "9.abcdefghijklmnop").symlink_to(outside)
    sweep(store, directories)
    assert (outside / "precious").read_text() == "kept"
    assert [path.name for path in outside.iterdir()] == ["precious"]


def test_links_are_put_right_and_what_is_not_ours_is_reported(
    store: Store, directories: Directories, scribe: Agent
) -> None:
    agents = directories.tree.root / "agents"
    other = made(store, directories, "other")
    (agents / "scribe").unlink()
    (agents / "other").unlink()
    (agents / "other").symlink_to(f".id/{place_of(scribe).name}")
    (agents / "former").symlink_to(f".id/{place_of(scribe).name}")
    (agents / "gone").symlink_to(".id/99.abcdefghijklmnop")
    (agents / "stray").mkdir()
    (agents / "elsewhere").symlink_to("/etc")
    sweep(store, directories)
    sweep(store, directories)
    assert (agents / "scribe").readlink() == Path(".id", place_of(scribe).name)
    assert (agents / "other").readlink() == Path(".id", place_of(other).name)
    assert not (agents / "former").is_symlink()
    assert not (agents / "gone").is_symlink()
    assert strays(directories.tree) == ["agents/elsewhere", "agents/stray"]


def test_where_there_are_no_links_everything_else_works_and_says_so_once(
    store: Store,
    directories: Directories,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refused(*_arguments: object, **_named: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "symlink", refused)
    rows = [made(store, directories, f"agent-{number}") for number in range(3)]
    assert [name_of(directories, row) for row in rows] == [b"agent-0", b"agent-1", b"agent-2"]
    directories.sweep()
    assert [record.message for record in caplog.records].count("no link") == 1


def test_files_are_refused_until_the_tree_was_looked_at(
    store: Store, directories: Directories, scribe: Agent
) -> None:
    later = Directories(store, directories.tree.root)
    with pytest.raises(FilesUnavailable):
        name_of(later, scribe)
    later.start()
    assert name_of(later, scribe) == b"scribe"


def away(root: Path) -> None:
    root.rename(root.with_name("away"))


def emptied(root: Path) -> None:
    away(root)
    root.mkdir()


def anothers(root: Path) -> None:
    (root / ".store").write_text("0" * 32)


@pytest.mark.parametrize("harm", [away, emptied, anothers])
def test_a_tree_that_is_not_the_databases_is_not_begun(
    store: Store, directories: Directories, scribe: Agent, harm: Callable[[Path], None]
) -> None:
    root = directories.tree.root
    harm(root)
    before = sorted(root.rglob("*")) if root.exists() else None
    later = Directories(store, root)
    with pytest.raises(FilesUnavailable, match="is its volume mounted"):
        later.start()
    with pytest.raises(FilesUnavailable):
        later.reach(scribe, lambda place: later.files.write(place, "name", b"elsewhere"))
    assert (sorted(root.rglob("*")) if root.exists() else None) == before


def test_it_is_begun_when_its_volume_is_there_again(
    store: Store, directories: Directories, scribe: Agent
) -> None:
    root = directories.tree.root
    later = Directories(store, root)
    away(root)
    with pytest.raises(FilesUnavailable):
        later.start()
    root.with_name("away").rename(root)
    later.start()
    assert name_of(later, scribe) == b"scribe"


def test_servers_that_start_together_begin_one_tree(store: Store, root: Path) -> None:
    first, second = Directories(store, root), Directories(store, root)
    first.start()
    second.start()
    third = Directories(store, root.with_name("of-its-own"))
    with pytest.raises(FilesUnavailable):
        third.start()


def test_sweeps_of_two_servers_and_writers_come_in_each_others_way_nowhere(
    store: Store, directories: Directories
) -> None:
    rows = [made(store, directories, f"agent-{number}") for number in range(8)]
    done = threading.Event()

    def sweep_on() -> int:
        runs = 0
        while not done.is_set():
            sweep(store, directories)
            runs += 1
        return runs

    def write(row: Agent) -> None:
        for number in range(30):
            line = f"{number}\n".encode()
            directories.reach(row, partial(append, line=line))

    def append(place: Place, line: bytes) -> None:
        directories.files.append(place, "lines", line)

    with ThreadPoolExecutor(6) as threads:
        sweepers = [threads.submit(sweep_on) for _ in range(2)]
        list(threads.map(write, rows))
        done.set()
        assert all(one.result() for one in sweepers)
    lines = "".join(f"{number}\n" for number in range(30)).encode()
    for row in rows:
        found = directories.reach(row, lambda place: directories.files.read(place, "lines").content)
        assert found == lines
    assert_agree(store, directories)
