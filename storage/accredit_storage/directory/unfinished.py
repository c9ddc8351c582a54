"""Removing what writers that died have left half-written."""

from contextlib import suppress

from accredit_storage.directory.files import WRITERS
from accredit_storage.directory.folders import Folder
from accredit_storage.directory.locks import locked
from accredit_storage.directory.paths import MAX_DEPTH
from accredit_storage.directory.places import AGENTS, BY_KEY, LEGACY, NETWORK, SHARED, USERS
from accredit_storage.directory.refusals import translated
from accredit_storage.directory.replacing import UNFINISHED
from accredit_storage.directory.tree import DirectoryTree
from accredit_storage.errors import PathInvalid, StoreBusy

# Gone meanwhile, or nothing that we have made.
_ODD = (FileNotFoundError, NotADirectoryError, PermissionError)


def sweep_unfinished(tree: DirectoryTree) -> int:
    """Remove the unfinished files of every place where nobody is writing: how many there were.

    What is odd in one place keeps no other from being swept. Raises StoreErrors for the disk. It
    reads the whole tree, so it is for the background.
    """
    removed = 0
    with translated():
        for place in (SHARED, NETWORK, LEGACY):
            with tree.top(place.name) as home:
                removed += _sweep_place(home)
        for name in (AGENTS, USERS):
            with tree.shelf(name, BY_KEY) as homes:
                for entry in homes.entries():
                    with suppress(*_ODD), homes.enter(entry.name) as home:
                        removed += _sweep_place(home)
    return removed


def _sweep_place(home: Folder) -> int:
    # PathInvalid: the lock is no plain file.
    with suppress(StoreBusy, PathInvalid), translated(), suppress(*_ODD):
        # Whoever writes has the lock, so that what is unfinished now will never be finished.
        if _unfinished(home, remove=False):
            with locked(home, WRITERS, wait=0):
                return _unfinished(home, remove=True)
    return 0


def _unfinished(folder: Folder, *, remove: bool, depth: int = 1) -> int:
    found = 0
    for entry in folder.entries():
        if entry.is_dir(follow_symlinks=False):
            # One deeper than where files are, for what somebody else has put there.
            if depth > MAX_DEPTH:
                continue
            with suppress(*_ODD), folder.enter(entry.name) as below:
                found += _unfinished(below, remove=remove, depth=depth + 1)
        elif entry.name.startswith(UNFINISHED) and entry.is_file(follow_symlinks=False):
            if remove:
                folder.remove(entry.name)
            found += 1
    return found
