"""YAML, taken apart into values that know their lines.

Only the parser is somebody else's. The values are made here from its events, one at a time, so
that nothing is built before it is bounded: there are no objects of the file's choosing, no value
stands for another one, and the text of a date stays text.
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

#: Containers within each other; a config may have 24 of them, below a list of definitions.
MAX_LEVELS = 32
#: Scalars, lists and maps of one text.
MAX_NODES = 100_000
#: From here on a double, which is what JSON has, cannot tell neighbouring integers apart.
FIRST_INEXACT = 2**53

Value: TypeAlias = "str | int | float | bool | list[Node] | dict[str, Node] | None"

_CORE = "tag:yaml.org,2002:"
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
# Escapes can spell both; neither JSON nor PostgreSQL can hold them.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
# The parser takes time that grows with the square of a tag's length.
_LONG_TAG = re.compile(r"(?<![^\s\[{,:])!\S{1000}")

_NO_ALIASES = "no anchors, aliases and merge keys: write the value out where it is meant"
_NO_TAGS = "no tags other than YAML's own for text, numbers, lists and maps"
_TOO_LARGE = "no number of 2^53 or more: write it as a text"


class Unreadable(Exception):
    """A text, or the rest of it, that gives no values; ``line`` is where it stopped."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


class Malformed(Unreadable):
    """It is not YAML, which is another thing than YAML that is refused."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value and the line on which it begins, from 1."""

    line: int
    value: Value
    #: A scalar as it was written, without quotes; of front matter a list or a map as well.
    text: str = ""
    #: The rule that it breaks; it has no value then, and what is around it still has.
    refused: str = ""


def documents(text: str, first_line: int = 1) -> Generator[Node]:
    """Each document that is not empty, in its order. Raises Unreadable, after those before it."""
    if found := _LONG_TAG.search(text):
        raise Unreadable(first_line + text.count("\n", 0, found.start()), _NO_TAGS)
    # Only when a manifest is read: whoever imports the client need not have it.
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    builder = _Builder(YAML(typ="safe", pure=True).parse(text), first_line)
    try:
        yield from builder.documents()
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        if mark is None:  # a character that YAML does not allow at all
            position = getattr(error, "position", 0)
            line = first_line + text.count("\n", 0, position)
            raise Malformed(line, f"no {text[position : position + 1]!a}") from error
        problem = getattr(error, "problem", None) or "no YAML"
        # The second line of some messages tells programmers where the option is.
        raise Malformed(first_line + mark.line, problem.strip().splitlines()[0]) from error
    except (ValueError, OverflowError) as error:
        # An escape for a character that there is not.
        raise Malformed(builder.line, "an escape for no character") from error


class _Builder:
    """Makes nodes of the parser's events.

    The events are told apart by the names of their classes, because the classes are there only
    once the parser is loaded.
    """

    def __init__(self, events: Iterator[Any], first_line: int) -> None:
        self.line = first_line
        self._events = events
        self._first_line = first_line
        self._nodes = 0

    def documents(self) -> Generator[Node]:
        for kind, event in self._next():
            if not kind.startswith(("Stream", "Document")):
                node = self._node(kind, event, 1)
                if node.value is not None or node.refused:
                    yield node

    def _next(self) -> Generator[tuple[str, Any]]:
        for event in self._events:
            self.line = self._first_line + event.start_mark.line
            yield type(event).__name__, event

    def _node(self, kind: str, event: Any, level: int) -> Node:
        line = self.line
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise Unreadable(line, f"at most {MAX_NODES} values in a file")
        if kind == "AliasEvent":
            return Node(line, None, refused=_NO_ALIASES)
        if kind == "ScalarEvent":
            return _scalar(line, event)
        if level > MAX_LEVELS:
            raise Unreadable(line, f"at most {MAX_LEVELS} levels")
        if kind == "SequenceStartEvent":
            node = Node(line, self._items(level))
            tag = "seq"
        else:
            node = self._mapping(line, level)
            tag = "map"
        if event.anchor is not None:
            return Node(line, None, refused=_NO_ALIASES)
        if event.tag not in (None, "!", _CORE + tag):
            return Node(line, None, refused=_NO_TAGS)
        return node

    def _items(self, level: int) -> list[Node]:
        items = []
        for kind, event in self._next():
            if kind == "SequenceEndEvent":
                break
            items.append(self._node(kind, event, level + 1))
        return items

    def _mapping(self, line: int, level: int) -> Node:
        entries: dict[str, Node] = {}
        refused = ""
        for kind, event in self._next():
            if kind == "MappingEndEvent":
                break
            key = self._node(kind, event, level + 1)
            value = self._node(*next(self._next()), level + 1)
            if kind != "ScalarEvent":
                refused = key.refused or "a key is a text, not a list or a map"
            elif key.refused and not key.text:
                refused = key.refused
            elif key.text == "<<" and event.implicit[0]:
                entries[key.text] = Node(key.line, None, refused=_NO_ALIASES)
            elif key.text in entries:
                entries[key.text] = Node(key.line, None, refused="the key stands there twice")
            else:
                # To the parser, nothing begins where the next thing does.
                is_nothing = value.value is None and not value.text and not value.refused
                entries[key.text] = Node(key.line, None) if is_nothing else value
        return Node(line, None if refused else entries, refused=refused)


def _scalar(line: int, event: Any) -> Node:
    text = event.value
    if event.anchor is not None:
        return Node(line, None, refused=_NO_ALIASES)
    if _UNSTORABLE.search(text):
        return Node(line, None, refused="no NUL and no half of a surrogate pair")
    if event.tag in ("!", _CORE + "str") or (event.tag is None and not event.implicit[0]):
        return Node(line, text, text)
    tag = None
    if event.tag is not None:
        tag = event.tag.removeprefix(_CORE)
        if tag == event.tag or tag not in ("null", "bool", "int", "float"):
            return Node(line, None, refused=_NO_TAGS)
    if _NULL.fullmatch(text) and tag in (None, "null"):
        return Node(line, None, text)
    if _BOOL.fullmatch(text) and tag in (None, "bool"):
        return Node(line, text.lower() == "true", text)
    if _INT.fullmatch(text) and tag in (None, "int"):
        return _integer(line, text)
    if _FLOAT.fullmatch(text) and tag in (None, "float"):
        number = float(text)
        if abs(number) >= FIRST_INEXACT:
            return Node(line, None, text, refused=_TOO_LARGE)
        return Node(line, number, text)
    if _NO_NUMBER.fullmatch(text) and tag in (None, "float"):
        return Node(line, None, text, refused="a number that JSON has, not infinite or undefined")
    if tag is not None:
        return Node(line, None, refused=f"{text[:40]!a} is not what its tag !!{tag} says")
    return Node(line, text, text)


def _integer(line: int, text: str) -> Node:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    # Python takes its time for thousands of digits, and refuses more.
    digits = text.removeprefix("0o").removeprefix("0x").lstrip("+-").lstrip("0")
    number = int(digits or "0", base) if len(digits) <= 18 else FIRST_INEXACT
    if number >= FIRST_INEXACT:
        return Node(line, None, text, refused=_TOO_LARGE)
    return Node(line, -number if text.startswith("-") else number, text)
