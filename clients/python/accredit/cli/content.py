"""What files hold: where a command takes it from, and how it is printed."""

import codecs
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar

import click

from accredit.cli.output import printable_lines, write
from accredit.cli.session import Session


class SecretFile:
    """A file of mode 0600, made before there is a secret; leaving without one removes it.

    A secret cannot be had again, so whatever would keep it from being written has to show
    before it is made.
    """

    def __init__(self, path: str, *, replace: bool) -> None:
        """Raises click.UsageError if there cannot be such a file.

        With `replace` a file that is there is kept until the new one takes its place in one
        step, as whoever reads it again when it changes needs it; otherwise it is an error.
        """
        self._path = self._part = path
        try:
            if replace:
                beside = Path(path)
                self._descriptor, self._part = tempfile.mkstemp(
                    dir=beside.parent, prefix=f".{beside.name}-"
                )
            else:
                flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
                self._descriptor = os.open(path, flags, 0o600)
        except FileExistsError:
            raise click.UsageError(f"{path} exists, and may hold another secret") from None
        except OSError as error:
            raise click.UsageError(f"{path}: {error.strerror}") from None
        self._is_open = True
        self._is_written = False

    def write(self, secret: str) -> None:
        """Put the secret in place. Raises OSError."""
        with os.fdopen(self._descriptor, "w") as file:
            self._is_open = False
            file.write(f"{secret}\n")
            file.flush()
            os.fsync(file.fileno())
        if self._part != self._path:
            os.replace(self._part, self._path)
        self._is_written = True

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_open:
            os.close(self._descriptor)
        if not self._is_written:
            with suppress(OSError):
                os.unlink(self._part)


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
