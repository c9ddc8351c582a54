"""Everything about directories in one value, as the abilities hold it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from accredit_storage.directory.daily import DailyMemory
from accredit_storage.directory.files import Files
from accredit_storage.directory.folders import translated
from accredit_storage.directory.identity import begin
from accredit_storage.directory.limits import FileLimits, walk
from accredit_storage.directory.places import (
    KEPT,
    TRASH,
    OwnPlace,
    Place,
    link_name,
    place_of,
)
from accredit_storage.directory.sweeping import Sweeper, sweep_unfinished
from accredit_storage.directory.tree import DirectoryTree, Links
from accredit_storage.errors import DirectoryMissing, FilesUnavailable, OwnerMissing, StoreError
from accredit_storage.records import Agent, User
from accredit_storage.store import Store

log = logging.getLogger(__name__)

T = TypeVar("T")

Owner = Agent | User


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryState:
    """Whether a directory is there, and whether there is a file in it."""

    exists: bool
    has_files: bool


#: What there is where there is no directory.
NOTHING_THERE = DirectoryState(exists=False, has_files=False)


class Directories:
    """The tree below one root, its files, the journals in it, and whose each directory is."""

    def __init__(
        self,
        store: Store,
        root: Path,
        *,
        limits: FileLimits | None = None,
        kept_for: timedelta | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        """``kept_for``: how long the directories of deleted rows are kept; None for ever."""
        self._store = store
        self._now = now
        self.tree = DirectoryTree(root)
        self.tree.refused = "it was not looked at yet"
        self.files = Files(self.tree, limits)
        self.daily = DailyMemory(self.files)
        self.links = Links(self.tree)
        self._sweeper = Sweeper(store, self.tree, self.links, kept_for)

    def start(self) -> None:
        """Make what is missing of the tree, and put it in order. Files are refused until then.

        Raises FilesUnavailable where the tree that is there is not the database's.
        """
        begin(self._store, self.tree)
        self._sweeper.run(self._now())

    def sweep(self) -> int:
        """Put the tree in order; how many half-written files of dead writers were removed."""
        self._sweeper.run(self._now())
        return sweep_unfinished(self.tree)

    def reach(self, owner: Owner, act: Callable[[Place], T]) -> T:
        """What ``act`` answers for the directory of a row.

        ``act`` is called again where the directory had been put aside. Raises OwnerMissing if the
        row has gone, DirectoryMissing if its directory was not made yet, FilesUnavailable if it was
        and is not there: it is never made anew. And what ``act`` raises. Not to be called within a
        transaction.
        """
        place = place_of(owner)
        try:
            return act(place)
        except DirectoryMissing:
            present = self._row(owner)
        if present is None or place_of(present) != place:
            raise OwnerMissing("there is no such agent or user")
        if not self._give_back(place):
            if not present.files_made:
                raise DirectoryMissing("the directory was not made yet")
            lost = "/".join(place.names)
            log.error("directory lost", extra={"fields": {"directory": lost}})
            raise FilesUnavailable(
                "the directory is missing, and is not made anew: ask an operator"
            )
        return act(place)

    def make(self, owner: Owner) -> None:
        """Make the directory of a row that has none yet, and the link to it. Raises StoreErrors.

        One that was put aside is given back: an older database may not know that it was made.
        """
        place = place_of(owner)
        if not self._give_back(place):
            self.tree.make(place)
        self.put_link(owner)

    def state_of(self, place: Place) -> DirectoryState:
        """Whether there is a file in the directory of a place. Raises DirectoryMissing."""
        with translated(), self.tree.opened(place) as home:
            return DirectoryState(exists=True, has_files=any(True for _ in walk(home)))

    def put_aside(self, owner: Owner, *, remove: bool = False) -> str:
        """Put aside the directory of a row that is gone, or ``remove`` it.

        Its path below the root, "" if there was none. Where the disk refuses, the sweep does it.
        """
        place, shelf = place_of(owner), TRASH if remove else KEPT
        try:
            if not self.tree.put_aside(place, shelf=shelf):
                return ""
        except StoreError as error:
            fields = {"directory": place.name, "why": str(error)}
            log.warning("directory not put aside yet", extra={"fields": fields})
            return ""
        if remove:
            self.tree.remove(place, shelf=TRASH)
        return f"{place.top}/{shelf}/{place.name}"

    def kept_path(self, owner: Owner) -> str:
        """Where the directory of a row is put aside, below the root."""
        place = place_of(owner)
        return f"{place.top}/{KEPT}/{place.name}"

    def put_link(self, owner: Owner) -> None:
        """Make the link to a row's directory, for people."""
        self.links.put(link_name(owner), place_of(owner))

    def remove_link(self, owner: Owner) -> None:
        """Remove it, before somebody else gets the name."""
        self.links.remove(link_name(owner), place_of(owner))

    def _row(self, owner: Owner) -> Owner | None:
        with self._store.read(one_statement=True) as tx:
            if isinstance(owner, Agent):
                return tx.agents.find(owner.agent_id)
            return tx.users.find(owner.user_id)

    def _give_back(self, place: OwnPlace) -> bool:
        """Bring back a directory that was put aside although its row is there; whether it was."""
        given_back = self.tree.give_back(place)
        if given_back:
            log.warning("directory given back to its row", extra={"fields": {"name": place.name}})
        return given_back
