"""All the files of a directory."""

import os
from collections.abc import Generator
from dataclasses import dataclass

from accredit_storage.directory import paths
from accredit_storage.directory.folders import Folder


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
