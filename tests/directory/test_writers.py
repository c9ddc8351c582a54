"""Writers of several processes in one directory: nothing is lost, mixed or torn."""

import re
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from accredit_storage.directory import locks
from accredit_storage.directory.files import Files
from accredit_storage.directory.folders import Folder
from accredit_storage.directory.places import OwnPlace
from accredit_storage.directory.tree import DirectoryTree
from accredit_storage.errors import DirectoryMissing, EtagMismatch, StoreBusy
from tests.directory.making import PATIENCE, SCRIBE, listed, pipe, started
from tests.storage.making import all_at_once

PLACE = SCRIBE
PROCESSES = 4
THREADS = 8


def append_lines(root: Path, process: int, lines: int) -> None:
    files = Files(DirectoryTree(root))

    def append(thread: int) -> None:
        for line in range(lines):
            text = f"{process}.{thread} {line} {'x' * (line % 50)}\n"
            while True:
                try:
                    files.append(
                        PLACE, "daily/2026/03/01.md", text.encode(), opening=b"# A day\n\n"
                    )
                    break
                except StoreBusy:
                    continue

    all_at_once(THREADS, append)


@pytest.mark.parametrize("lines", [15, pytest.param(1000, marks=pytest.mark.soak)])
def test_lines_of_thirty_two_writers_are_all_there_whole_and_in_order(
    tree: DirectoryTree, files: Files, place: OwnPlace, lines: int
) -> None:
    writers = [started(append_lines, tree.root, each, lines) for each in range(PROCESSES)]
    for writer in writers:
        writer.join(1800)
    assert {writer.exitcode for writer in writers} == {0}
    heading, empty, *rest = files.read(place, "daily/2026/03/01.md").content.split(b"\n")
    assert (heading, empty, rest.pop()) == (b"# A day", b"", b"")
    assert len(rest) == PROCESSES * THREADS * lines
    seen: Counter[bytes] = Counter()
    for line in rest:
        match = re.fullmatch(rb"(\d\.\d) (\d+) (x*)", line)
        assert match
        whose, number, filling = match.groups()
        assert int(number) == seen[whose]
        assert len(filling) == int(number) % 50
        seen[whose] += 1
    assert set(seen.values()) == {lines}


def count_up(root: Path, times: int) -> None:
    files = Files(DirectoryTree(root))

    def count(_: int) -> None:
        for _ in range(times):
            while True:
                found = files.read(PLACE, "counter")
                more = str(int(found.content) + 1).encode()
                try:
                    files.write(PLACE, "counter", more, etag=found.entry.etag)
                    break
                except EtagMismatch:
                    continue

    all_at_once(3, count)


def test_no_update_that_names_its_etag_is_lost(
    tree: DirectoryTree, files: Files, place: OwnPlace
) -> None:
    files.write(place, "counter", b"0")
    writers = [started(count_up, tree.root, 10) for _ in range(3)]
    for writer in writers:
        writer.join(PATIENCE)
    assert {writer.exitcode for writer in writers} == {0}
    assert files.read(place, "counter").content == b"90"


def test_of_those_who_make_a_file_at_once_one_does(files: Files, place: OwnPlace) -> None:
    def make(number: int) -> bool:
        try:
            files.write(place, "a/SOUL.md", f"{number}".encode(), only_if_absent=True)
        except EtagMismatch:
            return False
        return True

    made = all_at_once(12, make)
    assert made.count(True) == 1
    assert files.read(place, "a/SOUL.md").content == str(made.index(True)).encode()


def test_whoever_reads_sees_whole_contents_only(files: Files, place: OwnPlace) -> None:
    contents = {letter * 200_000 for letter in (b"a", b"b", b"c")}
    files.write(place, "notes.md", b"a" * 200_000)
    over = threading.Event()

    def act(number: int) -> int:
        seen = 0
        if number == 0:
            try:
                for _ in range(20):
                    for content in contents:
                        files.write(place, "notes.md", content)
            finally:
                over.set()
            return 1
        while not over.is_set():
            assert files.read(place, "notes.md").content in contents
            assert len(listed(files, place)) == 1
            seen += 1
        return seen

    assert min(all_at_once(4, act)) > 0


def test_folders_come_and_go_under_the_writers(files: Files, place: OwnPlace) -> None:
    def act(number: int) -> None:
        for turn in range(30):
            path = f"a/b/c/{number}.md"
            files.write(place, path, str(turn).encode())
            assert files.read(place, path).content == str(turn).encode()
            files.delete(place, path)

    all_at_once(6, act)
    assert listed(files, place) == []


def keep_lock(root: Path, ready: Any) -> None:
    with Folder.at(root.joinpath(*SCRIBE.names)) as folder, locks.locked(folder, ".lock"):
        ready.send(None)
        threading.Event().wait()


def test_a_lock_that_is_kept_is_waited_for_and_no_longer_than_that(
    tree: DirectoryTree, files: Files, place: OwnPlace
) -> None:
    files.write(place, "notes.md", b"one")
    receiver, sender = pipe()
    keeper = started(keep_lock, tree.root, sender)
    assert receiver.poll(PATIENCE)
    with (
        Folder.at(tree.root.joinpath(*SCRIBE.names)) as folder,
        pytest.raises(StoreBusy),
        locks.locked(folder, ".lock", wait=0.05),
    ):
        pass
    # Reading needs no lock, and the lock is gone when its process is.
    assert files.read(place, "notes.md").content == b"one"
    keeper.kill()
    keeper.join(PATIENCE)
    files.write(place, "notes.md", b"two")


def test_threads_of_one_process_exclude_each_other(tree: DirectoryTree) -> None:
    with (
        Folder.at(tree.root) as folder,
        locks.locked(folder, ".lock"),
        pytest.raises(StoreBusy),
        locks.locked(folder, ".lock", wait=0.01),
    ):
        pass


def test_a_lock_that_was_removed_meanwhile_is_taken_anew(tree: DirectoryTree) -> None:
    inside = 0

    def act(_: int) -> None:
        nonlocal inside
        for _ in range(50):
            with Folder.at(tree.root) as folder, locks.locked(folder, "a lock", wait=30):
                inside += 1
                assert inside == 1
                inside -= 1
                # As whoever tidies up does: from here on the next one may come in.
                folder.remove("a lock")

    all_at_once(6, act)


def test_a_writer_whose_directory_goes_meanwhile_is_told(
    tree: DirectoryTree, files: Files, place: OwnPlace
) -> None:
    home = tree.root.joinpath(*SCRIBE.names)
    refused: list[BaseException] = []

    def write() -> None:
        try:
            files.write(place, "notes.md", b"")
        except DirectoryMissing as error:
            refused.append(error)

    with Folder.at(home) as folder, locks.locked(folder, ".lock"):
        writer = threading.Thread(target=write)
        writer.start()
        for path in home.iterdir():
            path.unlink()
        home.rmdir()
    writer.join(PATIENCE)
    assert len(refused) == 1
