"""Declared agents: what one source says of one, and all that this server has beside the store."""

import enum
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from accredit_storage.records import UserId

DEFAULT_PRIORITY = 10
# A notice quotes what somebody else has written.
_LONGEST_NOTICE = 500
#: From the slug of the agent to the id of the user who is to own it.
OwnerResolver = Callable[[str], object]


class Origin(enum.Enum):
    """How a definition came. Of one priority, those of a later origin win over an earlier one's."""

    REGISTERED = 0
    SERVER = 1
    ENTRY_POINT = 2
    MANIFEST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What one source says of one agent, cleaned and checked.

    ``memory_seeds`` are filenames with texts, and ``seed_sizes`` says how many bytes each has; of
    registered ones the store keeps the texts, see ``definitions.texts_of``. ``owner`` is an id or a
    login, None where the default owner is meant. ``owner_resolver`` names a resolver to ask
    instead; a package may also bring its own, ``resolve_owner``. ``updated_at`` and ``etag`` are
    known of registered ones.

    Among those of its origin it stands at ``order``, and ``turn`` says when it was last declared.
    """

    slug: str
    label: str
    description: str = ""
    memory_seeds: Sequence[tuple[str, str]] = ()
    seed_sizes: Mapping[str, int] = field(default_factory=dict)
    owner: UserId | str | None = None
    owner_resolver: str = ""
    resolve_owner: Callable[[], object] | None = None
    default_config: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    priority: int = DEFAULT_PRIORITY
    origin: Origin
    source: str
    updated_at: datetime | None = None
    etag: str = ""
    order: int = 0
    turn: int = 0

    @property
    def asks_for_owner(self) -> bool:
        """Whether a resolver says who is to own the agent."""
        return self.resolve_owner is not None or bool(self.owner_resolver)


class Declarations:
    """What this server has of its own: the definitions of its packages and of its manifests.

    Threads share it: the manifests are replaced as a whole, everything else stays as it is made.
    """

    def __init__(
        self,
        *,
        packages: Iterable[Definition] = (),
        notices: Sequence[str] = (),
        owner_resolvers: Mapping[str, OwnerResolver] | None = None,
        suppressed: Collection[str] = (),
        default_agent: bool = False,
        default_owner: str = "",
    ) -> None:
        """``packages`` in the order in which they were declared, ``notices`` what is wrong there.

        ``suppressed`` are names that the operator has set, beside those in the store.
        ``default_agent``: whether the default administrator's agent is declared. ``default_owner``
        is the login of whoever is to own agents that say nothing of it; "" stands for the first
        administrator.
        """
        self._packages = _numbered(packages)
        self._package_notices = _readable(notices)
        self._manifests: tuple[Sequence[Definition], Sequence[str]] = ((), ())
        self.owner_resolvers: Mapping[str, OwnerResolver] = dict(owner_resolvers or {})
        self.suppressed = frozenset(suppressed)
        self.default_agent = default_agent
        self.default_owner = default_owner

    def replace_manifests(self, definitions: Iterable[Definition], notices: Sequence[str]) -> None:
        """Have these of the manifests from now on, in their order, and no others."""
        self._manifests = (_numbered(definitions), _readable(notices))

    @property
    def definitions(self) -> Sequence[Definition]:
        """Those of the packages, then those of the manifests."""
        return [*self._packages, *self._manifests[0]]

    @property
    def notices(self) -> Sequence[str]:
        """What is wrong with packages and manifests, for a person to read."""
        return [*self._package_notices, *self._manifests[1]]


def _numbered(definitions: Iterable[Definition]) -> Sequence[Definition]:
    return tuple(
        replace(definition, order=number, turn=number)
        for number, definition in enumerate(definitions)
    )


def _readable(notices: Iterable[str]) -> Sequence[str]:
    """The same, short, and as Unicode that can be sent: what a package says may be anything."""
    return tuple(notice[:_LONGEST_NOTICE].encode(errors="replace").decode() for notice in notices)
