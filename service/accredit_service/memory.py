"""What a process keeps in memory of a store: the records, the replies, and what keeps them true."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from accredit_storage.records import Head
from accredit_storage.store import Store

from .abilities.credentials.dead_tokens import DeadTokens
from .authority import Authority
from .feed import Feed
from .kept_replies import KeptReplies


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Bytes, at most, for the records and the replies, and seconds that either may be behind."""

    records: int = 128 << 20
    replies: int = 256 << 20
    bound: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The feed, and what it keeps true."""

    feed: Feed
    authority: Authority
    replies: KeptReplies

    @classmethod
    def make(
        cls, store: Store, dead_tokens: DeadTokens, room: Room, forgotten: Callable[[Head], None]
    ) -> Self:
        """Nothing in it yet, and nothing asked of the database. ``forgotten``: see Feed."""
        feed = Feed(store, bound=room.bound, forgotten=forgotten)
        return cls(
            feed=feed,
            authority=Authority(store, feed, dead_tokens, room=room.records),
            replies=KeptReplies(feed, room=room.replies),
        )
