import os
from pathlib import Path

import pytest

from accredit.manifests import read_folder
from accredit.manifests.decoding import MAX_BYTES
from accredit.manifests.folder import MAX_DEPTH, MAX_ENTRIES, MAX_MANIFESTS
from tests.manifests.reading import only, said


def declare(path: Path, slug: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"slug: {slug or path.stem}\n")


def test_manifests_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("b.yaml", "a/z.yml", "a.yaml", "é.yaml", "Z.YAML", "a-b/c.yaml", "a/b/c.yaml"):
        declare(tmp_path / name)
    (tmp_path / "a/role.MD").write_text("body")
    (tmp_path / "a/seed.txt").write_text("slug: not-a-manifest")
    files = [one.file for one in read_folder(tmp_path).definitions]
    assert files == sorted(files)
    assert " ".join(files) == (
        "Z.YAML a-b/c.yaml a.yaml a/b/c.yaml a/role.MD a/z.yml b.yaml é.yaml"
    )


def test_hidden_names_and_links_are_passed_over(tmp_path: Path) -> None:
    declare(tmp_path / "away/a.yaml")
    root = tmp_path / "root"
    declare(root / "real.yaml")
    declare(root / ".hidden.yaml")
    declare(root / ".git/a.yaml")
    (root / "link.yaml").symlink_to(tmp_path / "away/a.yaml")
    (root / "folder").symlink_to(tmp_path / "away")
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "pipe.md")
    (root / "folder.yaml").mkdir()
    manifests = read_folder(root)
    assert [one.slug for one in manifests.definitions] == ["real"]
    assert said(manifests) == [
        "folder: a link, which is not followed",
        "link.yaml: a link, which is not followed",
        "loop: a link, which is not followed",
        "pipe.md: not a file",
    ]
    assert manifests.errors == ()


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    declare(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_bytes(b"slug: \xff")
    (tmp_path / "c.md").write_bytes(b"---\nname: c\n---\n\0")
    (tmp_path / "d.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    (tmp_path / "e.yaml").write_text("slug: [")
    declare(tmp_path / "f.yaml")
    manifests = read_folder(tmp_path)
    assert [one.slug for one in manifests.definitions] == ["a", "f"]
    assert [(one.file, one.line) for one in manifests.errors] == [
        ("b.yaml", 1),
        ("c.md", 4),
        ("d.yaml", 0),
        ("e.yaml", 1),
    ]


def test_a_slug_in_two_files_is_kept_twice_and_noticed_with_both(tmp_path: Path) -> None:
    declare(tmp_path / "a.yaml", "Wiki")
    declare(tmp_path / "b.yaml", "other")
    declare(tmp_path / "c/d.yaml", "WIKI")
    manifests = read_folder(tmp_path)
    assert [one.slug for one in manifests.definitions] == ["Wiki", "other", "WIKI"]
    assert said(manifests) == ["c/d.yaml:1: slug: 'WIKI' is also in a.yaml:1"]


def test_one_file_may_be_given_and_its_folder_is_the_root(tmp_path: Path) -> None:
    declare(tmp_path / "other.yaml")
    (tmp_path / "soul").write_text("You.")
    (tmp_path / "a.yaml").write_text("slug: a\nmemory_seeds: {SOUL.md: soul}\n")
    definition = only(read_folder(tmp_path / "a.yaml"))
    assert (definition.file, definition.memory_seeds) == ("a.yaml", {"SOUL.md": "You."})
    (tmp_path / "link.yaml").symlink_to("a.yaml")
    assert only(read_folder(tmp_path / "link.yaml")).slug == "a"
    assert said(read_folder(tmp_path / "soul")) == [
        "soul: a manifest's name ends in .yaml, .yml or .md"
    ]
    (tmp_path / "a.yaml").write_text("slug: a\nmemory_seeds: {SOUL.md: ../soul}\n")
    assert read_folder(tmp_path / "a.yaml").definitions == ()


def test_a_link_that_somebody_names_is_followed(tmp_path: Path) -> None:
    declare(tmp_path / "real/a.yaml")
    (tmp_path / "link").symlink_to("real")
    assert only(read_folder(tmp_path / "link")).slug == "a"


def test_a_path_that_is_not_there_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_folder(tmp_path / "nowhere")
    assert not read_folder(tmp_path).definitions
    assert not read_folder(tmp_path).problems


def test_folders_are_bounded_in_depth(tmp_path: Path) -> None:
    deepest = tmp_path.joinpath(*"abcdefgh"[: MAX_DEPTH - 1])
    declare(deepest / "last.yaml")
    declare(deepest / "h/too-deep.yaml")
    manifests = read_folder(tmp_path)
    assert [one.slug for one in manifests.definitions] == ["last"]
    assert said(manifests) == ["a/b/c/d/e/f/g/h: a path of at most 8 names"]
    assert manifests.errors


def test_folders_are_bounded_in_number(tmp_path: Path) -> None:
    for number in range(MAX_ENTRIES - 2):
        os.mknod(tmp_path / f"{number}.txt")
    declare(tmp_path / "below/a.yaml")
    assert only(read_folder(tmp_path)).slug == "a"
    (tmp_path / ".hidden").touch()
    assert only(read_folder(tmp_path)).slug == "a"
    (tmp_path / "below/one-more").touch()
    manifests = read_folder(tmp_path)
    assert manifests.definitions == ()
    assert said(manifests) == [".: at most 100000 files and folders"]
    assert manifests.errors[0].file == "."


def test_manifests_are_bounded_in_number_and_other_files_are_none(tmp_path: Path) -> None:
    for number in range(MAX_MANIFESTS):
        (tmp_path / f"{number}.yaml").write_text(f"slug: s{number}\n")
    (tmp_path / "seed.txt").touch()
    assert len(read_folder(tmp_path).definitions) == MAX_MANIFESTS
    (tmp_path / "one-more.md").touch()
    manifests = read_folder(tmp_path)
    assert manifests.definitions == ()
    assert said(manifests) == [".: at most 10000 manifests"]
    assert manifests.errors[0].file == "."


def test_names_that_are_not_utf_8_are_shown_as_far_as_they_can_be(tmp_path: Path) -> None:
    declare(tmp_path / "a.yaml")
    with open(os.fsencode(tmp_path) + b"/\xff.yaml", "w"):
        pass
    manifests = read_folder(tmp_path)
    assert [one.slug for one in manifests.definitions] == ["a"]
    assert said(manifests) == ["\\xff.yaml: a name in UTF-8"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_an_error_of_its_own(tmp_path: Path) -> None:
    declare(tmp_path / "a.yaml")
    declare(tmp_path / "b.yaml")
    declare(tmp_path / "c/d.yaml")
    (tmp_path / "b.yaml").chmod(0)
    (tmp_path / "c").chmod(0)
    try:
        manifests = read_folder(tmp_path)
    finally:
        (tmp_path / "c").chmod(0o700)
    assert [one.slug for one in manifests.definitions] == ["a"]
    assert [one.file for one in manifests.errors] == ["b.yaml", "c"]
