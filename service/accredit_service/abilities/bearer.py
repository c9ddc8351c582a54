"""The text of a bearer token: ``acr_<id>_<secret><checksum>``, all base62.

The id finds nothing by itself and is safe to log. The secret has 256 random bits, so that one
SHA-256 of the whole text is enough to store (a slow hash guards guessable passwords, and would
be paid at every call). The checksum refuses a mistyped or foreign text without a look-up.
"""

import hashlib
import secrets
import zlib
from dataclasses import dataclass

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ALLOWED = frozenset(_ALPHABET)
_PREFIX = "acr_"
_ID_LENGTH = 16
_SECRET_LENGTH = 43  # 62**43 > 2**256
_CHECKSUM_LENGTH = 6  # 62**6 > 2**32
LENGTH = len(_PREFIX) + _ID_LENGTH + 1 + _SECRET_LENGTH + _CHECKSUM_LENGTH


@dataclass(frozen=True, slots=True)
class Minted:
    """A new token. ``secret`` is the whole text, to be shown once; only ``digest`` stays."""

    token_id: str
    secret: str
    digest: bytes

    def __repr__(self) -> str:
        """Without the secret: a dataclass would print it into any log."""
        return f"Minted(token_id={self.token_id!r})"


def mint() -> Minted:
    """A new token from the operating system's randomness."""
    token_id = _random(_ID_LENGTH)
    body = f"{_PREFIX}{token_id}_{_random(_SECRET_LENGTH)}"
    text = body + _checksum(body)
    return Minted(token_id, text, digest(text))


def parse(text: str) -> str | None:
    """The public id inside a well-formed text, None for any other text. Looks nothing up."""
    if len(text) != LENGTH or not text.startswith(_PREFIX):
        return None
    token_id, separator, rest = text[len(_PREFIX) :].partition("_")
    if len(token_id) != _ID_LENGTH or not separator:
        return None
    if not _ALLOWED.issuperset(token_id) or not _ALLOWED.issuperset(rest):
        return None
    body, checksum = text[:-_CHECKSUM_LENGTH], text[-_CHECKSUM_LENGTH:]
    return token_id if checksum == _checksum(body) else None


def is_token_id(text: str) -> bool:
    """Whether a text can be a public id."""
    return len(text) == _ID_LENGTH and _ALLOWED.issuperset(text)


def digest(text: str) -> bytes:
    """What is stored of a token, and what it is found by: 32 bytes."""
    return hashlib.sha256(text.encode()).digest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = []
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
