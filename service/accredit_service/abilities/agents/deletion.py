"""An agent goes, with its grants and tokens; its directory is put aside or removed."""

from contextlib import suppress
from dataclasses import dataclass, replace

from accredit_storage.errors import StoreError
from accredit_storage.records import Agent, ChangeKind, Role

from ..calls import snapshots
from ..calls.app import App
from ..calls.mutations import (
    Effect,
    MutatingCall,
    Mutation,
    Replayed,
    Written,
    check_etag,
    keep_reply,
    mutate,
)
from ..calls.mutations import etag as etag_of
from ..files.directories import Directory
from ..input.agent_refs import AgentRef, require_agent
from ..policy.subjects import (
    agent_subjects,
    grant_subjects,
    offer_subjects,
    slug_subject,
    token_subjects,
)
from .agents import require_owner
from .creation import reserve_slug


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


def delete_agent(app: App, call: MutatingCall, command: DeleteAgent) -> Written[Deleted] | Replayed:
    """Remove an agent with its grants and tokens, and keep its slug for its owner.

    Its directory is put aside, or removed, after the commit.
    """

    def perform(mutation: Mutation) -> Effect[Deleted]:
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

    written = mutate(app, call, perform)
    if isinstance(written, Replayed):
        return written
    return _without_directory(app, call, command, written)


def _without_directory(
    app: App, call: MutatingCall, command: DeleteAgent, written: Written[Deleted]
) -> Written[Deleted]:
    deleted = written.value
    if call.validate_only:
        # Nothing is deleted, so that it can still be looked at; unless the disk does not answer.
        exists = False
        with suppress(StoreError):
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
