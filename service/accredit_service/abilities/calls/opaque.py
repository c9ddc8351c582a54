"""How bytes become the opaque texts that callers keep and send back, and bytes again."""

import base64
import binascii


def text_of(raw: bytes) -> str:
    """The text of these bytes: URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def bytes_of(text: str) -> bytes:
    """The bytes of a text. ValueError for what ``text_of`` never makes.

    Base64 has several spellings of the same bytes; only ours is one.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    if text_of(raw) != text:
        raise ValueError("another spelling")
    return raw
