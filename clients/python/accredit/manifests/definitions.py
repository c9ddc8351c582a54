"""What a manifest declares, whichever form it has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accredit.manifests.checking import RULES, checked, plain
from accredit.manifests.nodes import Node
from accredit.manifests.problems import Findings, Invalid, Problem
from accredit.manifests.seeds import Seeds

_FIELDS = frozenset(RULES) - {"memory_seeds"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """An agent that should exist. Texts that were not given are empty.

    The slug is as it was written: the server cleans it, and takes it for the label if there is
    none.
    """

    slug: str
    label: str = ""
    description: str = ""
    #: What memory files begin with, by the file's name.
    memory_seeds: Mapping[str, str]
    #: The id of a user, or a login.
    owner: int | str | None = None
    #: The entry point that says who owns the agent; empty if there is an owner.
    owner_resolver: str = ""
    default_config: Mapping[str, Any]
    meta: Mapping[str, Any]
    priority: int = RULES["priority"]["default"]
    file: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifests:
    """What was read: the definitions in their order, and what was found on the way."""

    definitions: tuple[Definition, ...]
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that cost a definition or a file."""
        return tuple(problem for problem in self.problems if problem.is_error)

    @property
    def notices(self) -> tuple[Problem, ...]:
        """The other ones."""
        return tuple(problem for problem in self.problems if not problem.is_error)


def defined(node: Node, findings: Findings, seeds: Seeds) -> Definition | None:
    """The definition that a map of fields is; None, and errors found, if it is none.

    A key that no definition has is noticed.
    """
    if not isinstance(node.value, dict):
        findings.error(node.line, "", node.refused or "a map of fields is wanted here")
        return None
    known = len(findings.problems)
    values: dict[str, Any] = {}
    for key, inner in node.value.items():
        try:
            if key in _FIELDS:
                values[key] = checked(key, inner)
            elif key == "memory_seeds":
                values[key] = seeds.read(inner, findings)
            else:
                plain(inner, key)
                findings.notice(inner.line, key, "not a field of a definition, so it is ignored")
        except Invalid as error:
            findings.error(error.line, error.path, error.message)
    if "slug" not in node.value:
        findings.error(node.line, "slug", "every definition has one")
    if values.get("owner") is not None and values.get("owner_resolver") is not None:
        findings.error(node.value["owner_resolver"].line, "owner_resolver", "not beside an owner")
    if any(problem.is_error for problem in findings.problems[known:]):
        return None
    given = {key: value for key, value in values.items() if value is not None}
    return Definition(
        **{"memory_seeds": {}, "default_config": {}, "meta": {}, **given},
        file=findings.file,
        line=node.line,
    )


def gathered(definitions: list[Definition], problems: list[Problem]) -> Manifests:
    """All of it in order, with a notice for every slug that stands there again."""
    problems = list(problems)
    first: dict[str, Definition] = {}
    for definition in definitions:
        before = first.setdefault(definition.slug.strip().casefold(), definition)
        if before is not definition:
            findings = Findings(definition.file)
            findings.notice(
                definition.line,
                "slug",
                f"{definition.slug!r} is also in {before.file}:{before.line}",
            )
            problems += findings.problems
    problems.sort(key=lambda problem: (problem.file, problem.line))
    return Manifests(definitions=tuple(definitions), problems=tuple(problems))
