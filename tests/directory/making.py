"""What the tests of directories make again and again."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from accredit_storage.directory.files import FileEntry, Files
from accredit_storage.directory.places import AGENTS, USERS, OwnPlace, Place
from accredit_storage.directory.tree import DirectoryTree
from accredit_storage.errors import FileMissing, PathInvalid

#: Nothing here takes as long as this, in seconds; what would hang fails instead.
PATIENCE = 50.0


#: Agent 7's, of whom there is no row.
SCRIBE = OwnPlace(AGENTS, 7, "abcdefghijklmnop")


def home(tree: DirectoryTree, place: OwnPlace = SCRIBE) -> OwnPlace:
    """The directory of a row that need not be there."""
    tree.make(place)
    return place


def user_place(user_id: int) -> OwnPlace:
    """The directory of a user."""
    return OwnPlace(USERS, user_id, SCRIBE.key)


def listed(files: Files, place: Place, under: str = "") -> list[FileEntry]:
    """The files of a place, or of a folder in it, by path."""
    found = []
    for path in files.paths(place, under):
        with suppress(FileMissing, PathInvalid), files.open(place, path) as file:
            found.append(file.entry)
    return found


def snapshot(folder: Path) -> dict[str, bytes | str]:
    """All that is below a folder: what each file holds, where each link leads."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = path.read_bytes() if path.is_file() else "a directory"
    return found


def files_in(folder: Path) -> dict[str, bytes]:
    """The files below a folder that are not the store's own."""
    return {
        name: content
        for name, content in snapshot(folder).items()
        if isinstance(content, bytes) and not name.rpartition("/")[2].startswith(".")
    }


# A server that was started fresh and has imported what the tests import, from which a process is
# forked in a few milliseconds. A fork of this process would inherit its threads' locks.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.directory.making"])


def started(target: Callable[..., object], *arguments: Any) -> BaseProcess:
    """A process of its own that runs ``target``, a function of a module."""
    process = _context.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def pipe() -> tuple[Any, Any]:
    """The receiving end and the sending end."""
    return _context.Pipe(duplex=False)


def die() -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)
