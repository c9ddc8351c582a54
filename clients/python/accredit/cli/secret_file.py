"""A file for a secret that is shown once."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from typing_extensions import Self


class SecretFile:
    """A file of mode 0600, made ready before there is a secret, and put in place with it.

    A secret cannot be had again, so whatever would keep it from being written has to show
    before it is made.
    """

    def __init__(self, path: str, *, replace: bool) -> None:
        """Raises click.UsageError if there cannot be such a file."""
        self._path = Path(path)
        self._replace = replace
        if not replace and self._path.exists():
            raise click.UsageError(f"{path} exists: it may hold another secret")
        try:
            # Beside it, so that putting it in place is one step. mkstemp makes it 0600.
            self._descriptor, self._part = tempfile.mkstemp(
                dir=self._path.parent, prefix=f".{self._path.name}-"
            )
        except OSError as error:
            raise click.UsageError(f"{path}: {error.strerror}") from error
        self._is_open = True

    def write(self, secret: str) -> None:
        """Put the secret in place. Raises OSError."""
        with os.fdopen(self._descriptor, "w") as file:
            self._is_open = False
            file.write(f"{secret}\n")
            file.flush()
            os.fsync(file.fileno())
        if self._replace:
            os.replace(self._part, self._path)
        else:
            # Unlike a rename it leaves alone what somebody else has put there meanwhile.
            os.link(self._part, self._path)

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
        with suppress(FileNotFoundError):
            os.unlink(self._part)
