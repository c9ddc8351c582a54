"""Places: which directory of the tree is meant."""

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from accredit_storage.errors import PathInvalid

#: The folder that holds a directory for each agent, and the shelves of ``homes``.
AGENTS = "agents"
#: The folder that holds a directory for each user.
USERS = "users"
#: Below AGENTS: where agents' directories are made ready, where they are kept when their agent is
#: deleted without its files, and where they wait to be removed.
NEW, KEPT, TRASH = ".new", ".kept", ".trash"

# Up to 200 characters in all; ``%xx`` stays as it is.
_SLUG = re.compile(r"(?=.{1,200}\Z)(?:[a-z0-9_-]|%[0-9a-f]{2})+", re.ASCII)


@dataclass(frozen=True, slots=True)
class AgentPlace:
    """``agents/{slug}``, as long as it is this agent's.

    Whoever has read a slug may find that it was given to another agent by the time they use it;
    the id keeps them from writing into that one's files.
    """

    slug: str
    agent_id: int

    def __post_init__(self) -> None:
        require_slug(self.slug)

    @property
    def names(self) -> tuple[str, ...]:
        """The way to it from the root."""
        return AGENTS, self.slug


@dataclass(frozen=True, slots=True)
class UserPlace:
    """``users/{user_id}``: a user who has no agent. It is made when first written to."""

    user_id: int

    def __post_init__(self) -> None:
        if self.user_id < 1:
            raise PathInvalid("the id of a user")

    @property
    def names(self) -> tuple[str, ...]:
        """The way to it from the root."""
        return USERS, str(self.user_id)


@dataclass(frozen=True, slots=True)
class CommonPlace:
    """A directory directly below the root; see SHARED, NETWORK and LEGACY."""

    name: str

    @property
    def names(self) -> tuple[str, ...]:
        """The way to it from the root."""
        return (self.name,)


@dataclass(frozen=True, slots=True)
class StagedPlace:
    """Where the directory of an agent that is being made can be filled; see moves."""

    intent_id: str

    @property
    def names(self) -> tuple[str, ...]:
        """The way to it from the root."""
        return AGENTS, NEW, self.intent_id


Place: TypeAlias = AgentPlace | UserPlace | CommonPlace | StagedPlace

#: What everybody shares: SITE.md, RULES.md.
SHARED: Final = CommonPlace("shared")
#: What the whole network shares.
NETWORK: Final = CommonPlace("network")
#: The one directory of the time before there were several agents, user 0's.
LEGACY: Final = CommonPlace("agent")


def shown(place: Place) -> str:
    """The place in words, relative to the root: ``agents/scribe``."""
    return "/".join(place.names)


def require_slug(slug: str) -> None:
    """Raise PathInvalid for what is no agent's slug; the slugs of rows are."""
    if not _SLUG.fullmatch(slug):
        raise PathInvalid("an agent's slug: up to 200 of a-z, 0-9, _, - and %xx")
