"""Creating declared agents, many at a time: rows and owners' grants in one change, then files."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple, TypeAlias, TypeGuard

from accredit_storage.errors import Conflict
from accredit_storage.records import (
    Agent,
    ChangeKind,
    Head,
    NewAgent,
    SubjectKind,
    UserId,
)
from accredit_storage.store import WriteTransaction

from ..agents.creation import add_agent
from ..calls import snapshots
from ..calls.app import App
from ..calls.mutations import Effect, Written
from ..definitions import definitions
from ..definitions.declaring import MAX_ID
from ..extensions.declarations import Definition
from ..files.new_directories import make_agent_directory, note_made
from ..files.scaffolding import agent_scaffold
from ..policy.subjects import creation_subjects, subject
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

#: What became of definitions, by slug.
Results: TypeAlias = Mapping[str, Result]


class Making(NamedTuple):
    """A transaction in which agents are made, the moment, and whose grants they are."""

    tx: WriteTransaction
    now: datetime
    granted_by: UserId | None


#: Makes one change, on somebody's behalf; it may call what it is given several times.
Write: TypeAlias = Callable[[Callable[[Making], Effect[Results]]], Written[Results]]


class _Wanted(NamedTuple):
    """An agent that is to be made, whose it will be, and its definition."""

    definition: Definition
    agent: NewAgent
    owner_id: UserId


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
        one = _wanted(app, definition)
        if isinstance(one, Result):
            results[definition.slug] = one
        else:
            wanted.append(one)
    if not wanted:
        return results, None
    written = write(lambda making: _make(app, wanted, making))
    return {**results, **_with_files(app, wanted, written.value)}, written.head


def _make(app: App, wanted: Sequence[_Wanted], making: Making) -> Effect[Results]:
    """The rows of the agents and their owners' grants."""
    tx, now, granted_by = making
    results: dict[str, Result] = {}
    made = []
    for definition, new, owner_id in wanted:
        slug = definition.slug
        present = tx.agents.find_by_slug(slug)
        if present is not None:
            # Somebody has made the agent meanwhile, most likely another server.
            results[slug] = existing(tx, definition, present)
            continue
        owner = tx.users.find(owner_id, share=True)
        if owner is None or not owner.active:
            results[slug] = without_owner(app, slug, owner_id)
            continue
        agent = add_agent(tx, new, owner_id, now, granted_by)
        if agent is None:
            # Somebody came in between after it was looked for: the next attempt tells who.
            raise Conflict(f"another agent has the slug {slug!r}")
        # Whoever declares an agent means this slug, also where it was kept for somebody.
        tx.reservations.drop(slug)
        made.append((agent, definition))
        results[slug] = Result(agent_slug=slug, outcome=Outcome.CREATED, agent_id=agent.agent_id)
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


def _with_files(app: App, wanted: Sequence[_Wanted], results: Results) -> Results:
    """Make the directories of the agents that were created; the results that tell of their files.

    One after the other, since all the seeds of a chunk may be a lot.
    """
    done = dict(results)
    files = {}
    for definition, *_ in wanted:
        result = results[definition.slug]
        if result.outcome is not Outcome.CREATED or result.agent_id is None:
            continue
        with app.store.read() as tx:
            agent = tx.agents.find(result.agent_id)
            if agent is None:
                continue
            # Its owner is the one that the definition means, resolved just now.
            scaffold = agent_scaffold(app, tx, agent, definitions.texts_of(tx, definition))
        files[agent.agent_id] = make_agent_directory(app, scaffold)
        done[definition.slug] = replace(result, files=files[agent.agent_id].files)
        fields = {"agent_slug": agent.agent_slug, "agent_id": agent.agent_id}
        log.info("declared agent created", extra={"fields": fields})
    if files:
        note_made(app, files)
    return done


def _reconciled(agent: Agent, definition: Definition) -> snapshots.Snapshot:
    """An agent that was made, and which definition of its slug made it."""
    by = {"source": definition.source, "priority": definition.priority}
    return {**snapshots.of_agent(agent), "definition": by}


def _wanted(app: App, definition: Definition) -> _Wanted | Result:
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
        wanted = UserId(answer) if _is_id(answer) else None
    with app.store.read() as tx:
        owner = find_owner(app, tx, wanted)
    if owner is None:
        return without_owner(app, slug, wanted)
    new = NewAgent(
        agent_slug=slug,
        agent_name=definition.label,
        config=initial_config(definition),
        site_scope=None,
    )
    return _Wanted(definition, new, owner.user_id)


def _is_id(answer: object) -> TypeGuard[int]:
    is_bool = isinstance(answer, bool)
    return isinstance(answer, int) and not is_bool and 0 < answer <= MAX_ID


def _resolve(app: App, definition: Definition) -> object:
    if definition.resolve_owner is not None:
        return definition.resolve_owner()
    return app.declarations.owner_resolvers[definition.owner_resolver](definition.slug)
