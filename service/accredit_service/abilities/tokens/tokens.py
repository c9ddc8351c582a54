"""Tokens listed, shown and ended."""

from dataclasses import dataclass
from datetime import datetime

from accredit_storage.records import (
    AgentId,
    ChangeKind,
    Role,
    Subject,
    SubjectKind,
    Token,
    User,
    UserId,
)
from accredit_storage.store import Transaction

from ..calls import snapshots
from ..calls.app import App
from ..calls.callers import require_actions_of
from ..calls.mutations import (
    Effect,
    MutatingCall,
    Mutation,
    Replayed,
    Written,
    check_etag,
    mutate,
)
from ..calls.mutations import etag as etag_of
from ..calls.paging import Cursor, Page, PageRequest
from ..calls.reads import Ask, reading
from ..errors import action_missing
from ..input.agent_refs import AgentRef, require_agent
from ..input.user_refs import (
    UserRef,
    require_user,
)
from ..policy.permissions import Action
from ..policy.rights import Principal
from ..policy.subjects import subject, subjects_of_token, token_subjects
from .access import may_end, may_see, require_reach, require_token


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTokens:
    """Whose tokens. ``agent`` and ``user`` None: the caller's own."""

    agent: AgentRef | None
    user: UserRef | None
    show_inactive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeToken:
    """A token to end."""

    token_id: str
    etag: str


def get_token(app: App, ask: Ask, token_id: str) -> Token:
    """One token. Raises PermissionDenied, alike for a missing one and a hidden one."""
    with reading(app, ask) as (tx, caller, now, _):
        return require_token(tx, caller, token_id, now, may_see)


def list_tokens(app: App, ask: Ask, query: ListTokens, page: PageRequest) -> Page[Token]:
    """One page of an agent's or a user's tokens, newest first."""
    with reading(app, ask) as (tx, caller, now, head):
        agent_id, user_id = _listed_holder(tx, caller, query, now)
        cursor = Cursor(page, caller, head.epoch, about=agent_id or user_id)
        after = cursor.after(datetime, str)
        found = tx.tokens.page(
            agent_id=agent_id,
            user_id=user_id,
            include_inactive=query.show_inactive,
            at=now,
            after=None if after is None else (after[0], after[1]),
            limit=cursor.size + 1,
        )
        return cursor.page(found, lambda token: (token.created_at, token.token_id))


def revoke_token(app: App, call: MutatingCall, command: RevokeToken) -> Written[Token] | Replayed:
    """End a token at once. One that is revoked already stays as it is."""

    def perform(mutation: Mutation) -> Effect[Token]:
        tx, now = mutation.tx, mutation.now
        token = require_token(tx, mutation.caller, command.token_id, now, may_end, lock=True)
        check_etag(command.etag, etag_of(token.version))
        revoked = tx.tokens.revoke(token.token_id, now)
        if revoked is None:
            return Effect(value=token)
        return Effect(
            value=revoked,
            kind=ChangeKind.TOKEN_REVOKED,
            subjects=subjects_of_token(revoked),
            before=snapshots.of_token(token),
            after=snapshots.of_token(revoked),
        )

    return mutate(app, call, perform)


def revoke_agent_tokens(app: App, call: MutatingCall, ref: AgentRef) -> Written[int] | Replayed:
    """End all live tokens of an agent; how many there were."""

    def perform(mutation: Mutation) -> Effect[int]:
        tx, now = mutation.tx, mutation.now
        agent = require_agent(tx, mutation.caller, ref, Role.ADMIN, now, lock=True)
        ended = tx.tokens.revoke_where(agent_id=agent.agent_id, at=now)
        return _ended(ended, subject(SubjectKind.AGENT, agent.agent_id))

    return mutate(app, call, perform)


def revoke_user_tokens(
    app: App, call: MutatingCall, ref: UserRef, *, include_minted: bool
) -> Written[int] | Replayed:
    """End all live tokens of a user, and on request those that they minted for agents."""

    def perform(mutation: Mutation) -> Effect[int]:
        tx, now = mutation.tx, mutation.now
        require_reach(mutation.caller, ref, Role.ADMIN, "tokens")
        user = require_user(tx, ref, share=True)
        user_id = user.user_id
        require_actions_of(mutation.caller, user.role)
        if include_minted:
            _require_reach_to_minted(mutation, user)
        ended = tx.tokens.revoke_where(user_id=user_id, at=now)
        if include_minted:
            ended += tx.tokens.revoke_where(minted_by=user_id, at=now)
        return _ended(sorted(ended), subject(SubjectKind.USER, user_id))

    return mutate(app, call, perform)


def _listed_holder(
    tx: Transaction, caller: Principal, query: ListTokens, now: datetime
) -> tuple[AgentId | None, UserId | None]:
    agent_ref = query.agent
    if agent_ref is None and query.user is None and not caller.is_user(caller.user.user_id):
        agent_ref = None if caller.agent is None else caller.agent.agent_id
    if agent_ref is not None:
        agent = require_agent(tx, caller, agent_ref, Role.OPERATOR, now)
        return agent.agent_id, None
    ref = caller.user.user_id if query.user is None else query.user
    require_reach(caller, ref, Role.OPERATOR, "tokens")
    return None, ref if isinstance(ref, int) else require_user(tx, ref).user_id


def _require_reach_to_minted(mutation: Mutation, user: User) -> None:
    """Raise PermissionDenied unless the caller may end all that a user has minted.

    For agents that is whoever has ADMIN on each of them, or has minted the tokens; for users,
    whoever may end those users' tokens.
    """
    tx, caller = mutation.tx, mutation.caller
    if not caller.manages_agents and not caller.is_user(user.user_id):
        raise action_missing(Action.MANAGE_AGENTS, "to end what another user minted")
    for bearer_id in tx.tokens.users_minted_for(user.user_id, mutation.now):
        bearer_user = require_user(tx, bearer_id, share=True)
        require_actions_of(caller, bearer_user.role)


def _ended(token_ids: list[str], about: Subject) -> Effect[int]:
    if not token_ids:
        return Effect(value=0)
    return Effect(
        value=len(token_ids),
        kind=ChangeKind.TOKEN_REVOKED,
        subjects=(about, *token_subjects(token_ids)),
        after={"tokens_revoked": len(token_ids)},
    )
