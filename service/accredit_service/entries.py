"""What is kept in memory until something changes that it rests on."""

import threading
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

#: What an entry takes beside its value: in the three tables, and for each thing that it rests on.
_ENTRY_BYTES = 420
_NAME_BYTES = 190


class Entry(Generic[V]):
    """A value, and what it rests on by name. ``used``: it was asked for since it was last seen."""

    __slots__ = ("names", "owner", "size", "used", "value")

    def __init__(self, value: V, names: Sequence[str], size: int, owner: Hashable) -> None:
        self.value = value
        self.names = names
        self.size = size
        self.owner = owner
        self.used = False


class Entries(Generic[K, V]):
    """Values by key within so many bytes, the longest unused making room.

    ``get`` takes no lock. All else is for one thread at a time: whoever calls holds ``lock``.
    """

    def __init__(self, room: int, lock: threading.RLock, *, share: int = 1) -> None:
        """``room`` in bytes. One owner has at most a ``share``-th of it."""
        self._room = room
        self._owners_room = room // share
        self.lock = lock
        self._entries: dict[K, Entry[V]] = {}
        self._resting: dict[str, set[K]] = {}
        self._owned: dict[Hashable, _Owned[K]] = {}
        #: How many bytes the entries take, by our own account.
        self.size = 0

    def __len__(self) -> int:
        """How many there are."""
        return len(self._entries)

    def get(self, key: K) -> Entry[V] | None:
        """The entry of a key."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.used = True
        return entry

    def find(self, keys: Iterable[Any]) -> dict[Any, V]:
        """The values of those keys that there are."""
        entries = self._entries
        found: dict[Any, V] = {}
        for key in keys:
            entry = entries.get(key)
            if entry is not None:
                entry.used = True
                found[key] = entry.value
        return found

    def put(
        self, key: K, value: V, names: Iterable[str], size: int, owner: Hashable = None
    ) -> None:
        """Keep a value of so many bytes until one of ``names`` changes."""
        names = tuple(set(names))
        size += _ENTRY_BYTES + _NAME_BYTES * len(names)
        if key in self._entries:
            self._remove(key)
        if size > self._owners_room:
            return
        self._entries[key] = Entry(value, names, size, owner)
        for name in names:
            self._resting.setdefault(name, set()).add(key)
        owned = self._owned.setdefault(owner, _Owned())
        owned.keys[key] = None
        owned.size += size
        self.size += size
        while owned.size > self._owners_room:
            self._make_room(owned.keys)
        while self.size > self._room:
            self._make_room(self._entries)

    def resting_on(self, name: str) -> list[V]:
        """The values that rest on one thing."""
        return [self._entries[key].value for key in self._resting.get(name, ())]

    def drop(self, names: Iterable[str]) -> None:
        """Forget what rests on one of these."""
        for name in names:
            for key in self._resting.pop(name, ()):
                self._remove(key)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._resting.clear()
        self._owned.clear()
        self.size = 0

    def _make_room(self, keys: dict[K, Any]) -> None:
        key = next(iter(keys))
        entry = self._entries[key]
        if not entry.used:
            self._remove(key)
            return
        # It has another turn, behind all the others.
        entry.used = False
        keys[key] = keys.pop(key)

    def _remove(self, key: K) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self.size -= entry.size
        owned = self._owned[entry.owner]
        del owned.keys[key]
        owned.size -= entry.size
        if not owned.keys:
            del self._owned[entry.owner]
        for name in entry.names:
            resting = self._resting.get(name)
            if resting is not None:
                resting.discard(key)
                if not resting:
                    del self._resting[name]


class _Owned(Generic[K]):
    """What one owner has, the oldest first, and its bytes."""

    __slots__ = ("keys", "size")

    def __init__(self) -> None:
        self.keys: dict[K, None] = {}
        self.size = 0
