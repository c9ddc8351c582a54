"""What an ability may use: the store, the directories, the clock, the limits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

from accredit_storage.directory.directories import Directories
from accredit_storage.records import Head
from accredit_storage.store import Store

from ...memory import Memory, Room
from ..credentials.dead_tokens import DeadTokens
from ..credentials.keyring import Keyring
from ..extensions.declarations import Declarations
from ..extensions.generators import DEFAULT_GENERATORS, ContentGenerator


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds that an operator may set."""

    agents_per_user: int = 1
    slug_reservation: timedelta = timedelta(days=30)
    transfer_offer_lifetime: timedelta = timedelta(days=7)
    request_retention: timedelta = timedelta(hours=24)
    changes_retention: timedelta = timedelta(days=400)


class Usage:
    """When each token was last accepted, gathered in memory.

    A write for each call would queue every caller of a busy token on one row; so the server
    flushes this about once a minute, and a crash loses at most that much.
    """

    def __init__(self) -> None:
        # Threads write into it without a lock: a note that comes while it is taken may be lost.
        self._last: dict[str, datetime] = {}

    def note(self, token_id: str, at: datetime) -> None:
        """Remember that a token was accepted."""
        self._last[token_id] = at

    def take(self) -> Mapping[str, datetime]:
        """All that was gathered since the last time."""
        taken, self._last = self._last, {}
        return taken.copy()


def utc_now() -> datetime:
    """The server's clock. Expiry is judged by it and by no other."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class App:
    """Injected, so that a test can stop the clock."""

    store: Store
    directories: Directories
    limits: Limits = Limits()
    now: Callable[[], datetime] = utc_now
    usage: Usage = field(default_factory=Usage)
    keyring: Keyring = field(default_factory=Keyring)
    dead_tokens: DeadTokens = field(default_factory=DeadTokens)
    #: What starter files begin with, whatever the order.
    generators: Sequence[ContentGenerator] = DEFAULT_GENERATORS
    #: Whether journals may be written.
    daily_memory: bool = True
    #: The agents that this server declares beside the store.
    declarations: Declarations = field(default_factory=Declarations)

    #: How much is kept in memory.
    room: Room = field(default_factory=Room)

    @cached_property
    def memory(self) -> Memory:
        """What is kept in memory of this store, true at a position of its log."""
        return Memory.make(self.store, self.dead_tokens, self.room, self._forget)

    def _forget(self, head: Head) -> None:
        self.dead_tokens.forget()
        self.notice(head)

    def notice(self, head: Head) -> None:
        """Forget what is of another history of the store, as after a restore."""
        if self.dead_tokens.belong_to(head.epoch):
            self.keyring.forget()
