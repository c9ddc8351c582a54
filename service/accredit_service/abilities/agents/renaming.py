"""An agent gets another slug. No file is touched."""

from dataclasses import dataclass, replace

from accredit_storage.errors import SlugTaken
from accredit_storage.records import (
    Agent,
    AgentUpdate,
    ChangeKind,
    Role,
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
from ..errors import Reason, invalid
from ..input.agent_refs import AgentRef, clean_slug, require_agent
from ..policy.subjects import (
    agent_subjects,
    slug_subject,
)
from .agents import slug_conflict
from .creation import check_slug, claim_slug, reserve_slug


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameAgent:
    """A new slug for an agent."""

    agent: AgentRef
    new_slug: str
    etag: str


@dataclass(frozen=True, slots=True)
class Renamed:
    """The agent under its new slug, and the old one."""

    agent: Agent
    old_slug: str


def rename_agent(app: App, call: MutatingCall, command: RenameAgent) -> Written[Renamed] | Replayed:
    """Give an agent another slug, and keep the old one for its owner. No file is touched."""

    def perform(mutation: Mutation) -> Effect[Renamed]:
        before, after = _rename(mutation, command)
        if not call.validate_only:
            app.directories.remove_link(before)
        return Effect(
            value=Renamed(after, before.agent_slug),
            kind=ChangeKind.AGENT_RENAMED,
            subjects=(
                *agent_subjects(after, after.owner_id),
                slug_subject(before.agent_slug),
                slug_subject(after.agent_slug),
            ),
            before=snapshots.of_agent(before),
            after=snapshots.of_agent(after),
        )

    written = mutate(app, call, perform, lock=RightsLock.SHARED)
    if isinstance(written, Written) and not call.validate_only:
        renamed = written.value
        # Again, for a sweep that has put it back before the commit.
        app.directories.remove_link(replace(renamed.agent, agent_slug=renamed.old_slug))
        if renamed.agent.files_made:
            app.directories.put_link(renamed.agent)
    return written


def _rename(mutation: Mutation, command: RenameAgent) -> tuple[Agent, Agent]:
    tx = mutation.tx
    before = require_agent(tx, mutation.caller, command.agent, Role.ADMIN, mutation.now, lock=True)
    check_etag(command.etag, etag_of(before.version))
    new_slug = clean_slug("new_slug", command.new_slug)
    if new_slug == before.agent_slug:
        raise invalid(
            "new_slug",
            "another slug: {new_slug!r} is the one it has",
            Reason.INVALID_AGENT_SLUG,
            new_slug=new_slug,
        )
    check_slug(mutation, new_slug, before.owner_id, path="new_slug")
    try:
        after = tx.agents.update(before.agent_id, AgentUpdate(agent_slug=new_slug), at=mutation.now)
    except SlugTaken:
        raise slug_conflict(new_slug) from None
    assert after is not None  # noqa: S101 - the row is locked
    claim_slug(mutation, after)
    reserve_slug(mutation, before)
    return before, after
