"""Which texts the store has minted: the keys of their tags, as this process knows them.

Every half second, when the server asks whether the database is there, it reads the keys again. So
a text under an id that nobody knows is refused at once, with no query and no thread of its own:
whoever makes texts up makes the ids up as well. ``tokens.keys.MINTS_AFTER`` gives every server the
time to hear of a new key.
"""

from collections.abc import Callable, Mapping, Sequence

from accredit_storage.records import TokenKey
from accredit_storage.waiting import before_waiting

from . import bearer

#: How many right texts are remembered, so that their tags are computed once.
_MOST_VERIFIED = 100_000


class Keyring:
    """The store's keys as this process knows them."""

    def __init__(self) -> None:
        self._keys: Mapping[str, TokenKey] | None = None
        # The digests of texts whose tags were found right under these keys.
        self._verified: set[bytes] = set()

    def hold(self, keys: Sequence[TokenKey]) -> None:
        """Go by these keys, and by no others any more."""
        held = _by_id(keys)
        if held != self._keys:
            self._keys, self._verified = held, set()

    def digest(self, text: str, read: Callable[[], Sequence[TokenKey]]) -> bytes | None:
        """What to find the token of a text by; None for a text that the store did not mint.

        ``read`` is asked for the keys if there are none yet. It takes a connection, so that the
        caller must hold none.
        """
        if len(text) != bearer.LENGTH or not text.isascii():
            return None
        # Whoever changes the keys begins a new set, so what is added here late is lost with it.
        verified = self._verified
        digest = bearer.digest(text)
        if digest in verified:
            return digest
        # What is new here is new to memory as well, and somebody has to wait for it.
        before_waiting()
        key_id = bearer.parse_key_id(text)
        if key_id is None:
            return None
        # Another thread may forget them at any moment.
        keys = self._keys
        if keys is None:
            keys = self._keys = _by_id(read())
        key = keys.get(key_id)
        if key is None or not bearer.is_minted_under(key, text):
            return None
        if len(verified) >= _MOST_VERIFIED:
            verified.clear()
        verified.add(digest)
        return digest

    def decides(self, text: str) -> bool:
        """Whether ``digest`` would answer without a reading."""
        return self._keys is not None or bearer.parse_key_id(text) is None

    def forget(self) -> None:
        """Read the keys anew when they are needed next."""
        self._keys, self._verified = None, set()


def _by_id(keys: Sequence[TokenKey]) -> Mapping[str, TokenKey]:
    return {key.key_id: key for key in keys}
