"""The journal."""

from datetime import date

import pytest

from accredit_storage.directory.daily import MAX_LINE, MAX_MATCHES, MAX_SEARCHED, DailyMemory
from accredit_storage.directory.files import Files
from accredit_storage.directory.limits import FileLimits
from accredit_storage.directory.places import OwnPlace
from accredit_storage.directory.tree import DirectoryTree
from accredit_storage.errors import EtagMismatch, FileMissing, FileTooLarge

DAY = date(2026, 3, 1)


@pytest.fixture
def daily(files: Files) -> DailyMemory:
    """The journals of the tree."""
    return DailyMemory(files)


def test_a_new_day_begins_with_its_heading(
    daily: DailyMemory, files: Files, place: OwnPlace
) -> None:
    daily.append(place, DAY, "We had tea.")
    daily.append(place, DAY, "Then cake.")
    expected = b"# Daily Memory: 2026-03-01\n\nWe had tea.\nThen cake.\n"
    assert daily.read(place, DAY).content == expected
    assert files.paths(place) == ["daily/2026/03/01.md"]


def test_a_day_that_is_there_gets_no_heading(daily: DailyMemory, place: OwnPlace) -> None:
    daily.write(place, DAY, b"")
    daily.append(place, DAY, "tea\n")
    assert daily.read(place, DAY).content == b"tea\n\n"


def test_a_day_is_replaced_as_a_whole(daily: DailyMemory, place: OwnPlace) -> None:
    first = daily.append(place, DAY, "one")
    second = daily.write(place, DAY, b"\xff two", etag=first.etag)
    with pytest.raises(EtagMismatch):
        daily.write(place, DAY, b"three", etag=first.etag)
    with pytest.raises(EtagMismatch):
        daily.write(place, DAY, b"three", only_if_absent=True)
    assert daily.read(place, DAY).entry == second


def test_a_day_is_deleted_once(daily: DailyMemory, place: OwnPlace) -> None:
    daily.append(place, DAY, "one")
    daily.delete(place, DAY)
    with pytest.raises(FileMissing):
        daily.read(place, DAY)
    with pytest.raises(FileMissing):
        daily.delete(place, DAY)
    assert daily.list(place) == {}


def test_a_year_has_four_digits(daily: DailyMemory, files: Files, place: OwnPlace) -> None:
    daily.append(place, date(7, 3, 1), "Rome.")
    assert files.paths(place) == ["daily/0007/03/01.md"]
    assert daily.read(place, date(7, 3, 1)).content.startswith(b"# Daily Memory: 0007-03-01\n\n")
    assert daily.list(place) == {"0007/03": [1]}


def test_days_are_listed_newest_month_first(
    daily: DailyMemory, files: Files, place: OwnPlace
) -> None:
    for day in ("2025-12-31", "2026-01-09", "2026-01-10", "2026-01-02", "2024-02-29"):
        daily.append(place, date.fromisoformat(day), "x")
    for foreign in (
        *("daily/notes.md", "daily/2026/01/3.md", "daily/2026/01/13.txt", "daily/2026/13/01.md"),
        *("daily/2026/02/30.md", "daily/2026/01/01/01.md", "daily/26/01/01.md", "2026/01/01.md"),
        "daily/２０２６/01/01.md",
    ):
        files.write(place, foreign, b"x")
    listed = daily.list(place)
    assert list(listed.items()) == [
        ("2026/01", [2, 9, 10]),
        ("2025/12", [31]),
        ("2024/02", [29]),
    ]


class TestASearch:
    def test_finds_lines_in_any_case_with_their_neighbours(
        self, daily: DailyMemory, place: OwnPlace
    ) -> None:
        daily.write(place, DAY, b"one\r\ntwo\nthree\nGr\xc3\x9cN tea\nfive\nsix\nseven\n")
        found = daily.search(place, "grün TEA")
        (match,) = found.matches
        assert (match.day, match.number, match.line) == (DAY, 4, "GrÜN tea")
        assert match.before == ("two", "three")
        assert match.after == ("five", "six")
        assert (found.total, found.truncated, found.complete) == (1, False, True)

    def test_has_fewer_neighbours_at_the_ends(self, daily: DailyMemory, place: OwnPlace) -> None:
        daily.write(place, DAY, b"tea\nmore tea")
        first, second = daily.search(place, "tea").matches
        assert (first.number, first.before, first.after) == (1, (), ("more tea",))
        assert (second.number, second.before, second.after) == (2, ("tea",), ())

    def test_goes_from_the_newest_day_to_the_oldest(
        self, daily: DailyMemory, place: OwnPlace
    ) -> None:
        for day in (3, 1, 2):
            daily.append(place, date(2026, 3, day), "tea\ntea")
        matches = daily.search(place, "tea").matches
        assert [(match.day.day, match.number) for match in matches] == [
            *((3, 3), (3, 4), (2, 3), (2, 4), (1, 3), (1, 4)),
        ]

    def test_takes_first_and_last_day_as_part_of_it(
        self, daily: DailyMemory, place: OwnPlace
    ) -> None:
        for day in range(1, 6):
            daily.append(place, date(2026, 3, day), "tea")

        def days(first: int | None, last: int | None) -> list[int]:
            found = daily.search(
                place,
                "tea",
                first=date(2026, 3, first) if first else None,
                last=date(2026, 3, last) if last else None,
            )
            return sorted(match.day.day for match in found.matches)

        assert days(2, 4) == [2, 3, 4]
        assert days(4, None) == [4, 5]
        assert days(None, 1) == [1]
        assert days(3, 3) == [3]
        assert days(4, 2) == []

    def test_tells_of_the_first_fifty_and_counts_the_rest(
        self, daily: DailyMemory, place: OwnPlace
    ) -> None:
        daily.write(place, date(2026, 3, 2), b"tea\n" * 30)
        daily.write(place, date(2026, 3, 1), b"tea\n" * 31)
        found = daily.search(place, "tea")
        assert len(found.matches) == MAX_MATCHES
        assert (found.total, found.truncated, found.complete) == (61, True, True)

    def test_of_a_text_in_exactly_fifty_lines_is_not_truncated(
        self, daily: DailyMemory, place: OwnPlace
    ) -> None:
        daily.write(place, DAY, b"tea\n" * 50)
        found = daily.search(place, "tea")
        assert (len(found.matches), found.total, found.truncated) == (50, 50, False)

    def test_finds_nothing_where_there_is_nothing(
        self, daily: DailyMemory, place: OwnPlace
    ) -> None:
        daily.append(place, DAY, "tea\ncake")
        for text in ("coffee", "tea\ncake", "t.a", "tea "):
            found = daily.search(place, text)
            assert (found.matches, found.total, found.truncated) == ((), 0, False)

    def test_needs_a_text(self, daily: DailyMemory, place: OwnPlace) -> None:
        with pytest.raises(ValueError, match="text"):
            daily.search(place, "")

    def test_cuts_long_lines_around_what_was_found(
        self, daily: DailyMemory, place: OwnPlace
    ) -> None:
        daily.write(place, DAY, b"y" * 2000 + b"\n" + b"x" * 1000 + b"tea" + b"x" * 1000)
        (match,) = daily.search(place, "TEA").matches
        assert len(match.line) == MAX_LINE + 2
        assert "tea" in match.line
        assert match.line.startswith("…x")
        assert match.line.endswith("x…")
        assert match.before == ("y" * MAX_LINE + "…",)

    def test_is_not_led_astray_by_letters_that_grow(
        self, daily: DailyMemory, place: OwnPlace
    ) -> None:
        daily.write(place, DAY, ("ß" * 1000 + "tea").encode())
        (match,) = daily.search(place, "TEA").matches
        assert match.line.endswith("tea")
        (match,) = daily.search(place, "SSTEA").matches
        assert match.line.endswith("ßtea")

    def test_reads_what_is_not_utf8(self, daily: DailyMemory, place: OwnPlace) -> None:
        daily.write(place, DAY, b"\xff\xfe tea \xc0")
        assert daily.search(place, "tea").total == 1

    def test_says_when_it_could_not_read_everything(
        self, tree: DirectoryTree, daily: DailyMemory, place: OwnPlace
    ) -> None:
        daily.write(place, DAY, b"tea " * 100)
        daily.write(place, date(2026, 3, 2), b"tea")
        small = DailyMemory(Files(tree, FileLimits(file_bytes=10)))
        with pytest.raises(FileTooLarge):
            small.read(place, DAY)
        found = small.search(place, "tea")
        assert (found.total, found.complete, found.truncated) == (1, False, True)

    def test_reads_no_more_than_so_much(
        self, tree: DirectoryTree, place: OwnPlace, files: Files
    ) -> None:
        daily = DailyMemory(files)
        whole = b"x" * (4 * 2**20 - 4) + b"\ntea"
        days = MAX_SEARCHED // len(whole) + 2
        for day in range(1, days + 1):
            # Written by hand, because the fsyncs of so much would be what the test measures.
            path = tree.root.joinpath(*place.names, "daily", "2026", "03", f"{day:02}.md")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(whole)
        found = daily.search(place, "tea")
        assert found.total == days - 2
        assert (found.complete, found.truncated) == (False, True)
