"""Markdown as people keep agent roles: front matter, and a body that becomes SOUL.md."""

from pathlib import PurePosixPath

from accredit.manifests import front_matter, lenient
from accredit.manifests.checking import RULES
from accredit.manifests.definitions import Definition, defined
from accredit.manifests.nodes import Node
from accredit.manifests.problems import Findings
from accredit.manifests.seeds import Seeds

SOUL = "SOUL.md"
#: What lies beside roles without being one.
ABOUT = frozenset(("readme.md", "license.md", "changelog.md", "contributing.md"))

_KNOWN = frozenset(RULES) | {"name"}


def read(text: str, findings: Findings, seeds: Seeds) -> list[Definition]:
    """The definition of a text, if it is one. Raises Unreadable."""
    path = PurePosixPath(findings.file)
    block, body = front_matter.split(text)
    given = None if block is None else front_matter.fields(block, _KNOWN, findings)
    if given is None and path.name.lower() in ABOUT:
        findings.notice(1, "", "no front matter, and not named as a role: passed over")
        return []
    if given is None:
        findings.notice(1, "", "no front matter: the file's name is the slug")
        given, body = {}, text
    elif _is_blank(given.get("slug")) and _is_blank(given.get("name")):
        findings.notice(1, "name", "there is none: the file's name is the slug")
    others = {key: node for key, node in given.items() if key not in _KNOWN}
    fields = lenient.sound(_translated(given, path.stem), others, findings)
    definition = defined(Node(1, _with_body(fields, body, findings)), findings, seeds)
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
    return fields


def _with_body(fields: dict[str, Node], body: str, findings: Findings) -> dict[str, Node]:
    """The fields with the body among the seeds."""
    seeds = fields.get("memory_seeds", Node(1, {}))
    given = seeds.value if isinstance(seeds.value, dict) else {}
    if body.strip():
        text = Node(seeds.line, {"text": Node(seeds.line, body)})
        if SOUL in given:
            findings.notice(seeds.line, f"memory_seeds.{SOUL}", "the body counts")
        return fields | {"memory_seeds": Node(seeds.line, given | {SOUL: text})}
    if SOUL not in given:
        findings.notice(1, "", f"nothing below the front matter: no seed for {SOUL}")
    return fields


def _is_blank(node: Node | None) -> bool:
    if node is None or node.value is None:
        return True
    return isinstance(node.value, str) and not node.value.strip()
