"""Thousands of paths that mean to lead out of the directory, tried with every call."""

import itertools
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from accredit_storage.directory.files import Files
from accredit_storage.directory.places import OwnPlace
from accredit_storage.directory.tree import DirectoryTree
from accredit_storage.errors import EtagMismatch, FileMissing, PathInvalid
from tests.directory.making import SCRIBE, files_in, home, listed, snapshot

SECRET = b"root:x:0:0: nobody may read this"

STARTS = [
    *(
        "",
        "/",
        "//",
        "./",
        ".//",
        "~/",
        "~root/",
        "\\",
        "\\\\server\\share\\",
        "\\\\?\\",
        "\\\\.\\",
    ),
    *(
        "C:",
        "C:\\",
        "C:/",
        "c:",
        "file://",
        "file:///",
        "%2f",
        "%5c",
        "\0",
        "\ufeff",
        " ",
        "\u200b",
    ),
    *("daily/", "daily/2026/", "daily\\", ".agent/", ".new/", "a\0/"),
]
UPS = [
    *("..", "...", "....", ". .", ".. ", " ..", "..;", "..\0", ".\0.", "..\\", "..\\..", "..\n"),
    *("%2e%2e", "%2E%2E", "%252e%252e", "..%00", "%u002e%u002e", "%c0%ae%c0%ae", "..%c0%af"),
    *("\udcc0\udcae\udcc0\udcae", "\uff0e\uff0e", "\u2025", "\u2024\u2024", "..\u200b", "\u202e.."),
]
BETWEEN = [
    *(
        "/",
        "//",
        "/./",
        "\\",
        "%2f",
        "%252f",
        "%5c",
        "/\0/",
        "\u2215",
        "\uff0f",
        "\udcc0\udcaf",
        ";/",
    ),
]
ENDS = ["secret.txt", "secret.txt\0.md", "secret.txt.", "secret.txt ", "SECRET.TXT", "secret.txt/"]

ALONE = [
    *(
        "/etc/passwd",
        "/proc/self/environ",
        "/dev/zero",
        "/dev/null",
        "nul",
        "con.md",
        "COM1",
        "aux.",
    ),
    *(".", "..", "...", "./", "../", "/", "", " ", "\0", "\\", ".agent", ".lock", ".unfinished-x"),
    *("a" * 255, "a" * 256, "a" * 4095, "a" * 4096, "/".join("a" * 9), "/".join("a" * 2048)),
    *(
        "../" * 64 + "etc/passwd",
        "é" * 127,
        "é" * 128,
        "cafe\u0301",
        "caf\u00e9",
        "\u212b",
        "\u00c5",
    ),
    *("$(id)", "`id`", "|id", "${HOME}/secret.txt", "*", "?", "secret.txt::$DATA", "a:b", "-rf"),
]


def corpus() -> Iterator[str]:
    """What people have got out of directories with, combined."""
    yield from ALONE
    combined = itertools.product(STARTS, UPS, BETWEEN, ENDS)
    # Every eleventh: a number that shares no factor with the lengths, so that each element and
    # each pair of neighbours is among them.
    for start, up, between, end in itertools.islice(combined, 0, None, 11):
        yield f"{start}{up}{between}{end}"
        yield f"{start}{(up + between) * 3}{end}"


CORPUS = list(dict.fromkeys(corpus()))


def test_the_corpus_is_large_and_has_what_it_is_made_of() -> None:
    assert len(CORPUS) >= 2000
    for parts in (STARTS, UPS, BETWEEN, ENDS):
        assert all(any(part in path for path in CORPUS) for part in parts)


@pytest.fixture
def outside(tmp_path: Path, tree: DirectoryTree, place: OwnPlace) -> Path:
    """A file to get at in every folder that a path might lead to from the agent's own."""
    other = home(tree, OwnPlace("agents", 8, SCRIBE.key))
    for folder in (tmp_path, tree.root, tree.root / "agents", tree.root.joinpath(*other.names)):
        (folder / "secret.txt").write_bytes(SECRET)
    return tmp_path


def elsewhere(outside: Path) -> dict[str, bytes | str]:
    return {
        name: content
        for name, content in snapshot(outside).items()
        if not name.startswith("root/agents/.id/7.abcdefghijklmnop/")
    }


def test_no_path_reads_or_changes_anything_outside(
    files: Files, place: OwnPlace, tree: DirectoryTree, outside: Path
) -> None:
    before = elsewhere(outside)
    inside = tree.root.joinpath(*SCRIBE.names)
    taken = 0
    for path in CORPUS:
        for act in (
            lambda path=path: files.read(place, path),
            lambda path=path: files.delete(place, path),
            lambda path=path: listed(files, place, path),
        ):
            with suppress(PathInvalid, FileMissing):
                assert act() in ([], None), path
        try:
            files.write(place, path, b"ours")
        except PathInvalid:
            with pytest.raises(PathInvalid):
                files.append(place, path, b"more")
            continue
        taken += 1
        files.append(place, path, b"!")
        # Whatever it looks like, it is the name of that one file, here.
        assert files.paths(place) == [path]
        assert files_in(inside) == {path: b"ours!"}
        files.delete(place, path)
        assert files_in(inside) == {}
    assert elsewhere(outside) == before
    # Neither all nor none: those that a system would not see a way out in are just names.
    assert 20 < taken < len(CORPUS) / 4


def test_no_path_that_is_refused_leaves_a_folder_behind(
    files: Files, place: OwnPlace, tree: DirectoryTree
) -> None:
    for path in CORPUS:
        with pytest.raises((PathInvalid, EtagMismatch)):
            files.write(place, f"a/{path}", b"", etag='"x"')
    assert not (tree.root.joinpath(*SCRIBE.names) / "a").exists()
