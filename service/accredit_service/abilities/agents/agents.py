"""Agents created and changed. ``renaming`` and ``deletion`` have the rest of their lives.

``transfers`` says how an agent gets another owner.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from accredit_storage.records import (
    Agent,
    AgentStatus,
    AgentUpdate,
    ChangeKind,
    NewAgent,
    Role,
    Unset,
    given,
)

from ..calls import snapshots
from ..calls.app import App
from ..calls.mutations import (
    Effect,
    MutatingCall,
    Mutation,
    Replayed,
    RightsLock,
    Written,
    check_etag,
    mutate,
)
from ..calls.mutations import etag as etag_of
from ..errors import (
    AlreadyExists,
    PermissionDenied,
    Reason,
    Refusal,
    invalid,
)
from ..files.new_directories import with_directories
from ..files.scaffolding import agent_scaffold
from ..input import configs, texts
from ..input.agent_refs import (
    AgentRef,
    clean_slug,
    reach,
    require_agent,
)
from ..input.user_refs import UserRef
from ..policy.rights import Principal
from ..policy.subjects import agent_subjects, creation_subjects
from .creation import (
    Created,
    create_or_find,
    hold_quota,
    insert_agent,
    owner_of_new,
    require_site,
    scaffolds,
    with_files,
)

MAX_BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAgent:
    """An agent to be, and whose. ``owner`` None: not stated."""

    new: NewAgent
    owner: UserRef | None
    create_if_missing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateAgent:
    """An agent, and what to set of it."""

    agent: AgentRef
    etag: str
    update: AgentUpdate


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAgentStatus:
    """A status for an agent, and why; an empty ``why`` says nothing."""

    agent: AgentRef
    status: AgentStatus
    why: str
    etag: str


@dataclass(frozen=True, slots=True)
class StatusSet:
    """The agent as it now stands, and whether that was new."""

    agent: Agent
    changed: bool


def create_agent(app: App, call: MutatingCall, command: CreateAgent) -> Written[Created] | Replayed:
    """Add an agent with its directory, or find the one that is there if that will do."""
    return create_or_find(app, call, lambda mutation: _create(mutation, command))


def batch_create_agents(
    app: App, call: MutatingCall, commands: Sequence[CreateAgent]
) -> Written[list[Created | Refusal]] | Replayed:
    """Create what can be created, each item with its own outcome, as one change."""

    def perform(mutation: Mutation) -> Effect[list[Created | Refusal]]:
        outcomes: list[Created | Refusal] = []
        for command in commands:
            # Everything that refuses does so before it writes, so that an item leaves nothing.
            try:
                outcomes.append(_create(mutation, command))
            except Refusal as refusal:
                outcomes.append(refusal)
        made = [one.agent for one in outcomes if isinstance(one, Created) and one.created]
        return Effect(
            value=outcomes,
            kind=ChangeKind.BULK if made else None,
            subjects=tuple(each for agent in made for each in creation_subjects(agent)),
            after={"agents": [snapshots.of_agent(agent) for agent in made]},
        )

    # Alone, as two batches could each have made an agent whose slug the other goes on to ask for.
    written = mutate(app, call, perform)
    if isinstance(written, Replayed):
        return written
    return with_directories(
        app,
        call,
        written,
        scaffolds(written.value),
        lambda outcomes, files: [
            with_files(one, files) if isinstance(one, Created) else one for one in outcomes
        ],
    )


def update_agent(app: App, call: MutatingCall, command: UpdateAgent) -> Written[Agent] | Replayed:
    """Set what is given. An update that says nothing is refused."""

    def perform(mutation: Mutation) -> Effect[Agent]:
        tx = mutation.tx
        before = require_agent(
            tx, mutation.caller, command.agent, Role.ADMIN, mutation.now, lock=True
        )
        check_etag(command.etag, etag_of(before.version))
        wanted = _checked(mutation, command.update)
        after = tx.agents.update(before.agent_id, wanted, at=mutation.now)
        assert after is not None  # noqa: S101 - the row is locked
        return Effect(
            value=after,
            kind=ChangeKind.AGENT_UPDATED,
            subjects=agent_subjects(after, after.owner_id),
            before=snapshots.of_agent(before),
            after=snapshots.of_agent(after),
        )

    # Only a status takes a right away.
    alone = not isinstance(command.update.status, Unset)
    return mutate(app, call, perform, lock=RightsLock.EXCLUSIVE if alone else RightsLock.SHARED)


def set_agent_status(
    app: App, call: MutatingCall, command: SetAgentStatus
) -> Written[StatusSet] | Replayed:
    """Make an agent active, inactive or archived. A status that it has already changes nothing."""
    why = texts.one_line("reason", command.why)

    def perform(mutation: Mutation) -> Effect[StatusSet]:
        tx, now = mutation.tx, mutation.now
        before = require_agent(tx, mutation.caller, command.agent, Role.ADMIN, now, lock=True)
        check_etag(command.etag, etag_of(before.version))
        if before.status is command.status:
            return Effect(value=StatusSet(before, False))
        after = tx.agents.update(before.agent_id, AgentUpdate(status=command.status), at=now)
        assert after is not None  # noqa: S101 - the row is locked
        return Effect(
            value=StatusSet(after, True),
            kind=ChangeKind.AGENT_UPDATED,
            subjects=agent_subjects(after, after.owner_id),
            before=snapshots.of_agent(before),
            after={**snapshots.of_agent(after), "status_reason": why},
        )

    return mutate(app, call, perform)


def slug_conflict(slug: str) -> AlreadyExists:
    """The refusal of a slug that is taken."""
    return AlreadyExists(
        Reason.AGENT_SLUG_CONFLICT,
        "an agent {agent_slug!r} already exists: choose another slug",
        agent_slug=slug,
    )


def _create(mutation: Mutation, command: CreateAgent) -> Created:
    slug = clean_slug("agent_slug", command.new.agent_slug)
    new = replace(
        command.new,
        agent_slug=slug,
        agent_name=texts.one_line("agent_name", command.new.agent_name) or slug,
        config=configs.checked("config", command.new.config),
    )
    if not mutation.caller.manages_agents:
        # Before looking, so that whoever waited for a racing call of theirs sees what it made.
        hold_quota(mutation, mutation.caller.user.user_id)
    owner = owner_of_new(mutation, command.owner)
    if new.site_scope is not None:
        require_site(mutation, new.site_scope)
    if command.create_if_missing:
        # A hidden one is as missing here; that the slug is taken is found out where it is given.
        found = reach(mutation.tx, mutation.caller, slug, mutation.now)
        if found is not None:
            return Created(found[0], None)
    agent = insert_agent(mutation, new, owner)
    if agent is not None:
        return Created(agent, agent_scaffold(mutation.app, mutation.tx, agent))
    if command.create_if_missing:
        # Lost a race: on PostgreSQL the insert waited for the winner, whose row is there now.
        found = reach(mutation.tx, mutation.caller, slug, mutation.now)
        if found is not None:
            return Created(found[0], None)
    raise slug_conflict(slug)


def _checked(mutation: Mutation, update: AgentUpdate) -> AgentUpdate:
    """The update with its texts cleaned. Raises InvalidArgument, NotFound, PermissionDenied."""
    if not given(update):
        raise invalid(
            "update",
            "at least one of agent_name, config, status, site_scope",
            Reason.INVALID_AGENT_UPDATE,
        )
    if not isinstance(update.site_scope, Unset):
        require_site(mutation, update.site_scope)
    name, config = update.agent_name, update.config
    if not isinstance(name, Unset):
        name = texts.name("update.agent_name", name, Reason.INVALID_AGENT_NAME)
    if not isinstance(config, Unset):
        config = configs.checked("update.config", config)
    return replace(update, agent_name=name, config=config)


def require_owner(caller: Principal, agent: Agent) -> None:
    """Raise PermissionDenied unless the caller owns the agent, or manages agents."""
    if not caller.manages_agents and agent.owner_id != caller.user.user_id:
        raise PermissionDenied(
            Reason.OWNER_REQUIRED,
            "only the owner of {agent_slug!r} may do this",
            agent_slug=agent.agent_slug,
        )
