"""The frozen values that rows become, and the enums stored in them by name.

Times are aware UTC datetimes. A ``version`` starts at 1 and grows by one with each change of its
row; the API shows it as the etag.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, NewType


class Unset(enum.Enum):
    """The type of UNSET, which stands for "leave it as it is" where None is a value."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


class Role(enum.IntEnum):
    """What a principal may do with one agent; each role includes the ones below it."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


#: Ids are whole numbers from 1 up. One kind is never taken for another.
AgentId = NewType("AgentId", int)
UserId = NewType("UserId", int)
SiteId = NewType("SiteId", int)


class UserKind(enum.Enum):
    """Whether a user is a person or a program."""

    HUMAN = "human"
    SERVICE = "service"


class UserRole(enum.Enum):
    """A named set of actions; which ones is said by the abilities, not by the store."""

    ADMINISTRATOR = "administrator"
    SERVICE = "service"
    MEMBER = "member"
    GUEST = "guest"

    @property
    def usual_kind(self) -> UserKind:
        """The kind of users who have it, where nobody says otherwise."""
        return UserKind.SERVICE if self is UserRole.SERVICE else UserKind.HUMAN


class AgentStatus(enum.Enum):
    """Only an active agent authenticates; the others keep everything they have."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    ARCHIVED = "archived"


class ChangeKind(enum.Enum):
    """What a change did; one a mutating call."""

    BOOTSTRAPPED = "bootstrapped"
    USER_CREATED = "user_created"
    USER_UPDATED = "user_updated"
    USER_DEACTIVATED = "user_deactivated"
    USER_DELETED = "user_deleted"
    SITE_CREATED = "site_created"
    SITE_DELETED = "site_deleted"
    AGENT_CREATED = "agent_created"
    AGENT_UPDATED = "agent_updated"
    AGENT_RENAMED = "agent_renamed"
    AGENT_TRANSFERRED = "agent_transferred"
    AGENT_DELETED = "agent_deleted"
    GRANT_CHANGED = "grant_changed"
    GRANT_REVOKED = "grant_revoked"
    TOKEN_CREATED = "token_created"  # noqa: S105 - the name of an event, not a secret
    TOKEN_ROTATED = "token_rotated"  # noqa: S105
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    BULK = "bulk"
    FILE_WRITTEN = "file_written"
    FILE_DELETED = "file_deleted"
    FILES_SCAFFOLDED = "files_scaffolded"
    DEFINITION_REGISTERED = "definition_registered"
    DEFINITION_UNREGISTERED = "definition_unregistered"
    DEFINITION_SUPPRESSED = "definition_suppressed"
    DEFINITION_RECONCILED = "definition_reconciled"
    MEMORY_FILE_TYPE_CHANGED = "memory_file_type_changed"
    CHANGE_REDACTED = "change_redacted"
    TRANSFER_OFFERED = "transfer_offered"
    TRANSFER_DECLINED = "transfer_declined"
    DEFAULT_AGENT_SET = "default_agent_set"
    TOKEN_KEY_ROTATED = "token_key_rotated"  # noqa: S105
    TOKEN_KEY_RETIRED = "token_key_retired"  # noqa: S105


class SubjectKind(enum.Enum):
    """What kind of thing a change touched, or an answer rests on. STORE is everything."""

    AGENT = "agent"
    USER = "user"
    TOKEN = "token"  # noqa: S105
    SITE = "site"
    GRANT = "grant"
    DIRECTORY = "directory"
    DEFINITION = "definition"
    MEMORY_FILE_TYPE = "memory_file_type"
    AGENT_SLUG = "agent_slug"
    LOGIN = "login"
    STORE = "store"
    TRANSFER_OFFER = "transfer_offer"

    # By identity: answers put these into sets and dictionaries all the time.
    __hash__ = object.__hash__


class MemoryLayer(enum.Enum):
    """Whose memory a file is part of."""

    SHARED = "shared"
    AGENT = "agent"
    USER = "user"
    NETWORK = "network"


def folded(login: str) -> str:
    """The form by which a login is unique and found: the same for every spelling of its case."""
    return login.casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody, or some service, that calls and that may own agents.

    ``default_agent_id`` is the agent that they chose to be meant where they name none;
    ``directory_key`` and ``files_made`` are as an agent's.
    """

    user_id: UserId
    login: str
    kind: UserKind
    role: UserRole
    display_name: str
    email: str
    active: bool
    version: int
    created_at: datetime
    updated_at: datetime
    directory_key: str
    files_made: bool
    default_agent_id: AgentId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One of the places that share the network of agents."""

    site_id: SiteId
    site_slug: str
    site_name: str
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One identity. ``site_scope`` None means network-wide.

    ``directory_key`` is what its directory is called besides the id. ``files_made`` says that this
    directory was made: one that is missing afterwards was lost, and is never made anew.
    """

    agent_id: AgentId
    agent_slug: str
    agent_name: str
    owner_id: UserId
    config: Mapping[str, Any]
    status: AgentStatus
    site_scope: SiteId | None
    version: int
    created_at: datetime
    updated_at: datetime
    directory_key: str
    files_made: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """A user to be. ``kind`` None: what fits the role."""

    login: str
    kind: UserKind | None
    role: UserRole
    display_name: str
    email: str
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSite:
    """A site to be."""

    site_slug: str
    site_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAgent:
    """An agent to be. ``site_scope`` None: network-wide."""

    agent_slug: str
    agent_name: str
    config: Mapping[str, Any]
    site_scope: SiteId | None
    status: AgentStatus = AgentStatus.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentUpdate:
    """What to set of an agent; UNSET leaves it. ``site_scope`` None: network-wide."""

    agent_slug: str | Unset = UNSET
    agent_name: str | Unset = UNSET
    owner_id: UserId | Unset = UNSET
    config: Mapping[str, Any] | Unset = UNSET
    status: AgentStatus | Unset = UNSET
    site_scope: SiteId | Unset | None = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class UserUpdate:
    """What to set of a user; UNSET leaves it. ``default_agent_id`` None: no choice."""

    login: str | Unset = UNSET
    kind: UserKind | Unset = UNSET
    role: UserRole | Unset = UNSET
    display_name: str | Unset = UNSET
    email: str | Unset = UNSET
    active: bool | Unset = UNSET
    default_agent_id: AgentId | Unset | None = UNSET


def given(wanted: NewUser | NewSite | NewAgent | AgentUpdate | UserUpdate) -> dict[str, Any]:
    """The fields of a new row, or those of an update that are to be set."""
    values = {one.name: getattr(wanted, one.name) for one in fields(wanted)}
    return {name: value for name, value in values.items() if not isinstance(value, Unset)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One user's role on one agent. ``granted_by`` None: the granter is gone."""

    agent_id: AgentId
    user_id: UserId
    role: Role
    granted_by: UserId | None
    granted_at: datetime
    expire_at: datetime | None
    version: int
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferOffer:
    """An agent that its owner offers to another user, who may accept it before ``expire_at``."""

    offer_id: int
    agent_id: AgentId
    owner_id: UserId
    new_owner_id: UserId
    created_at: datetime
    expire_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """The most that a token may do; ``capabilities`` sorted, without repeats."""

    max_role: Role
    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """The stored half of a bearer token; its digest stays inside the store.

    Exactly one of ``agent_id`` and ``user_id`` is set. ``ceiling`` None means full rights.
    ``created_by`` is the user whose rights bound it at every use.
    """

    token_id: str
    agent_id: AgentId | None
    user_id: UserId | None
    label: str
    ceiling: Ceiling | None
    act_as_owner: bool
    created_by: UserId
    created_at: datetime
    expire_at: datetime | None
    revoked_at: datetime | None
    rotated_from: str | None
    replaced_by: str | None
    last_used_at: datetime | None
    version: int

    def has_ended(self, at: datetime) -> bool:
        """Whether it was revoked or has expired, which is for good: no call brings it back."""
        return self.revoked_at is not None or (self.expire_at is not None and at >= self.expire_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenKey:
    """A key under which tokens are minted. ``key_id`` stands in their texts."""

    key_id: str
    key: bytes
    created_at: datetime

    def __repr__(self) -> str:
        """Without the key: a dataclass would print it into any log."""
        return f"TokenKey(key_id={self.key_id!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """Everything that a token rests on, read at one moment.

    ``user`` is the token's user, or the owner of its ``agent``. ``minter_grant`` is the minter's
    grant on that agent; None without one, and for an owner, who needs none.
    """

    token: Token
    user: User
    agent: Agent | None
    minter: User
    minter_grant: Grant | None
    vouchers: tuple[User, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A released slug, kept for its former owner until ``expire_at``. None: the owner is gone."""

    agent_slug: str
    owner_id: UserId | None
    expire_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """On whose behalf a change was made; all None for the server itself."""

    user_id: UserId | None = None
    agent_id: AgentId | None = None
    token_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One thing that a change touched, or that an answer rests on.

    ``subject_id`` is the id as text; a grant's has the agent's and the user's, "3:user:14". A login
    is never one itself: see ``Transaction.login_digest``.
    """

    kind: SubjectKind
    subject_id: str

    def __hash__(self) -> int:
        """By the id alone, since hashing an enum's member takes longer than all else here."""
        return hash(self.subject_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A change as an ability hands it over; the store adds revision and hashes.

    ``before`` and ``after`` are JSON objects without secrets, None where there was or is nothing.
    """

    kind: ChangeKind
    actor: Actor
    request_id: str
    subjects: tuple[Subject, ...]
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One row of the change log.

    ``before`` and ``after`` are None also where redacted; then their digests are there.
    ``previous_hash`` is the hash of the change before, also where that was pruned; None if somebody
    took it out.
    """

    revision: int
    kind: ChangeKind
    actor: Actor
    request_id: str
    subjects: tuple[Subject, ...]
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    before_digest: bytes | None
    after_digest: bytes | None
    at: datetime
    hash: bytes
    previous_hash: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where the log stands: the store's epoch, its newest revision and that row's hash."""

    epoch: str
    revision: int
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An earlier call under the same request id. ``result`` is the key that finds its outcome.

    Where it is not ``finished``, there is none: its claim was committed alone, before its effect.
    """

    body_digest: bytes
    result: Mapping[str, Any]
    revision: int
    finished: bool


@dataclass(frozen=True, slots=True)
class StoredSeed:
    """What is known of a seed without its text: the size and the digest of its UTF-8."""

    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDefinition:
    """An agent as one source declares it.

    ``turn`` says when it was last registered: of two, the later has the larger. ``memory_seeds``
    are by filename; ``Definitions.seed_texts`` has their texts. ``owner_id`` and
    ``owner_resolver``, None or empty where not given, say who is to own the agent; that user need
    not exist. ``owner_login`` did so in definitions of an earlier time. ``registered_by`` None: the
    server itself, or somebody who is gone.
    """

    definition_id: int
    agent_slug: str
    source: str
    turn: int
    label: str
    description: str
    memory_seeds: Mapping[str, StoredSeed]
    owner_id: UserId | None
    owner_login: str
    owner_resolver: str
    default_config: Mapping[str, Any]
    meta: Mapping[str, Any]
    priority: int
    registered_by: UserId | None
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """A name, a slug or that of an entry point, from which no agent is made.

    ``suppressed_by`` None: the server itself, or somebody who is gone.
    """

    name: str
    suppressed_by: UserId | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFileType:
    """How the file of one name is treated in every agent's memory.

    Lower ``priority`` comes first. ``required_capability`` is what editing takes besides, empty for
    nothing; an empty ``label`` is for the reader to make from the filename.
    """

    filename: str
    layer: MemoryLayer
    priority: int
    is_protected: bool
    read_only: bool
    required_capability: str
    label: str
    version: int
    created_at: datetime
    updated_at: datetime
