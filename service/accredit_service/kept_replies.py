"""Replies that may be sent again: the bytes that an earlier call was answered with.

They rest on what the answer rested on and on what the asker's right to it rested on, and are
forgotten with it, as the records of the authority are and by the same code.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from accredit_storage.log_tail import name_of
from accredit_storage.records import Head, Subject, UserId

from .entries import Entries
from .feed import Feed

#: One caller has at most this part of the room.
SHARE = 8
# What a kept reply takes beside its bytes.
_KEPT_BYTES = 330


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A reply, from when on and until when it is good, and whose tokens it means the use of."""

    reply: bytes
    #: A clock that is set back gives what had expired its time back.
    since: datetime
    until: datetime | None
    token_ids: Sequence[str]
    #: What a Basis begins with in the reply.
    tag: bytes


class KeptReplies:
    """Replies by a digest of who asked what, true at the position of the feed."""

    def __init__(self, feed: Feed, *, room: int) -> None:
        """``room`` in bytes, 0 for none."""
        self._feed = feed
        self._room = room
        self._entries: Entries[bytes, Kept] = Entries(room, feed.lock, share=SHARE)
        feed.keep(self._entries)

    @property
    def is_on(self) -> bool:
        """Whether it has any room."""
        return self._room > 0

    @property
    def size(self) -> int:
        """How many bytes it takes, by its own account."""
        return self._entries.size

    def __len__(self) -> int:
        """How many there are."""
        return len(self._entries)

    def find(self, key: bytes) -> tuple[Kept, Head] | None:
        """A reply that is good now, and the position at which it is."""
        if self._entries.get(key) is None:
            return None
        head = self._feed.current()
        entry = self._entries.get(key)
        # What was put in since is of another position than the one that was confirmed.
        if entry is None or head is None or self._feed.position is not head:
            return None
        return entry.value, head

    def keep(
        self, key: bytes, kept: Kept, subjects: Iterable[Subject], head: Head, owner: UserId
    ) -> None:
        """Keep a reply that was judged at ``head``, unless the log has moved on since."""
        names = [name_of(subject) for subject in subjects]
        with self._feed.lock:
            if self._feed.position == head:
                self._entries.put(key, kept, names, len(kept.reply) + _KEPT_BYTES, owner)
