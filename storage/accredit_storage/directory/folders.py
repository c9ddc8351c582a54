"""An open directory: what is asked of it concerns the names directly in it.

Every access goes through here, one name at a time and relative to a descriptor, and follows no
link: whoever swaps a directory for a link meanwhile makes the access fail, and never leads it
elsewhere.
"""

import errno
import os
import shutil
import stat
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from accredit_storage.directory.renames import rename_new
from accredit_storage.errors import PathInvalid

FOLDER_MODE = 0o700
FILE_MODE = 0o600

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Not blocking, because a pipe that somebody put there would make the caller wait for its writer.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# What a link says to _READ, and a socket.
_NOT_PLAIN = (errno.ELOOP, errno.ENXIO)
# What is no link, and what is not there.
_NO_LINK = (errno.EINVAL, errno.ENOENT)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder:
    """A descriptor of a directory. Raises OSError as the system does; see ``refusals``."""

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
