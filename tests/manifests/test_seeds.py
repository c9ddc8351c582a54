import os
import socket
import threading
from pathlib import Path

import pytest

from accredit.manifests import Manifests, read_folder, read_text
from accredit.manifests.decoding import MAX_BYTES
from tests.manifests.reading import only, said, yaml

OUTSIDE = "what is outside"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to read, with a manifest's folder in it; beside it is what nobody may read."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/SOUL.md").write_text(OUTSIDE)
    folder = tmp_path / "root"
    (folder / "team/seeds").mkdir(parents=True)
    (folder / "team/seeds/soul.txt").write_bytes(b"You.\r\n\xef\xbb\xbf")
    (folder / "top.txt").write_text("top")
    return folder


def open_descriptors() -> list[int]:
    """What this process has open, as far as a leak could be."""

    def is_open(descriptor: int) -> bool:
        try:
            os.fstat(descriptor)
        except OSError:
            return False
        return True

    return [descriptor for descriptor in range(256) if is_open(descriptor)]


def seeded(folder: Path, path: str, name: str = "SOUL.md") -> Manifests:
    text = f"slug: a\nmemory_seeds:\n  {name!r}: {path!r}\n"
    (folder / "team/a.yaml").write_text(text)
    return read_folder(folder)


@pytest.mark.parametrize("path", ["seeds/soul.txt", "./seeds/./soul.txt"])
def test_a_seed_is_read_beside_its_manifest_byte_by_byte(folder: Path, path: str) -> None:
    manifests = seeded(folder, path)
    assert only(manifests).memory_seeds == {"SOUL.md": "You.\r\n\ufeff"}
    assert manifests.problems == ()


def test_front_matter_names_seeds_as_well(folder: Path) -> None:
    (folder / "team/b.md").write_text("---\nmemory_seeds: {USER.md: seeds/soul.txt}\n---\nbody")
    assert only(read_folder(folder)).memory_seeds == {
        "USER.md": "You.\r\n\ufeff",
        "SOUL.md": "body",
    }


@pytest.mark.parametrize(
    "path",
    [
        "../top.txt",
        "../../outside/SOUL.md",
        "seeds/../../../outside/SOUL.md",
        "seeds/..",
        "..",
        "/etc/hostname",
        "//etc/hostname",
        "/",
        "link.md",
        "hop/SOUL.md",
        "seeds/hop/SOUL.md",
        "inner/soul.txt",
        "dangling",
    ],
)
def test_what_leads_out_or_through_a_link_is_an_error(folder: Path, path: str) -> None:
    (folder / "team/link.md").symlink_to(folder.parent / "outside/SOUL.md")
    (folder / "team/hop").symlink_to(folder.parent / "outside")
    (folder / "team/seeds/hop").symlink_to(folder.parent / "outside")
    (folder / "team/inner").symlink_to("seeds")
    (folder / "team/dangling").symlink_to("nowhere")
    before = open_descriptors()
    manifests = seeded(folder, path)
    assert open_descriptors() == before
    assert manifests.definitions == ()
    (error,) = manifests.errors
    assert (error.file, error.line, error.field) == ("team/a.yaml", 3, "memory_seeds.SOUL.md")


def test_a_folder_that_is_swapped_for_a_link_leads_nowhere(folder: Path) -> None:
    """Whatever the moment: the text is the one inside, or there is an error or a notice."""
    inside, hop, away = folder / "team/seeds", folder.parent / "hop", folder.parent / "away"
    (folder / "team/seeds/SOUL.md").write_text("inside")
    hop.symlink_to(folder.parent / "outside")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(inside, away)
            os.rename(hop, inside)
            os.rename(inside, hop)
            os.rename(away, inside)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(500):
            manifests = seeded(folder, "seeds/SOUL.md")
            seeds = [one.memory_seeds for one in manifests.definitions]
            assert manifests.problems or seeds == [{"SOUL.md": "inside"}]
            assert OUTSIDE not in str(manifests)
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nowhere.md", "no such file or directory"),
        ("seeds/soul.txt/x", "not a directory"),
        ("seeds", "not a file"),
        (".", "not a file"),
        ("seeds/", "no such file or directory"),
        ("pipe", "not a file"),
        ("a" * 300, "file name too long"),
    ],
)
def test_a_seed_that_cannot_be_read_falls_through(folder: Path, path: str, reason: str) -> None:
    os.mkfifo(folder / "team/pipe")
    before = open_descriptors()
    manifests = seeded(folder, path)
    assert open_descriptors() == before
    assert only(manifests).memory_seeds == {}
    (notice,) = manifests.notices
    assert (notice.line, notice.field) == (3, "memory_seeds.SOUL.md")
    assert reason in notice.message


def test_a_socket_is_no_seed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "team")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        manifests = seeded(folder, "socket")
    assert only(manifests).memory_seeds == {}
    assert len(manifests.notices) == 1


def test_seeds_are_bounded_and_text(folder: Path) -> None:
    seed = folder / "team/seed"
    seed.write_bytes(b"a" * MAX_BYTES)
    assert len(only(seeded(folder, "seed")).memory_seeds["SOUL.md"]) == MAX_BYTES
    for content, message in (
        (b"a" * (MAX_BYTES + 1), "seed: at most 4 MiB"),
        (b"a\nb\n\xff", "seed:3: not UTF-8"),
        (b"a\n\0", "seed:2: no NUL character"),
    ):
        seed.write_bytes(content)
        assert said(seeded(folder, "seed")) == [f"team/a.yaml:3: memory_seeds.SOUL.md: {message}"]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("../SOUL.md", "SOUL.md"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\USER.md", "USER.md"),
        (" a/ MEMORY.md ", "MEMORY.md"),
        ("", None),
        ("a/", None),
        ("..", None),
        ("a/.", None),
    ],
)
def test_only_the_last_part_of_a_memory_files_name_counts(
    folder: Path, key: str, name: str | None
) -> None:
    manifests = seeded(folder, "seeds/soul.txt", key)
    assert list(only(manifests).memory_seeds) == ([name] if name else [])
    assert len(manifests.notices) == (0 if name else 1)


def test_names_that_become_one_are_noticed() -> None:
    manifests = yaml("slug: a\nmemory_seeds:\n  A.md: {text: x}\n  b/A.md: {text: y}\n")
    assert only(manifests).memory_seeds == {"A.md": "y"}
    assert said(manifests) == [
        "agents.yaml:4: memory_seeds.b/A.md: A.md has a seed above, this one counts"
    ]


def test_an_empty_path_is_dropped_and_noticed() -> None:
    manifests = yaml("slug: a\nmemory_seeds:\n  A.md: ''\n  B.md:\n")
    assert only(manifests).memory_seeds == {}
    assert [one.line for one in manifests.notices] == [3, 4]


@pytest.mark.parametrize(
    ("seed", "error"),
    [
        ("7", "memory_seeds.A.md: the path of a file, or a map with text"),
        ("[x]", "memory_seeds.A.md: the path of a file, or a map with text"),
        ("{}", "memory_seeds.A.md.text: a text"),
        ("{text: 7}", "memory_seeds.A.md.text: a text"),
        ("{text: *x}", "memory_seeds.A.md.text: no anchors, aliases and merge keys"),
        ("*x", "memory_seeds.A.md: no anchors, aliases and merge keys"),
    ],
)
def test_what_is_no_seed_is_an_error(seed: str, error: str) -> None:
    (found,) = yaml(f"slug: a\nmemory_seeds:\n  A.md: {seed}\n").errors
    assert str(found).startswith(f"agents.yaml:3: {error}")


def test_an_unknown_key_of_a_seed_is_noticed() -> None:
    manifests = yaml("slug: a\nmemory_seeds: {A.md: {text: x, mode: y}}\n")
    assert only(manifests).memory_seeds == {"A.md": "x"}
    assert [one.field for one in manifests.notices] == ["memory_seeds.A.md.mode"]


def test_without_a_folder_no_path_is_read() -> None:
    manifests = read_text("a.yaml", b"slug: a\nmemory_seeds: {A.md: x}\n")
    assert only(manifests).memory_seeds == {}
    assert "there is no folder to read it from" in said(manifests)[0]
