"""YAML: one definition a document, or several in a list under ``agents``."""

from accredit.manifests.definitions import Definition, defined
from accredit.manifests.nodes import Node, Unreadable, documents
from accredit.manifests.problems import Findings
from accredit.manifests.seeds import Seeds


def read(text: str, findings: Findings, seeds: Seeds) -> list[Definition]:
    """The definitions in their order. What is unreadable ends the file, not what was before it."""
    found: list[Definition] = []
    is_empty = True
    try:
        for document in documents(text):
            is_empty = False
            for node in _definitions(document, findings):
                if definition := defined(node, findings, seeds):
                    found.append(definition)
    except Unreadable as error:
        findings.error(error.line, "", error.message)
    else:
        if is_empty:
            findings.error(1, "", "the file is empty")
    return found


def _definitions(document: Node, findings: Findings) -> list[Node]:
    if not isinstance(document.value, dict) or "agents" not in document.value:
        return [document]
    for key, node in document.value.items():
        if key != "agents":
            findings.notice(node.line, key, "not beside agents, so it is ignored")
    agents = document.value["agents"]
    if not isinstance(agents.value, list):
        findings.error(agents.line, "agents", agents.refused or "a list of definitions")
        return []
    return agents.value
