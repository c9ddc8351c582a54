"""An agent's journal through the wire: days, months, searches, and every refusal."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from accredit_storage.directory.places import place_of
from tests.api.asking import pages
from tests.api.filing import Fields, get, of_agent, paths, put
from tests.server import Person, RefusedError, Server, running_server

HEADING = "# Daily Memory: {}\n\n"
DAY = "2026-02-28"


@pytest.fixture
def owner(server: Server) -> Person:
    return server.user()


@pytest.fixture
def journal(server: Server, owner: Person) -> Fields:
    """What names an agent whose journal is empty."""
    return {"agent": {"agent_id": server.agent(owner).agent_id}}


def append(person: Person, journal: Fields, text: str, date: str = DAY, **more: Any) -> Any:
    method = "DirectoryService/AppendDailyMemory"
    return person.call(method, **journal, date=date, text=text, **more)


def read(person: Person, journal: Fields, date: str = DAY) -> bytes:
    pieces = person.call("DirectoryService/ReadDailyMemory", **journal, date=date)
    return b"".join(piece.content for piece in pieces)


def refused(person: Person, journal: Fields, method: str, **fields: Any) -> RefusedError:
    return person.refused(f"DirectoryService/{method}", **journal, **fields)


def test_a_new_day_begins_with_its_heading_and_then_grows(owner: Person, journal: Fields) -> None:
    first = append(owner, journal, "Line one.\nLine two.")
    whole = HEADING.format(DAY) + "Line one.\nLine two.\n"
    assert (first.day.date, first.day.file.path) == (DAY, "daily/2026/02/28.md")
    assert (first.day.file.size, first.notice) == (len(whole), "")
    assert first.consistency_token
    second = append(owner, journal, " é \U0001f916 ")
    assert second.day.file.etag != first.day.file.etag
    assert read(owner, journal).decode() == f"{whole} é \U0001f916 \n"
    (shown,) = owner.call("DirectoryService/ReadDailyMemory", **journal, date=DAY)
    assert shown.day == second.day
    # It is a file like any other.
    assert get(owner, journal_directory(journal), "daily/2026/02/28.md") == shown.content


def journal_directory(journal: Fields) -> Fields:
    return of_agent(journal["agent"]["agent_id"])


def test_a_day_is_replaced_to_the_byte_and_deleted_once(owner: Person, journal: Fields) -> None:
    write, delete = "DirectoryService/WriteDailyMemory", "DirectoryService/DeleteDailyMemory"
    fields = {**journal, "date": DAY}
    first = owner.call(write, content=b"\0\xff\r\n", only_if_absent=True, **fields)
    assert read(owner, journal) == b"\0\xff\r\n"
    for more in ({"only_if_absent": True}, {"etag": '"x"'}):
        refusal = owner.refused(write, content=b"other", **fields, **more)
        assert refusal.what == "ABORTED ETAG_MISMATCH"
        assert refusal.metadata == {"etag": first.day.file.etag}
    both = owner.refused(write, only_if_absent=True, etag="*", **fields)
    assert (both.what, list(both.fields)) == ("INVALID_ARGUMENT FIELD_INVALID", ["only_if_absent"])
    second = owner.call(write, content=b"", etag=first.day.file.etag, **fields)
    assert (read(owner, journal), second.day.file.size) == (b"", 0)
    stale = owner.refused(delete, etag=first.day.file.etag, **fields)
    assert stale.what == "ABORTED ETAG_MISMATCH"
    owner.call(delete, etag=second.day.file.etag, **fields)
    for method in (delete, "DirectoryService/ReadDailyMemory"):
        assert owner.refused(method, **fields).what == "NOT_FOUND FILE_NOT_FOUND"


def test_without_a_date_it_is_today_in_utc(database_url: str, tmp_path: Path) -> None:
    with running_server(database_url, tmp_path) as server:
        owner = server.user()
        journal: Fields = {"agent": {"agent_id": server.agent(owner).agent_id}}
        today = server.clock.stop().date()
        append(owner, journal, "Today.", date="")
        server.clock.advance(days=1)
        answer = append(owner, journal, "Tomorrow.", date="")
        assert answer.day.date > today.isoformat()
        assert read(owner, journal, "") == read(owner, journal, answer.day.date)
        assert read(owner, journal, today.isoformat()).endswith(b"\n\nToday.\n")
        # What is replaced or deleted has to be named.
        for method in ("WriteDailyMemory", "DeleteDailyMemory"):
            refusal = refused(owner, journal, method)
            assert refusal.what == "INVALID_ARGUMENT INVALID_MEMORY_DATE"


@pytest.mark.parametrize(
    "date",
    [
        *("2026-13-45", "2026-02-30", "2025-02-29", "20260228", " 2026-02-28", "2026-02-28 "),
        *("2026-2-8", "0000-01-01", "-001-01-01", "10000-01-01", "2026-W09-6", "2026-059"),
        *("26-02-28", "2026/02/28", "../../a", "today", "2026-02-28T00:00:00", "2026-02-28\n"),
        "\u0662\u0660\u0662\u0666-02-28",
    ],
)
def test_what_is_no_day_of_the_calendar_is_refused(
    owner: Person, journal: Fields, date: str
) -> None:
    for method, more in (
        ("AppendDailyMemory", {"text": "x"}),
        ("ReadDailyMemory", {}),
        ("WriteDailyMemory", {"content": b"x"}),
        ("DeleteDailyMemory", {}),
    ):
        refusal = refused(owner, journal, method, date=date, **more)
        assert refusal.what == "INVALID_ARGUMENT INVALID_MEMORY_DATE", method
        assert list(refusal.fields) == ["date"]
    for field in ("start_date", "end_date"):
        refusal = refused(owner, journal, "SearchDailyMemory", text="x", **{field: date})
        assert refusal.what == "INVALID_ARGUMENT INVALID_MEMORY_DATE"
        assert list(refusal.fields) == [field]


@pytest.mark.parametrize("date", ["0001-01-01", "0999-12-31", "2024-02-29", "9999-12-31"])
def test_every_day_of_the_calendar_has_its_file(owner: Person, journal: Fields, date: str) -> None:
    answer = append(owner, journal, "x", date=date)
    assert answer.day.file.path == f"daily/{date.replace('-', '/')}.md"
    assert read(owner, journal, date).decode() == f"{HEADING.format(date)}x\n"


@pytest.mark.parametrize("text", ["", " ", "\n\t\r\n"])
def test_a_blank_text_is_refused(owner: Person, journal: Fields, text: str) -> None:
    refusal = refused(owner, journal, "AppendDailyMemory", date=DAY, text=text)
    assert (refusal.what, list(refusal.fields)) == ("INVALID_ARGUMENT FIELD_INVALID", ["text"])
    assert refused(owner, journal, "ReadDailyMemory", date=DAY).what == "NOT_FOUND FILE_NOT_FOUND"


def test_a_large_day_is_worth_a_word(owner: Person, journal: Fields) -> None:
    write = "DirectoryService/WriteDailyMemory"
    assert not owner.call(write, **journal, date=DAY, content=b"x" * 8192).notice
    assert "8194 bytes" in append(owner, journal, "x").notice
    assert "8193 bytes" in owner.call(write, **journal, date=DAY, content=b"x" * 8193).notice
    assert not owner.call(write, **journal, date=DAY, content=b"x").notice


def test_a_day_has_the_bounds_of_a_file(owner: Person, journal: Fields) -> None:
    largest = 4 * 2**20
    owner.call("DirectoryService/WriteDailyMemory", **journal, date=DAY, content=b"x" * largest)
    for method, more in (
        ("WriteDailyMemory", {"content": b"x" * (largest + 1)}),
        ("AppendDailyMemory", {"text": "x"}),
    ):
        refusal = refused(owner, journal, method, date=DAY, **more)
        assert refusal.what == "RESOURCE_EXHAUSTED FILE_TOO_LARGE"
        assert refusal.metadata == {"limit": str(largest)}


def test_days_are_listed_by_month_the_newest_first(owner: Person, journal: Fields) -> None:
    home = journal_directory(journal)
    assert not owner.call("DirectoryService/ListDailyMemory", **journal).months
    for date in ("2026-02-28", "2025-12-31", "2026-02-03", "0999-01-02", "2026-10-01"):
        append(owner, journal, "x", date=date)
    strays = ["daily/notes.md", "daily/2026/02/30.md", "daily/2026/2/1.md", "daily/2026/03/01.txt"]
    for path in strays:
        put(owner, home, path, b"x")
    months = owner.call("DirectoryService/ListDailyMemory", **journal).months
    assert [(one.month, list(one.days)) for one in months] == [
        ("2026/10", [1]),
        ("2026/02", [3, 28]),
        ("2025/12", [31]),
        ("0999/01", [2]),
    ]
    assert set(strays) < set(paths(owner, home, "daily"))


def test_months_come_in_pages_of_whole_months(owner: Person, journal: Fields) -> None:
    dates = ("2026-01-31", "2026-01-02", "2025-12-31", "2024-02-29", "0001-01-01")
    for date in dates:
        append(owner, journal, "x", date=date)
    method = "DirectoryService/ListDailyMemory"
    found = pages(owner, method, "months", **journal, page_size=2)
    assert [[(one.month, list(one.days)) for one in page] for page in found] == [
        [("2026/01", [2, 31]), ("2025/12", [31])],
        [("2024/02", [29]), ("0001/01", [1])],
    ]
    # A month that comes in between moves nothing, and a token is of one journal.
    first = owner.call(method, **journal, page_size=1)
    append(owner, journal, "x", date="2026-03-01")
    second = owner.call(method, **journal, page_size=1, page_token=first.next_page_token)
    assert [one.month for one in second.months] == ["2025/12"]
    other = {"agent": {"agent_id": owner.server.agent(owner).agent_id}}
    refusal = refused(owner, other, "ListDailyMemory", page_token=first.next_page_token)
    assert refusal.reason == "PAGE_TOKEN_INVALID"


def test_a_page_of_months_is_continued_for_the_same_agent_only(
    server: Server, owner: Person
) -> None:
    slug = server.name("diarist")
    named: dict[str, Any] = {"agent": {"agent_slug": slug}}
    agent = server.agent(owner, slug)
    for date in ("2026-01-01", "2026-02-01"):
        append(owner, named, "x", date=date)
    page = owner.call("DirectoryService/ListDailyMemory", **named, page_size=1)
    new = server.name("renamed")
    server.admin.call("AgentService/RenameAgent", agent={"agent_id": agent.agent_id}, new_slug=new)
    # The slug is another agent's now.
    server.agent(owner, slug)
    refusal = refused(owner, named, "ListDailyMemory", page_token=page.next_page_token)
    assert refusal.reason == "PAGE_TOKEN_INVALID"


def test_a_day_streams_in_pieces_of_one_state(owner: Person, journal: Fields) -> None:
    method, content = "DirectoryService/ReadDailyMemory", bytes(range(256)) * 700
    put_day = "DirectoryService/WriteDailyMemory"
    owner.call(put_day, **journal, date=DAY, content=content)
    pieces = owner.call(method, **journal, date=DAY)
    assert [len(piece.content) for piece in pieces] == [65_536, 65_536, 48_128]
    assert b"".join(piece.content for piece in pieces) == content
    assert [piece.HasField("day") for piece in pieces] == [True, False, False]
    assert pieces[0].day.file.size == len(content)
    owner.call(put_day, **journal, date=DAY, content=b"")
    (empty,) = owner.call(method, **journal, date=DAY)
    assert (empty.day.date, empty.content) == (DAY, b"")


def search(person: Person, journal: Fields, text: str, **more: Any) -> Any:
    return person.call("DirectoryService/SearchDailyMemory", **journal, text=text, **more)


def test_a_search_finds_lines_in_any_case_the_newest_day_first(
    owner: Person, journal: Fields
) -> None:
    append(owner, journal, "a\nb\nThe RAVEN came.\nc\nd\ne", date="2026-02-01")
    append(owner, journal, "raven and Raven\nnothing", date="2026-02-03")
    append(owner, journal, "Straße", date="2026-02-02")
    found = search(owner, journal, "raVen")
    assert (found.match_count, found.truncated) == (2, False)
    newest, oldest = found.matches
    assert (newest.date, newest.line_number, newest.line) == ("2026-02-03", 3, "raven and Raven")
    assert (list(newest.before), list(newest.after)) == (
        ["# Daily Memory: 2026-02-03", ""],
        ["nothing"],
    )
    assert (oldest.date, oldest.line_number) == ("2026-02-01", 5)
    assert (list(oldest.before), list(oldest.after)) == (["a", "b"], ["c", "d"])
    assert [one.date for one in search(owner, journal, "STRASSE").matches] == ["2026-02-02"]
    assert list(refused(owner, journal, "SearchDailyMemory", text="b\nThe").fields) == ["text"]
    for bounds, days in (
        ({"start_date": "2026-02-02"}, ["2026-02-03"]),
        ({"end_date": "2026-02-02"}, ["2026-02-01"]),
        ({"start_date": "2026-02-01", "end_date": "2026-02-03"}, ["2026-02-03", "2026-02-01"]),
        ({"start_date": "2026-02-03", "end_date": "2026-02-01"}, []),
    ):
        matches = search(owner, journal, "raven", **bounds).matches
        assert [one.date for one in matches] == days


def test_a_search_answers_fifty_lines_and_counts_the_rest(owner: Person, journal: Fields) -> None:
    append(owner, journal, "\n".join(f"a match {number}" for number in range(60)))
    found = search(owner, journal, "MATCH")
    assert [one.line for one in found.matches] == [f"a match {number}" for number in range(50)]
    assert (found.match_count, found.truncated) == (60, True)
    append(owner, journal, "x" * 1000 + "needle" + "x" * 1000, date="2026-03-01")
    (match,) = search(owner, journal, "needle").matches
    assert "needle" in match.line
    assert len(match.line.strip("…")) == 500


@pytest.mark.parametrize("text", ["", "x" * 201])
def test_a_search_is_for_one_to_two_hundred_characters(
    owner: Person, journal: Fields, text: str
) -> None:
    refusal = refused(owner, journal, "SearchDailyMemory", text=text)
    assert (refusal.what, list(refusal.fields)) == ("INVALID_ARGUMENT FIELD_INVALID", ["text"])
    assert search(owner, journal, "x" * 200).match_count == 0


def test_a_journal_is_read_with_viewer_and_written_with_operator(server: Server) -> None:
    owner, viewer, operator, stranger = (server.user() for _ in range(4))
    agent_id = server.agent(owner).agent_id
    journal: Fields = {"agent": {"agent_id": agent_id}}
    server.grant(agent_id, viewer, "VIEWER")
    server.grant(agent_id, operator, "OPERATOR")
    append(operator, journal, "A line.")
    reads: tuple[tuple[str, Fields], ...] = (
        ("ReadDailyMemory", {"date": DAY}),
        ("ListDailyMemory", {}),
        ("SearchDailyMemory", {"text": "line"}),
    )
    writes: tuple[tuple[str, Fields], ...] = (
        ("AppendDailyMemory", {"date": DAY, "text": "x"}),
        ("WriteDailyMemory", {"date": DAY, "content": b"x"}),
        ("DeleteDailyMemory", {"date": DAY}),
    )
    for method, more in reads:
        viewer.call(f"DirectoryService/{method}", **journal, **more)
    for method, more in writes:
        refusal = refused(viewer, journal, method, **more)
        assert refusal.what == "PERMISSION_DENIED ROLE_INSUFFICIENT"
    for method, more in (*reads, *writes):
        refusal = refused(stranger, journal, method, **more)
        assert refusal.what == "PERMISSION_DENIED AGENT_ACCESS_DENIED"
        refusal = server.admin.refused(
            f"DirectoryService/{method}", agent={"agent_id": 2**40}, **more
        )
        assert refusal.what == "NOT_FOUND AGENT_NOT_FOUND"
        refusal = owner.refused(f"DirectoryService/{method}", **more)
        assert (refusal.what, list(refusal.fields)) == ("INVALID_ARGUMENT FIELD_INVALID", ["agent"])
    for method, more in writes:
        operator.call(f"DirectoryService/{method}", **journal, **more)


@pytest.fixture
def without_journals(database_url: str, tmp_path: Path) -> Generator[Server]:
    """A server that is set to keep none."""
    with running_server(database_url, tmp_path, more={"daily_memory": False}) as running:
        yield running


def test_a_server_that_keeps_no_journals_still_reads_them(without_journals: Server) -> None:
    server = without_journals
    owner, viewer = server.user(), server.user()
    agent = server.agent(owner)
    agent_id = agent.agent_id
    server.grant(agent_id, viewer, "VIEWER")
    journal: Fields = {"agent": {"agent_id": agent_id}}
    home, path = of_agent(agent_id), "daily/2026/02/28.md"
    with server.app.store.read() as tx:
        row = tx.agents.find(agent_id)
    assert row
    server.app.directories.files.write(place_of(row), path, b"A line from before.\n")
    # Nor is a day written as a file.
    for method in ("WriteFile", "AppendFile", "DeleteFile"):
        content: Fields = {"content": b"x"} if method == "AppendFile" else {}
        refusal = owner.refused(f"DirectoryService/{method}", directory=home, path=path, **content)
        assert refusal.what == "PERMISSION_DENIED DAILY_MEMORY_DISABLED"
    for method, more in (
        ("AppendDailyMemory", {"date": DAY, "text": "x"}),
        ("WriteDailyMemory", {"date": DAY, "content": b"x"}),
        ("DeleteDailyMemory", {"date": DAY}),
    ):
        refusal = refused(owner, journal, method, **more)
        assert refusal.what == "PERMISSION_DENIED DAILY_MEMORY_DISABLED"
        # Who may not write at all is told that.
        assert refused(viewer, journal, method, **more).reason == "ROLE_INSUFFICIENT"
    assert read(viewer, journal) == b"A line from before.\n"
    (month,) = viewer.call("DirectoryService/ListDailyMemory", **journal).months
    assert (month.month, list(month.days)) == ("2026/02", [28])
    assert search(viewer, journal, "BEFORE").match_count == 1
