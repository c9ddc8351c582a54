"""The text of a bearer token: ``acr_<id>_<secret><key id><tag>``, all base62.

The id finds nothing by itself and is safe to log. The secret has 256 random bits, so that one
SHA-256 of the whole text is enough to store (a slow hash guards guessable passwords, and would
be paid at every call). The tag is the first 64 bits of an HMAC over all that stands before it,
under a key of the store. So a text that the store did not mint is refused without a look-up, and
whoever makes texts up costs the database nothing.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from accredit_storage.records import TokenKey

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ALLOWED = frozenset(_ALPHABET)
_PREFIX = "acr_"
_ID_LENGTH = 16
_SECRET_LENGTH = 43  # 62**43 > 2**256
_KEY_ID_LENGTH = 2
_TAG_LENGTH = 11  # 62**11 > 2**64
_TAG_BYTES = 8
_KEY_BYTES = 32
LENGTH = len(_PREFIX) + _ID_LENGTH + 1 + _SECRET_LENGTH + _KEY_ID_LENGTH + _TAG_LENGTH


@dataclass(frozen=True, slots=True)
class Minted:
    """A new token. ``secret`` is the whole text, to be shown once; only ``digest`` stays."""

    token_id: str
    secret: str
    digest: bytes
    key_id: str

    def __repr__(self) -> str:
        """Without the secret: a dataclass would print it into any log."""
        return f"Minted(token_id={self.token_id!r})"


def new_key(taken: Collection[str], at: datetime) -> TokenKey:
    """A new key for tags, under an id that is not ``taken``."""
    while (key_id := _random(_KEY_ID_LENGTH)) in taken:
        pass
    return TokenKey(key_id=key_id, key=secrets.token_bytes(_KEY_BYTES), created_at=at)


def mint(key: TokenKey) -> Minted:
    """A new token from the operating system's randomness, with a tag under the key."""
    token_id = _random(_ID_LENGTH)
    body = f"{_PREFIX}{token_id}_{_random(_SECRET_LENGTH)}{key.key_id}"
    text = body + _tag(body, key)
    return Minted(token_id, text, digest(text), key.key_id)


def parse_key_id(text: str) -> str | None:
    """The id of the key that a text names; None for a text that has not the form of a token."""
    if len(text) != LENGTH or not text.startswith(_PREFIX):
        return None
    token_id, separator, rest = text[len(_PREFIX) :].partition("_")
    if len(token_id) != _ID_LENGTH or not separator:
        return None
    if not _ALLOWED.issuperset(token_id) or not _ALLOWED.issuperset(rest):
        return None
    return rest[_SECRET_LENGTH:-_TAG_LENGTH]


def is_minted_under(key: TokenKey, text: str) -> bool:
    """Whether the text of a token ends in the tag that the key gives it. Looks nothing up."""
    body, tag = text[:-_TAG_LENGTH], text[-_TAG_LENGTH:]
    return hmac.compare_digest(tag, _tag(body, key))


def is_token_id(text: str) -> bool:
    """Whether a text can be a public id."""
    return len(text) == _ID_LENGTH and _ALLOWED.issuperset(text)


def digest(text: str) -> bytes:
    """What is stored of a token, and what it is found by: 32 bytes."""
    return hashlib.sha256(text.encode()).digest()


def _random(length: int) -> str:
    return _base62(secrets.randbelow(len(_ALPHABET) ** length), length)


def _tag(body: str, key: TokenKey) -> str:
    """The tag of what stands before it."""
    mac = hmac.digest(key.key, body.encode(), "sha256")
    return _base62(int.from_bytes(mac[:_TAG_BYTES], "big"), _TAG_LENGTH)


def _base62(number: int, length: int) -> str:
    """A number in so many digits. Each number has one spelling, so each text has one tag."""
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
