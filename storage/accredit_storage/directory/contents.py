"""A file that was opened: what is known about it, and its bytes."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import FileIO
from types import TracebackType
from typing import Self

from accredit_storage.directory.refusals import translated

#: How much is read at a time.
CHUNK = 64 * 1024

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """A file without its content. ``etag``: a quoted digest of the content."""

    path: str
    size: int
    etag: str
    modified_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FileContent:
    """A file as it was at one moment."""

    entry: FileEntry
    content: bytes


class OpenFile:
    """A file that can be read in pieces, all of them of one state. To be closed."""

    def __init__(self, path: str, file: FileIO) -> None:
        self.entry = entry_of(path, file)
        self._file = file

    def chunks(self, size: int = CHUNK) -> Iterator[bytes]:
        """The content from its beginning, in pieces of up to ``size`` bytes."""
        with translated():
            self._file.seek(0)
            while chunk := self._file.read(size):
                yield chunk

    def close(self) -> None:
        """Let go of it."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def entry_of(path: str, file: FileIO) -> FileEntry:
    """The entry of a file that was opened at its beginning; reads it to its end."""
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    found = os.fstat(file.fileno())
    return FileEntry(
        path=path, size=found.st_size, etag=quoted(digest), modified_at=moment(found.st_mtime_ns)
    )


def etag_of(content: bytes) -> str:
    """The etag of a content: equal where the content is."""
    return quoted(hashlib.sha256(content).hexdigest())


def quoted(digest: str) -> str:
    """An etag as HTTP writes it."""
    return f'"{digest}"'


def moment(nanoseconds: int) -> datetime:
    """A time of the file system."""
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
