"""Markdown as people keep agent roles: front matter, and a body that becomes SOUL.md."""

from pathlib import PurePosixPath

from accredit.manifests import front_matter
from accredit.manifests.checking import RULES
from accredit.manifests.definitions import Definition, defined
from accredit.manifests.nodes import Node
from accredit.manifests.problems import Findings
from accredit.manifests.seeds import Seeds

SOUL = "SOUL.md"
#: What lies beside roles without being one.
ABOUT = frozenset(("readme.md", "license.md", "changelog.md", "contributing.md"))

_KNOWN = frozenset(RULES) | {"name"}
_TEXTS = ("slug", "label", "description")


def read(text: str, findings: Findings, seeds: Seeds) -> list[Definition]:
    """The definition of a text, if it is one. Raises Unreadable."""
    path = PurePosixPath(findings.file)
    block, body = front_matter.split(text)
    if block is None and path.name.lower() in ABOUT:
        findings.notice(1, "", "no front matter, and not named as a role: passed over")
        return []
    if block is None:
        findings.notice(1, "", "no front matter: the file's name is the slug")
        given: dict[str, Node] = {}
    else:
        given = front_matter.fields(block, _KNOWN, findings)
        if _is_blank(given.get("slug")) and _is_blank(given.get("name")):
            findings.notice(1, "name", "there is none: the file's name is the slug")
    definition = defined(
        Node(1, _with_body(_translated(given, path.stem), body, findings)), findings, seeds
    )
    return [definition] if definition else []


def _translated(given: dict[str, Node], stem: str) -> dict[str, Node]:
    """The fields as the YAML form has them."""
    name = given.get("name")
    fields = {key: node for key, node in given.items() if key in RULES}
    if name is not None and not _is_blank(name):
        fields = {"slug": name, "label": name} | {
            key: node for key, node in fields.items() if not _is_blank(node)
        }
    if _is_blank(fields.get("slug")):
        fields["slug"] = Node(1, stem)
    for key in _TEXTS:
        if key in fields:
            fields[key] = _as_text(fields[key])
    others = {key: node for key, node in given.items() if key not in _KNOWN}
    config = fields.get("default_config", Node(1, {}))
    if config.value is None and not config.refused:
        config = Node(config.line, {})
    if isinstance(config.value, dict):
        fields["default_config"] = Node(config.line, config.value | others)
    return fields


def _with_body(fields: dict[str, Node], body: str, findings: Findings) -> dict[str, Node]:
    """The fields with the body among the seeds."""
    seeds = fields.get("memory_seeds", Node(1, {}))
    if seeds.value is None and not seeds.refused:
        seeds = Node(seeds.line, {})
    if not isinstance(seeds.value, dict):
        return fields
    if body.strip():
        text = Node(seeds.line, {"text": Node(seeds.line, body)})
        if SOUL in seeds.value:
            findings.notice(seeds.line, f"memory_seeds.{SOUL}", "the body counts")
        return fields | {"memory_seeds": Node(seeds.line, seeds.value | {SOUL: text})}
    if SOUL not in seeds.value:
        findings.notice(1, "", f"nothing below the front matter: no seed for {SOUL}")
    return fields


def _is_blank(node: Node | None) -> bool:
    if node is None or node.refused:
        return node is None
    return node.value is None or (isinstance(node.value, str) and not node.value.strip())


def _as_text(node: Node) -> Node:
    """What was written, where YAML makes another scalar of it: ``name: 007``."""
    is_other = not node.refused and isinstance(node.value, int | float | bool)
    return Node(node.line, node.text, node.text) if is_other else node
