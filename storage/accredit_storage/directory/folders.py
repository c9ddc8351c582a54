"""An open directory: what is asked of it concerns the names directly in it.

Every access goes through here, one name at a time and relative to a descriptor, and follows no
link: whoever swaps a directory for a link meanwhile makes the access fail, and never leads it
elsewhere.
"""

import ctypes
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from accredit_storage.errors import (
    FilesUnavailable,
    PathInvalid,
    StoreBusy,
    StoreError,
    StoreFull,
    WriteInDoubt,
)

FOLDER_MODE = 0o700
FILE_MODE = 0o600

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Not blocking, because a pipe that somebody put there would make the caller wait for its writer.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# How _READ fails for a link, and for a socket.
_NOT_PLAIN = (errno.ELOOP, errno.ENXIO)
# What is no link, and what is not there.
_NO_LINK = (errno.EINVAL, errno.ENOENT)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder:
    """A descriptor of a directory. Raises OSError as the system does; see ``translated``."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def at(cls, path: Path) -> Self:
        """The directory of a path that the operator chose: links on the way are followed."""
        return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self.descriptor)

    def enter(self, name: str) -> "Folder":
        """The directory of that name."""
        return Folder(os.open(name, _FOLDER, dir_fd=self.descriptor))

    def make(self, name: str) -> "Folder":
        """The directory of that name, which is made if it is not there, and then is on disk."""
        try:
            return self.enter(name)
        except FileNotFoundError:
            pass
        try:
            os.mkdir(name, FOLDER_MODE, dir_fd=self.descriptor)
        except FileExistsError:
            return self.enter(name)
        made = self.enter(name)
        try:
            # The process's umask may have taken rights away that we need.
            os.fchmod(made.descriptor, FOLDER_MODE)
            self.sync()
        except BaseException:
            os.close(made.descriptor)
            raise
        return made

    @contextmanager
    def descend(self, names: Iterable[str], *, make: bool = False) -> Generator["Folder"]:
        """The directory at the end of ``names``, itself if there are none."""
        here = Folder(os.dup(self.descriptor))
        try:
            for name in names:
                below = here.make(name) if make else here.enter(name)
                os.close(here.descriptor)
                here = below
            yield here
        finally:
            os.close(here.descriptor)

    def open_file(self, name: str, *, only_name: bool = True) -> FileIO:
        """The plain file of that name, for reading.

        Raises PathInvalid for a link, a pipe or a directory, and for a file that has a second name,
        which may be outside, unless this need not be its ``only_name``.
        """
        try:
            descriptor = os.open(name, _READ, dir_fd=self.descriptor)
        except OSError as error:
            if error.errno in _NOT_PLAIN:
                raise PathInvalid(f"{name!a}: a plain file") from error
            raise
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise PathInvalid(f"{name!a}: a plain file")
            if only_name and found.st_nlink > 1:
                raise PathInvalid(f"{name!a}: a file with one name, not hard links")
            return open(descriptor, "rb", buffering=0)
        except BaseException:
            os.close(descriptor)
            raise

    def create_file(self, name: str) -> FileIO:
        """A new, empty file for writing. FileExistsError if the name is taken."""
        descriptor = os.open(name, _CREATE, FILE_MODE, dir_fd=self.descriptor)
        try:
            os.fchmod(descriptor, FILE_MODE)
            return open(descriptor, "wb", buffering=0)
        except BaseException:
            os.close(descriptor)
            raise

    def stat(self, name: str) -> os.stat_result | None:
        """What is known about the name, a link being itself; None if it is not there."""
        try:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def entries(self) -> list["os.DirEntry[str]"]:
        """All that is in it, in no order."""
        with os.scandir(self.descriptor) as found:
            return list(found)

    def replace(self, name: str, new_name: str) -> None:
        """Give a file another name here; what had that one is gone."""
        os.rename(name, new_name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def move(self, name: str, folder: "Folder", new_name: str) -> None:
        """Move a file or a directory. FileExistsError if there is anything by the new name."""
        rename_new(name, self.descriptor, new_name, folder.descriptor)

    def link(self, target: str, name: str) -> None:
        """Make a symbolic link. FileExistsError if the name is taken."""
        os.symlink(target, name, dir_fd=self.descriptor)

    def read_link(self, name: str) -> str:
        """What a symbolic link says, "" for what is none."""
        try:
            return os.readlink(name, dir_fd=self.descriptor)
        except OSError as error:
            if error.errno in _NO_LINK:
                return ""
            raise

    def remove(self, name: str) -> None:
        """Remove a file or a link."""
        os.unlink(name, dir_fd=self.descriptor)

    def remove_folder(self, name: str) -> None:
        """Remove an empty directory."""
        os.rmdir(name, dir_fd=self.descriptor)

    def remove_tree(self, name: str) -> None:
        """Remove a directory with all that is in it, if there is one; of a link, the link alone."""
        with suppress(FileNotFoundError):
            found = self.stat(name)
            if found is not None and not stat.S_ISDIR(found.st_mode):
                self.remove(name)
            else:
                shutil.rmtree(name, dir_fd=self.descriptor)

    def sync(self) -> None:
        """Wait until the names in it are on disk."""
        os.fsync(self.descriptor)


_NOREPLACE = 1
# The file system, or the kernel, does not know how.
_UNKNOWN = frozenset((errno.EINVAL, errno.ENOSYS, errno.ENOTSUP))


def rename_new(source: str, source_fd: int, target: str, target_fd: int) -> None:
    """Rename, each name inside the directory of its descriptor. FileExistsError: taken."""
    if _renameat2 is None:
        look_and_rename(source, source_fd, target, target_fd)
        return
    old, new = os.fsencode(source), os.fsencode(target)
    if _renameat2(source_fd, old, target_fd, new, _NOREPLACE) == 0:
        return
    code = ctypes.get_errno()
    if code not in _UNKNOWN:
        raise OSError(code, os.strerror(code))
    look_and_rename(source, source_fd, target, target_fd)


def look_and_rename(source: str, source_fd: int, target: str, target_fd: int) -> None:
    """The same, where the system cannot do it in one step.

    Only somebody who writes into the tree by hand could come in between: our own moves to one
    target exclude each other, and so do our writes in one directory.
    """
    try:
        os.stat(target, dir_fd=target_fd, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def _find_renameat2() -> Callable[[int, bytes, int, bytes, int], int] | None:
    """The function of the C library, None where there is none."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return None
    function.argtypes = (
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_uint,
    )
    function.restype = ctypes.c_int

    def call(source_fd: int, source: bytes, target_fd: int, target: bytes, flags: int) -> int:
        return int(function(source_fd, source, target_fd, target, flags))

    return call


_renameat2 = _find_renameat2()


#: How the names of files begin that are still being written. A reader cannot ask for such a name.
UNFINISHED = ".unfinished-"


def replace_content(
    folder: Folder, name: str, content: bytes, *, only_if_absent: bool = False
) -> int:
    """Put ``content`` under the name: when it was written, in nanoseconds.

    It is on disk once ``sync_write`` has returned. Whoever reads meanwhile, or after a crash, finds
    the old content or the new. Where this raises, the old one is there. FileExistsError where it
    was to be ``only_if_absent`` and is not.
    """
    unfinished = UNFINISHED + secrets.token_hex(8)
    try:
        with folder.create_file(unfinished) as file:
            _write_all(file.fileno(), content)
            os.fsync(file.fileno())
            written_at = os.fstat(file.fileno()).st_mtime_ns
        if only_if_absent:
            folder.move(unfinished, folder, name)
        else:
            folder.replace(unfinished, name)
    except BaseException:
        with suppress(OSError):
            folder.remove(unfinished)
        raise
    return written_at


def sync_write(folder: Folder) -> None:
    """Wait until what was put under names in the folder is on disk.

    Raises WriteInDoubt where that fails: then the old content or the new is there.
    """
    try:
        folder.sync()
    except OSError as error:
        raise WriteInDoubt("the disk failed in the last step of a write") from error


def _write_all(descriptor: int, content: bytes) -> None:
    # The system may take a part and refuse the rest in the next call, when the disk is full.
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


_BY_ERRNO: dict[int, type[StoreError]] = {
    errno.EDQUOT: StoreFull,
    errno.EFBIG: StoreFull,  # Over what a process may write.
    errno.ENOSPC: StoreFull,
    errno.EAGAIN: StoreBusy,
    errno.EMFILE: StoreBusy,
    errno.ENFILE: StoreBusy,
    errno.ENOMEM: StoreBusy,
    errno.EISDIR: PathInvalid,
    errno.ELOOP: PathInvalid,
    errno.ENAMETOOLONG: PathInvalid,
    errno.ENOTDIR: PathInvalid,
}

_WORDS: dict[type[StoreError], str] = {
    PathInvalid: "what is there is not a plain file, or not below plain directories",
    StoreBusy: "the system has no resources left for another file",
    StoreFull: "the disk has no room to write",
    FilesUnavailable: "the disk does not answer or does not accept writes",
}


@contextmanager
def translated() -> Generator[None]:
    """Raise what the system refuses within as StoreErrors.

    Words of our own: the system's name the path. What has no row, such as EIO, EROFS and EACCES,
    is the disk's.
    """
    try:
        yield
    except OSError as error:
        kind = _BY_ERRNO.get(error.errno or 0, FilesUnavailable)
        raise kind(_WORDS[kind]) from error
