"""The tree below one root: where each place is, and whether only we can get at it."""

import errno
import fcntl
import logging
import os
import stat
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from accredit_storage.directory.folders import FOLDER_MODE, Folder, translated
from accredit_storage.directory.places import (
    AGENTS,
    BY_KEY,
    KEPT,
    LEGACY,
    NETWORK,
    SHARED,
    SHELVES,
    TRASH,
    USERS,
    CommonPlace,
    OwnPlace,
    Place,
    place_named,
)
from accredit_storage.errors import (
    DirectoryMissing,
    FilesUnavailable,
    PathInvalid,
    StoreError,
)

# Made beforehand, so that deleting on a full disk needs no new folder.
_SHELVES = {AGENTS: SHELVES, USERS: SHELVES}
_TOP = (SHARED.name, AGENTS, USERS, NETWORK.name, LEGACY.name)


class DirectoryTree:
    """The directories of agents, of users and of everybody. Threads and processes may share it."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        #: Why it is not to be used, "" if it is; see ``identity``.
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
    def shelf(self, top: str, shelf: str) -> Generator[Folder]:
        """One of SHELVES. Raises FilesUnavailable if it is not there."""
        with self.top(top) as folder:
            try:
                below = folder.enter(shelf)
            except (FileNotFoundError, NotADirectoryError) as error:
                raise FilesUnavailable("a shelf of the tree is not there") from error
        with below:
            yield below

    @contextmanager
    def opened(self, place: Place) -> Generator[Folder]:
        """The directory of a place. Raises DirectoryMissing where a row's is not there."""
        if isinstance(place, CommonPlace):
            with self.top(place.name) as home:
                yield home
            return
        with self.shelf(place.top, BY_KEY) as shelf:
            try:
                home = shelf.enter(place.name)
            except (FileNotFoundError, NotADirectoryError) as error:
                raise DirectoryMissing("the directory is not there") from error
        with home:
            yield home

    def make(self, place: OwnPlace) -> None:
        """Make the directory of a row, on disk when this returns. StoreErrors for the disk."""
        try:
            with translated(), self.shelf(place.top, BY_KEY) as shelf:
                os.close(shelf.make(place.name).descriptor)
        except PathInvalid as error:
            # Nobody named a path: something else has the name, or the disk takes none so long.
            raise FilesUnavailable("the directory cannot be made: ask an operator") from error

    def put_aside(self, place: OwnPlace, *, shelf: str) -> bool:
        """Move the directory of a row that is gone to KEPT or TRASH; whether there was one."""
        return self._move(place, BY_KEY, shelf)

    def give_back(self, place: OwnPlace) -> bool:
        """Move the directory of a row from where it was put aside; whether it lay there."""
        return self._move(place, KEPT, BY_KEY) or self._move(place, TRASH, BY_KEY)

    def remove(self, place: OwnPlace, *, shelf: str) -> None:
        """Remove what was put aside, as far as that goes; the next sweep tries again."""
        # Twice, as somebody who was writing may have put another file there.
        for _ in range(2):
            with suppress(OSError, StoreError), self.shelf(place.top, shelf) as folder:
                folder.remove_tree(place.name)

    def _move(self, place: OwnPlace, source: str, target: str) -> bool:
        """Raises StoreErrors for the disk. What has the name at the target stays."""
        with translated(), self.shelf(place.top, source) as old:
            # The other shelf need not be opened where there is nothing to move.
            if old.stat(place.name) is None:
                return False
            with self.shelf(place.top, target) as new:
                try:
                    old.move(place.name, new, place.name)
                except (FileNotFoundError, FileExistsError):
                    return False
                new.sync()
                old.sync()
                return True

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


log = logging.getLogger(__name__)

_NO_LINKS = frozenset((errno.EPERM, errno.ENOSYS, errno.ENOTSUP))


class Links:
    """The links of one tree. No call raises for the disk: a link is worth no failure."""

    def __init__(self, tree: DirectoryTree) -> None:
        self._tree = tree
        self._told: set[str] = set()

    def put(self, name: str, place: OwnPlace) -> None:
        """Make the link, or make it right; what is no link of ours is left as it is."""
        with suppress(StoreError, OSError), self._tree.top(place.top) as folder:
            try:
                if self._is_in_place(folder, name, place):
                    return
                folder.link(f"{BY_KEY}/{place.name}", name)
            except FileExistsError:
                self._tell(f"{place.top}/{name}", "a name in the tree is not ours: move it away")
            except OSError as error:
                if error.errno in _NO_LINKS:
                    self._tell("", "the file system has no links: directories go by id only")

    def remove(self, name: str, place: OwnPlace) -> None:
        """Remove the link if it is ours and leads to the place."""
        with suppress(StoreError, OSError), self._tree.top(place.top) as folder:
            if target(folder, place.top, name) == place:
                folder.remove(name)

    def all(self, top: str) -> Mapping[str, OwnPlace | None]:
        """Every name beside the directories, and where it leads; None for what is not ours.

        Raises FilesUnavailable.
        """
        with translated(), self._tree.top(top) as folder:
            names = [entry.name for entry in folder.entries()]
            return {name: target(folder, top, name) for name in names if not name.startswith(".")}

    def _is_in_place(self, folder: Folder, name: str, place: OwnPlace) -> bool:
        found = target(folder, place.top, name)
        if found is not None and found != place:
            folder.remove(name)
        return found == place

    def _tell(self, what: str, why: str) -> None:
        """Say it once, not with each agent and each sweep."""
        if what not in self._told:
            self._told.add(what)
            log.warning("no link", extra={"fields": {"name": what, "why": why}})


def target(folder: Folder, top: str, name: str) -> OwnPlace | None:
    """Where a link of ours leads, ``folder`` being ``agents`` or ``users``; None for others."""
    shelf, _, last = folder.read_link(name).partition("/")
    return place_named(top, last) if shelf == BY_KEY else None
