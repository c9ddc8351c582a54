"""A process that swaps the names on the way for links, as fast as it can, and gets nothing out."""

import ctypes
import itertools
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from accredit_storage.directory.files import Files, etag_of
from accredit_storage.directory.places import BY_KEY, OwnPlace
from accredit_storage.directory.tree import DirectoryTree
from accredit_storage.errors import FileMissing, PathInvalid
from tests.directory.making import PATIENCE, SCRIBE, listed, pipe, snapshot, started

SECRET = b"nobody may read this"
SECRET_ETAG = etag_of(SECRET)
OURS = b"ours"
EXCHANGE = 2
AT_CWD = -100


def swap_forever(pairs: list[tuple[str, str]], ready: Any) -> None:
    """Exchange the names of each pair, again and again, until the process is killed."""
    exchange = ctypes.CDLL(None, use_errno=True).renameat2
    encoded = [(os.fsencode(one), os.fsencode(other)) for one, other in pairs]
    for turn in itertools.count():
        for one, other in encoded:
            if exchange(AT_CWD, one, AT_CWD, other, EXCHANGE):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        if turn == 10:
            ready.send(None)


@pytest.fixture
def outside(tmp_path: Path, tree: DirectoryTree, files: Files, place: OwnPlace) -> Path:
    """A directory that looks just like the agent's, its marker included, but for the contents."""
    files.write(place, "a/b/notes.md", OURS)
    files.write(place, "notes.md", OURS)
    copy = tmp_path / "outside"
    shutil.copytree(tree.root.joinpath(*SCRIBE.names), copy)
    for path in (copy / "a" / "b" / "notes.md", copy / "notes.md"):
        path.write_bytes(SECRET)
    return copy


def swapped(agents: Path, outside: Path) -> list[tuple[str, str]]:
    """Each name on the way, and beside it a link to its like outside."""
    pairs = []
    for number, name in enumerate(("", "a", "a/b", "a/b/notes.md", "notes.md", ".lock")):
        link = agents / f".link-{number}"
        link.symlink_to(outside / name)
        pairs.append((str(agents / BY_KEY / SCRIBE.name / name).rstrip("/"), str(link)))
    # The directory itself comes last: the names below it have to be found by way of it.
    return [*pairs[1:], pairs[0]]


def attack(files: Files, place: OwnPlace, outside: Path, agents: Path, until: float) -> None:
    before = snapshot(outside)
    pairs = swapped(agents, outside)
    # One after the other: together they would keep each other from being found.
    for pair in pairs:
        receiver, sender = pipe()
        process = started(swap_forever, [pair], sender)
        try:
            assert receiver.poll(PATIENCE)
            refused, done = harass(files, place, time.monotonic() + until)
        finally:
            process.kill()
            process.join(PATIENCE)
        # Otherwise the attack would not have been one.
        assert refused, pair
        assert done, pair
        # What the process was doing when it was killed may have been half a turn.
        if Path(pair[1]).is_symlink() is False:
            os.rename(pair[0], f"{pair[0]}.gone")
            os.rename(pair[1], pair[0])
            os.rename(f"{pair[0]}.gone", pair[1])
        assert snapshot(outside) == before


def harass(files: Files, place: OwnPlace, deadline: float) -> tuple[int, int]:
    """Call everything, for a while and at least until it was refused and done: how often each."""
    refused = done = 0
    for turn in itertools.count():
        path = ("a/b/notes.md", "notes.md", "a/new.md")[turn % 3]
        try:
            match turn % 5:
                case 0 | 1:
                    assert SECRET not in files.read(place, path).content
                case 2:
                    files.write(place, path, OURS)
                case 3:
                    files.append(place, path, b"!")
                case _:
                    assert SECRET_ETAG not in {entry.etag for entry in listed(files, place)}
                    files.delete(place, "a/new.md")
            done += 1
        except (PathInvalid, FileMissing):
            refused += 1
        if time.monotonic() > deadline and refused and done:
            return refused, done
    raise AssertionError


@pytest.mark.parametrize("seconds", [0.3, pytest.param(12.0, marks=pytest.mark.soak)])
def test_a_process_that_swaps_names_for_links_gets_nothing_out(
    files: Files, place: OwnPlace, tree: DirectoryTree, outside: Path, seconds: float
) -> None:
    attack(files, place, outside, tree.root / "agents", seconds)
