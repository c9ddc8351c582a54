"""Making, renaming and deleting an agent: its row and its directory change as if they were one.

How a move goes, and what is true if the process dies right after a step:

1. The move's lock is taken, a lock that ends with its process. After: nothing has happened.
2. An *intent*, which names the directory's source and target, is committed in a transaction of its
   own. After: row and directory are as before; the intent is withdrawn by recovery.
   (A new agent's directory is made ready on the shelf ``.new`` now. Recovery removes it.)
3. The caller's transaction changes the row. After: the database undoes that; as after 2.
4. In the same transaction ``settle()`` removes the intent, and
5. moves the directory, by one rename that never replaces anything, and waits for the disk. After:
   the database brings back row and intent, the directory is at its target; recovery moves it back.
6. The transaction commits, which changes the row and ends the intent in one. After: row and
   directory are as they should become, and there is nothing to recover.
7. The lock is let go of. (The files of an agent that was deleted with them have been on the shelf
   ``.trash`` since 5, and are removed now, or by a later recovery.)

So an intent that is there means that the row has not changed, and recovery has one thing to do:
move the directory back and withdraw the intent. It is what happens as well when the caller's
transaction fails, or is undone, or never calls ``settle()``: the exit of a move *is* recovery. It
may be repeated from anywhere, and is: the directory is looked for by its marker, at both ends.

Whoever meets the intent of another asks for its lock. While that is taken the move is being made,
and they wait; a second server that starts meanwhile leaves it alone. Even if a lock were lost in
mid-move, as when PostgreSQL ends its session, recovery locks the row of the intent before it
touches the directory, ``settle()`` removes that row before it does, so that one of the two comes
second, sees that the intent has gone, and gives up. Where all sessions of a process end while it
stands still in the very rename, another may have withdrawn the intent before the directory moves:
then whoever made the move puts the directory back when its transaction fails, and if it does not
live to do so, the directory is looked for by its marker when the agent misses it. Nothing that has
a living agent's marker is ever removed.

An agent whose row has no directory gets one in the same way (``ensure``), but for this: where that
is broken off after 5 the directory stays where it is, since it is what the row wants.

Nothing is ever adopted: a directory that is in the way is a DirectoryConflict, and a directory
without the agent's marker is not the agent's.
"""

import logging
import secrets
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from accredit_storage.directory.homes import Homes
from accredit_storage.directory.markers import Marker
from accredit_storage.directory.move_locks import move_locks
from accredit_storage.directory.places import KEPT, NEW, TRASH, StagedPlace, require_slug
from accredit_storage.directory.recovery import Recovery, Watcher
from accredit_storage.directory.tree import DirectoryTree
from accredit_storage.errors import (
    Conflict,
    DirectoryConflict,
    SlugTaken,
    StoreBusy,
    StoreError,
)
from accredit_storage.records import Intent, IntentKind
from accredit_storage.store import Store, Transaction, WriteTransaction

log = logging.getLogger(__name__)

_ATTEMPTS = 100


class _Announced:
    """A move whose intent is committed. ``moved`` after settling: there was a directory."""

    def __init__(self, homes: Homes, intent: Intent, watch: Watcher) -> None:
        self.intent = intent
        self.moved = False
        self._homes = homes
        self._watch = watch

    def _take_intent(self, tx: WriteTransaction) -> None:
        if not tx.intents.remove(self.intent.intent_id):
            raise Conflict("another process has undone the move")
        self._watch("taken")


class Move(_Announced):
    """An agent's directory that is about to get another name, or to go with its agent."""

    def settle(self, tx: WriteTransaction) -> None:
        """Move the directory, after the statement that changed the row and in its transaction.

        May be called once in each attempt at that transaction. Raises DirectoryConflict if
        something is in the way, Conflict if another process has undone the move meanwhile.
        """
        self._take_intent(tx)
        intent = self.intent
        agent = None if intent.agent_id is None else tx.agents.find(intent.agent_id)
        becomes = intent.target if intent.kind is IntentKind.RENAME else None
        if (agent.agent_slug if agent else None) != becomes:
            raise RuntimeError("settle() comes after the statement that changes the row")
        found = self._homes.locate(intent)
        if found is None and intent.kind is IntentKind.RENAME:
            # There is nothing to move. What is there by either name is somebody else's, and the
            # new name would make it this agent's in everybody's eyes.
            self._homes.require_free(intent.source)
            self._homes.require_free(intent.target)
        if found == intent.source:
            self._homes.move(intent.source, intent.target)
        self.moved = found is not None
        self._watch("moved")


class Creation(_Announced):
    """The directory of an agent that is about to be made. It can be filled before, at ``place``."""

    @property
    def place(self) -> StagedPlace:
        """Where files can be put that the agent is to begin with."""
        return StagedPlace(self.intent.intent_id)

    def settle_as(self, tx: WriteTransaction, agent_id: int) -> None:
        """Give the directory to the agent, after its row was added; see ``Move.settle``."""
        self._take_intent(tx)
        intent = self.intent
        agent = tx.agents.find(agent_id)
        if agent is None or agent.agent_slug != intent.target:
            raise RuntimeError("settle_as() comes after the statement that adds the row")
        found = self._homes.locate(intent)
        if found is None:
            raise Conflict("the directory that was made ready has gone")
        self._homes.mark(found, Marker(agent_id, intent.intent_id))
        self._watch("marked")
        if found == intent.source:
            self._homes.move(intent.source, intent.target)
        self.moved = True
        self._watch("moved")


@dataclass
class _Holding:
    """The lock of a move. ``ended`` when it was let go of: no intent is left of it."""

    holder: str
    ended: bool = False
    announced: list[Intent] = field(default_factory=list)


class Moves:
    """The moves of agents' directories. Each is a block around the caller's transaction.

    .. code-block:: python

        with moves.rename(agent_id, "old", "new") as move, store.write() as tx:
            tx.agents.update(agent_id, at=now, agent_slug="new")
            move.settle(tx)

    A block that ends without a commit of a transaction that was settled leaves everything as it
    was. No transaction of the same thread may be open around it.
    """

    def __init__(
        self,
        store: Store,
        tree: DirectoryTree,
        *,
        now: Callable[[], datetime],
        watch: Watcher = lambda step: None,
    ) -> None:
        self._store = store
        self._now = now
        self._watch = watch
        self._locks = move_locks(store, tree)
        self.homes = Homes(tree)
        self.recovery = Recovery(store, self.homes, self._locks, watch)

    @contextmanager
    def create(self, slug: str) -> Generator[Creation]:
        """Make the directory of a new agent. Raises SlugTaken, DirectoryConflict or StoreBusy."""
        with self.create_many([slug]) as creations:
            creation = creations[slug]
            if isinstance(creation, StoreError):
                raise creation
            yield creation

    @contextmanager
    def create_many(
        self, slugs: Collection[str]
    ) -> Generator[Mapping[str, Creation | SlugTaken | DirectoryConflict]]:
        """Make the directories of several, for one transaction: for each, or why it cannot be."""
        with self._holding() as holding:
            creations: dict[str, Creation | SlugTaken | DirectoryConflict] = {}
            # In one order, so that no two such calls wait for each other.
            for slug in sorted(set(slugs)):
                try:
                    creations[slug] = self._stage(holding.holder, slug, None)
                except (SlugTaken, DirectoryConflict) as refusal:
                    creations[slug] = refusal
            yield creations

    @contextmanager
    def rename(self, agent_id: int, old_slug: str, new_slug: str) -> Generator[Move]:
        """Move the agent's directory to its new slug.

        Raises SlugTaken if another agent has that, DirectoryConflict if there is a stray directory,
        Conflict if the agent does not have the old slug any more, StoreBusy.
        """
        require_slug(new_slug)
        with self._holding() as holding:
            intent = self._intent(holding.holder, IntentKind.RENAME, agent_id, old_slug, new_slug)
            self._record(intent)
            holding.announced.append(intent)
            self.homes.require_free(new_slug)
            yield Move(self.homes, intent, self._watch)

    @contextmanager
    def delete(self, agent_id: int, slug: str, *, with_files: bool) -> Generator[Move]:
        """Remove the agent's directory, or put it aside as ``.kept/{slug}.{agent_id}.{time}``.

        Raises Conflict if the agent does not have the slug any more, StoreBusy.
        """
        with self._holding() as holding:
            kept = f"{KEPT}/{slug}.{agent_id}.{self._now():%Y%m%dT%H%M%SZ}"
            target = "" if with_files else kept
            intent = self._intent(holding.holder, IntentKind.DELETE, agent_id, slug, target)
            self._record(intent)
            holding.announced.append(intent)
            move = Move(self.homes, intent, self._watch)
            yield move
        if with_files and move.moved and holding.ended:
            self.homes.discard(intent.target)

    def ensure(self, agent_id: int, slug: str) -> None:
        """Make the directory of an agent that has none; one that was lost is brought back.

        Raises Conflict if the agent does not have the slug any more, DirectoryConflict if there is
        a stray directory, StoreBusy.
        """
        lost = self.homes.find(agent_id)
        if lost is not None:
            self._bring_back(agent_id, lost, slug)
            return
        with self._holding() as holding:
            try:
                creation = self._stage(holding.holder, slug, agent_id)
            except DirectoryConflict:
                if self.homes.is_of(agent_id, slug):
                    return
                raise
            with self._store.write() as tx:
                creation.settle_as(tx, agent_id)

    def require_free(self, slug: str) -> None:
        """Raise DirectoryConflict if there is a directory that a move to the slug would meet."""
        require_slug(slug)
        self.recovery.wait(None, [slug])
        self.homes.require_free(slug)

    def _bring_back(self, agent_id: int, lost: str, slug: str) -> None:
        """Move the directory of an agent that is in a wrong place to its own."""
        if lost == slug:
            return
        with self._store.write() as tx:
            # In this order: whoever has the row's lock may be waiting for a disk.
            agent = tx.agents.find(agent_id, lock=True)
            tx.exclusive("moves of directories")
            if agent is None or agent.agent_slug != slug:
                raise Conflict("the agent was renamed or deleted at the same time")
            if tx.intents.touching(agent_id, (lost, slug)):
                raise Conflict("another call is moving the agent's directory")
            if self.homes.is_of(agent_id, slug):
                return
            if not self.homes.is_of(agent_id, lost):
                raise Conflict("another call has moved the agent's directory")
            self.homes.move(lost, slug)
        log.warning("lost directory found", extra={"fields": {"agent": agent_id, "place": lost}})

    @contextmanager
    def _holding(self) -> Generator[_Holding]:
        holding = _Holding(secrets.token_hex(16))
        with self._locks.held(holding.holder):
            self._watch("locked")
            try:
                yield holding
            finally:
                try:
                    self.recovery.finish(holding.holder)
                    for intent in holding.announced:
                        self.recovery.agree(intent)
                    holding.ended = True
                except StoreError as error:
                    # Neither the caller's success nor its failure is any different for it.
                    log.warning("move left to recovery", extra={"fields": {"why": str(error)}})
                self._watch("finished")

    def _intent(
        self, holder: str, kind: IntentKind, agent_id: int | None, source: str, target: str
    ) -> Intent:
        intent_id = secrets.token_hex(16)
        return Intent(
            intent_id=intent_id,
            holder=holder,
            kind=kind,
            agent_id=agent_id,
            source=source or f"{NEW}/{intent_id}",
            target=target or f"{TRASH}/{intent_id}",
            recorded_at=self._now(),
        )

    def _stage(self, holder: str, slug: str, agent_id: int | None) -> Creation:
        require_slug(slug)
        intent = self._intent(holder, IntentKind.CREATE, agent_id, "", slug)
        self._record(intent)
        self.homes.require_free(slug)
        self.homes.make(intent.source, Marker(0, intent.intent_id))
        self._watch("staged")
        return Creation(self.homes, intent, self._watch)

    def _record(self, intent: Intent) -> None:
        """Commit the intent, when no other touches the same agent or names."""
        names = (intent.source, intent.target)
        for _ in range(_ATTEMPTS):
            self.recovery.wait(intent.agent_id, names)
            with self._store.write() as tx:
                tx.exclusive("moves of directories")
                if tx.intents.touching(intent.agent_id, names):
                    continue
                _require_row(tx, intent)
                tx.intents.add(intent)
            self._watch("recorded")
            return
        raise StoreBusy("other calls keep moving the agent's directory")


def _require_row(tx: Transaction, intent: Intent) -> None:
    """Raise unless the agent is as the intent has it. It stays so: who changes a slug needs one."""
    takes_slug = intent.kind is IntentKind.RENAME or intent.agent_id is None
    if takes_slug and tx.agents.find_by_slug(intent.target) is not None:
        raise SlugTaken(f"another agent has the slug {intent.target!r}")
    if intent.agent_id is not None:
        agent = tx.agents.find(intent.agent_id)
        has = intent.target if intent.kind is IntentKind.CREATE else intent.source
        if agent is None or agent.agent_slug != has:
            raise Conflict("the agent was renamed or deleted at the same time")
