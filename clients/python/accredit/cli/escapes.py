"""Keep text that somebody else wrote from driving the terminal.

A name may hold escape sequences that colour, move or erase what is on the screen, or marks that
turn the direction of writing and make one slug look like another.
"""

import re
import unicodedata
from collections.abc import Callable

# Control characters, formatting marks, lone surrogates, line and paragraph separators.
_UNSAFE_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_CANDIDATE = re.compile(r"[^ -~]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def is_unsafe(character: str) -> bool:
    """Whether a terminal may do something else with it than show it."""
    return unicodedata.category(character) in _UNSAFE_CATEGORIES


def printable(text: str) -> str:
    """The text with everything unsafe spelt out, for eyes; on one line."""
    return _CANDIDATE.sub(lambda match: _unless_safe(match[0], _for_eyes), text)


def printable_lines(text: str) -> str:
    """The same of a whole text, with its line ends and tabs as they are."""
    return _CANDIDATE.sub(lambda match: _unless_safe(match[0], _for_eyes, keep="\n\t"), text)


def safe_json(document: str) -> str:
    """The same JSON document with everything unsafe escaped but its own line ends."""
    return _CANDIDATE.sub(lambda match: _unless_safe(match[0], _in_json, keep="\n"), document)


def safe_yaml(document: str) -> str:
    """The same of a YAML document, where what is unsafe stands in double quotes only."""
    return _CANDIDATE.sub(lambda match: _unless_safe(match[0], _in_yaml, keep="\n"), document)


def _unless_safe(character: str, spelt: Callable[[str], str], keep: str = "") -> str:
    return spelt(character) if is_unsafe(character) and character not in keep else character


def _for_eyes(character: str) -> str:
    return _SHORT.get(character) or (
        f"\\x{ord(character):02x}" if ord(character) < 0x100 else _in_yaml(character)
    )


def _in_yaml(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _in_json(character: str) -> str:
    raw = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{raw[at : at + 2].hex()}" for at in range(0, len(raw), 2))
