"""Links beside the directories of rows, for people who look into the tree; nothing here reads one.

``agents/scribe`` is a link to ``.id/3.k2…``. Only a link of that very form is ever replaced or
removed. Where something else has the name, or the file system has no links, people find the
directory by its id.
"""

import errno
import logging
from collections.abc import Mapping
from contextlib import suppress

from accredit_storage.directory.folders import Folder
from accredit_storage.directory.places import BY_KEY, OwnPlace, place_named
from accredit_storage.directory.tree import DirectoryTree
from accredit_storage.errors import StoreError

log = logging.getLogger(__name__)

_NO_LINKS = frozenset((errno.EPERM, errno.ENOSYS, errno.ENOTSUP))


class Links:
    """The links of one tree. No call raises for the disk: a link is worth no failure."""

    def __init__(self, tree: DirectoryTree) -> None:
        self._tree = tree
        self._told: set[str] = set()

    def put(self, name: str, place: OwnPlace) -> None:
        """Make the link, or make it right; what is no link of ours is left as it is."""
        with suppress(StoreError), self._tree.top(place.top) as folder:
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
        with self._tree.top(top) as folder:
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
