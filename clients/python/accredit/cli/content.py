"""What files hold: where a command takes it from, and how it is printed."""

import codecs
import sys
from collections.abc import Callable, Iterable
from typing import IO, Any, TypeVar

import click

from accredit.cli.escapes import printable_lines
from accredit.cli.output import write
from accredit.cli.session import Session

F = TypeVar("F", bound=Callable[..., Any])

_LARGEST = 64 * 1024 * 1024


class _Seed(click.ParamType):
    """A file's name and, after =, the path of the text that it is to begin with."""

    name = "filename=path"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """See ParamType."""
        if isinstance(value, tuple):
            return value
        filename, equals, path = value.partition("=")
        if not (filename and equals):
            self.fail(f"{value!r}: a name, = and a path", param, ctx)
        with click.File("rb").convert(path, param, ctx) as file:
            return filename, read_text(file)


SEED = _Seed()


def with_file(command: F) -> F:
    """Give a command [FILE], standard input by default, as `file`."""
    return click.argument("file", type=click.File("rb"), default="-")(command)


def only_if_absent(command: F) -> F:
    """Give a command --only-if-absent."""
    return click.option("--only-if-absent", is_flag=True, help="Only if there is none yet.")(
        command
    )


def read_all(file: IO[bytes]) -> bytes:
    """All that is in it. Raises click.UsageError for more than any server takes, 64 MiB."""
    content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise click.UsageError(f"{_name(file)}: larger than {_LARGEST >> 20} MiB")
    return content


def read_text(file: IO[bytes]) -> str:
    """The same as text. Raises click.UsageError if it is not UTF-8."""
    try:
        return read_all(file).decode()
    except UnicodeDecodeError:
        raise click.UsageError(f"{_name(file)}: not UTF-8") from None


def write_content(session: Session, chunks: Iterable[bytes]) -> None:
    """Print a file's content byte for byte; to a terminal, with what it would obey spelt out."""
    if not session.is_watched:
        # What was printed before as text comes before.
        sys.stdout.flush()
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        return
    # A chunk may end within a character.
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    for chunk in chunks:
        write(printable_lines(decoder.decode(chunk)))
    write(printable_lines(decoder.decode(b"", final=True)))


def _name(file: IO[bytes]) -> str:
    return str(getattr(file, "name", "standard input"))
