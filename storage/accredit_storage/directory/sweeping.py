"""Removing what writers that died have left half-written."""

from accredit_storage.directory.files import WRITERS
from accredit_storage.directory.folders import Folder
from accredit_storage.directory.locks import locked
from accredit_storage.directory.paths import MAX_DEPTH
from accredit_storage.directory.places import AGENTS, LEGACY, NETWORK, SHARED, USERS
from accredit_storage.directory.refusals import translated
from accredit_storage.directory.replacing import UNFINISHED
from accredit_storage.directory.tree import DirectoryTree
from accredit_storage.errors import StoreBusy


def sweep_unfinished(tree: DirectoryTree) -> int:
    """Remove the unfinished files of every place where nobody is writing: how many there were.

    Raises StoreErrors for the disk. It reads the whole tree, so it is for the background.
    """
    removed = 0
    with translated():
        for place in (SHARED, NETWORK, LEGACY):
            with tree.top(place.name) as home:
                removed += _sweep_place(home)
        for name in (AGENTS, USERS):
            with tree.top(name) as homes:
                for entry in homes.entries():
                    if entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False):
                        continue
                    try:
                        home = homes.enter(entry.name)
                    except (FileNotFoundError, NotADirectoryError):
                        continue
                    with home:
                        removed += _sweep_place(home)
    return removed


def _sweep_place(home: Folder) -> int:
    if not _unfinished(home, remove=False):
        return 0
    try:
        # Whoever writes has the lock, so that what is unfinished now will never be finished.
        with locked(home, WRITERS, wait=0):
            return _unfinished(home, remove=True)
    except StoreBusy:
        return 0


def _unfinished(folder: Folder, *, remove: bool, depth: int = 1) -> int:
    found = 0
    for entry in folder.entries():
        is_folder = entry.is_dir(follow_symlinks=False)
        if entry.name.startswith(UNFINISHED) and not is_folder:
            found += 1
            if remove:
                folder.remove(entry.name)
        elif is_folder and depth < MAX_DEPTH:
            try:
                below = folder.enter(entry.name)
            except (FileNotFoundError, NotADirectoryError):
                continue
            with below:
                found += _unfinished(below, remove=remove, depth=depth + 1)
    return found
