"""What becomes of moves that were broken off; ``moves`` says why this is all there is to it."""

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from accredit_storage.directory.homes import Homes
from accredit_storage.directory.move_locks import MoveLocks
from accredit_storage.directory.places import NEW, TRASH
from accredit_storage.engine import LOCK_WAIT
from accredit_storage.errors import StoreBusy, StoreError
from accredit_storage.records import Intent, IntentKind
from accredit_storage.store import Store, WriteTransaction

log = logging.getLogger(__name__)

_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.05

#: Told of each step as it is done; tests end the process there.
Watcher = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What recovery came to. ``failed``: why a move could not be undone yet, by its intent."""

    undone: tuple[Intent, ...]
    under_way: tuple[Intent, ...]
    failed: dict[str, StoreError]


class Recovery:
    """Undoes the moves whose process has died, and waits for those whose process is at it."""

    def __init__(self, store: Store, homes: Homes, locks: MoveLocks, watch: Watcher) -> None:
        self._store = store
        self._homes = homes
        self._locks = locks
        self._watch = watch

    def finish(self, holder: str) -> None:
        """Undo what a holder, the caller, has announced and not committed."""
        with self._store.read(one_statement=True) as tx:
            left = tx.intents.of_holder(holder)
        if left:
            with self._store.write() as tx:
                undone = self._undo(tx, holder)
            self._clear_away(undone)

    def settle(self, holder: str) -> tuple[Intent, ...] | None:
        """Undo what a holder has announced, if its process has died; None if it has not."""
        with self._locks.claimed(holder) as tx:
            if tx is None:
                return None
            undone = self._undo(tx, holder)
        self._clear_away(undone)
        for intent in undone:
            fields = {"kind": intent.kind.value, "agent": intent.agent_id}
            log.warning("move undone", extra={"fields": fields})
        return undone

    def wait(self, agent_id: int | None, names: Collection[str] = ()) -> None:
        """Return when no move touches the agent or one of ``names``, undoing those of the dead.

        Raises StoreBusy if one takes too long, and what undoing one raises.
        """
        deadline = time.monotonic() + LOCK_WAIT
        pause = _FIRST_PAUSE
        while True:
            with self._store.read(one_statement=True) as tx:
                found = tx.intents.touching(agent_id, names)
            if not found:
                return
            holders = {intent.holder for intent in found}
            if any(self.settle(holder) is None for holder in holders):
                if time.monotonic() > deadline:
                    raise StoreBusy("another call is moving the agent's directory")
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def run(self) -> Recovered:
        """Undo every move whose process has died, and remove what such moves have left behind.

        What cannot be undone now is told and tried again by the next call that meets it.
        """
        with self._store.read(one_statement=True) as tx:
            found = tx.intents.all()
        undone: list[Intent] = []
        under_way: list[Intent] = []
        failed: dict[str, StoreError] = {}
        for holder in dict.fromkeys(intent.holder for intent in found):
            theirs = [intent for intent in found if intent.holder == holder]
            try:
                settled = self.settle(holder)
            except StoreError as error:
                failed |= {intent.intent_id: error for intent in theirs}
                continue
            if settled is None:
                under_way += theirs
            else:
                undone += settled
        self.sweep()
        return Recovered(undone=tuple(undone), under_way=tuple(under_way), failed=failed)

    def _undo(self, tx: WriteTransaction, holder: str) -> tuple[Intent, ...]:
        """Move back what a holder has moved, and withdraw its intents when that is on disk."""
        # Locked: where the holder's own transaction has not ended, this waits for how it does.
        intents = tx.intents.of_holder(holder, lock=True)
        for intent in intents:
            # The directory that an agent was missing stays: the agent has found it by its marker as
            # soon as it was there, and may have written to it.
            is_for_agent = intent.kind is IntentKind.CREATE and intent.agent_id is not None
            found = self._homes.locate(intent)
            if not is_for_agent and found == intent.target:
                self._homes.move(intent.target, intent.source)
                found = intent.source
            if intent.kind is IntentKind.CREATE and found == intent.source:
                # The id that it was to have may become another agent's.
                self._homes.unmark(found)
            self._watch("moved back")
            tx.intents.remove(intent.intent_id)
            self._watch("withdrawn")
        return tuple(intents)

    def _is_of_somebody(self, name: str) -> bool:
        agent_id = self._homes.owner(name)
        if not agent_id:
            return False
        with self._store.read(one_statement=True) as tx:
            return tx.agents.find(agent_id) is not None

    def _clear_away(self, undone: Collection[Intent]) -> None:
        for intent in undone:
            if intent.kind is IntentKind.CREATE:
                self._homes.discard(intent.source)

    def agree(self, intent: Intent) -> None:
        """Put an agent's directory back where its row says, after a move that has failed.

        Another server may have withdrawn the intent before the directory moved: where all sessions
        of a process ended while it stood still.
        """
        if intent.agent_id is None:
            return
        with self._store.read(one_statement=True) as tx:
            agent = tx.agents.find(intent.agent_id)
        if agent is None or agent.agent_slug != intent.source:
            # It was committed, or the row was changed since.
            return
        with self._store.write() as tx:
            agent = tx.agents.find(intent.agent_id, lock=True)
            tx.exclusive("moves of directories")
            if agent is None or agent.agent_slug != intent.source:
                return
            if tx.intents.touching(intent.agent_id, (intent.source, intent.target)):
                return
            if self._homes.locate(intent) == intent.target:
                self._homes.move(intent.target, intent.source)
                log.warning("lost directory found", extra={"fields": {"agent": intent.agent_id}})

    def sweep(self) -> None:
        """Remove directories that were never taken into use, and those of deleted agents."""
        # Seen before the intents are read: an intent is recorded before its directory comes there,
        # and when it has gone the directory has been moved away, or is there for good.
        seen = [*self._homes.on(NEW), *self._homes.on(TRASH)]
        with self._store.read(one_statement=True) as tx:
            intents = tx.intents.all()
        in_use = {name for intent in intents for name in (intent.source, intent.target)}
        for name in seen:
            # One of a living agent's came here by a move that was undone too late: it is found
            # when the agent misses it.
            if name not in in_use and not self._is_of_somebody(name):
                self._homes.discard(name)
        self._locks.sweep({intent.holder for intent in intents})
