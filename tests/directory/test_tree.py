"""The tree, and whether only its owner can get at it."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from accredit_storage.directory.files import Files
from accredit_storage.directory.places import LEGACY, NETWORK, SHARED, OwnPlace, Place
from accredit_storage.directory.tree import DirectoryTree
from accredit_storage.errors import DirectoryMissing, FilesUnavailable, PathInvalid
from tests.directory.making import SCRIBE, home, listed, user_place

MAKE = """
import os, sys
from pathlib import Path
from accredit_storage.directory.files import Files
from accredit_storage.directory.tree import DirectoryTree
from tests.directory.making import SCRIBE, home, listed, user_place

os.umask(int(sys.argv[2], 8))
tree = DirectoryTree(Path(sys.argv[1]))
tree.prepare()
for place in (home(tree), home(tree, user_place(3))):
    Files(tree).write(place, "a/b/notes.md", b"private")
    Files(tree).append(place, "a/b/notes.md", b"!")
"""


@pytest.mark.parametrize("umask", ["000", "022", "077", "777"])
def test_all_of_it_is_for_its_owner_alone_whatever_the_umask(root: Path, umask: str) -> None:
    subprocess.run([sys.executable, "-c", MAKE, str(root), umask], check=True)
    found = {path: stat.S_IMODE(path.lstat().st_mode) for path in (root, *root.rglob("*"))}
    assert {mode for path, mode in found.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in found.items() if path.is_file()} == {0o600}
    assert (root.joinpath(*SCRIBE.names) / "a" / "b" / "notes.md") in found
    assert DirectoryTree(root).check() == []


def test_preparing_again_changes_nothing(tree: DirectoryTree, files: Files) -> None:
    files.write(SHARED, "SITE.md", b"here")
    tree.root.chmod(0o750)
    tree.prepare()
    assert files.read(SHARED, "SITE.md").content == b"here"
    assert stat.S_IMODE(tree.root.stat().st_mode) == 0o750


def test_folders_above_the_root_are_made_as_well(tmp_path: Path) -> None:
    tree = DirectoryTree(tmp_path / "a" / "b" / "root")
    tree.prepare()
    assert tree.check() == []


@pytest.mark.parametrize(
    ("place", "path"),
    [
        (SHARED, "shared"),
        (NETWORK, "network"),
        (LEGACY, "agent"),
        (user_place(14), "users/.id/14.abcdefghijklmnop"),
        (SCRIBE, "agents/.id/7.abcdefghijklmnop"),
    ],
    ids=str,
)
def test_each_place_is_where_the_design_says(
    tree: DirectoryTree, files: Files, place: Place, path: str
) -> None:
    if isinstance(place, OwnPlace):
        home(tree, place)
    files.write(place, "RULES.md", b"be kind")
    assert (tree.root / path / "RULES.md").read_bytes() == b"be kind"


@pytest.mark.parametrize("place", [SCRIBE, user_place(3)])
def test_a_rows_directory_is_made_by_no_write(
    tree: DirectoryTree, files: Files, place: OwnPlace
) -> None:
    with pytest.raises(DirectoryMissing):
        files.write(place, "SOUL.md", b"")
    assert not tree.root.joinpath(*place.names).exists()


def test_who_gets_the_id_again_gets_no_file(files: Files, place: OwnPlace) -> None:
    files.write(place, "SOUL.md", b"mine")
    other = OwnPlace(place.top, place.row_id, "qrstuvwxyz234567")
    for act in (
        lambda: files.read(other, "SOUL.md"),
        lambda: listed(files, other),
        lambda: files.write(other, "SOUL.md", b"yours"),
        lambda: files.append(other, "SOUL.md", b"yours"),
        lambda: files.delete(other, "SOUL.md"),
    ):
        with pytest.raises(DirectoryMissing):
            act()
    assert files.read(place, "SOUL.md").content == b"mine"


@pytest.mark.parametrize("missing", [".", "agents", "users"])
def test_a_tree_that_is_not_there_is_unavailable_and_not_made(
    tree: DirectoryTree, files: Files, missing: str, tmp_path: Path
) -> None:
    (tree.root / missing).rename(tmp_path / "unmounted")
    place = user_place(3) if missing == "users" else SCRIBE
    with pytest.raises(FilesUnavailable):
        listed(files, place)
    with pytest.raises(FilesUnavailable):
        files.write(place, "a", b"")
    assert not (tree.root / missing).exists()
    (tmp_path / "unmounted").rename(tree.root / missing)
    with pytest.raises(DirectoryMissing):
        listed(files, place)


def test_the_root_may_be_a_link_that_the_operator_made(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir(mode=0o700)
    (tmp_path / "root").symlink_to(tmp_path / "disk")
    tree = DirectoryTree(tmp_path / "root")
    tree.prepare()
    Files(tree).write(SHARED, "SITE.md", b"here")
    assert (tmp_path / "disk" / "shared" / "SITE.md").read_bytes() == b"here"
    assert tree.check() == []


def test_a_root_that_others_may_enter_is_reported(tree: DirectoryTree) -> None:
    tree.root.chmod(0o755)
    (tree.root / "agents").chmod(0o710)
    problems = tree.check()
    assert [problem.partition(":")[0] for problem in problems] == [
        f"{tree.root} is open to others",
        f"{tree.root / 'agents'} is open to others",
    ]
    assert f"chmod 700 {tree.root}" in problems[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_root_of_somebody_else_is_reported(tree: DirectoryTree) -> None:
    os.chown(tree.root, 12345, 12345)
    (problem,) = tree.check()
    assert "belongs to user 12345" in problem


def test_what_is_missing_or_no_directory_is_reported(tree: DirectoryTree, tmp_path: Path) -> None:
    (tree.root / "network").rmdir()
    shutil.rmtree(tree.root / "users")
    (tree.root / "users").symlink_to(tmp_path)
    problems = tree.check()
    assert len(problems) == 2
    assert "users is not a directory" in problems[0]
    assert "network is not there" in problems[1]
    (problem,) = DirectoryTree(tmp_path / "nothing").check()
    assert "No such file" in problem


def test_a_link_in_the_place_of_a_directory_is_not_followed(
    tree: DirectoryTree, files: Files, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "SOUL.md").write_bytes(b"secret")
    (tree.root / "users" / "3").symlink_to(outside)
    (tree.root / "shared").rmdir()
    (tree.root / "shared").symlink_to(outside)
    for place in (user_place(3), SHARED):
        with pytest.raises((DirectoryMissing, FilesUnavailable, PathInvalid)):
            files.read(place, "SOUL.md")
        with pytest.raises((DirectoryMissing, FilesUnavailable, PathInvalid)):
            files.write(place, "SOUL.md", b"changed")
    assert (outside / "SOUL.md").read_bytes() == b"secret"
    assert [path.name for path in outside.iterdir()] == ["SOUL.md"]
