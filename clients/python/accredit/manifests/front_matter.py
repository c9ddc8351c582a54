"""The block between two lines of ``---`` at the head of a Markdown file.

People write it by hand, for programs that read it line by line. What is not YAML is therefore read
as they do, key by key; each key that is YAML for itself keeps what YAML makes of it.
"""

import re
from dataclasses import dataclass, field

from accredit.manifests.nodes import Malformed, Node, Unreadable, documents
from accredit.manifests.problems import Findings

#: What the parser is given of one file, in characters, and how many keys are read one by one.
MAX_LENGTH = 256 * 1024
MAX_KEYS = 1_000

_OPENING = re.compile(r"---[ \t]*(?:\r\n|\n|\r|\Z)")
_CLOSING = re.compile(r"(?<=[\r\n])(?:---|\.\.\.)[ \t]*(?:\r\n|\n|\r|\Z)")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
_KEY = re.compile(r"""(["']?)(?P<key>\w[\w.-]*)\1[ \t]*:(?=\s|\Z)""")
_BLOCK_STYLE = re.compile(r"[|>][-+]?\Z")
_ITEM = re.compile(r"[ \t]*-(?:[ \t]+(?P<text>.*?))?[ \t]*\Z")


@dataclass(slots=True)
class _Entry:
    """A key, and the lines up to the next one."""

    line: int
    key: str
    lines: list[str] = field(default_factory=list)


def split(text: str) -> tuple[str | None, str]:
    """The block, None if there is none, and the body below it.

    Raises Unreadable if the block has no end or is too long.
    """
    opening = _OPENING.match(text)
    if opening is None:
        return None, text
    closing = _CLOSING.search(text, opening.end())
    if closing is None:
        raise Unreadable(1, "the front matter has no end: a line of --- is missing")
    block = text[opening.end() : closing.start()]
    if len(block) > MAX_LENGTH:
        raise Unreadable(1, f"a front matter of at most {MAX_LENGTH} characters")
    return block, text[closing.end() :]


def fields(block: str, known: frozenset[str], findings: Findings) -> dict[str, Node]:
    """The fields of a block that begins on the file's second line, by key.

    ``known`` are the keys that mean something: the line of another one that is there already is
    text, as in a dialogue. Raises Unreadable.
    """
    try:
        return _mapping(block, 2)
    except Malformed as malformed:
        entries = _entries(block, known)
        if entries is None:
            raise
        noticed = len(findings.problems)
        read = {entry.key: _value(entry, findings) for entry in entries}
        if len(findings.problems) == noticed:
            findings.notice(malformed.line, "", f"not YAML ({malformed}), so read key by key")
        return read


def _mapping(text: str, first_line: int) -> dict[str, Node]:
    found = list(documents(text, first_line))
    if not found:
        return {}
    if found[0].refused:
        raise Unreadable(found[0].line, found[0].refused)
    if len(found) > 1 or not isinstance(found[0].value, dict):
        raise Malformed(found[-1].line, "a map of fields is wanted here")
    return found[0].value


def _entries(block: str, known: frozenset[str]) -> list[_Entry] | None:
    """None if it is nothing of the kind: a line before the first key, or a known key twice."""
    entries: list[_Entry] = []
    keys: set[str] = set()
    for number, line in enumerate(_LINE.findall(block), start=2):
        found = _KEY.match(line)
        key = found["key"] if found else ""
        if found and not (key in keys and key not in known):
            if key in keys or len(keys) == MAX_KEYS:
                return None
            keys.add(key)
            entries.append(_Entry(number, key))
        if entries:
            entries[-1].lines.append(line)
        elif line.strip() and not line.startswith("#"):
            return None
    return entries or None


def _value(entry: _Entry, findings: Findings) -> Node:
    try:
        read = _mapping("".join(entry.lines), entry.line)
        if list(read) == [entry.key]:
            return read[entry.key]
        problem = "more than one key"
    except Malformed as malformed:
        problem = malformed.message
    findings.notice(entry.line, entry.key, f"not YAML ({problem}), so read as text")
    first, *others = (line.strip() for line in entry.lines)
    first = first.partition(":")[2].strip()
    items = [_ITEM.match(line) for line in others if line]
    if not first and items and all(items):
        texts = [_unquoted(item["text"] or "") for item in items if item]
        return Node(entry.line, [Node(entry.line, text, text) for text in texts])
    text = "\n".join([_BLOCK_STYLE.sub("", first), *others]).strip()
    text = _unquoted(text)
    return Node(entry.line, text, text)


def _unquoted(text: str) -> str:
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if is_quoted else text
