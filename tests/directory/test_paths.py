"""The rule of paths, sentence by sentence."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accredit_storage.directory import paths
from accredit_storage.directory.places import new_key, place_named
from accredit_storage.errors import PathInvalid
from tests.directory.making import SCRIBE, user_place


@dataclass(frozen=True)
class Bad:
    because: str
    path: str


BAD = [
    Bad("it is empty", ""),
    Bad("it begins at the root", "/a"),
    Bad("it ends in a slash", "a/"),
    Bad("two slashes follow each other", "a//b"),
    Bad("it goes up", "../a"),
    Bad("it goes up in the middle", "a/../b"),
    Bad("it stays where it is", "a/./b"),
    Bad("a name begins with a dot", ".agent"),
    Bad("a folder begins with a dot", ".new/a"),
    Bad("a name ends with a dot", "a."),
    Bad("a name ends with a space", "a "),
    Bad("a name begins with a space", " a"),
    Bad("a name ends with another space", "a\u00a0"),
    Bad("a name is a space", " "),
    Bad("it has a backslash", "a\\b"),
    Bad("it has a NUL", "a\0b"),
    Bad("it has a line feed", "a\nb"),
    Bad("it has an escape", "a\x1b[2Jb"),
    Bad("it has a DEL", "a\x7f"),
    Bad("it has a C1 control", "a\x9bb"),
    Bad("it has a line separator", "a\u2028b"),
    Bad("it turns the direction", "a\u202egpj.md"),
    Bad("it isolates a direction", "a\u2066b"),
    Bad("it is not composed", "cafe\u0301.md"),
    Bad("it cannot be composed", "a\u0344"),
    Bad("it is not UTF-8", "a\udcc0\udcaf"),
    Bad("a name has 256 bytes", "a" * 256),
    Bad("a name has 256 bytes in 128 characters", "é" * 128),
    Bad("it has nine names", "/".join("abcdefghi")),
    Bad("it is as long as a system allows", "a" * 4096),
    Bad("it is longer than that", "a/" * 1_000_000),
    Bad("it is a device", "nul"),
    Bad("it is a device in capitals", "CON"),
    Bad("it is a device with an extension", "com1.md"),
    Bad("it is a device with two", "Lpt9.tar.gz"),
    Bad("it is a device after a space", "aux .md"),
    Bad("it is a device with a high digit", "COM¹"),
    Bad("a folder is a device", "prn/notes.md"),
    Bad("it is a drive", "C:"),
    Bad("it is on a drive", "c:notes.md"),
    Bad("a folder is a drive", "C:/notes.md"),
]

GOOD = [
    "SOUL.md",
    "daily/2026/01/31.md",
    "a/b/c/d/e/f/g/h",
    "a" * 255,
    "é" * 127,
    "notes about tea.md",
    "a..b",
    "a.b.c",
    "%2e%2e%2fetc",
    "~root",
    "--help",
    "-rf *",
    "10:30 meeting.md",
    "auxiliary.md",
    "com.md",
    "com10",
    "日本語.md",
    "👩‍👩‍👧.md",
    "．．／etc",
    "a;b|c&d$(e)`f`",
    "caf\u00e9.md",
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.because.replace(" ", "-"))
def test_a_path_is_refused_when(case: Bad) -> None:
    with pytest.raises(PathInvalid) as caught:
        paths.parse(case.path)
    assert len(str(caught.value)) < 200
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("path", GOOD)
def test_a_path_is_taken_as_it_is(path: str) -> None:
    assert "/".join(paths.parse(path)) == path


@given(st.text())
def test_whatever_is_taken_stays_below(text: str) -> None:
    try:
        names = paths.parse(text)
    except PathInvalid:
        return
    assert "/".join(names) == text
    assert 1 <= len(names) <= paths.MAX_DEPTH
    for name in names:
        assert 1 <= len(name.encode()) <= paths.MAX_BYTES
        assert not name.startswith(".")
        assert not set(name) & set("/\\\0\n\r")


@pytest.mark.parametrize(
    "name",
    [
        "7",
        "7.",
        ".7",
        "0.KEY",
        "7.KEY.x",
        "7.ABCDEFGHIJKLMNOP",
        "7.abc",
        "+7.KEY",
        "7.KEY\n",
        "x.KEY",
    ],
)
def test_what_no_row_has_is_no_directorys_name(name: str) -> None:
    assert place_named("agents", name.replace("KEY", SCRIBE.key)) is None


def test_the_name_of_a_directory_is_read_back() -> None:
    assert place_named("agents", SCRIBE.name) == SCRIBE
    assert place_named("users", SCRIBE.name) == user_place(7)
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(place_named("agents", f"1.{key}") for key in keys)
