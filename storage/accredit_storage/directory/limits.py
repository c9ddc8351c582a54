"""How large a file may be, and how many files and how much a directory may hold."""

from dataclasses import dataclass

from accredit_storage.directory.folders import Folder
from accredit_storage.directory.walking import walk
from accredit_storage.errors import QuotaExceeded


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLimits:
    """The bounds that an operator may set; those of an agent hold for every other place as well."""

    file_bytes: int = 4 * 2**20
    files_per_agent: int = 5_000
    bytes_per_agent: int = 256 * 2**20


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
