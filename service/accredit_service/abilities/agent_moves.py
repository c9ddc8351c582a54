"""An agent gets another slug, or goes: its directory moves along."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from accredit_storage.directory.moves import Move
from accredit_storage.directory.places import AGENTS
from accredit_storage.errors import SlugTaken
from accredit_storage.records import Agent, ChangeKind, Role

from . import snapshots
from .agent_creation import admit, reserve, take
from .agent_refs import AgentRef, clean_slug, require_agent
from .agents import require_owner, slug_conflict
from .app import App
from .directories import Directory
from .errors import Reason, invalid
from .moving import OutdatedError, moved, mutate_and_move, require_free
from .mutations import Call, Effect, Mutation, Replayed, Written, check_etag
from .mutations import etag as etag_of
from .subjects import (
    agent_subjects,
    grant_subjects,
    offer_subjects,
    slug_subject,
    token_subjects,
)


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
    """Give an agent and its directory another slug, and keep the old one for its owner."""

    def decide(mutation: Mutation, move: Move | None) -> Effect[Renamed]:
        before, after = _rename(mutation, command)
        if move is not None:
            _settle(move, mutation, before, after)
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

    @contextmanager
    def announce(planned: Renamed) -> Generator[Callable[[Mutation], Effect[Renamed]]]:
        agent, old, new = planned.agent, planned.old_slug, planned.agent.agent_slug
        if call.validate_only:
            require_free(app, new)
            yield lambda mutation: decide(mutation, None)
            return
        with moved(app.directories.moves.rename(agent.agent_id, old, new), new) as move:
            yield lambda mutation: decide(mutation, move)

    return mutate_and_move(
        app, call, lambda mutation: decide(mutation, None), announce, takes_nothing=True
    )


def delete_agent(app: App, call: Call, command: DeleteAgent) -> Written[Deleted] | Replayed:
    """Remove an agent with its grants and tokens, and keep its slug for its owner."""

    def decide(mutation: Mutation, move: Move | None, would: bool = False) -> Effect[Deleted]:
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
        reserve(mutation, agent)
        deleted = Deleted(agent, len(grants), len(tokens), files_deleted=would)
        if move is not None and _settle(move, mutation, agent, None):
            kept = "" if command.delete_files else f"{AGENTS}/{move.intent.target}"
            deleted = replace(deleted, files_deleted=command.delete_files, kept_path=kept)
        return Effect(
            value=deleted,
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

    @contextmanager
    def announce(planned: Deleted) -> Generator[Callable[[Mutation], Effect[Deleted]]]:
        agent, moves = planned.agent, app.directories.moves
        if call.validate_only:
            would = Directory(agent=agent).state(app).exists
            yield lambda mutation: decide(mutation, None, would and command.delete_files)
            return
        with moved(
            moves.delete(agent.agent_id, agent.agent_slug, with_files=command.delete_files),
            agent.agent_slug,
        ) as move:
            yield lambda mutation: decide(mutation, move)

    return mutate_and_move(app, call, lambda mutation: decide(mutation, None), announce)


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
    admit(mutation, new_slug, before.owner_id, path="new_slug")
    try:
        after = tx.agents.update(before.agent_id, at=mutation.now, agent_slug=new_slug)
    except SlugTaken:
        raise slug_conflict(new_slug) from None
    assert after is not None  # noqa: S101 - the row is locked
    take(mutation, after)
    reserve(mutation, before)
    return before, after


def _settle(move: Move, mutation: Mutation, before: Agent, after: Agent | None) -> bool:
    """Move the directory; whether there was one. Raises OutdatedError if it is another's by now."""
    intent = move.intent
    if (intent.agent_id, intent.source) != (before.agent_id, before.agent_slug):
        raise OutdatedError
    if after is not None and intent.target != after.agent_slug:
        raise OutdatedError
    move.settle(mutation.tx)
    return move.moved
