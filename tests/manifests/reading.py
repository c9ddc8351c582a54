"""Manifests in a few words."""

from accredit.manifests import Definition, Manifests, read_text


def yaml(text: str) -> Manifests:
    return read_text("agents.yaml", text.encode())


def markdown(text: str, name: str = "role.md") -> Manifests:
    return read_text(name, text.encode())


def only(manifests: Manifests) -> Definition:
    assert not manifests.errors, manifests.errors
    (definition,) = manifests.definitions
    return definition


def said(manifests: Manifests) -> list[str]:
    return [str(problem) for problem in manifests.problems]
