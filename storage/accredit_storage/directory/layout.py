"""Giving directories that were named by slug, or by a user's id, the names that they have today.

Until schema 8 an agent's directory had the agent's slug for a name, and moved when that changed. A
marker in it says whose it is; so it is found wherever a crash broke a move off. Users' directories
had the user's id for a name.

Each directory is renamed once, into a name that nobody else uses, and never over anything. So this
may end at any moment: whoever begins again finds what is left. Every start looks, since a part of
the old tree may be put back at any time, as from a backup, or was out of reach the last time. A
database from before that is put back gets the same names once more, see migration 0008; it only
does not know that the directories were made.
"""

import itertools
import logging
import re
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from accredit_storage.directory.folders import Folder, translated
from accredit_storage.directory.locks import locked
from accredit_storage.directory.places import (
    AGENTS,
    BY_KEY,
    KEPT,
    MAX_ID,
    TRASH,
    USERS,
    place_named,
    place_of,
)
from accredit_storage.directory.sweeping import every_row
from accredit_storage.directory.tree import DirectoryTree
from accredit_storage.errors import PathInvalid, StoreBusy
from accredit_storage.records import Agent, AgentId, UserId
from accredit_storage.statements import chunks
from accredit_storage.store import Store

log = logging.getLogger(__name__)

_LOCK = ".layout-lock"
_MARKER = ".agent"
_MARKER_CONTENT = re.compile(rb"([0-9]{1,19}) [0-9a-f]{32}\n")
# Slug, id and time, in UTC.
_KEPT_NAME = re.compile(r".*\.(\d{8}T\d{6})Z")
# Where directories were made ready that no agent had yet.
_NEW = ".new"
# Where locks of moves were, directly below the root.
_MOVE_LOCKS = ".locks"
_USER = re.compile(r"[1-9][0-9]{0,18}")


class _Found(NamedTuple):
    """A directory with an agent's marker: on which shelf, "" for none, and by which name."""

    shelf: str
    name: str
    agent_id: AgentId


def renew(store: Store, tree: DirectoryTree) -> None:
    """Give every directory of an old tree its new name, and say on old rows which of them is there.

    Waits for another server that is at it. Raises FilesUnavailable or StoreFull.
    """
    with translated(), Folder.at(tree.root) as root, _alone(root):
        with root.enter(AGENTS) as agents:
            _renew_agents(store, agents)
        with root.enter(USERS) as users:
            _renew_users(store, users)
        _note_made(store, root)
        _clear_locks(root)


@contextmanager
def _alone(root: Folder) -> Generator[None]:
    with ExitStack() as stack:
        while True:
            with suppress(StoreBusy):
                stack.enter_context(locked(root, _LOCK))
                break
        yield


def _renew_agents(store: Store, agents: Folder) -> None:
    with store.read() as tx:
        last, _ = tx.last_old_ids()
    found = _marked(agents)
    renamed = 0
    for chunk in chunks(sorted({one.agent_id for one in found})):
        with store.read() as tx:
            rows = {agent.agent_id: agent for agent in tx.agents.find_many(chunk)}
        for agent in rows.values():
            if agent.agent_id <= last:
                theirs = [one for one in found if one.agent_id == agent.agent_id]
                renamed += _renew_agent(agents, agent, theirs)
    _put_away(store, agents)
    if renamed:
        log.info("directories renamed", extra={"fields": {"agents": renamed}})


def _marked(agents: Folder) -> Sequence[_Found]:
    """All directories with an agent's marker that do not have their new name."""
    found = []
    # In this order: the first one that names an agent is theirs, should there be several.
    for shelf in ("", TRASH, KEPT, _NEW):
        with suppress(FileNotFoundError), agents.descend([shelf] if shelf else []) as folder:
            for entry in folder.entries():
                is_ours = not shelf and entry.name.startswith(".")
                if is_ours or not entry.is_dir(follow_symlinks=False):
                    continue
                if place_named(AGENTS, entry.name) is None and (
                    agent_id := _marker(folder, entry.name)
                ):
                    found.append(_Found(shelf, entry.name, agent_id))
    return found


def _marker(folder: Folder, name: str) -> AgentId:
    """Whose directory it is, 0 for nobody's."""
    # What we may not enter we did not make.
    with (
        suppress(FileNotFoundError, NotADirectoryError, PermissionError, PathInvalid),
        folder.enter(name) as home,
        # A backup may have given it a second name.
        home.open_file(_MARKER, only_name=False) as file,
    ):
        content = _MARKER_CONTENT.fullmatch(file.read(100) or b"")
        return AgentId(0 if content is None or int(content[1]) > MAX_ID else int(content[1]))
    return AgentId(0)


def _renew_agent(agents: Folder, agent: Agent, theirs: Sequence[_Found]) -> bool:
    """Rename an agent's directory; whether there was one to rename."""
    theirs = [one for one in theirs if not _is_of_former(one, agent)]
    # That of its slug, where an agent that never came to be had the same id before.
    ordered = sorted(theirs, key=lambda one: (one.shelf, one.name) != ("", agent.agent_slug))
    return any(_rename(agents, one.shelf, one.name, place_of(agent).name) for one in ordered[:1])


def _is_of_former(one: _Found, agent: Agent) -> bool:
    """Whether it was put aside before the agent was made, which an older database gave the id."""
    kept = _KEPT_NAME.fullmatch(one.name) if one.shelf == KEPT else None
    if kept is None:
        return False
    try:
        put_aside = datetime.strptime(kept[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        # Digits of somebody else's.
        return False
    # To the second: it may have been put aside within the one that it names.
    return agent.created_at - put_aside >= timedelta(seconds=1)


def _rename(folder: Folder, shelf: str, name: str, new_name: str) -> bool:
    """Rename to the shelf of today, unless there is something by that name already."""
    with folder.descend([shelf] if shelf else []) as source, folder.enter(BY_KEY) as target:
        try:
            source.move(name, target, new_name)
        except FileExistsError:
            log.warning(
                "directory left",
                extra={"fields": {"name": f"{shelf}/{name}", "why": "there is another one"}},
            )
            return False
        target.sync()
        source.sync()
    return True


def _put_away(store: Store, agents: Folder) -> None:
    """What is left on the shelf of unfinished directories, and what is a living agent's in trash.

    That is kept, the rest goes to the trash: an agent that was never made, whose id may be
    another's by now.
    """
    left = _marked(agents)
    with store.read() as tx:
        living = {
            agent.agent_id
            for chunk in chunks(sorted({one.agent_id for one in left}))
            for agent in tx.agents.find_many(chunk)
        }
    is_living = {(one.shelf, one.name) for one in left if one.agent_id in living}
    for shelf in (_NEW, TRASH):
        with suppress(FileNotFoundError), agents.enter(shelf) as source:
            for entry in source.entries():
                target = KEPT if (shelf, entry.name) in is_living else TRASH
                if target == shelf or place_named(AGENTS, entry.name) is not None:
                    continue
                with agents.enter(target) as aside, suppress(FileExistsError):
                    source.move(entry.name, aside, entry.name)
                    aside.sync()
    with suppress(OSError):
        agents.remove_folder(_NEW)


def _renew_users(store: Store, users: Folder) -> None:
    with store.read() as tx:
        _, last = tx.last_old_ids()
    names = [
        entry.name
        for entry in users.entries()
        if _USER.fullmatch(entry.name)
        and int(entry.name) <= MAX_ID
        and entry.is_dir(follow_symlinks=False)
    ]
    for chunk in chunks(sorted(map(int, names))):
        with store.read() as tx:
            found = tx.users.find_many([UserId(user_id) for user_id in chunk])
        for user in found:
            if user.user_id <= last:
                _rename(users, "", str(user.user_id), place_of(user).name)


def _note_made(store: Store, root: Folder) -> None:
    """Note of every old row whose directory is there that it was made.

    One that was put aside is given back: its row is there again, from an older database.
    """
    with store.read() as tx:
        last = dict(zip((AGENTS, USERS), tx.last_old_ids(), strict=True))
    for top in (AGENTS, USERS):
        with root.enter(top) as folder:
            unknown = _unknown(store, top, last[top])
            for shelf in (KEPT, TRASH):
                for name in _names(folder, shelf) & unknown.keys():
                    _rename(folder, shelf, name, name)
            made = sorted(unknown[name] for name in _names(folder, BY_KEY) & unknown.keys())
        for chunk in chunks(made):
            with store.write() as tx:
                if top == AGENTS:
                    tx.agents.set_files_made([AgentId(row_id) for row_id in chunk])
                else:
                    tx.users.set_files_made([UserId(row_id) for row_id in chunk])


def _unknown(store: Store, top: str, last: int) -> dict[str, int]:
    """The old rows of which it is not known whether their directory was made: ids by its name."""
    rows = itertools.takewhile(lambda row: place_of(row).row_id <= last, every_row(store, top))
    return {place_of(row).name: place_of(row).row_id for row in rows if not row.files_made}


def _names(folder: Folder, shelf: str) -> set[str]:
    with folder.enter(shelf) as below:
        return {entry.name for entry in below.entries()}


def _clear_locks(root: Folder) -> None:
    """Remove the locks of moves, which a server from before may not be holding any more."""
    with suppress(OSError):
        with root.enter(_MOVE_LOCKS) as locks:
            for entry in locks.entries():
                locks.remove(entry.name)
        root.remove_folder(_MOVE_LOCKS)
