"""Creating declared agents, many at a time: rows, owners' grants and directories together."""

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple, TypeAlias, TypeGuard

from accredit_storage.directory.moves import Creation
from accredit_storage.errors import (
    Conflict,
    DirectoryConflict,
    FilesUnavailable,
    SlugTaken,
    StoreFull,
)
from accredit_storage.records import (
    Agent,
    AgentStatus,
    ChangeKind,
    Head,
    SubjectKind,
)
from accredit_storage.store import WriteTransaction

from .. import snapshots
from ..agent_creation import NewAgent, add_agent
from ..app import App
from ..errors import Aborted, Reason
from ..moving import directory_conflict
from ..mutations import Effect, Written
from ..scaffolding import ScaffoldedFile, agent_scaffold, make_missing, starter_files
from ..subjects import creation_subjects, subject
from . import definitions
from .declarations import Definition
from .declaring import MAX_ID
from .planning import (
    Outcome,
    Result,
    existing,
    find_owner,
    initial_config,
    no_owner,
    skipped,
    without_owner,
)

log = logging.getLogger(__name__)

_ATTEMPTS = 8

#: What became of definitions, by slug.
Results: TypeAlias = Mapping[str, Result]


class Making(NamedTuple):
    """A transaction in which agents are made, the moment, and whose grants they are."""

    tx: WriteTransaction
    now: datetime
    granted_by: int | None


#: Makes one change, on somebody's behalf; it may call what it is given several times.
Write: TypeAlias = Callable[[Callable[[Making], Effect[Results]]], Written[Results]]


class _Wanted(NamedTuple):
    """An agent that is to be made, without its id, and its definition."""

    definition: Definition
    agent: Agent


class _Staged(NamedTuple):
    """The same, with its directory and the starter files in it."""

    definition: Definition
    agent: Agent
    creation: Creation
    files: Sequence[ScaffoldedFile]


def create_declared(
    app: App, write: Write, missing: Sequence[Definition]
) -> tuple[Results, Head | None]:
    """Create these agents, as far as they can be, in one change. None: nothing was written.

    Owners are resolved first, with no transaction open, since a resolver may do anything. Whoever
    else creates the same agents meanwhile is waited for; then they are there already. Raises
    Aborted where others kept coming in between.
    """
    results: dict[str, Result] = {}
    wanted = []
    for definition in missing:
        agent = _agent_to_be(app, definition)
        if isinstance(agent, Result):
            results[definition.slug] = agent
        else:
            wanted.append(_Wanted(definition, agent))
    if not wanted:
        return results, None
    for _ in range(_ATTEMPTS):
        try:
            made, head = _create_staged(app, write, wanted)
            return {**results, **made}, head
        except (Conflict, DirectoryConflict, SlugTaken):
            # Somebody came in between after it was looked for: the next attempt tells where.
            continue
        except (StoreFull, FilesUnavailable) as error:
            return results | {slug: skipped(slug, error) for slug in _slugs(wanted)}, None
    raise Aborted(Reason.CONTENTION, "others kept coming in between: try again")


def foreseen_strays(app: App, missing: Sequence[Definition]) -> Results:
    """Which of these agents could not be created, for a stray directory has their place."""
    found = {}
    for slug in (definition.slug for definition in missing):
        try:
            app.directories.moves.homes.require_free(slug)
        except DirectoryConflict:
            found[slug] = skipped(slug, directory_conflict(slug))
        except FilesUnavailable:
            # What it looks like there will be seen when the disk answers.
            break
    return found


def _create_staged(
    app: App, write: Write, wanted: Sequence[_Wanted]
) -> tuple[Results, Head | None]:
    with _directories(app, wanted) as (staged, refused):
        written = write(lambda making: _make(app, staged, making))
    for result in written.value.values():
        if result.outcome is Outcome.CREATED:
            fields = {"agent_slug": result.agent_slug, "agent_id": result.agent_id}
            log.info("declared agent created", extra={"fields": fields})
    return {**refused, **written.value}, written.head


@contextmanager
def _directories(
    app: App, wanted: Sequence[_Wanted]
) -> Generator[tuple[list[_Staged], dict[str, Result]]]:
    """Directories with starter files, ready for their agents; and why not, where not."""
    staged = []
    refused = {}
    with app.directories.moves.create_many(_slugs(wanted)) as creations:
        for definition, agent in wanted:
            slug = definition.slug
            creation = creations[slug]
            if isinstance(creation, Creation):
                # One after the other, since all the seeds of a chunk may be a lot.
                with app.store.read() as tx:
                    # Its owner is the one that the definition means, resolved just now.
                    seeds = definitions.texts_of(tx, definition)
                    scaffold = agent_scaffold(app, tx, agent, seeds)
                files = make_missing(app, creation.place, starter_files(app, scaffold))
                staged.append(_Staged(definition, agent, creation, files))
            elif isinstance(creation, SlugTaken):
                refused[slug] = _taken(app, definition)
            else:
                refused[slug] = skipped(slug, directory_conflict(slug))
        yield staged, refused


def _make(app: App, staged: Sequence[_Staged], making: Making) -> Effect[Results]:
    """The rows of the agents, their owners' grants, and their directories in their places."""
    tx, now, granted_by = making
    results: dict[str, Result] = {}
    made = []
    for definition, wanted, creation, files in staged:
        slug = definition.slug
        owner = tx.users.find(wanted.owner_id, share=True)
        if owner is None or not owner.active:
            results[slug] = without_owner(app, slug, wanted.owner_id)
            continue
        agent = add_agent(tx, _new(wanted), wanted.owner_id, now, granted_by)
        if agent is None:
            raise SlugTaken(f"another agent has the slug {slug!r}")
        # Whoever declares an agent means this slug, also where it was kept for somebody.
        tx.reservations.drop(slug)
        creation.settle_as(tx, agent.agent_id)
        made.append((agent, definition))
        results[slug] = Result(
            agent_slug=slug, outcome=Outcome.CREATED, agent_id=agent.agent_id, files=files
        )
    return Effect(
        value=results,
        kind=ChangeKind.DEFINITION_RECONCILED if made else None,
        subjects=tuple(
            each
            for agent, definition in made
            for each in (
                *creation_subjects(agent),
                subject(SubjectKind.DEFINITION, definition.slug),
            )
        ),
        after={"agents": [_reconciled(*one) for one in made]},
    )


def _reconciled(agent: Agent, definition: Definition) -> snapshots.Snapshot:
    """An agent that was made, and which definition of its slug made it."""
    by = {"source": definition.source, "priority": definition.priority}
    return {**snapshots.of_agent(agent), "definition": by}


def _agent_to_be(app: App, definition: Definition) -> Agent | Result:
    """The agent as it is to become, or why it cannot."""
    slug = definition.slug
    wanted = definition.owner
    if definition.asks_for_owner:
        try:
            answer = _resolve(app, definition)
        except (Exception, SystemExit):
            extra = {"fields": {"agent_slug": slug, "source": definition.source}}
            log.warning("owner resolver failed", exc_info=True, extra=extra)
            return skipped(slug, no_owner("its owner resolver failed"))
        # Anything else is no user's id, and leaves it to the default owner.
        wanted = answer if _is_id(answer) else None
    with app.store.read() as tx:
        owner = find_owner(app, tx, wanted)
    if owner is None:
        return without_owner(app, slug, wanted)
    now = app.now()
    return Agent(
        agent_id=0,
        agent_slug=slug,
        agent_name=definition.label,
        owner_id=owner.user_id,
        config=initial_config(definition),
        status=AgentStatus.ACTIVE,
        site_scope=None,
        version=1,
        created_at=now,
        updated_at=now,
    )


def _is_id(answer: object) -> TypeGuard[int]:
    is_bool = isinstance(answer, bool)
    return isinstance(answer, int) and not is_bool and 0 < answer <= MAX_ID


def _resolve(app: App, definition: Definition) -> object:
    if definition.resolve_owner is not None:
        return definition.resolve_owner()
    return app.declarations.owner_resolvers[definition.owner_resolver](definition.slug)


def _taken(app: App, definition: Definition) -> Result:
    """Somebody has made the agent meanwhile, most likely another server."""
    with app.store.read() as tx:
        agent = tx.agents.find_by_slug(definition.slug)
        if agent is not None:
            return existing(tx, definition, agent)
    return Result(agent_slug=definition.slug, outcome=Outcome.EXISTING)


def _new(agent: Agent) -> NewAgent:
    return NewAgent(
        agent_slug=agent.agent_slug,
        agent_name=agent.agent_name,
        config=agent.config,
        site_scope=0,
    )


def _slugs(wanted: Sequence[_Wanted]) -> list[str]:
    return [one.definition.slug for one in wanted]
