"""Daily memory: an agent's journal, a file to each day, ``daily/YYYY/MM/DD.md``."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from accredit_storage.directory.files import FileContent, FileEntry, Files, OpenFile
from accredit_storage.directory.places import Place
from accredit_storage.errors import FileMissing, FileTooLarge

#: How many matches one search tells of.
MAX_MATCHES = 50
#: How much one search reads, in bytes.
MAX_SEARCHED = 64 * 2**20
#: How many lines are shown before and after a match.
CONTEXT = 2
#: How much of a line is shown, in characters.
MAX_LINE = 500

_FOLDER = "daily"
_PATH = re.compile(r"daily/(\d{4})/(\d{2})/(\d{2})\.md", re.ASCII)
_LEAD = MAX_LINE // 4


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyMatch:
    """A line that has the text in it, counted from 1, and its neighbours. Long lines are cut."""

    day: date
    number: int
    line: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DailySearch:
    """What a search found, the newest day first, and its lines from the top.

    ``total`` counts every matching line that was seen, ``matches`` are the first of them.
    ``complete``: all the days in question were read. ``truncated``: there is more to find than
    ``matches``, or may be.
    """

    matches: tuple[DailyMatch, ...]
    total: int
    complete: bool

    @property
    def truncated(self) -> bool:
        """See the class."""
        return not self.complete or self.total > len(self.matches)


class DailyMemory:
    """The journals of all places. The calls raise what those of ``Files`` do."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def append(self, place: Place, day: date, text: str) -> FileEntry:
        """Add a text and the end of its line to a day; a new day begins with its heading."""
        heading = f"# Daily Memory: {day.isoformat()}\n\n"
        content = f"{text}\n".encode()
        return self._files.append(place, path_of(day), content, opening=heading.encode())

    def read(self, place: Place, day: date) -> FileContent:
        """A whole day. Raises FileMissing."""
        return self._files.read(place, path_of(day))

    def open(self, place: Place, day: date) -> OpenFile:
        """A day, to be read in pieces. Raises FileMissing."""
        return self._files.open(place, path_of(day))

    def write(
        self,
        place: Place,
        day: date,
        content: bytes,
        *,
        etag: str | None = None,
        only_if_absent: bool = False,
    ) -> FileEntry:
        """Replace a whole day; see ``Files.write``."""
        return self._files.write(
            place, path_of(day), content, etag=etag, only_if_absent=only_if_absent
        )

    def delete(self, place: Place, day: date, *, etag: str | None = None) -> None:
        """Remove a day. Raises FileMissing."""
        self._files.delete(place, path_of(day), etag=etag)

    def list(self, place: Place) -> Mapping[str, Sequence[int]]:
        """The days that there are, by "YYYY/MM": the newest month first, its days ascending."""
        months: dict[str, list[int]] = {}
        for day in sorted(self._days(place)):
            months.setdefault(f"{day.year:04}/{day.month:02}", []).append(day.day)
        return dict(reversed(months.items()))

    def search(
        self,
        place: Place,
        text: str,
        *,
        first: date | None = None,
        last: date | None = None,
    ) -> DailySearch:
        """Look for a text within the lines from day ``first`` to day ``last``, letters in any case.

        ValueError for an empty text.
        """
        if not text:
            raise ValueError("a text to look for")
        matches: list[DailyMatch] = []
        total, complete, left = 0, True, MAX_SEARCHED
        for day in sorted(self._days(place), reverse=True):
            if (first and day < first) or (last and day > last):
                continue
            try:
                content = self.read(place, day).content
            except FileMissing:
                continue
            except FileTooLarge:
                complete = False
                continue
            left -= len(content)
            if left < 0:
                complete = False
                break
            found = _matches(day, content, text.casefold(), MAX_MATCHES - len(matches))
            total += found[0]
            matches += found[1]
        return DailySearch(matches=tuple(matches), total=total, complete=complete)

    def _days(self, place: Place) -> Sequence[date]:
        """The days that have a file, in no order. Files of other names are passed over."""
        found = (_PATH.fullmatch(path) for path in self._files.paths(place, _FOLDER))
        days = (_day(*map(int, match.groups())) for match in found if match)
        return [day for day in days if day]


def path_of(day: date) -> str:
    """Where a day is in an agent's directory: daily/2026/02/28.md."""
    # Not strftime, which leaves out the zeros of the year 999.
    return f"{_FOLDER}/{day.year:04}/{day.month:02}/{day.day:02}.md"


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _matches(day: date, content: bytes, needle: str, room: int) -> tuple[int, Sequence[DailyMatch]]:
    """How many lines have the needle in them, and the first of those."""
    text = content.decode(errors="replace")
    if needle not in text.casefold():
        return 0, []
    # Not splitlines(), which would also end a line where no editor does.
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    found = [index for index, line in enumerate(lines) if needle in line.casefold()]
    return len(found), [
        DailyMatch(
            day=day,
            number=index + 1,
            line=_cut(lines[index], lines[index].casefold().index(needle)),
            before=tuple(_cut(line) for line in lines[max(0, index - CONTEXT) : index]),
            after=tuple(_cut(line) for line in lines[index + 1 : index + 1 + CONTEXT]),
        )
        for index in found[:room]
    ]


def _cut(line: str, at: int = 0) -> str:
    """The line, or the part of a long one that begins a little before ``at``."""
    if len(line) <= MAX_LINE:
        return line
    start = min(max(0, at - _LEAD), len(line) - MAX_LINE)
    end = start + MAX_LINE
    return f"{'…' if start else ''}{line[start:end]}{'…' if end < len(line) else ''}"
