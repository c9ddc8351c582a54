"""`accredit registry apply`: manifests become definitions, and definitions agents.

Each definition succeeds or fails by itself. What went wrong is told on stderr with file and line.
What became of the others is the command's output, in the order of the manifests.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accredit.cli.documents import struct
from accredit.cli.failures import ExitCode, note
from accredit.cli.options import status_text
from accredit.cli.output import Column, cell_at, columns, json_form, progress, show_list
from accredit.cli.session import Session

if TYPE_CHECKING:
    from accredit.v1.registry_pb2 import AgentDefinition, ReconcileAgentsResponse, ReconcileResult

_LARGEST_BATCH = 1000


def reconciled(
    session: Session, slugs: Sequence[str], *, validate_only: bool
) -> Iterator["ReconcileAgentsResponse"]:
    """What becomes of the definitions of these slugs, or of all without one, as it happens."""
    for at in range(0, max(1, len(slugs)), _LARGEST_BATCH):
        yield from session.client.registry.reconcile_agents(
            agent_slugs=slugs[at : at + _LARGEST_BATCH],
            validate_only=validate_only,
            timeout=session.stream_timeout,
        )


def definition_columns(within: str = "") -> tuple[Column, ...]:
    """What a list has of a definition."""

    def of(message: Any) -> Any:
        return getattr(message, within) if within else message

    return (
        *columns("agent_slug", "label", within=within),
        Column("owner", lambda message: _owner(of(message))),
        *columns("priority", "origin", "source", "suppressed", "overrides", within=within),
    )


def detail_columns(within: str) -> tuple[Column, ...]:
    """All that there is of a definition but the texts of its seeds."""
    return (
        *definition_columns(within),
        *columns("description", "default_config", "meta", within=within),
        Column("memory_seeds", lambda message: _seeds(getattr(message, within).memory_seeds)),
        *columns("update_time", "etag", within=within),
    )


OUTCOME = (
    Column("outcome", lambda answer: cell_at(answer, "outcome.outcome")),
    Column("agent_id", lambda answer: cell_at(answer, "outcome.agent_id")),
    Column("what", lambda answer: what_became(answer.outcome)),
)


def what_became(result: "ReconcileResult") -> str:
    """In a line: why it was skipped, where its agent differs, which of its files are missing."""
    why = status_text(result.error)
    drift = ", ".join(drift.field for drift in result.drift)
    failed = ", ".join(unmade(result))
    return "; ".join(
        filter(None, (why, f"drift: {drift}" if drift else "", f"failed: {failed}" * bool(failed)))
    )


def unmade(result: "ReconcileResult") -> list[str]:
    """Which of a new agent's files could not be made, and why, a line each."""
    from accredit.v1.directory_pb2 import SCAFFOLD_OUTCOME_FAILED

    return [
        f"{file.path}: {status_text(file.error)}"
        for file in result.files
        if file.outcome == SCAFFOLD_OUTCOME_FAILED
    ]


def _owner(definition: "AgentDefinition") -> str:
    if definition.owner_resolver:
        return f"resolver:{definition.owner_resolver}"
    if not definition.HasField("owner"):
        return ""
    owner = definition.owner
    return str(getattr(owner, owner.WhichOneof("identifier") or "user_id"))


def _seeds(seeds: Iterable[Any]) -> str:
    return " ".join(f"{seed.filename}:{seed.size}" for seed in seeds)


if TYPE_CHECKING:
    from accredit import AccreditError
    from accredit.manifests import Definition, Problem
    from accredit.v1.registry_pb2 import ReconcileResult, RegisterAgentResponse

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
    source: str
    """Who declares it, as the server cleaned that."""
    result: "ReconcileResult"
    overridden_by: str = ""
    """The source whose definition of the slug counts instead; empty: this one does."""

    @property
    def what(self) -> str:
        """What there is to say of it, in a line."""
        instead = f"in place of {', '.join(self.replaced)}" if self.replaced else ""
        over = f"overridden by {self.overridden_by}" if self.overridden_by else ""
        return "; ".join(filter(None, (what_became(self.result), over, instead)))

    def form(self) -> dict[str, Any]:
        """The result in its JSON form, where it came from, and which source counts instead."""
        own = {
            "file": self.definition.file,
            "inPlaceOf": self.replaced,
            "overriddenBy": self.overridden_by,
        }
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
    total: int
    """How many definitions the manifests have."""
    applied: dict[str, Applied] = field(default_factory=dict)
    """By slug, as the server cleaned it, in the order of the manifests."""
    complaints: list[str] = field(default_factory=list)
    bad_files: set[str] = field(default_factory=set)

    def register(self, definitions: "Sequence[Definition]") -> None:
        """Of each slug, declare the last definition that the server takes.

        Raises AccreditError for what would refuse all others too.
        """
        alike = self._by_slug(definitions)
        with progress("declaring", len(alike)) as tell:
            for number, (slug, of_slug) in enumerate(alike.items(), 1):
                self._register(slug, of_slug)
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

    def find_overriding(self) -> None:
        """Keep by which source each is overridden, if by any."""
        from accredit.v1.registry_pb2 import DEFINITION_ORIGIN_REGISTERED

        for wins in self.session.client.registry.iterate_agent_definitions(page_size=500):
            applied = self.applied.get(wins.agent_slug)
            if applied is None:
                continue
            if (wins.origin, wins.source) != (DEFINITION_ORIGIN_REGISTERED, applied.source):
                applied.overridden_by = wins.source

    def _by_slug(self, definitions: "Sequence[Definition]") -> "dict[str, list[Definition]]":
        """The definitions of each slug, in the order of the last of each.

        What slug a text becomes only the server knows, so it is asked before anything is written:
        of two definitions that are both written, each would replace the other at every run.
        """
        alike: dict[str, list[Definition]] = {}
        with progress("comparing", len(definitions)) as tell:
            for number, definition in enumerate(definitions, 1):
                answer = self._ask(definition, {"agent_slug": definition.slug}, validate_only=True)
                if answer is not None:
                    slug = answer.definition.agent_slug
                    # The same again is what paths that overlap lead to, and replaces nothing.
                    before = [each for each in alike.pop(slug, ()) if each != definition]
                    alike[slug] = [*before, definition]
                tell(number, None)
        return alike

    def _register(self, slug: str, of_slug: "Sequence[Definition]") -> None:
        for last in reversed(range(len(of_slug))):
            definition = of_slug[last]
            answer = self._ask(definition, _request(definition), validate_only=self.validate_only)
            if answer is None:
                continue
            at, replaced = where(definition), [where(each) for each in of_slug[:last]]
            kept_as = answer.definition.source
            self.applied[slug] = Applied(definition, replaced, kept_as, answer.outcome)
            self.complaints += [f"notice: {at}: {text}" for text in answer.notices]
            same = f"replaced by {at}, which has the same slug {slug}"
            self.complaints += [f"notice: {each}: {same}" for each in replaced]
            return

    def _ask(
        self, definition: "Definition", request: Mapping[str, Any], *, validate_only: bool
    ) -> "RegisterAgentResponse | None":
        """What the server answers; None, and a complaint, if it refuses this definition."""
        from accredit import AccreditError

        try:
            return self.session.client.registry.register_agent(
                **request, source=self.source, validate_only=validate_only
            )
        except AccreditError as error:
            if error.code.name in _OF_THE_CALL:
                error.add_note(f"{len(self.applied)} of {self.total} definitions were declared")
                raise
            self.bad_files.add(definition.file)
            at = where(definition)
            self.complaints += [f"error: {at}: {rule}" for rule in _rules(error)]
            return None


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
    run = _Run(session, source, validate_only, total=len(definitions))
    run.bad_files.update(problem.file for problem in problems if problem.is_error)
    for problem in problems:
        note(f"{'error' if problem.is_error else 'notice'}: {problem}")
    try:
        run.register(definitions)
    finally:
        for complaint in run.complaints:
            note(complaint)
    try:
        # No slug at all would mean every definition that there is.
        if run.applied and not validate_only:
            if reconcile:
                run.reconcile()
            run.find_overriding()
    finally:
        told = [applied for applied in run.applied.values() if applied.result.outcome]
        show_list(session, told, _COLUMNS, form=Applied.form)
    failed = [f"{each.result.agent_slug}: {why}" for each in told for why in unmade(each.result)]
    for failure in failed:
        note(f"error: {failure}")
    counted = Counter(cell_at(applied.result, "outcome") for applied in told)
    note(_summary(run, counted, is_plan=validate_only or not reconcile))
    is_done = not (run.bad_files or failed or counted["skipped"])
    return ExitCode.OK if is_done and len(told) == len(run.applied) else ExitCode.NO


def where(definition: "Definition") -> str:
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


def _request(definition: "Definition") -> dict[str, Any]:
    owner = definition.owner
    return {
        "agent_slug": definition.slug,
        "label": definition.label,
        "description": definition.description,
        "memory_seeds": [
            {"filename": filename, "text": text}
            for filename, text in definition.memory_seeds.items()
        ],
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
    first = "pending" if is_plan else "created"
    counts = [f"{counted[outcome]} {outcome}" for outcome in (first, "existing", "skipped")]
    if replaced := sum(len(applied.replaced) for applied in run.applied.values()):
        counts.append(f"{replaced} replaced")
    said = ", ".join([*counts, f"{bad} file{'' if bad == 1 else 's'} with errors"])
    if run.validate_only:
        return f"nothing was changed: {said}"
    return f"declared, not created: {said}" if is_plan else said
