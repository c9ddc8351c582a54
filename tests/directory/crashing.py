"""Processes that make moves and are killed at a step of them, or at any moment."""

import itertools
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from accredit_storage.directory.directories import Directories
from accredit_storage.directory.files import Files
from accredit_storage.directory.moves import Moves
from accredit_storage.directory.tree import DirectoryTree
from accredit_storage.errors import StoreError
from accredit_storage.store import Store
from tests.directory.agreeing import FILES, Undone, agents, created, deleted, renamed
from tests.directory.making import die
from tests.storage.making import NOW, agent

#: Every step of each kind of move, in its order.
STEPS = {
    "create": (
        *("locked", "recorded", "staged", "filled", "row changed", "taken", "marked", "moved"),
        *("committed", "finished"),
    ),
    "rename": ("locked", "recorded", "row changed", "taken", "moved", "committed", "finished"),
    "delete": ("locked", "recorded", "row changed", "taken", "moved", "committed", "finished"),
    "keep": ("locked", "recorded", "row changed", "taken", "moved", "committed", "finished"),
    "ensure": ("locked", "recorded", "staged", "taken", "marked", "moved", "finished"),
}
#: What is done where the transaction fails after the directory was moved.
BACK = ("moved back", "withdrawn", "finished")


def move_and_die(url: str, root: Path, kind: str, agent_id: int, step: str, fails: bool) -> None:
    """Make the move, and be killed right after the step."""

    def watch(done: str) -> None:
        if done == step:
            die()

    store = Store.open(url)
    moves = Moves(store, DirectoryTree(root), now=lambda: datetime.now(UTC), watch=watch)
    with suppress(Undone):
        move(store, moves, Files(DirectoryTree(root)), kind, agent_id, watch, fails)


def move(
    store: Store,
    moves: Moves,
    files: Files,
    kind: str,
    agent_id: int,
    watch: Callable[[str], None],
    fails: bool,
) -> None:
    match kind:
        case "ensure":
            moves.ensure(agent_id, "bare")
        case "create":
            with moves.create("clerk") as creation:
                for path, content in FILES.items():
                    files.write(creation.place, path, content)
                watch("filled")
                with store.write() as tx:
                    owner = tx.users.find_by_login("ada")
                    assert owner
                    clerk = agent(tx, owner, "clerk")
                    watch("row changed")
                    creation.settle_as(tx, clerk.agent_id)
                    if fails:
                        raise Undone
                watch("committed")
        case "rename":
            with moves.rename(agent_id, "scribe", "clerk") as renaming:
                with store.write() as tx:
                    tx.agents.update(agent_id, at=NOW, agent_slug="clerk")
                    watch("row changed")
                    renaming.settle(tx)
                    if fails:
                        raise Undone
                watch("committed")
        case _:
            with moves.delete(agent_id, "scribe", with_files=kind == "delete") as deleting:
                with store.write() as tx:
                    tx.agents.delete(agent_id)
                    watch("row changed")
                    deleting.settle(tx)
                    if fails:
                        raise Undone
                watch("committed")


def recover_and_die(url: str, root: Path, step: str) -> None:
    """Recover what another process has left, and be killed right after the step."""

    def watch(done: str) -> None:
        if done == step:
            die()

    store = Store.open(url)
    moves = Moves(store, DirectoryTree(root), now=lambda: datetime.now(UTC), watch=watch)
    while moves.recovery.run().under_way:
        pass


def move_forever(url: str, root: Path, seed: int, began: Any) -> None:
    """Make, rename, delete and write to agents, until killed."""
    store = Store.open(url)
    directories = Directories(store, root)
    chance = random.Random(seed)
    began.send(None)
    for number in itertools.count():
        with suppress(StoreError):
            known = agents(store)
            if len(known) < 3:
                created(store, directories, f"{seed}-{number}")
                continue
            with store.read() as tx:
                chosen = tx.agents.find(chance.choice(sorted(known.values())))
            assert chosen
            if chance.random() < 0.7:
                renamed(store, directories, chosen, f"{seed}-{number}")
            else:
                deleted(store, directories, chosen, with_files=chance.random() < 0.5)
