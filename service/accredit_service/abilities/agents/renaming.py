"""An agent gets another slug, or goes. Its directory stays where it is, or is put aside."""

from contextlib import suppress
from dataclasses import dataclass, replace

from accredit_storage.errors import SlugTaken, StoreError
from accredit_storage.records import Agent, ChangeKind, Role

from ..calls import snapshots
from ..calls.app import App
from ..calls.mutations import (
    Call,
    Effect,
    Mutation,
    Replayed,
    RightsLock,
    Written,
    check_etag,
    keep_reply,
    mutate,
)
from ..calls.mutations import etag as etag_of
from ..errors import Reason, invalid
from ..files.directories import Directory
from ..input.agent_refs import AgentRef, clean_slug, require_agent
from ..policy.subjects import (
    agent_subjects,
    grant_subjects,
    offer_subjects,
    slug_subject,
    token_subjects,
)
from .agents import require_owner, slug_conflict
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteAgent:
    """An agent to remove, with its files or without."""

    agent: AgentRef
    etag: str
    delete_files: bool = False


@dataclass(frozen=True, slots=True)
class Deleted:
    """The agent as it last stood, what went with it, and where its files were put aside."""

    agent: Agent
    grants: int
    tokens: int
    files_deleted: bool = False
    kept_path: str = ""


def rename_agent(app: App, call: Call, command: RenameAgent) -> Written[Renamed] | Replayed:
    """Give an agent another slug, and keep the old one for its owner. No file is touched."""

    def decide(mutation: Mutation) -> Effect[Renamed]:
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

    written = mutate(app, call, decide, lock=RightsLock.SHARED)
    if isinstance(written, Written) and not call.validate_only:
        renamed = written.value
        # Again, for a sweep that has put it back before the commit.
        app.directories.remove_link(replace(renamed.agent, agent_slug=renamed.old_slug))
        if renamed.agent.files_made:
            app.directories.put_link(renamed.agent)
    return written


def delete_agent(app: App, call: Call, command: DeleteAgent) -> Written[Deleted] | Replayed:
    """Remove an agent with its grants and tokens, and keep its slug for its owner.

    Its directory is put aside, or removed, after the commit.
    """

    def decide(mutation: Mutation) -> Effect[Deleted]:
        tx = mutation.tx
        agent = require_agent(
            tx, mutation.caller, command.agent, Role.ADMIN, mutation.now, lock=True
        )
        require_owner(mutation.caller, agent)
        check_etag(command.etag, etag_of(agent.version))
        grants = tx.grants.all_for_agent(agent.agent_id)
        tokens = tx.tokens.for_agent(agent.agent_id)
        offers = tx.transfer_offers.end(agent_id=agent.agent_id)
        chosen_by = tx.users.forget_agent(agent.agent_id, mutation.now)
        tx.agents.delete(agent.agent_id)
        reserve_slug(mutation, agent)
        kept = ""
        if not call.validate_only:
            app.directories.remove_link(agent)
            if agent.files_made and not command.delete_files:
                # Also where this is all that comes to be: then the sweep puts it there.
                kept = app.directories.kept_path(agent)
        return Effect(
            value=Deleted(agent, len(grants), len(tokens), kept_path=kept),
            kind=ChangeKind.AGENT_DELETED,
            subjects=(
                *agent_subjects(agent, agent.owner_id, *chosen_by),
                slug_subject(agent.agent_slug),
                *grant_subjects(grants),
                *offer_subjects(offers),
                *token_subjects(tokens),
            ),
            before=snapshots.of_agent(agent),
        )

    written = mutate(app, call, decide)
    if isinstance(written, Replayed):
        return written
    return _without_directory(app, call, command, written)


def _without_directory(
    app: App, call: Call, command: DeleteAgent, written: Written[Deleted]
) -> Written[Deleted]:
    deleted = written.value
    if call.validate_only:
        # Nothing is deleted, so that it can still be looked at.
        exists = Directory(agent=deleted.agent).state(app).exists
        would = replace(deleted, files_deleted=exists and command.delete_files)
        return replace(written, value=would)
    # Again, for a sweep that has put it back before the commit.
    app.directories.remove_link(deleted.agent)
    path = app.directories.put_aside(deleted.agent, remove=command.delete_files)
    if command.delete_files:
        deleted = replace(deleted, files_deleted=bool(path))
    else:
        deleted = replace(deleted, kept_path=path)
    if call.request_id and deleted != written.value:
        with suppress(StoreError), app.store.write() as tx:
            keep_reply(tx, call, deleted, written.head)
    return replace(written, value=deleted)


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
        after = tx.agents.update(before.agent_id, at=mutation.now, agent_slug=new_slug)
    except SlugTaken:
        raise slug_conflict(new_slug) from None
    assert after is not None  # noqa: S101 - the row is locked
    claim_slug(mutation, after)
    reserve_slug(mutation, before)
    return before, after
