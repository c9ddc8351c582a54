"""The block between two lines of ``---`` at the head of a Markdown file.

People write it by hand, for programs that read it line by line. What is not YAML is therefore read
as they do, key by key; each key that is YAML for itself keeps what YAML makes of it. A key with
something in it that is refused, such as an alias, has the text that stands there: nothing unfolds.
"""

import re
from dataclasses import dataclass, field, replace

from accredit.manifests.nodes import Malformed, Node, Unreadable, documents
from accredit.manifests.problems import Findings

#: What the parser is given of one file, in characters, and how many keys are read one by one.
MAX_LENGTH = 256 * 1024
MAX_KEYS = 1_000
#: Characters of what is kept as text though it was not meant as one.
MAX_TEXT = 1_000

_OPENING = re.compile(r"---[ \t]*(?:\r\n|\n|\r|\Z)")
_CLOSING = re.compile(r"(?<=[\r\n])(?:---|\.\.\.)[ \t]*(?:\r\n|\n|\r|\Z)")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
_KEY = re.compile(r"""(["']?)(?P<key>\w[\w.-]*|<<)\1[ \t]*:(?=\s|\Z)""")
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

    A line of ``---`` may as well be a rule: what has no end or no key is a body. Raises Unreadable
    if the block is too long.
    """
    opening = _OPENING.match(text)
    closing = _CLOSING.search(text, opening.end()) if opening else None
    if opening is None or closing is None:
        return None, text
    block = text[opening.end() : closing.start()]
    if not _has_keys(block):
        return None, text
    if len(block) > MAX_LENGTH:
        raise Unreadable(1, f"a front matter of at most {MAX_LENGTH} characters")
    return block, text[closing.end() :]


def fields(block: str, known: frozenset[str], findings: Findings) -> dict[str, Node] | None:
    """The fields of a block that begins on the file's second line, by key.

    Nothing in them is refused. None if it is no front matter, but words between two rules.
    ``known`` are the keys that mean something: the line of another one that is there already is
    text, as in a dialogue. Raises Unreadable for too many keys.
    """
    read: dict[str, Node | None]
    try:
        mapping = _mapping(block, 2)
    except Unreadable as error:
        entries, stray = _entries(block, known, findings)
        if not entries or (stray and known.isdisjoint(entries)):
            return None
        if len(entries) > MAX_KEYS:
            raise
        if stray:
            findings.notice(stray, "", "no key before it, so it is ignored")
        noticed = len(findings.problems)
        read = {key: _value(entry, known, findings) for key, entry in entries.items()}
        if len(findings.problems) == noticed:
            findings.notice(error.line, "", f"not YAML ({error}), so read key by key")
    else:
        written, _ = _entries(block, known.union(mapping), findings)
        read = {}
        for key, node in mapping.items():
            entry = written.get(key)
            if node.refused and entry:
                # It may be its repetition that was refused.
                read[key] = _value(entry, known, findings)
            else:
                read[key] = _kept(key, node, entry, known, findings)
    return {key: node for key, node in read.items() if node is not None}


def _has_keys(block: str) -> bool:
    """Whether it can be front matter; one with nothing in it is."""
    begins = block.lstrip()
    return not begins or begins[0] == "{" or any(map(_KEY.match, _LINE.findall(block)))


def _mapping(text: str, first_line: int) -> dict[str, Node]:
    found = list(documents(text, first_line))
    if not found:
        return {}
    if found[0].refused:
        raise Unreadable(found[0].line, found[0].refused)
    if len(found) > 1 or not isinstance(found[0].value, dict):
        raise Malformed(found[-1].line, "a map of fields is wanted here")
    return found[0].value


def _entries(
    block: str, known: frozenset[str], findings: Findings
) -> tuple[dict[str, _Entry], int]:
    """The keys as they are written, the first of each; the first line before them, 0 for none."""
    entries: dict[str, _Entry] = {}
    last: _Entry | None = None
    stray = 0
    for number, line in enumerate(_LINE.findall(block), start=2):
        found = _KEY.match(line)
        key = found["key"] if found else ""
        if found and (key not in entries or key in known):
            last = _Entry(number, key)
            if entries.setdefault(key, last) is not last:
                findings.notice(number, key, "the key stands there again; the first counts")
        if last is not None:
            last.lines.append(line)
        elif line.strip() and not line.startswith("#"):
            stray = stray or number
    return entries, stray


def _value(entry: _Entry, known: frozenset[str], findings: Findings) -> Node | None:
    try:
        read = _mapping("".join(entry.lines), entry.line)
        if list(read) == [entry.key]:
            return _kept(entry.key, read[entry.key], entry, known, findings)
        problem = "more than one key"
    except Malformed as malformed:
        problem = malformed.message
    except Unreadable as unreadable:
        refused = Node(entry.line, None, refused=unreadable.message)
        return _kept(entry.key, refused, entry, known, findings)
    findings.notice(entry.line, entry.key, f"not YAML ({problem}), so read as text")
    first, others = _parts(entry)
    items = [_ITEM.match(line) for line in others if line]
    if not first and items and all(items):
        texts = [_unquoted(item["text"] or "") for item in items if item]
        return Node(entry.line, [Node(entry.line, text, text) for text in texts], _source(entry))
    return Node(entry.line, _source(entry), _source(entry))


def _kept(
    key: str, node: Node, entry: _Entry | None, known: frozenset[str], findings: Findings
) -> Node | None:
    """The value without anything refused: as text if need be, None if that is too long."""
    refusal = _refusal(node)
    source = _source(entry) if entry else ""
    if refusal is None:
        kept = _with_texts(node, key, findings)
        return replace(kept, text=source) if isinstance(kept.value, list | dict) else kept
    line = entry.line if entry else node.line
    if entry is None or (key not in known and len(source) > MAX_TEXT):
        findings.notice(line, key, f"{refusal.refused}; left out")
        return None
    findings.notice(line, key, f"{refusal.refused}; read as text")
    return Node(line, source, source)


def _refusal(node: Node) -> Node | None:
    """The first one in it that is refused and has no text to take instead."""
    if node.refused:
        return None if node.text else node
    return next(filter(None, map(_refusal, _inner(node))), None)


def _inner(node: Node) -> list[Node]:
    if isinstance(node.value, dict):
        return list(node.value.values())
    return node.value if isinstance(node.value, list) else []


def _with_texts(node: Node, path: str, findings: Findings) -> Node:
    """The value with the text of each number that JSON cannot hold."""
    if node.refused:
        findings.notice(node.line, path, f"{node.refused}; read as text")
        return Node(node.line, node.text, node.text)
    if isinstance(node.value, dict):
        entries = {
            key: _with_texts(inner, f"{path}.{key}", findings) for key, inner in node.value.items()
        }
        return replace(node, value=entries)
    if isinstance(node.value, list):
        items = [
            _with_texts(inner, f"{path}[{index}]", findings)
            for index, inner in enumerate(node.value)
        ]
        return replace(node, value=items)
    return node


def _parts(entry: _Entry) -> tuple[str, list[str]]:
    """What stands behind the key, and the lines below it."""
    first, *others = (line.strip() for line in entry.lines)
    return first.partition(":")[2].strip(), others


def _source(entry: _Entry) -> str:
    first, others = _parts(entry)
    return _unquoted("\n".join([_BLOCK_STYLE.sub("", first), *others]).strip())


def _unquoted(text: str) -> str:
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if is_quoted else text
