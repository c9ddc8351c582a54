"""Keep text that somebody else wrote from driving the terminal.

A name may hold escape sequences that colour, move or erase what is on the screen, or marks that
turn the direction of writing and make one slug look like another.
"""

import re
import unicodedata

# Control characters, formatting marks, lone surrogates, line and paragraph separators.
_UNSAFE_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_CANDIDATE = re.compile(r"[^ -~]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def is_unsafe(character: str) -> bool:
    """Whether a terminal may do something else with it than show it."""
    return unicodedata.category(character) in _UNSAFE_CATEGORIES


def printable(text: str) -> str:
    """The text with everything unsafe spelt out, for eyes; on one line."""
    return _CANDIDATE.sub(_spelt, text)


def in_quotes(document: str) -> str:
    r"""A JSON or YAML document with everything unsafe but line ends as \uXXXX.

    Means the same as before where such characters stand in double quotes only.
    """
    return _CANDIDATE.sub(_spelt_in_quotes, document)


def _spelt(match: re.Match[str]) -> str:
    character = match[0]
    if not is_unsafe(character):
        return character
    if character in _SHORT:
        return _SHORT[character]
    return f"\\x{ord(character):02x}" if ord(character) < 0x100 else _code_units(character)


def _spelt_in_quotes(match: re.Match[str]) -> str:
    character = match[0]
    return _code_units(character) if is_unsafe(character) and character != "\n" else character


def _code_units(character: str) -> str:
    raw = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{raw[at : at + 2].hex()}" for at in range(0, len(raw), 2))
