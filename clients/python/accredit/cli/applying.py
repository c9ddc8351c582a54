"""`accredit registry apply`: manifests become definitions, and definitions agents.

Each definition succeeds or fails by itself. What went wrong is told on stderr with its place, what
became of the others is the command's output, in the order of the manifests.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accredit.cli.cells import Column, cell_at
from accredit.cli.definitions import reconciled, what_became
from accredit.cli.documents import struct
from accredit.cli.failures import ExitCode, note
from accredit.cli.json_form import json_form
from accredit.cli.output import show_list
from accredit.cli.progress import progress
from accredit.cli.session import Session

if TYPE_CHECKING:
    from accredit import AccreditError
    from accredit.manifests import Definition, Problem
    from accredit.v1.registry_pb2 import ReconcileResult

# Of whom one definition is not to blame: the next one would end in the same way.
_OF_THE_CALL = {
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "CANCELLED",
    "UNIMPLEMENTED",
}


@dataclass(slots=True)
class Applied:
    """A slug: the manifest that declares it, those it replaces, and what becomes of it."""

    definition: "Definition"
    replaced: list[str]
    result: "ReconcileResult"

    @property
    def what(self) -> str:
        """What there is to say of it, in a line."""
        instead = f"in place of {', '.join(self.replaced)}" if self.replaced else ""
        return "; ".join(filter(None, (what_became(self.result), instead)))

    def form(self) -> dict[str, Any]:
        """The result in its JSON form, and where it came from."""
        own = {"file": self.definition.file, "inPlaceOf": self.replaced}
        return {**json_form(self.result), **own}


_COLUMNS = (
    Column("agent_slug", lambda applied: applied.result.agent_slug),
    Column("outcome", lambda applied: cell_at(applied.result, "outcome")),
    Column("file", lambda applied: applied.definition.file),
    Column("what", lambda applied: applied.what),
)


@dataclass(slots=True)
class _Run:
    """One application of manifests."""

    session: Session
    source: str
    validate_only: bool
    applied: dict[str, Applied] = field(default_factory=dict)
    """By slug, as the server cleaned it, in the order of the manifests."""
    complaints: list[str] = field(default_factory=list)
    bad_files: set[str] = field(default_factory=set)

    def register(self, declared: "Sequence[tuple[Definition, list[str]]]") -> None:
        """Declare each; raises AccreditError for what would refuse all others too."""
        from accredit import AccreditError

        with progress("declaring", len(declared)) as tell:
            for number, (definition, replaced) in enumerate(declared, 1):
                try:
                    self._register(definition, replaced)
                except AccreditError as error:
                    if error.code.name in _OF_THE_CALL:
                        error.add_note(f"{number - 1} of {len(declared)} definitions were declared")
                        raise
                    self._complain(definition, _rules(error))
                tell(number, None)

    def reconcile(self) -> None:
        """Create what is missing, and keep what became of each."""
        for applied in self.applied.values():
            applied.result.Clear()
        done = 0
        with progress("creating", len(self.applied)) as tell:
            for answer in reconciled(self.session, list(self.applied), validate_only=False):
                for result in answer.results:
                    if result.agent_slug in self.applied:
                        self.applied[result.agent_slug].result.CopyFrom(result)
                done += len(answer.results)
                tell(done, None)

    def _register(self, definition: "Definition", replaced: list[str]) -> None:
        answer = self.session.client.registry.register_agent(
            **_request(definition), source=self.source, validate_only=self.validate_only
        )
        slug = answer.definition.agent_slug
        if before := self.applied.pop(slug, None):
            replaced = [*before.replaced, place(before.definition), *replaced]
        self.applied[slug] = Applied(definition, replaced, answer.outcome)
        at = place(definition)
        self.complaints += [f"notice: {at}: {text}" for text in answer.notices]

    def _complain(self, definition: "Definition", rules: Sequence[str]) -> None:
        self.bad_files.add(definition.file)
        self.complaints += [f"error: {place(definition)}: {rule}" for rule in rules]


def apply_manifests(
    session: Session,
    paths: Sequence[str],
    *,
    source: str,
    validate_only: bool,
    reconcile: bool,
) -> ExitCode:
    """Declare what the manifests at these paths declare, create the agents, and report.

    Raises AccreditError if the server refuses the caller or is not there.
    """
    definitions, problems = _read(paths)
    run = _Run(session, source, validate_only)
    run.bad_files.update(problem.file for problem in problems if problem.is_error)
    for problem in problems:
        note(f"{'error' if problem.is_error else 'notice'}: {problem}")
    try:
        run.register(_last_of_each(definitions))
    finally:
        for complaint in run.complaints:
            note(complaint)
    try:
        # No slug at all would mean every definition that there is.
        if reconcile and not validate_only and run.applied:
            run.reconcile()
    finally:
        told = [applied for applied in run.applied.values() if applied.result.outcome]
        show_list(session, told, _COLUMNS, form=Applied.form)
    counted = Counter(cell_at(applied.result, "outcome") for applied in told)
    note(_summary(run, counted, is_plan=validate_only or not reconcile))
    is_done = not run.bad_files and counted["skipped"] == 0 and len(told) == len(run.applied)
    return ExitCode.OK if is_done else ExitCode.NO


def place(definition: "Definition") -> str:
    """Where it is declared."""
    return f"{definition.file}:{definition.line}"


def _read(paths: Sequence[str]) -> "tuple[list[Definition], list[Problem]]":
    """All that the paths declare, with files named as one can open them from here."""
    # Not at the top: it brings YAML.
    from accredit.manifests import Problem, read_folder

    definitions, problems = [], []
    for path in map(Path, paths):
        folder = path if path.is_dir() else path.parent
        try:
            found = read_folder(path)
        except OSError as error:
            why = error.strerror or str(error)
            problems.append(Problem(file=str(path), line=0, field="", message=why, is_error=True))
            continue
        definitions += [replace(each, file=str(folder / each.file)) for each in found.definitions]
        problems += [replace(each, file=str(folder / each.file)) for each in found.problems]
    return definitions, problems


def _last_of_each(
    definitions: "Sequence[Definition]",
) -> "Sequence[tuple[Definition, list[str]]]":
    """The definitions that count, each with the places of those that it replaces.

    Only those that are spelt alike are told apart here, so that applying them again changes
    nothing; of others only the server knows that they have the same slug.
    """
    last: dict[str, tuple[Definition, list[str]]] = {}
    for definition in definitions:
        key = definition.slug.strip().casefold()
        before = last.pop(key, None)
        replaced = [] if before is None else [*before[1], place(before[0])]
        last[key] = (definition, replaced)
    return list(last.values())


def _request(definition: "Definition") -> dict[str, Any]:
    owner = definition.owner
    return {
        "agent_slug": definition.slug,
        "label": definition.label,
        "description": definition.description,
        "memory_seeds": definition.memory_seeds,
        "owner": _owner_ref(owner),
        "owner_resolver": definition.owner_resolver,
        "default_config": struct(dict(definition.default_config)),
        "meta": struct(dict(definition.meta)),
        "priority": definition.priority,
    }


def _owner_ref(owner: int | str | None) -> dict[str, Any] | None:
    if owner is None:
        return None
    return {"user_id": owner} if isinstance(owner, int) else {"login": owner}


def _rules(error: "AccreditError") -> Sequence[str]:
    """What the server says is wrong, field by field if it says so."""
    reason = error.reason or error.code.name
    if not error.fields:
        return [f"{error.message} ({reason})"]
    return [f"{at.field}: {at.description} ({reason})" for at in error.fields]


def _summary(run: _Run, counted: "Counter[str]", *, is_plan: bool) -> str:
    bad = len(run.bad_files)
    counts = [f"{counted[outcome]} {outcome}" for outcome in ("created", "existing", "skipped")]
    said = ", ".join([*counts, f"{bad} file{'' if bad == 1 else 's'} with errors"])
    if run.validate_only:
        return f"nothing was changed; it would be: {said}"
    return f"declared, not created; it would be: {said}" if is_plan else said
