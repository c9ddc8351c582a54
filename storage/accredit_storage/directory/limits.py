"""How large a file may be, and how many files and how much a directory may hold."""

import os
from collections.abc import Generator
from dataclasses import dataclass

from accredit_storage.directory import paths
from accredit_storage.directory.folders import Folder
from accredit_storage.errors import FileTooLarge, QuotaExceeded


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLimits:
    """The bounds that an operator may set; those of an agent hold for every other place as well."""

    file_bytes: int = 4 * 2**20
    files_per_agent: int = 5_000
    bytes_per_agent: int = 256 * 2**20

    def require_size(self, size: int) -> None:
        """Raise FileTooLarge for a file that is too large whatever else there is."""
        if size > self.file_bytes:
            raise FileTooLarge(self.file_bytes)


def require_room(folder: Folder, limits: FileLimits, old: int | None, new: int) -> None:
    """Raise QuotaExceeded unless a file of ``old`` bytes, None without one, may get ``new``.

    The caller holds the lock of the directory, so that no two find the last room.
    """
    if old is not None and new <= old:
        return
    files, used = 0, 0
    for found in walk(folder):
        try:
            used += found.entry.stat(follow_symlinks=False).st_size
        except FileNotFoundError:
            continue
        files += 1
    if old is None and files >= limits.files_per_agent:
        raise QuotaExceeded("files", limits.files_per_agent)
    if used + new - (old or 0) > limits.bytes_per_agent:
        raise QuotaExceeded("bytes", limits.bytes_per_agent)


@dataclass(frozen=True, slots=True)
class Found:
    """A file on the way: its path, the open folder that it is in, and what that says of it."""

    path: str
    folder: Folder
    entry: "os.DirEntry[str]"


def walk(folder: Folder, prefix: str = "", depth: int = 1) -> Generator[Found]:
    """Every plain file in it and below that a path can name, in no order.

    What comes and goes meanwhile may be there or not. Links and the like are passed over.
    """
    for entry in folder.entries():
        if not paths.is_name(entry.name):
            continue
        if entry.is_file(follow_symlinks=False):
            yield Found(prefix + entry.name, folder, entry)
        elif entry.is_dir(follow_symlinks=False) and depth < paths.MAX_DEPTH:
            try:
                below = folder.enter(entry.name)
            except (FileNotFoundError, NotADirectoryError):
                continue
            with below:
                yield from walk(below, f"{prefix}{entry.name}/", depth + 1)
