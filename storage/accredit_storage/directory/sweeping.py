"""What the tree needs from time to time: what crashes have left is cleared, links are put right.

A directory without a row is put aside, one that was put aside and has a row is given back, and what
waits to be removed is removed. The tree is listed first and the rows are read then, so that a
directory has a row if it ever gets one; each row is asked for again before its directory moves, and
nothing is touched that is younger than an hour.
"""

import logging
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from accredit_storage.directory.files import WRITERS
from accredit_storage.directory.folders import UNFINISHED, Folder, translated
from accredit_storage.directory.locks import locked
from accredit_storage.directory.paths import MAX_DEPTH
from accredit_storage.directory.places import (
    AGENTS,
    BY_KEY,
    KEPT,
    LEGACY,
    NETWORK,
    SHARED,
    TRASH,
    USERS,
    OwnPlace,
    link_name,
    place_named,
    place_of,
)
from accredit_storage.directory.tree import DirectoryTree, Links
from accredit_storage.errors import PathInvalid, StoreBusy
from accredit_storage.records import Agent, AgentId, User, UserId
from accredit_storage.statements import chunks
from accredit_storage.store import Store, Transaction

log = logging.getLogger(__name__)

_PAGE = 1000
_YOUNG = timedelta(hours=1)
# Gone meanwhile, or nothing that we have made.
_ODD = (FileNotFoundError, NotADirectoryError, PermissionError)


class Sweeper:
    """Keeps one tree and its rows together. Any number of servers may do so at once."""

    def __init__(
        self, store: Store, tree: DirectoryTree, links: Links, kept_for: timedelta | None
    ) -> None:
        """``kept_for``: how long what was put aside is kept; None for ever."""
        self._store = store
        self._tree = tree
        self._links = links
        self._kept_for = kept_for

    def run(self, now: datetime) -> None:
        """Do all of it. Raises StoreErrors for the disk.

        It lists the whole tree, so it is for the background.
        """
        for top in (AGENTS, USERS):
            self._put_in_order(top, now)
            self._empty(top, now)

    def _put_in_order(self, top: str, now: datetime) -> None:
        """Put aside what has no row, give back what has one, and put the links right."""
        by_key = self._names(top, BY_KEY, now, _YOUNG)
        aside = {shelf: self._names(top, shelf, now, _YOUNG) for shelf in (KEPT, TRASH)}
        named = self._links.all(top)
        rows = self._rows([*by_key, *aside[KEPT], *aside[TRASH], *filter(None, named.values())])
        for place in by_key:
            if place not in rows and not self._rows([place]):
                self._tree.put_aside(place, shelf=KEPT)
                log.warning("directory without a row put aside", extra=_fields(place))
        for place in {*aside[KEPT], *aside[TRASH]} & rows.keys():
            if self._rows([place]) and self._tree.give_back(place):
                log.warning("directory given back to its row", extra=_fields(place))
        self._put_links_right(named, rows)
        self._put_missing_links(top, named)

    def _put_links_right(
        self, named: Mapping[str, OwnPlace | None], rows: Mapping[OwnPlace, Agent | User]
    ) -> None:
        for name, place in named.items():
            row = None if place is None else rows.get(place)
            if place is None or (row is not None and link_name(row) == name):
                continue
            # It was renamed or deleted, or it was just now when this was read.
            again = self._rows([place]).get(place)
            if again is None or link_name(again) != name:
                self._links.remove(name, place)

    def _put_missing_links(self, top: str, named: Collection[str]) -> None:
        for row in every_row(self._store, top):
            name, place = link_name(row), place_of(row)
            if not row.files_made or name in named:
                continue
            self._links.put(name, place)
            # Unless it was renamed or deleted since: then nobody else would remove the link.
            again = self._rows([place]).get(place)
            if again is None or link_name(again) != name:
                self._links.remove(name, place)

    def _empty(self, top: str, now: datetime) -> None:
        if self._kept_for is not None:
            for place in self._names(top, KEPT, now, max(self._kept_for, _YOUNG)):
                if not self._rows([place]):
                    self._tree.remove(place, shelf=KEPT)
        with translated(), self._tree.shelf(top, TRASH) as trash:
            for name in self._old(trash, now, _YOUNG):
                removed = place_named(top, name)
                if removed is None or not self._rows([removed]):
                    with suppress(*_ODD):
                        trash.remove_tree(name)

    def _names(self, top: str, shelf: str, now: datetime, age: timedelta) -> Sequence[OwnPlace]:
        """The directories of rows on a shelf that are not younger than an age."""
        with translated(), self._tree.shelf(top, shelf) as folder:
            found = [place_named(top, name) for name in self._old(folder, now, age)]
        return [place for place in found if place is not None]

    def _old(self, folder: Folder, now: datetime, age: timedelta) -> list[str]:
        names = []
        for entry in folder.entries():
            found = folder.stat(entry.name)
            if found is None:
                continue
            # A rename counts as well: of what was put aside just now the content may be old.
            changed = datetime.fromtimestamp(max(found.st_mtime, found.st_ctime), UTC)
            if now - changed >= age:
                names.append(entry.name)
        return names

    def _rows(self, places: Sequence[OwnPlace]) -> Mapping[OwnPlace, Agent | User]:
        """The rows of those places that have one, by their places."""
        found: dict[OwnPlace, Agent | User] = {}
        wanted = set(places)
        for top in {place.top for place in wanted}:
            ids = sorted({place.row_id for place in wanted if place.top == top})
            for chunk in chunks(ids):
                with self._store.read(one_statement=True) as tx:
                    rows = find_rows(tx, top, chunk)
                found |= {place_of(row): row for row in rows if place_of(row) in wanted}
        return found


def find_rows(tx: Transaction, top: str, ids: Iterable[int]) -> Sequence[Agent | User]:
    """The agents of those ids, or the users: as many as there are."""
    if top == AGENTS:
        return tx.agents.find_many([AgentId(row_id) for row_id in ids])
    return tx.users.find_many([UserId(row_id) for row_id in ids])


def every_row(store: Store, top: str) -> Generator[Agent | User]:
    """All agents or all users, lowest id first; each page is as it was at some moment."""
    after = 0
    while True:
        rows: Sequence[Agent | User]
        with store.read(one_statement=True) as tx:
            if top == AGENTS:
                rows = tx.agents.all_after(AgentId(after), _PAGE)
            else:
                rows = tx.users.page(after=after, limit=_PAGE)
        yield from rows
        if len(rows) < _PAGE:
            return
        after = place_of(rows[-1]).row_id


def _fields(place: OwnPlace) -> dict[str, dict[str, str]]:
    return {"fields": {"directory": "/".join(place.names)}}


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


def strays(tree: DirectoryTree) -> Sequence[str]:
    """What stands beside the directories of rows and is not ours, such as "agents/old": sorted.

    It keeps people from finding a directory by that name.
    """
    links = Links(tree)
    return sorted(
        f"{top}/{name}"
        for top in (AGENTS, USERS)
        for name, place in links.all(top).items()
        if place is None
    )


def lost(store: Store, tree: DirectoryTree) -> Sequence[str]:
    """The rows whose directories were made and are not there, such as "agents/scribe": sorted."""
    missing = []
    for top in (AGENTS, USERS):
        with translated(), tree.shelf(top, BY_KEY) as shelf:
            names = {entry.name for entry in shelf.entries()}
        missing += [
            f"{top}/{link_name(row)} ({place_of(row).name})"
            for row in every_row(store, top)
            if row.files_made and place_of(row).name not in names
        ]
    return sorted(missing)
