"""Directories are made after the commit that makes their rows: no transaction waits for a disk.

The row says when its directory was made, with the starter files. Where a crash or the disk came in
between, it is made when something is first to be written there.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from accredit_storage.directory.places import place_of
from accredit_storage.errors import OwnerMissing, StoreError
from accredit_storage.records import Agent, AgentId, User
from accredit_storage.store import WriteTransaction

from ..calls.app import App
from ..calls.mutations import MutatingCall, Written, keep_reply
from .scaffolding import (
    Scaffold,
    ScaffoldedFile,
    agent_scaffold,
    all_failed,
    foreseen,
    make_missing,
    starter_files,
)

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NewDirectory:
    """What became of a new agent's files. ``complete``: directory and files were refused nothing.

    Only such a directory is noted as made: one that is noted and missing is never made anew.
    """

    files: tuple[ScaffoldedFile, ...]
    complete: bool


#: What became of new directories, by the id of their agent.
FilesMade = Mapping[AgentId, NewDirectory]


def with_directories(
    app: App,
    call: MutatingCall,
    written: Written[T],
    scaffolds: Sequence[Scaffold],
    told: Callable[[T, FilesMade], T],
) -> Written[T]:
    """Make the directories of agents that a call has created; the value that tells of their files.

    The agents are there whatever the disk says: a file that it refused has FAILED. Of a call that
    is validated only, the value tells what would be made.
    """
    if call.validate_only:
        files = {
            agent_id_of(one): NewDirectory(foreseen(starter_files(app, one)), complete=False)
            for one in scaffolds
        }
        return replace(written, value=told(written.value, files))
    if not scaffolds:
        return written
    files = {agent_id_of(one): make_agent_directory(app, one) for one in scaffolds}
    value = told(written.value, files)

    def note(tx: WriteTransaction) -> None:
        tx.agents.set_files_made(whole(files))
        keep_reply(tx, call, value, written.head)

    _note(app, note)
    return replace(written, value=value)


def make_agent_directory(app: App, scaffold: Scaffold) -> NewDirectory:
    """Make an agent's directory with its starter files, as far as the disk lets it."""
    agent = scaffold.agent
    assert agent is not None  # noqa: S101 - it is an agent's scaffold
    starters = starter_files(app, scaffold)
    try:
        app.directories.make(agent)
        made = make_missing(app, place_of(agent), starters)
    except StoreError as error:
        return NewDirectory(all_failed(starters, error), complete=False)
    return NewDirectory(made, complete=not any(isinstance(one.error, StoreError) for one in made))


def note_made(app: App, files: FilesMade) -> None:
    """Say on the rows of agents that their directories were made."""
    _note(app, lambda tx: tx.agents.set_files_made(whole(files)))


def make_first(app: App, owner: Agent | User) -> None:
    """Make the directory of a row before something is written there, unless that was done.

    Raises OwnerMissing where the row has gone, and what the disk refuses.
    """
    if owner.files_made:
        return
    if isinstance(owner, User):
        _make_users_first(app, owner)
    else:
        _make_agents_first(app, owner)


def _make_users_first(app: App, owner: User) -> None:
    with app.store.read(one_statement=True) as tx:
        user = tx.users.find(owner.user_id)
    if user is None or user.directory_key != owner.directory_key:
        raise OwnerMissing("there is no such user")
    if user.files_made:
        return
    app.directories.make(user)
    with app.store.write() as tx:
        if tx.users.find(user.user_id, share=True) is None:
            # They were deleted meanwhile. The sweep puts the directory aside.
            raise OwnerMissing("there is no such user")
        tx.users.set_files_made([user.user_id])


def _make_agents_first(app: App, owner: Agent) -> None:
    with app.store.read() as tx:
        agent = tx.agents.find(owner.agent_id)
        if agent is None or agent.directory_key != owner.directory_key:
            raise OwnerMissing("there is no such agent")
        if agent.files_made:
            return
        scaffold = agent_scaffold(app, tx, agent)
    app.directories.make(agent)
    # What is still missing then can be scaffolded; the write itself will meet the same disk.
    make_agent_directory(app, scaffold)
    with app.store.write() as tx:
        if tx.agents.find(agent.agent_id, lock=True) is None:
            # It was deleted meanwhile. The sweep puts the directory aside.
            raise OwnerMissing("there is no such agent")
        tx.agents.set_files_made([agent.agent_id])
    log.info("directory made late", extra={"fields": {"agent": agent.agent_id}})


def whole(files: FilesMade) -> list[AgentId]:
    """The agents of whose files the disk refused none."""
    return [agent_id for agent_id, made in files.items() if made.complete]


def agent_id_of(scaffold: Scaffold) -> AgentId:
    """The id of the agent whose files these are."""
    return AgentId(0) if scaffold.agent is None else scaffold.agent.agent_id


def _note(app: App, note: Callable[[WriteTransaction], None]) -> None:
    """Write what was made. A failure is no failure of the call: the next write makes up for it."""
    try:
        with app.store.write() as tx:
            note(tx)
    except StoreError as error:
        log.warning("not noted that files were made", extra={"fields": {"why": str(error)}})
