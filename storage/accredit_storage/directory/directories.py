"""Everything about directories in one value, as the abilities hold it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from accredit_storage.directory.belonging import begin
from accredit_storage.directory.daily import DailyMemory
from accredit_storage.directory.files import Files
from accredit_storage.directory.limits import FileLimits
from accredit_storage.directory.moves import Moves
from accredit_storage.directory.places import AgentPlace, Place
from accredit_storage.directory.recovery import Recovered
from accredit_storage.directory.refusals import translated
from accredit_storage.directory.sweeping import sweep_unfinished
from accredit_storage.directory.tree import DirectoryTree
from accredit_storage.directory.walking import walk
from accredit_storage.errors import Conflict, DirectoryMissing
from accredit_storage.records import Agent
from accredit_storage.store import Store

T = TypeVar("T")

_ATTEMPTS = 8
_MANY = 10_000


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
    """The tree below one root, its files, the journals in it, and how agents' directories move."""

    def __init__(
        self,
        store: Store,
        root: Path,
        *,
        limits: FileLimits | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._store = store
        self.tree = DirectoryTree(root)
        self.files = Files(self.tree, limits)
        self.daily = DailyMemory(self.files)
        self.moves = Moves(store, self.tree, now=now)

    def start(self) -> Recovered:
        """Make what is missing of the tree and undo the moves that were broken off.

        Raises FilesUnavailable where the tree that is there is not the database's.
        """
        begin(self._store, self.tree)
        return self.moves.recovery.run()

    def sweep(self) -> int:
        """Remove what writers that died have left half-written, and what moves have left."""
        unfinished = sweep_unfinished(self.tree)
        self.moves.recovery.sweep()
        return unfinished

    def reach(self, agent: Agent, act: Callable[[AgentPlace], T], *, make: bool = True) -> T:
        """What ``act`` answers for the agent's directory, wherever it is by now.

        ``act`` is called again where the directory was moved since the agent was read. A directory
        that is missing is made on request, and then raises DirectoryConflict if a stray one has its
        place. Raises DirectoryMissing if the agent has gone or, not to be made, its directory;
        StoreBusy, and what ``act`` raises. Not to be called within a transaction that writes.
        """
        place = AgentPlace(agent.agent_slug, agent.agent_id)
        for _ in range(_ATTEMPTS):
            try:
                return act(place)
            except DirectoryMissing:
                place = self._find(place, make=make)
        return act(place)

    def look(self, place: Place) -> DirectoryState:
        """Whether there is a file in the directory of a place. Raises DirectoryMissing."""
        with translated(), self.tree.opened(place) as home:
            return DirectoryState(exists=True, has_files=any(True for _ in walk(home)))

    def strays(self) -> Sequence[str]:
        """The names below ``agents/`` that no agent has, or that another's directory has: sorted.

        For the operator: each keeps an agent from getting that slug. A move that is under way may
        show for a moment.
        """
        found = self.moves.homes.all()
        slugs = sorted(found)
        ids: dict[str, int] = {}
        with self._store.read() as tx:
            for start in range(0, len(slugs), _MANY):
                agents = tx.agents.find_many_by_slug(slugs[start : start + _MANY])
                ids |= {agent.agent_slug: agent.agent_id for agent in agents}
        return [slug for slug in slugs if found[slug] is None or found[slug] != ids.get(slug)]

    def _find(self, missed: AgentPlace, *, make: bool) -> AgentPlace:
        """Where the directory is that was not there."""
        self.moves.recovery.wait(missed.agent_id)
        with self._store.read(one_statement=True) as tx:
            agent = tx.agents.find(missed.agent_id)
        if agent is None:
            raise DirectoryMissing("there is no such agent")
        if agent.agent_slug == missed.slug:
            if not make:
                raise DirectoryMissing("the agent has no directory yet")
            try:
                self.moves.ensure(agent.agent_id, agent.agent_slug)
            except Conflict:
                # Renamed at the same time: the next look tells.
                return missed
        return AgentPlace(agent.agent_slug, agent.agent_id)
