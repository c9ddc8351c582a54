"""The manifests of a folder, and the files that they may name as seeds.

Whatever is opened is opened one name at a time, relative to a descriptor, and no link is followed:
who swaps a folder for a link meanwhile makes the reading fail, and never leads it elsewhere.
"""

import errno
import os
import stat
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from accredit.manifests.decoding import MAX_BYTES
from accredit.manifests.problems import Findings, Problem

#: Manifests in it and below, all files and folders that are looked at, and the names in a path.
MAX_MANIFESTS = 10_000
MAX_ENTRIES = 100_000
MAX_DEPTH = 8

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Not blocking: a pipe that somebody put there would make the reader wait for its writer.
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


class TooMany(Exception):
    """There is more in the folder than is looked through."""


class Folder:
    """An open folder. Paths are relative to it, with ``/`` between the names."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def files(self, suffixes: Collection[str]) -> tuple[list[str], list[Problem]]:
        """The paths of the files whose names end so, in code-point order; what was passed over.

        Raises TooMany.
        """
        walk = _Walk(suffixes)
        walk.through(self._descriptor, "", 1)
        return sorted(walk.found), walk.problems

    def read(self, path: str) -> bytes:
        """A file, up to a byte more than a file may have.

        Raises ValueError for a path that leads out or through a link, OSError for what cannot be
        read.
        """
        names = [name for name in path.split("/") if name != "."]
        if path.startswith("/") or ".." in names or "\0" in path:
            raise ValueError("a relative path without .., to a file in or below the folder")
        here = os.dup(self._descriptor)
        try:
            for name in names[:-1]:
                below = _opened(name, _FOLDER, here)
                os.close(here)
                here = below
            return _content(names[-1] if names else ".", here)
        finally:
            os.close(here)

    def beside(self, manifest: str) -> Callable[[str], bytes]:
        """What reads files by their paths from a manifest's folder, see ``read``."""
        parent = PurePosixPath(manifest).parent.as_posix()

        def reader(path: str) -> bytes:
            # Otherwise it would be absolute no longer.
            return self.read(path if path.startswith("/") else f"{parent}/{path}")

        return reader


@contextmanager
def opened(path: Path) -> Generator[Folder]:
    """The folder of a path that somebody chose: links on the way are followed. Raises OSError."""
    descriptor = os.open(path, _FOLDER)
    try:
        yield Folder(descriptor)
    finally:
        os.close(descriptor)


class _Walk:
    """What has been found on the way."""

    def __init__(self, suffixes: Collection[str]) -> None:
        self._suffixes = suffixes
        self.found: list[str] = []
        self.problems: list[Problem] = []
        self._entries = 0

    def through(self, descriptor: int, prefix: str, depth: int) -> None:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                self._entries += 1
                if self._entries > MAX_ENTRIES:
                    raise TooMany(f"at most {MAX_ENTRIES} files and folders")
                self._entry(entry, descriptor, prefix, depth)

    def _entry(self, entry: "os.DirEntry[str]", descriptor: int, prefix: str, depth: int) -> None:
        path = prefix + entry.name
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        is_folder = entry.is_dir(follow_symlinks=False)
        if not is_folder and PurePosixPath(entry.name).suffix.lower() not in self._suffixes:
            if entry.is_symlink():
                self._notice(shown, "a link, which is not followed")
        elif shown != path:
            self._error(shown, "a name in UTF-8")
        elif is_folder and depth == MAX_DEPTH:
            self._error(path, f"a path of at most {MAX_DEPTH} names")
        elif is_folder:
            self._below(entry.name, descriptor, path, depth)
        elif entry.is_symlink():
            self._notice(path, "a link, which is not followed")
        elif entry.is_file(follow_symlinks=False):
            if len(self.found) == MAX_MANIFESTS:
                raise TooMany(f"at most {MAX_MANIFESTS} manifests")
            self.found.append(path)
        else:
            self._notice(path, "not a file")

    def _below(self, name: str, descriptor: int, path: str, depth: int) -> None:
        try:
            below = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
        except OSError as error:
            self._error(path, (error.strerror or "not readable").lower())
            return
        try:
            self.through(below, f"{path}/", depth + 1)
        finally:
            os.close(below)

    def _notice(self, path: str, message: str) -> None:
        self.problems += _found(path, message, is_error=False)

    def _error(self, path: str, message: str) -> None:
        self.problems += _found(path, message, is_error=True)


def _found(path: str, message: str, *, is_error: bool) -> list[Problem]:
    findings = Findings(path)
    (findings.error if is_error else findings.notice)(0, "", message)
    return findings.problems


def _opened(name: str, flags: int, folder: int) -> int:
    try:
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        # A link says the first to who wants a file, the second to who wants a folder; a file that
        # is no folder says the second too.
        if error.errno == errno.ELOOP or (error.errno == errno.ENOTDIR and _is_link(name, folder)):
            raise ValueError("no link on the way") from error
        raise


def _is_link(name: str, folder: int) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)


def _content(name: str, folder: int) -> bytes:
    descriptor = _opened(name, _FILE, folder)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a file")
        parts = []
        left = MAX_BYTES + 1
        while left and (part := os.read(descriptor, left)):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)
