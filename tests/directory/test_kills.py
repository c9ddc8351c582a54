"""Writers that are killed: the file is the old one or the new one, and nothing stays behind."""

import itertools
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from accredit_storage.directory.files import Files
from accredit_storage.directory.folders import Folder
from accredit_storage.directory.locks import locked
from accredit_storage.directory.places import SHARED, OwnPlace
from accredit_storage.directory.sweeping import sweep_unfinished
from accredit_storage.directory.tree import DirectoryTree
from tests.directory.making import (
    PATIENCE,
    SCRIBE,
    files_in,
    home,
    pipe,
    snapshot,
    started,
    user_place,
)

PLACE = SCRIBE
SIZES = (0, 1, 4096, 100_000, 1_000_000)


def content(number: int) -> bytes:
    """Tells its number and its length."""
    size = SIZES[number % len(SIZES)]
    return f"{number} {size}\n".encode() + bytes([number % 256]) * size


def write_forever(root: Path, began: Any) -> None:
    files = Files(DirectoryTree(root))
    began.send(None)
    number = 0
    while True:
        files.write(PLACE, "a/notes.md", content(number))
        files.append(PLACE, "journal.md", f"{number}\n".encode())
        number += 1


@pytest.mark.parametrize("kills", [12, pytest.param(1000, marks=pytest.mark.soak)])
def test_a_killed_writer_tears_nothing(
    tree: DirectoryTree, files: Files, place: OwnPlace, kills: int
) -> None:
    chance = random.Random(kills)
    written = torn = 0
    for turn in itertools.count():
        # A kill that came too early or too late proves nothing.
        if turn >= kills and written and torn:
            break
        receiver, sender = pipe()
        writer = started(write_forever, tree.root, sender)
        assert receiver.poll(PATIENCE)
        receiver.recv()
        # Nothing more is sent: this waits, and then the writer is somewhere in its work.
        assert not receiver.poll(chance.uniform(0, 0.02))
        writer.kill()
        writer.join(PATIENCE)
        for path, found in files_in(tree.root.joinpath(*SCRIBE.names)).items():
            first, _, rest = found.partition(b"\n")
            if path == "journal.md":
                lines = found.decode().splitlines()
                assert found.endswith(b"\n")
                assert [int(line) for line in lines] == list(range(len(lines)))
            else:
                number, size = map(int, first.split())
                assert rest == bytes([number % 256]) * size
                written += 1
        torn += sum(".unfinished-" in name for name in snapshot(tree.root))
        sweep_unfinished(tree)
        assert not [name for name in snapshot(tree.root) if ".unfinished-" in name]
        for path in files.paths(place):
            files.delete(place, path)


def test_a_sweep_removes_what_nobody_will_finish_and_nothing_else(
    tree: DirectoryTree, files: Files, place: OwnPlace
) -> None:
    for each in (place, home(tree, user_place(3)), SHARED):
        files.write(each, "a/notes.md", b"kept")
        tree.root.joinpath(*each.names, "a", ".unfinished-1").write_bytes(b"half")
    tree.root.joinpath(*place.names, ".unfinished-2").write_bytes(b"half")
    (tree.root / "agents" / ".id" / "a file").write_bytes(b"")
    (tree.root / "agents" / ".id" / "a link").symlink_to(tree.root)
    assert sweep_unfinished(tree) == 4
    assert sweep_unfinished(tree) == 0
    assert set(files_in(tree.root)) == {
        "agents/.id/a file",
        "agents/.id/7.abcdefghijklmnop/a/notes.md",
        "shared/a/notes.md",
        "users/.id/3.abcdefghijklmnop/a/notes.md",
    }


def test_a_sweep_leaves_the_file_that_somebody_is_writing(
    tree: DirectoryTree, place: OwnPlace
) -> None:
    folder = tree.root.joinpath(*place.names)
    (folder / ".unfinished-1").write_bytes(b"half")
    with Folder.at(folder) as opened, locked(opened, ".lock"):
        assert sweep_unfinished(tree) == 0
        assert (folder / ".unfinished-1").exists()
    assert sweep_unfinished(tree) == 1


def test_a_sweep_goes_on_past_what_is_odd(
    tree: DirectoryTree, files: Files, place: OwnPlace
) -> None:
    odd = tree.root / "agents" / ".id" / "odd"
    (odd / ".unfinished-folder").mkdir(parents=True)
    (odd / ".unfinished-link").symlink_to(tree.root)
    (tree.root / "users" / ".id" / "1" / ".lock").mkdir(parents=True)
    (tree.root / "users" / ".id" / "1" / ".unfinished-1").write_bytes(b"half")
    here = os.open(odd, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    half = []
    for each in (place, home(tree, user_place(3)), SHARED):
        files.write(each, "a/b/c/d/e/f/g/notes.md", b"kept")
        half.append(tree.root.joinpath(*each.names, *"abcdefg", ".unfinished-1"))
        half[-1].write_bytes(b"half")
    assert sweep_unfinished(tree) == 3
    assert not any(path.exists() for path in half)
    assert (odd / ".unfinished-folder").is_dir()
    # Or what clears the test's folder away meets it.
    subprocess.run(["rm", "-rf", str(odd)], check=True)
