"""Markers: the file in an agent's directory that says whose it is.

A directory's name is a slug, and slugs change hands. The marker is written before a directory gets
its name, and moves with it, so that

* whoever comes with an old slug does not take another agent's directory for the right one;
* after a crash one look tells where an agent's directory is;
* a directory that somebody put there by hand has none, and belongs to no agent.
"""

import re
from contextlib import suppress
from dataclasses import dataclass

from accredit_storage.directory.folders import Folder
from accredit_storage.directory.replacing import replace_content
from accredit_storage.errors import PathInvalid

_NAME = ".agent"
_LONGEST = 100
_CONTENT = re.compile(rb"([0-9]{1,19}) ([0-9a-f]{32})\n")


@dataclass(frozen=True, slots=True)
class Marker:
    """Whose a directory is, 0 while the agent is being made, and by which intent it was made."""

    agent_id: int
    intent_id: str


def read_marker(folder: Folder) -> Marker | None:
    """The marker of a directory, None without one that we wrote."""
    try:
        # A backup may have given it a second name; ours are where nobody else can put one.
        with folder.open_file(_NAME, only_name=False) as file:
            found = _CONTENT.fullmatch(file.read(_LONGEST) or b"")
    except (FileNotFoundError, PathInvalid):
        return None
    return None if found is None else Marker(int(found[1]), found[2].decode())


def remove_marker(folder: Folder) -> None:
    """Make a directory nobody's, which takes no room on the disk."""
    with suppress(FileNotFoundError):
        folder.remove(_NAME)
    folder.sync()


def write_marker(folder: Folder, marker: Marker) -> None:
    """Mark a directory, or mark it anew."""
    replace_content(folder, _NAME, f"{marker.agent_id} {marker.intent_id}\n".encode())
