"""What a path of a file may be. This is the one place that says so.

A path is relative to a directory, with ``/`` between one to eight names. A name

* has 1 to 255 bytes of UTF-8, in Unicode's composed form (NFC);
* has no ``/``, no backslash, no control character, no line or paragraph separator, and none of the
  characters that turn the direction of what is written after them;
* begins with neither a dot (such names are the store's own) nor a space, and ends with neither;
* is not what Windows takes for a device or a drive: ``nul``, ``COM1.md``, ``c:notes``.

Nothing in it is decoded: ``%2e%2e`` is a name of six characters.
"""

import re
import unicodedata
from typing import TypeAlias

from accredit_storage.errors import PathInvalid

MAX_DEPTH = 8
MAX_BYTES = 255

#: A path, taken apart: the folders, then the file.
Names: TypeAlias = tuple[str, ...]

_DEVICES = frozenset(("con", "prn", "aux", "nul", "conin$", "conout$")) | {
    f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"
}
# The control characters, the separators of lines and paragraphs, and what turns the direction.
_FORBIDDEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_DRIVE = re.compile(r"[A-Za-z]:")


def parse(path: str) -> Names:
    """The names of a path. Raises PathInvalid."""
    # Nothing longer can be right, and taking it apart would cost what it is long.
    if len(path) > MAX_DEPTH * (MAX_BYTES + 1):
        raise PathInvalid(f"1 to {MAX_DEPTH} names of up to {MAX_BYTES} bytes")
    names = tuple(path.split("/"))
    if len(names) > MAX_DEPTH:
        raise PathInvalid(f"1 to {MAX_DEPTH} names with / between them")
    for name in names:
        if broken := _broken_rule(name):
            raise PathInvalid(f"{ascii(name)[:80]}: {broken}")
    return names


def is_name(name: str) -> bool:
    """Whether a path may have the name in it."""
    return _broken_rule(name) is None


def _broken_rule(name: str) -> str | None:
    """What the name should be and is not."""
    if not name:
        return "a name between every two slashes, and none before the first or after the last"
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return "UTF-8"
    if len(encoded) > MAX_BYTES:
        return f"at most {MAX_BYTES} bytes"
    if name.startswith("."):
        return "no dot at its beginning"
    if name.endswith("."):
        return "no dot at its end"
    if name.strip() != name:
        return "no space at its beginning or end"
    if "\\" in name:
        return "no backslash"
    if _FORBIDDEN.search(name):
        return "no control characters"
    if not unicodedata.is_normalized("NFC", name):
        return "Unicode in composed form, NFC"
    if _DRIVE.match(name):
        return "not a drive"
    if name.split(".", 1)[0].rstrip().lower() in _DEVICES:
        return "not the name of a device"
    return None
