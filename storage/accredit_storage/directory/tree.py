"""The tree below one root: where each place is, and whether only we can get at it."""

import fcntl
import os
import stat
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from accredit_storage.directory.folders import FOLDER_MODE, Folder
from accredit_storage.directory.markers import read_marker
from accredit_storage.directory.places import (
    AGENTS,
    KEPT,
    LEGACY,
    NETWORK,
    NEW,
    SHARED,
    TRASH,
    USERS,
    AgentPlace,
    Place,
    StagedPlace,
    shown,
)
from accredit_storage.directory.refusals import translated
from accredit_storage.errors import DirectoryMissing, FilesUnavailable

#: Where the lock files of moves are, directly below the root; see ``move_locks``.
MOVE_LOCKS = ".locks"

# Made beforehand, so that deleting on a full disk needs no new folder.
_SHELVES = {AGENTS: (NEW, KEPT, TRASH)}
_TOP = (SHARED.name, AGENTS, USERS, NETWORK.name, LEGACY.name, MOVE_LOCKS)


class DirectoryTree:
    """The directories of agents, of users and of everybody. Threads and processes may share it."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        #: Why it is not to be used, "" if it is; see ``belonging``.
        self.refused = ""

    def prepare(self) -> None:
        """Make what is missing of the tree, for our eyes only; what is there is left as it is.

        Raises FilesUnavailable or StoreFull.
        """
        with translated():
            self.root.parent.mkdir(parents=True, exist_ok=True)
            with Folder.at(self.root.parent) as parent:
                if parent.stat(self.root.name) is None:
                    os.close(parent.make(self.root.name).descriptor)
            with Folder.at(self.root) as root:
                try:
                    for name in _TOP:
                        with root.make(name) as folder:
                            for shelf in _SHELVES.get(name, ()):
                                os.close(folder.make(shelf).descriptor)
                except NotADirectoryError as error:
                    raise FilesUnavailable("a part of the tree is no folder") from error

    def check(self) -> list[str]:
        """What is wrong with who owns the tree and who may enter it: sentences for the operator."""
        try:
            root = self.root.stat()
        except OSError as error:
            return [f"{self.root}: {error.strerror}"]
        problems = _problems(self.root, root)
        if not self._has_locks():
            problems.append(f"{self.root} is on a file system without locks: writers would mix")
        for name in _TOP:
            path = self.root / name
            try:
                problems += _problems(path, path.lstat())
            except FileNotFoundError:
                problems.append(f"{path} is not there: the server makes it when it starts")
            except OSError as error:
                problems.append(f"{path}: {error.strerror}")
        return problems

    @contextmanager
    def top(self, name: str) -> Generator[Folder]:
        """A directory directly below the root. Raises FilesUnavailable if it is not there."""
        with self._root() as root:
            try:
                folder = root.enter(name)
            except (FileNotFoundError, NotADirectoryError) as error:
                # As where the root's file system is not mounted: then to make it would hide the
                # files of everybody behind new, empty directories.
                raise FilesUnavailable("the tree of files is not there") from error
        with folder:
            yield folder

    @contextmanager
    def opened(self, place: Place, *, make: bool = False) -> Generator[Folder]:
        """The directory of a place, with ``make`` made if it is missing, but never an agent's.

        Raises DirectoryMissing.
        """
        top, *below = place.names
        make = make and not isinstance(place, AgentPlace | StagedPlace)
        with self.top(top) as folder, ExitStack() as stack:
            try:
                home = stack.enter_context(folder.descend(below, make=make))
            except (FileNotFoundError, NotADirectoryError) as error:
                raise DirectoryMissing(f"there is no directory {shown(place)}") from error
            if isinstance(place, AgentPlace):
                marker = read_marker(home)
                if marker is None or marker.agent_id != place.agent_id:
                    raise DirectoryMissing(f"{shown(place)} is not this agent's directory")
            yield home

    def _has_locks(self) -> bool:
        """Whether a lock keeps others out here; some network file systems only say so."""
        try:
            with Folder.at(self.root) as one, Folder.at(self.root) as other:
                fcntl.flock(one.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(other.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    @contextmanager
    def _root(self) -> Generator[Folder]:
        if self.refused:
            raise FilesUnavailable(self.refused)
        try:
            root = Folder.at(self.root)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FilesUnavailable("the tree of files is not there") from error
        with root:
            yield root


def _problems(path: Path, found: os.stat_result) -> list[str]:
    problems = []
    if not stat.S_ISDIR(found.st_mode):
        return [f"{path} is not a directory"]
    if found.st_uid != os.geteuid():
        problems.append(f"{path} belongs to user {found.st_uid} and not to the server's user")
    if stat.S_IMODE(found.st_mode) & ~FOLDER_MODE:
        problems.append(f"{path} is open to others: chmod {FOLDER_MODE:o} {path}")
    return problems
