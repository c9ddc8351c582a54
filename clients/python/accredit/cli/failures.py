"""How a command ends: the exit codes, and what is said when it fails.

Nothing but a line or two ever reaches the user: no traceback, and nothing that looks like a
token, whoever put it there.
"""

import enum
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import click

from accredit.cli.output import printable


class ExitCode(enum.IntEnum):
    """What scripts branch on. The help of `accredit` documents them."""

    OK = 0
    NO = 1
    """Denied, invalid, or a chain that is broken: an answer, not a failure."""
    USAGE = 2
    """What was typed cannot be right; the server's INVALID_ARGUMENT too."""
    REFUSED = 3
    NOT_FOUND = 4
    CONFLICT = 5
    UNAVAILABLE = 6
    FAILED = 7
    INTERRUPTED = 130
    BROKEN_PIPE = 141


_BY_STATUS: Mapping[str, ExitCode] = {
    "INVALID_ARGUMENT": ExitCode.USAGE,
    "OUT_OF_RANGE": ExitCode.USAGE,
    "UNAUTHENTICATED": ExitCode.REFUSED,
    "PERMISSION_DENIED": ExitCode.REFUSED,
    "NOT_FOUND": ExitCode.NOT_FOUND,
    "ALREADY_EXISTS": ExitCode.CONFLICT,
    "ABORTED": ExitCode.CONFLICT,
    "FAILED_PRECONDITION": ExitCode.CONFLICT,
    "UNAVAILABLE": ExitCode.UNAVAILABLE,
    "DEADLINE_EXCEEDED": ExitCode.UNAVAILABLE,
}

_HINTS: Mapping[str, str] = {
    "TOKEN_MISSING": "set ACCREDIT_TOKEN or ACCREDIT_TOKEN_FILE, or give --token-file",
    "AGENT_AMBIGUOUS": "name the agent, or set ACCREDIT_AGENT",
}

_LIKE_A_SECRET = re.compile(r"(?i)bearer|acr_|datamachine_")


class Failure(Exception):
    """A command cannot go on, for a reason that is found here and not by the server."""

    def __init__(
        self, code: ExitCode, message: str, *, reason: str, details: Iterable[str] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = tuple(details)


def report(error: Exception) -> ExitCode:
    """Say on stderr what went wrong; the code to exit with."""
    code, lines = _told(error)
    for line in (*lines, *_indented(getattr(error, "__notes__", ()))):
        click.echo(_harmless(line), err=True)
    return code


def warn(message: str) -> None:
    """Say something on stderr that is no failure."""
    click.echo(_harmless(f"warning: {message}"), err=True)


def note(message: str) -> None:
    """Say something on stderr that is good to know."""
    click.echo(_harmless(message), err=True)


def _told(error: Exception) -> tuple[ExitCode, list[str]]:
    if isinstance(error, click.UsageError):
        return ExitCode.USAGE, _usage(error)
    if isinstance(error, click.ClickException):
        return ExitCode.FAILED, [_line(error.format_message(), "FAILED")]
    if isinstance(error, Failure):
        return error.code, [_line(str(error), error.reason), *_indented(error.details)]
    # Not at the top: it brings gRPC, and usage errors are told without.
    from accredit import AccreditError

    if isinstance(error, AccreditError):
        status = error.code.name
        lines = [_line(error.message, error.reason or status)]
        lines += _indented(f"{at.field}: {at.description}" for at in error.fields)
        lines += _indented([_HINTS[error.reason]] if error.reason in _HINTS else [])
        if status == "INTERNAL" and error.request_id:
            lines += _indented([f"the server's log has it under {error.request_id}"])
        return _BY_STATUS.get(status, ExitCode.FAILED), lines
    if isinstance(error, UnicodeEncodeError):
        message = f"the output is {error.encoding} and cannot hold all: set PYTHONIOENCODING=utf-8"
        return ExitCode.FAILED, [_line(message, "ENCODING")]
    if isinstance(error, OSError):
        named = f"{error.filename}: " if error.filename else ""
        return ExitCode.FAILED, [_line(f"{named}{error.strerror or error}", "FAILED")]
    return ExitCode.FAILED, [_line(f"a bug, {type(error).__name__}: {error}", "BUG")]


def _usage(error: click.UsageError) -> list[str]:
    shows_help = getattr(click.exceptions, "NoArgsIsHelpError", ())
    if isinstance(error, shows_help):
        return error.format_message().splitlines()
    lines = [_line(error.format_message().rstrip("."), "USAGE")]
    if error.ctx is not None:
        lines += _indented([f"try: {error.ctx.command_path} --help"])
    return lines


def _line(message: str, reason: str) -> str:
    return f"error: {message} ({reason})"


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _harmless(line: str) -> str:
    if _LIKE_A_SECRET.search(line):
        from accredit._errors import redact

        line = redact(line)
    return printable(line)


F = TypeVar("F", bound=Callable[..., Any])

_LARGEST_PAGE = 500


def paged(command: F) -> F:
    """Give a command that lists --limit and --all-pages, as `limit`."""
    all_pages = click.option(
        "--all-pages",
        "limit",
        flag_value=0,
        type=int,
        help="List all, however many pages that takes. The default; undoes an earlier --limit.",
    )
    limit = click.option(
        "--limit", type=click.IntRange(min=0), metavar="N", help="List the first N; 0: all."
    )
    return limit(all_pages(command))


def listed(
    iterate: Callable[..., Iterator[Any]], limit: int | None, **fields: Any
) -> Iterator[Any]:
    """The items of all pages, or the first so many; says so if there are more."""
    if not limit:
        yield from iterate(page_size=_LARGEST_PAGE, **fields)
        return
    # One more than is shown tells whether there are more.
    items = iterate(page_size=min(limit + 1, _LARGEST_PAGE), **fields)
    yield from itertools.islice(items, limit)
    if next(items, None) is not None:
        note(f"there are more than these {limit}: raise --limit, or leave it out")
