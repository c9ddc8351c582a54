"""Daily memory: an agent's journal, a file to each day of UTC."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from accredit_storage.directory.daily import DailySearch, path_of
from accredit_storage.directory.files import FileEntry, OpenFile
from accredit_storage.directory.places import Place
from accredit_storage.records import Role
from accredit_storage.store import Transaction

from ..calls.app import App
from ..calls.mutations import (
    Effect,
    MutatingCall,
    Replayed,
    Written,
)
from ..calls.paging import Cursor, Page, PageRequest
from ..calls.reads import Ask, reading
from ..errors import Reason, invalid
from ..input.agent_refs import AgentRef
from ..policy.rights import Principal
from .directories import (
    AgentDirectory,
    Directory,
    refusing,
    require_directory,
)
from .file_changes import change_file
from .files import deleted, require_journals, written

#: A day that is larger, in bytes, is worth a word to whoever writes it.
LARGE_DAY = 8192
_MAX_QUERY = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteDay:
    """A day's new text. ``day`` "": today. ``etag`` "": whatever is there."""

    agent: AgentRef
    day: str
    content: bytes
    etag: str = ""
    only_if_absent: bool = False


@dataclass(frozen=True, slots=True)
class WrittenDay:
    """A day and the file that it is."""

    day: date
    entry: FileEntry

    @property
    def notice(self) -> str:
        """What a person should be told of it, "" for nothing."""
        if self.entry.size <= LARGE_DAY:
            return ""
        return f"{self.day.isoformat()} has {self.entry.size} bytes: is all of it worth keeping?"


@dataclass(frozen=True, slots=True)
class OpenDay:
    """A day and the file that it is, open: to be read in pieces and closed."""

    day: date
    file: OpenFile


@dataclass(frozen=True, slots=True)
class Month:
    """A month as "2026/02", and its days that have a text."""

    month: str
    days: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchDays:
    """What to look for, from day to day; "" leaves an end open."""

    agent: AgentRef
    text: str
    start: str
    end: str


def append_day(
    app: App, call: MutatingCall, agent: AgentRef, day: str, text: str
) -> Written[WrittenDay] | Replayed:
    """Add a text and the end of its line to a day; a new day begins with its heading."""
    if not text.strip():
        raise invalid("text", "what to add: not blank")
    meant = _day(app, "date", day)
    return _write(
        app, call, agent, meant, lambda place: app.directories.daily.append(place, meant, text)
    )


def write_day(app: App, call: MutatingCall, command: WriteDay) -> Written[WrittenDay] | Replayed:
    """Replace a whole day."""
    meant = _stated_day("date", command.day)
    return _write(
        app,
        call,
        command.agent,
        meant,
        lambda place: app.directories.daily.write(
            place,
            meant,
            command.content,
            etag=command.etag or None,
            only_if_absent=command.only_if_absent,
        ),
    )


def delete_day(
    app: App, call: MutatingCall, agent: AgentRef, day: str, etag: str
) -> Written[None] | Replayed:
    """Remove a day."""
    meant = _stated_day("date", day)

    def act(directory: Directory) -> Effect[None]:
        with refusing(directory, "date"):
            directory.within(
                app,
                lambda place: app.directories.daily.delete(place, meant, etag=etag or None),
            )
        return deleted(directory, path_of(meant))

    return change_file(app, call, _judge(app, agent), act)


def open_day(app: App, ask: Ask, agent: AgentRef, day: str) -> OpenDay:
    """A day, to be read in pieces. Raises NotFound."""
    meant = _day(app, "date", day)
    directory = _readable(app, ask, agent)
    with refusing(directory, "date"):
        file = directory.within(app, lambda place: app.directories.daily.open(place, meant))
    return OpenDay(meant, file)


def list_months(app: App, ask: Ask, agent: AgentRef, page: PageRequest) -> Page[Month]:
    """One page of the months that have days, the newest first."""
    with reading(app, ask) as (tx, caller, now, head):
        directory = require_directory(tx, caller, AgentDirectory(agent), Role.VIEWER, now)
        about = None if directory.agent is None else directory.agent.agent_id
        cursor = Cursor(page, caller, head.epoch, about=about)
        after = cursor.after(str)
    with refusing(directory, "agent"):
        found: Mapping[str, Sequence[int]] = directory.within(app, app.directories.daily.list, {})
    left = [
        Month(month, days) for month, days in found.items() if after is None or month < after[0]
    ]
    return cursor.page(left[: cursor.size + 1], lambda one: (one.month,))


def search_days(app: App, ask: Ask, query: SearchDays) -> DailySearch:
    """Look for a text in a journal."""
    if not 0 < len(query.text) <= _MAX_QUERY:
        raise invalid("text", "what to look for: 1 to {limit} characters", limit=_MAX_QUERY)
    if "\n" in query.text:
        raise invalid("text", "a text within one line")
    first = _stated_day("start_date", query.start) if query.start else None
    last = _stated_day("end_date", query.end) if query.end else None
    directory = _readable(app, ask, query.agent)
    with refusing(directory, "agent"):
        return directory.within(
            app,
            lambda place: app.directories.daily.search(place, query.text, first=first, last=last),
            DailySearch(matches=(), total=0, complete=True),
        )


def _readable(app: App, ask: Ask, agent: AgentRef) -> Directory:
    with reading(app, ask) as (tx, caller, now, _):
        return require_directory(tx, caller, AgentDirectory(agent), Role.VIEWER, now)


def _write(
    app: App, call: MutatingCall, agent: AgentRef, day: date, write: Callable[[Place], FileEntry]
) -> Written[WrittenDay] | Replayed:
    def act(directory: Directory) -> Effect[WrittenDay]:
        with refusing(directory, "date"):
            entry = directory.change(app, write)
        effect = written(directory, entry)
        return Effect(
            value=WrittenDay(day, entry),
            kind=effect.kind,
            subjects=effect.subjects,
            after=effect.after,
        )

    return change_file(app, call, _judge(app, agent), act)


def _judge(app: App, agent: AgentRef) -> Callable[[Transaction, Principal, datetime], Directory]:
    def judge(tx: Transaction, caller: Principal, now: datetime) -> Directory:
        directory = require_directory(tx, caller, AgentDirectory(agent), Role.OPERATOR, now)
        require_journals(app)
        return directory

    return judge


def _day(app: App, field: str, text: str) -> date:
    return _stated_day(field, text) if text else app.now().date()


def _stated_day(field: str, text: str) -> date:
    """The day that is written so and no other way. Raises InvalidArgument."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # Other forms are ISO's too: 20260228, 2026-W09-6.
    if day is None or day.isoformat() != text:
        raise invalid(field, "a day of the calendar, as 2026-02-28", Reason.INVALID_MEMORY_DATE)
    return day
