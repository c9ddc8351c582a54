"""Files: listed, read, written, appended to and deleted, as bytes and exactly.

A file is only ever replaced as a whole, also by an append: so whoever reads needs no lock and sees
one state, a crash tears nothing, and an etag stands for a content that somebody meant. Writers in
one directory take turns, whatever process they are of.
"""

import hashlib
import os
import stat
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import FileIO
from types import TracebackType
from typing import Self

from accredit_storage.directory.folders import Folder, replace_content, sync_write, translated
from accredit_storage.directory.limits import FileLimits, Found, require_room, walk
from accredit_storage.directory.locks import locked
from accredit_storage.directory.paths import Names, parse
from accredit_storage.directory.places import Place
from accredit_storage.directory.tree import DirectoryTree
from accredit_storage.errors import (
    DirectoryMissing,
    EtagMismatch,
    FileMissing,
    FileTooLarge,
    PathInvalid,
    WriteInDoubt,
)

#: How much is read at a time.
CHUNK = 64 * 1024


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


#: The lock that the writers in one directory take, a file in it.
WRITERS = ".lock"


class Files:
    """The files of every place. Threads and processes may share a tree.

    Each call raises PathInvalid for its path, DirectoryMissing where the place is not there, and
    FilesUnavailable, StoreFull or StoreBusy for the disk; then the old content is there. Only
    WriteInDoubt leaves that open.
    """

    def __init__(self, tree: DirectoryTree, limits: FileLimits | None = None) -> None:
        self._tree = tree
        self.limits = limits or FileLimits()

    def paths(self, place: Place, under: str = "") -> Sequence[str]:
        """The paths of a place's files, or of those in a folder of it, in the order of code points.

        A folder that is not there has no files.
        """
        with translated():
            return sorted(found.path for found in self._walk(place, under))

    def exists(self, place: Place, path: str) -> bool:
        """Whether there is such a file; False also where there is no such place."""
        names = parse(path)
        with (
            translated(),
            suppress(DirectoryMissing),
            self._tree.opened(place) as home,
            _parent(home, names) as parent,
        ):
            return _size(parent, names) is not None
        return False

    def read(self, place: Place, path: str) -> FileContent:
        """A whole file. Raises FileMissing, and FileTooLarge beyond the bound; see ``open``."""
        with self.open(place, path) as file:
            if file.entry.size > self.limits.file_bytes:
                raise FileTooLarge(self.limits.file_bytes)
            return FileContent(entry=file.entry, content=b"".join(file.chunks()))

    def open(self, place: Place, path: str) -> OpenFile:
        """A file of any size, to be read in pieces. Raises FileMissing."""
        *folders, name = parse(path)
        with translated(), self._tree.opened(place) as home, _missing(path):
            with home.descend(folders) as folder:
                file = folder.open_file(name)
            try:
                return OpenFile(path, file)
            except BaseException:
                file.close()
                raise

    def write(
        self,
        place: Place,
        path: str,
        content: bytes,
        *,
        etag: str | None = None,
        only_if_absent: bool = False,
    ) -> FileEntry:
        """Replace a file's content, or make the file: what it is now.

        ``etag``: only if that is its etag, or if it is there at all for "*". ``only_if_absent``:
        only if it is not there. Otherwise raises EtagMismatch. Raises FileTooLarge, QuotaExceeded.
        """
        names = parse(path)
        self.limits.require_size(len(content))
        with self._writing(place) as home, _parent(home, names) as parent:
            size = _size(parent, names)
            if parent is not None and only_if_absent and size is not None:
                raise EtagMismatch(etag_of(_content(parent, names)))
            _require_match(parent, names, size, etag)
            require_room(home, self.limits, size, len(content))
            return _replaced(home, parent, path, content, only_if_absent=only_if_absent)

    @contextmanager
    def several(self, place: Place) -> Generator["NewFiles"]:
        """New files of a place, which are on disk together when the block ends.

        Nobody else writes there meanwhile.
        """
        with self._writing(place) as home:
            files = NewFiles(home, self.limits)
            yield files
            files.sync()

    def append(
        self,
        place: Place,
        path: str,
        content: bytes,
        *,
        opening: bytes = b"",
        etag: str | None = None,
    ) -> FileEntry:
        """Add to the end of a file, or make it with ``opening`` before: what it is now.

        Nothing of another writer comes in between. Raises what ``write`` does.
        """
        names = parse(path)
        self.limits.require_size(len(content))
        with self._writing(place) as home, _parent(home, names) as parent:
            size = _size(parent, names)
            _require_match(parent, names, size, etag)
            whole = len(content) + (len(opening) if size is None else size)
            self.limits.require_size(whole)
            require_room(home, self.limits, size, whole)
            before = opening
            if parent is not None and size is not None:
                before = _content(parent, names)
            return _replaced(home, parent, path, before + content)

    def delete(self, place: Place, path: str, *, etag: str | None = None) -> None:
        """Remove a file, and the folders that held nothing else.

        Raises FileMissing, or EtagMismatch if ``etag`` is given.
        """
        names = parse(path)
        with self._writing(place) as home, _missing(path):
            with _parent(home, names) as parent:
                size = _size(parent, names)
                _require_match(parent, names, size, etag)
                if parent is None or size is None:
                    raise FileNotFoundError
                parent.remove(names[-1])
                _sync(parent)
            _prune(home, names[:-1])

    def _walk(self, place: Place, under: str) -> Generator[Found]:
        names = parse(under) if under else ()
        with (
            self._tree.opened(place) as home,
            suppress(FileNotFoundError),
            home.descend(names) as folder,
        ):
            yield from walk(folder, "".join(f"{name}/" for name in names))

    @contextmanager
    def _writing(self, place: Place) -> Generator[Folder]:
        """The directory of a place while nobody else writes in it."""
        with translated():
            try:
                with self._tree.opened(place) as home, locked(home, WRITERS):
                    yield home
            except FileNotFoundError as error:
                raise DirectoryMissing("the directory was removed meanwhile") from error


class NewFiles:
    """Files that are made in one go; see ``Files.several``. Raises what ``Files.write`` does."""

    def __init__(self, home: Folder, limits: FileLimits) -> None:
        self._home = home
        self._limits = limits
        #: The folders whose names are not on disk yet.
        self._changed: set[Names] = set()

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        names = parse(path)
        with translated(), _parent(self._home, names) as parent:
            return _size(parent, names) is not None

    def add(self, path: str, content: bytes) -> None:
        """Make a file that is not there."""
        names = parse(path)
        self._limits.require_size(len(content))
        with translated(), _parent(self._home, names) as parent:
            require_room(self._home, self._limits, None, len(content))
            _replaced(self._home, parent, path, content, only_if_absent=True, sync=False)
        self._changed.add(names[:-1])

    def sync(self) -> None:
        """Wait until all of them are on disk. Raises WriteInDoubt where that fails."""
        for folders in self._changed:
            with self._home.descend(folders) as folder:
                sync_write(folder)


def _sync(folder: Folder) -> None:
    try:
        folder.sync()
    except OSError as error:
        raise WriteInDoubt("the disk failed in the last step of a removal") from error


@contextmanager
def _parent(home: Folder, names: Names) -> Generator[Folder | None]:
    """The folder that a file is in, None if it is not there. The path is descended here only."""
    with ExitStack() as stack:
        try:
            parent = stack.enter_context(home.descend(names[:-1]))
        except FileNotFoundError:
            parent = None
        yield parent


def _size(parent: Folder | None, names: Names) -> int | None:
    """How large a file is, None if it is not there. Raises PathInvalid for what is no file."""
    found = None if parent is None else parent.stat(names[-1])
    if found is None:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise PathInvalid(f"{names[-1]!a}: a plain file")
    return found.st_size


def _content(parent: Folder, names: Names) -> bytes:
    with parent.open_file(names[-1]) as file:
        return file.read()


def _require_match(parent: Folder | None, names: Names, size: int | None, etag: str | None) -> None:
    """Raise EtagMismatch unless the file, of ``size``, is the one that the caller has read."""
    if etag is None:
        return
    if parent is None or size is None:
        raise EtagMismatch(None)
    # Read only where it decides, and then under the lock: an etag that was looked up before would
    # let two writers replace the same content.
    if etag != "*" and (present := etag_of(_content(parent, names))) != etag:
        raise EtagMismatch(present)


def _replaced(
    home: Folder,
    parent: Folder | None,
    path: str,
    content: bytes,
    *,
    only_if_absent: bool = False,
    sync: bool = True,
) -> FileEntry:
    *folders, name = parse(path)
    try:
        with ExitStack() as stack:
            folder = parent or stack.enter_context(home.descend(folders, make=True))
            written_at = replace_content(folder, name, content, only_if_absent=only_if_absent)
            if sync:
                sync_write(folder)
    except BaseException:
        _prune(home, tuple(folders))
        raise
    return FileEntry(
        path=path, size=len(content), etag=etag_of(content), modified_at=moment(written_at)
    )


def _prune(home: Folder, folders: Names) -> None:
    """Remove those of ``folders``, each in the one before, that hold nothing, as far as it goes."""
    with suppress(OSError):
        for depth in range(len(folders) - 1, -1, -1):
            with home.descend(folders[:depth]) as parent:
                parent.remove_folder(folders[depth])
                parent.sync()


@contextmanager
def _missing(path: str) -> Generator[None]:
    """Raise FileMissing where a name on the way is not there."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileMissing(f"there is no file {path!a}") from error


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
