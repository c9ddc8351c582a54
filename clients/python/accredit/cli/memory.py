"""`accredit memory`: an agent's journal, day by day."""

import sys
from collections.abc import Callable
from functools import update_wrapper
from typing import IO, TYPE_CHECKING, Any

import click

from accredit.cli.content import (
    only_if_absent,
    read_all,
    read_text,
    with_file,
    write_content,
)
from accredit.cli.failures import ExitCode, listed, note, paged, warn
from accredit.cli.options import Group, etag, is_confirmed, with_yes
from accredit.cli.output import columns, printable, show, show_list, write
from accredit.cli.references import resolved_agent
from accredit.cli.session import Session, pass_session

if TYPE_CHECKING:
    from accredit.v1.directory_pb2 import SearchDailyMemoryResponse

_DAY = columns("date", "file.path", "file.size", "file.update_time", "file.etag", within="day")
_MONTH = columns("month", "days")
_MATCH = columns("date", "line_number", "line")


def _with_agent(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --agent. It gets the session and an AgentRef."""

    @pass_session
    def call(session: Session, /, *, agent: str | None, **more: Any) -> Any:
        return command(session, resolved_agent(session, agent), **more)

    option = click.option(
        "--agent",
        metavar="AGENT",
        help="Whose journal. Default: ACCREDIT_AGENT, else the only agent that you own or are "
        "granted.",
    )
    return option(update_wrapper(call, command))


@click.group(cls=Group)
def memory() -> None:
    """Read, search and write an agent's journal. Days are YYYY-MM-DD, in UTC."""


@memory.command("today")
@_with_agent
def show_today(session: Session, agent: dict[str, Any]) -> None:
    """Print what today's text is so far. Exit code 4: there is none."""
    _print_day(session, agent, None)


@memory.command("read")
@click.argument("date", required=False)
@_with_agent
def read_day(session: Session, agent: dict[str, Any], date: str | None) -> None:
    """Print a day's text, today's by default. Exit code 4: there is none."""
    _print_day(session, agent, date)


@memory.command("append")
@click.argument("text", metavar="TEXT...|-", nargs=-1)
@click.option("--date", metavar="DATE", help="To which day. Default: today.")
@_with_agent
def append_to_day(
    session: Session, agent: dict[str, Any], text: tuple[str, ...], date: str | None
) -> None:
    """Add a paragraph to a day, from words or, with - or nothing, from standard input."""
    paragraph = read_text(sys.stdin.buffer) if text in ((), ("-",)) else " ".join(text)
    answer = session.client.directories.append_daily_memory(
        agent=agent, date=date, text=paragraph.removesuffix("\n").removesuffix("\r")
    )
    _show_day(session, answer)


@memory.command("write")
@click.argument("date")
@with_file
@etag
@only_if_absent
@_with_agent
def write_day(
    session: Session,
    agent: dict[str, Any],
    date: str,
    file: IO[bytes],
    etag: str | None,
    only_if_absent: bool,
) -> None:
    """Replace a whole day, from FILE or standard input."""
    answer = session.client.directories.write_daily_memory(
        agent=agent, date=date, content=read_all(file), etag=etag, only_if_absent=only_if_absent
    )
    _show_day(session, answer)


@memory.command("rm")
@click.argument("date")
@etag
@with_yes
@_with_agent
def remove_day(
    session: Session, agent: dict[str, Any], date: str, etag: str | None, yes: bool
) -> int | None:
    """Delete a day.

    Asks on a terminal; elsewhere it takes --yes.
    """
    if not is_confirmed(lambda: f"Delete the journal of {date}?", yes=yes):
        note("nothing was deleted")
        return ExitCode.NO
    answer = session.client.directories.delete_daily_memory(agent=agent, date=date, etag=etag)
    show(session, answer, columns("consistency_token"))
    return None


@memory.command("list")
@paged
@_with_agent
def list_days(session: Session, agent: dict[str, Any], limit: int | None) -> None:
    """List the months of the journal, newest first, with their days."""
    months = session.client.directories.iterate_daily_memory
    show_list(session, listed(months, limit, agent=agent), _MONTH)


@memory.command("search")
@click.argument("text")
@click.option("--from", "start_date", metavar="DATE", help="Not before this day.")
@click.option("--to", "end_date", metavar="DATE", help="Not after this day.")
@_with_agent
def search_days(
    session: Session,
    agent: dict[str, Any],
    text: str,
    start_date: str | None,
    end_date: str | None,
) -> None:
    """Find a text in the journal, letters in any case, the newest day first.

    Prints date:line: before a line with the text, date-line- before those around it.
    """
    answer = session.client.directories.search_daily_memory(
        agent=agent, text=text, start_date=start_date, end_date=end_date
    )
    if session.format == "table":
        write(_matches_text(answer))
    elif session.format == "csv":
        show_list(session, answer.matches, _MATCH)
    else:
        show(session, answer, ())
    if answer.truncated:
        shown, found = len(answer.matches), answer.match_count
        warn(f"these are {shown} of at least {found} lines: narrow it down by --from and --to")
    elif not answer.matches:
        note("nothing was found")


def _print_day(session: Session, agent: dict[str, Any], date: str | None) -> None:
    answers = session.client.directories.read_daily_memory(
        agent=agent, date=date, timeout=session.stream_timeout
    )
    if session.format == "table":
        write_content(session, (answer.content for answer in answers))
        return
    day = next(answers)
    # As if it had come in one piece.
    day.content += b"".join(answer.content for answer in answers)
    show(session, day, _DAY)


def _show_day(session: Session, answer: Any) -> None:
    show(session, answer, _DAY)
    if answer.notice:
        warn(answer.notice)


def _matches_text(answer: "SearchDailyMemoryResponse") -> str:
    """As grep shows what it found: each line once, and -- where lines were left out."""
    days: dict[str, dict[int, tuple[str, str]]] = {}
    for match in answer.matches:
        lines = days.setdefault(match.date, {})
        first = match.line_number - len(match.before)
        for number, line in enumerate([*match.before, "", *match.after], first):
            lines.setdefault(number, ("-", line))
        lines[match.line_number] = (":", match.line)
    text, last = "", ("", 0)
    for date, lines in days.items():
        for number, (mark, line) in sorted(lines.items()):
            if text and (date, number - 1) != last:
                text += "--\n"
            text += f"{date}{mark}{number}{mark} {printable(line)}".rstrip() + "\n"
            last = (date, number)
    return text
