"""A file for a secret that is shown once."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import click


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
