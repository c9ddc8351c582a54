"""What the Markdown form makes of values that the YAML form refuses.

Roles were written for other programs, whose keys may have our names and other meanings. No such key
costs a role: its value goes where it does no harm, and a notice says so.
"""

import json
from dataclasses import replace

from accredit.manifests.checking import (
    MAX_MAP_BYTES,
    MAX_MAP_VALUES,
    RULES,
    checked,
    measured,
    plain,
)
from accredit.manifests.front_matter import MAX_TEXT
from accredit.manifests.nodes import Node
from accredit.manifests.problems import Findings, Invalid
from accredit.manifests.seeds import is_seed

_TEXTS = ("slug", "label", "description")


def sound(fields: dict[str, Node], others: dict[str, Node], findings: Findings) -> dict[str, Node]:
    """The fields, each such that a definition may have it, with the other keys in the config.

    Nothing in either is refused. What is wrong with the content of a seed is left to who reads it.
    """
    kept: dict[str, Node] = {}
    foreign: dict[str, Node] = {}
    for key, node in fields.items():
        if key in _TEXTS:
            kept[key] = _text(key, node, findings)
        elif mistake := _mistake(key, node, kept):
            findings.notice(node.line, key, f"{mistake}; now a value of the config")
            foreign[key] = node
        else:
            kept[key] = _seeds(node, findings) if key == "memory_seeds" else node
    config = kept.get("default_config", Node(1, None))
    return kept | {"default_config": _config(config, others | foreign, findings)}


def _mistake(key: str, node: Node, before: dict[str, Node]) -> str:
    """Why a definition cannot have it, empty if it can."""
    if key == "memory_seeds":
        return "" if isinstance(node.value, dict | None) else "wanted: a map"
    other = {"owner": "owner_resolver", "owner_resolver": "owner"}.get(key, "")
    if node.value is not None and other in before and before[other].value is not None:
        return f"not beside an {other}"
    try:
        checked(key, node)
    except Invalid as error:
        return f"wanted: {error.message}"
    return ""


def _text(key: str, node: Node, findings: Findings) -> Node:
    """A text, cut to its bound: what was written, where YAML makes something else of it."""
    text = node.value
    if text is None:
        return node
    if isinstance(text, list | dict):
        text = node.text or _as_json(node, key)
        findings.notice(node.line, key, "not a text, so read as one")
    elif not isinstance(text, str):
        text = node.text
    most = RULES[key]["maxLength"]
    if key == "description":
        cut = text.encode()[:most].decode(errors="ignore")
        unit = "bytes of UTF-8"
    else:
        text = " ".join(text.split()) if key == "label" else text
        # Blanks at its beginning could be all that is left of it.
        cut = text if len(text) <= most else text.strip()[:most]
        unit = "characters"
    if cut != text:
        findings.notice(node.line, key, f"cut to {most} {unit}")
    return Node(node.line, cut, cut)


def _as_json(node: Node, key: str) -> str:
    try:
        return json.dumps(plain(node, key), ensure_ascii=False)
    except Invalid:
        # Deeper than anything that somebody means to be read.
        return ""


def _seeds(node: Node, findings: Findings) -> Node:
    """The seeds without those of another type."""
    if not isinstance(node.value, dict):
        return node
    for name, seed in node.value.items():
        if not is_seed(seed):
            findings.notice(seed.line, f"memory_seeds.{name}", "not a seed, so it is ignored")
    return replace(node, value={name: one for name, one in node.value.items() if is_seed(one)})


def _config(given: Node, others: dict[str, Node], findings: Findings) -> Node:
    """The config with as many of the other keys as it can hold, which count before its own."""
    of_its_own = given.value if isinstance(given.value, dict) else {}
    entries = {key: node for key, node in of_its_own.items() if key not in others}
    count, size = measured(plain(Node(given.line, entries), "default_config"))
    for key, node in others.items():
        for candidate in _candidates(node):
            try:
                one = checked("default_config", Node(node.line, {key: candidate}))
            except Invalid:
                continue
            more_values, more_bytes = measured(one)
            # One of the two maps is not there when they are one; of the braces a comma is left.
            total = count + more_values - 1, size + more_bytes - (1 if entries else 2)
            if total[0] <= MAX_MAP_VALUES and total[1] <= MAX_MAP_BYTES:
                count, size = total
                entries[key] = candidate
                if candidate is not node:
                    findings.notice(node.line, key, "too large for the config; kept as text")
                break
        else:
            findings.notice(node.line, key, "too large for the config; left out")
    return Node(given.line, entries)


def _candidates(node: Node) -> list[Node]:
    """The value, and its text if that is short."""
    is_text = isinstance(node.value, str)
    short = [] if is_text or len(node.text) > MAX_TEXT else [Node(node.line, node.text, node.text)]
    return [node, *short]
