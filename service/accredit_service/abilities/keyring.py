"""Which texts the store has minted: the keys of their tags, as this process knows them.

A key proves where a text comes from and gives no right: rights are in the rows. So a process may
go by an old set of keys for a while. What it must not do is to refuse a token that another server
has minted under a key that it has not heard of: hence READ_AGAIN here, and MINTS_AFTER there.
"""

import threading
import time
from collections.abc import Callable, Sequence

from accredit_storage.records import TokenKey

from . import bearer

#: Seconds between two readings of the keys because of ids that are not known. Anybody can make up
#: ids, and every reading is a query.
READ_AGAIN = 30.0


class Keyring:
    """The store's keys as this process knows them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, TokenKey] = {}
        self._read_at: float | None = None

    def digest(self, text: str, read: Callable[[], Sequence[TokenKey]]) -> bytes | None:
        """What to find the token of a text by; None for a text that the store did not mint.

        ``read`` is asked for the keys at first, and for an id that is not known at most every
        READ_AGAIN seconds. It takes a connection, so that the caller must hold none.
        """
        key_id = bearer.key_id(text)
        if key_id is None:
            return None
        key = self._keys.get(key_id) or self._read(key_id, read)
        if key is None or not bearer.is_minted_under(key, text):
            return None
        return bearer.digest(text)

    def decides(self, text: str) -> bool:
        """Whether ``digest`` would answer without a reading."""
        key_id = bearer.key_id(text)
        return key_id is None or key_id in self._keys

    def forget(self) -> None:
        """Read the keys anew when they are needed next."""
        with self._lock:
            self._keys, self._read_at = {}, None

    def _read(self, key_id: str, read: Callable[[], Sequence[TokenKey]]) -> TokenKey | None:
        with self._lock:
            now = self._clock()
            if self._read_at is None or now - self._read_at >= READ_AGAIN:
                keys = {key.key_id: key for key in read()}
                self._keys, self._read_at = keys, now
            return self._keys.get(key_id)
