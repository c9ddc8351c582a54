import base64
import csv
import io
import re

import pytest

from tests.cli.conftest import Cli
from tests.cli.processes import on_terminal
from tests.server import Person, Server


@pytest.fixture
def scribe(cli: Cli) -> Cli:
    """The command, with an agent whose journal it is."""
    cli.done("agents", "create", "scribe")
    return cli


@pytest.fixture
def journal(scribe: Cli) -> Cli:
    """The same with two days in it."""
    scribe.done("memory", "write", "2026-02-27", input="a\nb\nFound\nc\nd\ne\nf\nfound\ng")
    scribe.done("memory", "write", "2026-02-28", input="nothing\nfound found")
    return scribe


def test_today_begins_with_its_first_paragraph(scribe: Cli) -> None:
    scribe.fails(4, "FILE_NOT_FOUND", "memory", "today")
    made = scribe.done("memory", "append", "Woke", "up", "early.").record
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", made["date"])
    assert made["path"] == f"daily/{made['date'].replace('-', '/')}.md"
    scribe.done("memory", "append", "-", input="Had\ncoffee.\n")
    scribe.done("memory", "append", input="Slept.")
    text = scribe.done("memory", "today").out
    assert [part in text for part in ("Woke up early.\n", "Had\ncoffee.\n", "Slept.\n")] == [
        True
    ] * 3
    assert scribe.done("memory", "read").out == text
    assert scribe.done("memory", "read", made["date"]).out == text


def test_a_day_is_written_read_and_removed(scribe: Cli) -> None:
    text = "# Heading\r\n\tkept as it is"
    etag = scribe.json("memory", "write", "2026-02-28", input=text.encode())["day"]["file"]["etag"]
    read = scribe.json("memory", "read", "2026-02-28")
    assert base64.b64decode(read["content"]).decode() == text
    assert read["day"]["file"]["etag"] == etag
    printed = scribe.done("memory", "read", "2026-02-28").out
    assert printed == "# Heading\n\tkept as it is", "click's runner makes one line end of two"
    scribe.done("memory", "append", "--date", "2026-02-28", "more")
    assert scribe.done("memory", "read", "2026-02-28").out.endswith("more\n")
    for guard in (["--only-if-absent"], ["--etag", etag]):
        scribe.fails(5, "ETAG_MISMATCH", "memory", "write", "2026-02-28", *guard, input="x")
    scribe.fails(5, "ETAG_MISMATCH", "memory", "rm", "2026-02-28", "--etag", etag, "--yes")
    scribe.done("memory", "rm", "2026-02-28", "--yes")
    scribe.fails(4, "FILE_NOT_FOUND", "memory", "read", "2026-02-28")


def test_removing_a_day_asks(journal: Cli, server: Server) -> None:
    journal.fails(2, "USAGE", "memory", "rm", "2026-02-28")
    variables = {"ACCREDIT_ADDRESS": server.address, "ACCREDIT_TOKEN": server.admin.token}
    words = ["memory", "rm", "2026-02-28"]
    code, seen = on_terminal(words, variables, asked="[y/N]", typed="n\n")
    assert (code, "Delete the journal of 2026-02-28? [y/N]" in seen) == (1, True)
    assert journal.done("memory", "read", "2026-02-28").out
    assert on_terminal(words, variables, asked="[y/N]", typed="y\n")[0] == 0
    journal.fails(4, "FILE_NOT_FOUND", "memory", "read", "2026-02-28")


def test_the_days_are_listed_by_month_the_newest_first(journal: Cli) -> None:
    journal.done("memory", "write", "2025-12-31", input="old")
    assert journal.done("memory", "list").rows == [
        ["MONTH", "DAYS"],
        ["2026/02", "27", "28"],
        ["2025/12", "31"],
    ]
    assert journal.json("memory", "list")[1] == {"month": "2025/12", "days": [31]}


def test_what_is_searched_for_is_shown_among_its_neighbours(journal: Cli) -> None:
    assert journal.done("memory", "search", "FOUND").out == (
        "2026-02-28-1- nothing\n"
        "2026-02-28:2: found found\n"
        "--\n"
        "2026-02-27-1- a\n"
        "2026-02-27-2- b\n"
        "2026-02-27:3: Found\n"
        "2026-02-27-4- c\n"
        "2026-02-27-5- d\n"
        "2026-02-27-6- e\n"
        "2026-02-27-7- f\n"
        "2026-02-27:8: found\n"
        "2026-02-27-9- g\n"
    )


def test_lines_that_are_found_close_together_are_shown_once(scribe: Cli) -> None:
    scribe.done("memory", "write", "2026-02-28", input="x1\nx2\n-\n-\n-\n-\n-\nx3")
    shown = scribe.done("memory", "search", "x").out.splitlines()
    assert shown == [
        "2026-02-28:1: x1",
        "2026-02-28:2: x2",
        "2026-02-28-3- -",
        "2026-02-28-4- -",
        "--",
        "2026-02-28-6- -",
        "2026-02-28-7- -",
        "2026-02-28:8: x3",
    ]


def test_a_search_has_its_days_and_its_forms(journal: Cli) -> None:
    late = journal.json("memory", "search", "found", "--from", "2026-02-28")
    assert [match["lineNumber"] for match in late["matches"]] == [2]
    early = journal.done("memory", "search", "found", "--to", "2026-02-27", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(early.out)))
    assert [(row["date"], row["line_number"], row["line"]) for row in rows] == [
        ("2026-02-27", "3", "Found"),
        ("2026-02-27", "8", "found"),
    ]
    nothing = journal.done("memory", "search", "lost")
    assert (nothing.out, nothing.err) == ("", "nothing was found\n")


def test_a_search_that_finds_too_much_says_so(scribe: Cli) -> None:
    scribe.done("memory", "write", "2026-02-28", input="\n".join("x" * 60))
    found = scribe.done("memory", "search", "x")
    assert len(found.out.splitlines()) == 52
    assert found.err.startswith("warning: these are 50 of at least 60 lines")


def test_what_a_journal_holds_cannot_drive_the_terminal(scribe: Cli, server: Server) -> None:
    scribe.done("memory", "write", "2026-02-28", input="\x1b[2Jgone\u202e\n")
    variables = {"ACCREDIT_ADDRESS": server.address, "ACCREDIT_TOKEN": server.admin.token}
    for words in (["read", "2026-02-28"], ["search", "gone"]):
        code, seen = on_terminal(["memory", *words], variables)
        assert (code, "\\x1b[2Jgone\\u202e\n" in seen, "\x1b" in seen) == (0, True, False)


def test_a_day_that_grows_large_is_noticed(scribe: Cli) -> None:
    assert scribe.done("memory", "append", "x" * 4000).err == ""
    assert scribe.done("memory", "append", "x" * 5000).err.startswith("warning: ")


def test_a_journal_is_its_agents(scribe: Cli, ada: Person) -> None:
    scribe.done("agents", "create", "other")
    scribe.fails(5, "AGENT_AMBIGUOUS", "memory", "today")
    scribe.done("memory", "append", "mine", "--agent", "scribe")
    scribe.done("memory", "append", "its", env={"ACCREDIT_AGENT": "other"})
    assert "mine" in scribe.done("--agent", "scribe", "memory", "today").out
    assert "its" in scribe.done("memory", "today", "--agent", "other").out
    for words in (["today"], ["append", "x"], ["search", "x"], ["list"]):
        stranger = scribe.acting_as(ada)
        stranger.fails(3, "AGENT_ACCESS_DENIED", "memory", *words, "--agent", "scribe")


@pytest.mark.parametrize("date", ["2026-02-30", "yesterday", "../../x", "2026-2-3"])
def test_a_day_that_is_none_is_refused(scribe: Cli, date: str) -> None:
    for words in (
        ["read", date],
        ["write", date],
        ["rm", date, "--yes"],
        ["append", "--date", date],
    ):
        scribe.fails(2, "INVALID_MEMORY_DATE", "memory", *words, input="x")


def test_a_paragraph_is_text(scribe: Cli) -> None:
    scribe.fails(2, "USAGE", "memory", "append", input=b"\xff")
    scribe.fails(2, "FIELD_INVALID", "memory", "append", input=" \n")
