"""How many files and how much a directory may hold, also when many write at once."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from accredit_storage.directory.files import Files
from accredit_storage.directory.limits import FileLimits
from accredit_storage.directory.places import SHARED, OwnPlace
from accredit_storage.directory.tree import DirectoryTree
from accredit_storage.errors import QuotaExceeded
from tests.directory.making import PATIENCE, SCRIBE, home, listed, started
from tests.storage.making import all_at_once


def exceeds(act: Callable[[], object]) -> tuple[str, int]:
    with pytest.raises(QuotaExceeded) as caught:
        act()
    return caught.value.counted, caught.value.limit


def test_there_are_no_more_files_than_allowed(tree: DirectoryTree, place: OwnPlace) -> None:
    files = Files(tree, FileLimits(files_per_agent=3))
    for path in ("a", "b/c", "d/e/f"):
        files.write(place, path, b"")
    assert exceeds(lambda: files.write(place, "g", b"")) == ("files", 3)
    assert exceeds(lambda: files.append(place, "x/y", b"")) == ("files", 3)
    assert files.paths(place) == ["a", "b/c", "d/e/f"]
    files.write(place, "a", b"more")
    files.append(place, "b/c", b"more")
    files.delete(place, "a")
    files.write(place, "g", b"")


def test_there_are_no_more_bytes_than_allowed(tree: DirectoryTree, place: OwnPlace) -> None:
    files = Files(tree, FileLimits(bytes_per_agent=10))
    files.write(place, "a", b"x" * 6)
    files.write(place, "b/c", b"x" * 4)
    assert exceeds(lambda: files.write(place, "d", b"x")) == ("bytes", 10)
    assert exceeds(lambda: files.append(place, "a", b"x")) == ("bytes", 10)
    assert exceeds(lambda: files.write(place, "a", b"x" * 7)) == ("bytes", 10)
    files.write(place, "d", b"")
    files.write(place, "a", b"y" * 6)
    files.write(place, "a", b"y")
    files.append(place, "b/c", b"x" * 5)
    assert [entry.size for entry in listed(files, place)] == [1, 9, 0]


def test_a_full_directory_can_be_made_smaller_where_the_bound_was_lowered(
    tree: DirectoryTree, files: Files, place: OwnPlace
) -> None:
    files.write(place, "a", b"x" * 100)
    files.write(place, "b", b"x" * 100)
    lower = Files(tree, FileLimits(bytes_per_agent=10, files_per_agent=1))
    lower.write(place, "a", b"x" * 99)
    assert exceeds(lambda: lower.append(place, "a", b"x")) == ("bytes", 10)
    lower.delete(place, "b")
    lower.write(place, "a", b"")
    lower.append(place, "a", b"x" * 10)


def test_each_directory_has_its_own_room(tree: DirectoryTree, place: OwnPlace) -> None:
    files = Files(tree, FileLimits(files_per_agent=1))
    other = home(tree, OwnPlace("agents", 8, SCRIBE.key))
    for each in (place, other, SHARED):
        files.write(each, "a", b"")
        assert exceeds(partial(files.write, each, "b", b"")) == ("files", 1)


def fill(root: Any, limits: FileLimits, writer: int) -> None:
    """Write until there is no room, in threads of this process."""
    tree = DirectoryTree(root)
    files = Files(tree, limits)
    place = SCRIBE

    def write(number: int) -> None:
        try:
            for turn in range(1000):
                files.append(place, f"{writer}/{number}/{turn // 3}.md", b"x" * 100)
        except QuotaExceeded:
            return
        raise AssertionError("there was room without end")

    all_at_once(4, write)


@pytest.mark.parametrize(
    "limits",
    [FileLimits(bytes_per_agent=20_050), FileLimits(files_per_agent=40)],
    ids=["bytes", "files"],
)
def test_writers_of_several_processes_fill_it_exactly(
    tree: DirectoryTree, place: OwnPlace, limits: FileLimits
) -> None:
    writers = [started(fill, tree.root, limits, number) for number in range(3)]
    for writer in writers:
        writer.join(PATIENCE)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    found = listed(Files(tree), place)
    if limits.files_per_agent == 40:
        assert len(found) == 40
    else:
        assert sum(entry.size for entry in found) == 20_000
