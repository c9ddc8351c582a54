"""Places: which directory of the tree is meant."""

import base64
import re
import secrets
from dataclasses import dataclass
from typing import Final, TypeAlias

from accredit_storage.records import Agent, User

#: The folders that hold a directory for each agent, and for each user.
AGENTS, USERS = "agents", "users"
#: In each of the two: where the directories are; where those are put aside whose row is gone; where
#: those wait that are to be removed. No slug and no user's id begins with a dot.
BY_KEY, KEPT, TRASH = ".id", ".kept", ".trash"
SHELVES = (BY_KEY, KEPT, TRASH)

#: The highest id that a database gives.
MAX_ID = 2**63 - 1

_KEY_CHARACTERS = "abcdefghijklmnopqrstuvwxyz234567"
_KEY_BYTES = 10
_KEY_LENGTH = 16  # Five bits to a character.
_NAME = re.compile(rf"([1-9][0-9]{{0,18}})\.([{_KEY_CHARACTERS}]{{{_KEY_LENGTH}}})")


@dataclass(frozen=True, slots=True)
class OwnPlace:
    """The directory of one row, an agent's or a user's: it is named by the row's id and key.

    So it never moves, and nobody who gets the id a second time, as from an older database, gets the
    files.
    """

    top: str
    row_id: int
    key: str

    @property
    def name(self) -> str:
        """What it is called among its like."""
        return f"{self.row_id}.{self.key}"

    @property
    def names(self) -> tuple[str, ...]:
        """The way to it from the root."""
        return self.top, BY_KEY, self.name


@dataclass(frozen=True, slots=True)
class CommonPlace:
    """A directory directly below the root; see SHARED, NETWORK and LEGACY."""

    name: str

    @property
    def names(self) -> tuple[str, ...]:
        """The way to it from the root."""
        return (self.name,)


Place: TypeAlias = OwnPlace | CommonPlace

#: What everybody shares: SITE.md, RULES.md.
SHARED: Final = CommonPlace("shared")
#: What the whole network shares.
NETWORK: Final = CommonPlace("network")
#: The one directory of the time before there were several agents, user 0's.
LEGACY: Final = CommonPlace("agent")


def place_of(owner: Agent | User) -> OwnPlace:
    """The directory of a row."""
    if isinstance(owner, Agent):
        return OwnPlace(AGENTS, owner.agent_id, owner.directory_key)
    return OwnPlace(USERS, owner.user_id, owner.directory_key)


def link_name(owner: Agent | User) -> str:
    """What the link to a row's directory is called, beside the directories."""
    return owner.agent_slug if isinstance(owner, Agent) else str(owner.user_id)


def place_named(top: str, name: str) -> OwnPlace | None:
    """The place of a directory of that name below ``agents/`` or ``users/``; None for no such."""
    found = _NAME.fullmatch(name)
    if found is None or int(found[1]) > MAX_ID:
        return None
    return OwnPlace(top, int(found[1]), found[2])


def new_key() -> str:
    """A key for the directory of a new row: 80 random bits."""
    return base64.b32encode(secrets.token_bytes(_KEY_BYTES)).decode().lower()
