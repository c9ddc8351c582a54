"""Which directory is meant, and whether the caller may read or write there."""

import enum
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from accredit_storage.directory.directories import NOTHING_THERE, DirectoryState
from accredit_storage.directory.places import (
    AGENTS,
    LEGACY,
    NETWORK,
    SHARED,
    USERS,
    CommonPlace,
    Place,
)
from accredit_storage.errors import DirectoryMissing, OwnerMissing, StoreError
from accredit_storage.records import Agent, MemoryLayer, Role, Subject, SubjectKind, User
from accredit_storage.store import Transaction

from ..calls.app import App
from ..calls.reads import Ask, reading
from ..errors import PermissionDenied, Reason, action_missing
from ..input.agent_refs import AgentRef, require_agent
from ..input.user_refs import UserRef, is_caller, require_user
from ..policy.permissions import Action
from ..policy.rights import Principal
from ..policy.subjects import subject
from .new_directories import make_first
from .refusals import file_refusal

T = TypeVar("T")


class Common(enum.Enum):
    """A directory that belongs to nobody in particular."""

    SHARED = "shared"
    NETWORK = "network"
    LEGACY = "legacy"


_COMMON_PLACES = {Common.SHARED: SHARED, Common.NETWORK: NETWORK, Common.LEGACY: LEGACY}
# The one agent of the time before had its files there.
_COMMON_LAYERS = {
    Common.SHARED: MemoryLayer.SHARED,
    Common.NETWORK: MemoryLayer.NETWORK,
    Common.LEGACY: MemoryLayer.AGENT,
}


@dataclass(frozen=True, slots=True)
class AgentDirectory:
    """An agent's directory, by whatever the agent is named."""

    agent: AgentRef


@dataclass(frozen=True, slots=True)
class UserDirectory:
    """That of a user's own agent, else the user's, by whatever the user is named."""

    user: UserRef


DirectoryRef = AgentDirectory | UserDirectory | Common


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """A directory that the caller may use: an agent's, a user's or a common one."""

    agent: Agent | None = None
    user: User | None = None
    common: Common | None = None

    @property
    def layer(self) -> MemoryLayer:
        """Whose types of memory files it has."""
        if self.common is not None:
            return _COMMON_LAYERS[self.common]
        return MemoryLayer.USER if self.agent is None else MemoryLayer.AGENT

    @property
    def path(self) -> str:
        """What people call it: "agents/scribe", which is a link to where it is."""
        if self.agent is not None:
            return f"{AGENTS}/{self.agent.agent_slug}"
        if self.user is not None:
            return f"{USERS}/{self.user.user_id}"
        return self._common_place.name

    @property
    def subject(self) -> Subject:
        """What a change of one of its files is about."""
        if self.agent is not None:
            return subject(SubjectKind.AGENT, self.agent.agent_id)
        if self.user is not None:
            return subject(SubjectKind.USER, self.user.user_id)
        return subject(SubjectKind.DIRECTORY, self.path)

    def change(self, app: App, act: Callable[[Place], T]) -> T:
        """What ``act`` answers for the place, which is made if it was not made yet.

        Not to be called within a transaction. Raises what ``act`` does, StoreErrors among it,
        OwnerMissing where whose it is has gone, FilesUnavailable where it was lost.
        """
        owner = self.agent or self.user
        if owner is not None:
            make_first(app, owner)
        return self.within(app, act)

    def within(self, app: App, act: Callable[[Place], T], missing: T | None = None) -> T:
        """The same for who makes nothing; ``missing`` where there is no such directory yet.

        Raises DirectoryMissing where that is None.
        """
        owner = self.agent or self.user
        if owner is None:
            return act(self._common_place)
        try:
            return app.directories.reach(owner, act)
        except OwnerMissing:
            raise
        except DirectoryMissing:
            if missing is None:
                raise
            return missing

    def state(self, app: App) -> DirectoryState:
        """Whether it is there, and whether there is a file in it."""
        return self.within(app, app.directories.state_of, NOTHING_THERE)

    @property
    def _common_place(self) -> CommonPlace:
        assert self.common is not None  # noqa: S101 - one of the three is set
        return _COMMON_PLACES[self.common]


@dataclass(frozen=True, slots=True)
class ResolvedDirectory:
    """A directory and what there is of it."""

    directory: Directory
    state: DirectoryState


def require_directory(
    tx: Transaction, caller: Principal, ref: DirectoryRef, role: Role, now: datetime
) -> Directory:
    """The directory meant, if the caller may do there what ``role`` stands for on an agent.

    This is the one rule of which directory a user stands for: that of the agent with the lowest id
    that they own, and their own as long as they own none. Raises PermissionDenied; NotFound to a
    caller who may see every agent, or every user.
    """
    if isinstance(ref, UserDirectory):
        # Judged first: which agent is theirs is not everybody's to know.
        user = _require_user(tx, caller, ref.user, role)
        owned = tx.agents.first_owned(user.user_id)
        if owned is None:
            return Directory(user=user)
        ref = AgentDirectory(owned.agent_id)
    if isinstance(ref, AgentDirectory):
        return Directory(agent=require_agent(tx, caller, ref.agent, role, now))
    if role is not Role.VIEWER and Action.MANAGE_SETTINGS not in caller.actions:
        raise action_missing(Action.MANAGE_SETTINGS, "to write there")
    _require_reach(caller, role)
    return Directory(common=ref)


def resolve_directory(app: App, ask: Ask, ref: DirectoryRef) -> ResolvedDirectory:
    """Which directory a name stands for, and what there is of it. Makes nothing."""
    with reading(app, ask) as (tx, caller, now, _):
        directory = require_directory(tx, caller, ref, Role.VIEWER, now)
    with refusing(directory):
        return ResolvedDirectory(directory, directory.state(app))


@contextmanager
def refusing(directory: Directory, field: str = "path") -> Generator[None]:
    """Raise what the store says of a file as refusals; ``field`` is where its path stands."""
    try:
        yield
    except StoreError as error:
        refusal = file_refusal(error, field, directory.path)
        if refusal is None:
            raise
        raise refusal from None


def _require_reach(caller: Principal, role: Role) -> None:
    """Raise PermissionDenied where the caller's token is held to less than this role."""
    if caller.max_role < role:
        raise PermissionDenied(
            Reason.ROLE_INSUFFICIENT,
            "this needs a token of {required_role}, yours is of {role}",
            required_role=role.name,
            role=caller.max_role.name,
        )


def _require_user(tx: Transaction, caller: Principal, ref: UserRef, role: Role) -> User:
    manages = Action.MANAGE_USERS in caller.actions
    if not manages and not is_caller(caller, ref):
        raise PermissionDenied(
            Reason.DIRECTORY_ACCESS_DENIED,
            "another user's directory takes the action manage_users",
            actions=Action.MANAGE_USERS.value,
        )
    _require_reach(caller, role)
    return require_user(tx, ref)
