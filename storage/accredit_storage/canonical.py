"""The one JSON text of a value, by RFC 8785: the same whoever writes it, in whatever language.

It stands in the database, and digests and hashes are made over it. So docs/change-log.md can say in
a sentence what a hash covers, and there is a library for it in most languages.
"""

import hashlib
import math
from collections.abc import Mapping
from decimal import Decimal
from json.encoder import encode_basestring
from operator import itemgetter
from typing import Any

# Between these, numbers are written without an exponent.
_SMALLEST_PLAIN = 1e-6
_SMALLEST_LARGE = 1e21
_KEY = itemgetter(0)


def canonical_json(value: object) -> str:
    """The text of ``value``, without spaces, each object's keys sorted by their UTF-16 code units.

    Integers are written exactly. RFC 8785 knows doubles only, so it agrees up to 2^53: keep larger
    ones out of what an outsider has to recompute.

    Raises ValueError for NaN, the infinities and lone surrogates, TypeError for what JSON cannot
    hold.
    """
    text = _written(value)
    # Refuses lone surrogates, which no database keeps and no message carries.
    text.encode()
    return text


def digest(text: str) -> bytes:
    """SHA-256 over the text's UTF-8."""
    return hashlib.sha256(text.encode()).digest()


def _written(value: object) -> str:
    if isinstance(value, str):
        return encode_basestring(value)
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        members = _sorted(value)
        return "{" + ",".join(f"{encode_basestring(k)}:{_written(v)}" for k, v in members) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_written, value)) + "]"
    raise TypeError(f"JSON cannot hold a {type(value).__name__}")


def _sorted(value: Mapping[Any, object]) -> list[tuple[str, object]]:
    """The members in their order, which ASCII has by itself."""
    if all(type(key) is str and key.isascii() for key in value):
        return sorted(value.items(), key=_KEY)
    return sorted(value.items(), key=_place)


def _place(member: tuple[object, object]) -> bytes:
    """Where a member stands among those of its object."""
    key = member[0]
    if not isinstance(key, str):
        raise TypeError(f"JSON's keys are texts: {key!r}")
    return key.encode("utf-16-be")


def _number(value: float) -> str:
    """A double as ECMAScript writes it: the fewest digits that read back as the same double."""
    if not math.isfinite(value):
        raise ValueError(f"JSON cannot hold {value}")
    if value == 0:
        return "0"
    # The digits are the same in Python, only the exponent is not.
    if _SMALLEST_PLAIN <= abs(value) < _SMALLEST_LARGE:
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    return repr(value).replace("e-0", "e-")
