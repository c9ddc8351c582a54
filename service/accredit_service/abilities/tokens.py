"""Tokens minted, listed, rotated and ended."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from accredit_storage.records import (
    Ceiling,
    ChangeKind,
    Role,
    Subject,
    SubjectKind,
    Token,
    User,
)
from accredit_storage.store import Transaction

from . import bearer, snapshots, texts
from .agent_refs import AgentRef, held_on, require_agent
from .app import App
from .callers import require_actions_of
from .errors import (
    Aborted,
    FailedPrecondition,
    NotFound,
    PermissionDenied,
    Reason,
    invalid,
)
from .mutations import Call, Effect, Mutation, Replayed, Written, check_etag, mutate
from .mutations import etag as etag_of
from .paging import Cursor, Page, PageRequest
from .permissions import ROLE_ACTIONS, Action
from .reads import Ask, reading
from .rights import Principal, expired
from .subjects import subject, token_subjects
from .token_keys import minting_key
from .user_refs import UserRef, is_caller, require_active, require_user

MAX_CAPABILITIES = 100
MAX_OVERLAP = timedelta(days=30)
DEFAULT_OVERLAP = timedelta(hours=1)
MAX_LIFETIME = timedelta(days=36525)


@dataclass(frozen=True, slots=True)
class Expiry:
    """When a token is to end: at a moment, or after a while."""

    at: datetime | None = None
    after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateToken:
    """A wish for a token, of an agent or of a user. No ``ceiling``: full rights."""

    agent: AgentRef | None
    user: UserRef | None
    label: str
    ceiling: Ceiling | None
    act_as_owner: bool
    expiry: Expiry | None


@dataclass(frozen=True, slots=True)
class MintedToken:
    """A new token and the text to show once."""

    token: Token
    secret: str

    def __repr__(self) -> str:
        """Without the secret: a dataclass would print it into any log."""
        return f"MintedToken({self.token!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTokens:
    """Whose tokens. ``agent`` and ``user`` None: the caller's own."""

    agent: AgentRef | None
    user: UserRef | None
    show_inactive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateToken:
    """A token to replace. ``expiry`` None: the successor ends when the old one was to."""

    token_id: str
    overlap: timedelta
    expiry: Expiry | None
    etag: str


@dataclass(frozen=True, slots=True)
class RotatedToken:
    """The successor, its text to show once, and the old token."""

    minted: MintedToken
    replaced: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeToken:
    """A token to end."""

    token_id: str
    etag: str


def create_token(app: App, call: Call, command: CreateToken) -> Written[MintedToken] | Replayed:
    """Mint a token within the caller's own rights."""
    label = texts.one_line("label", command.label)
    ceiling = None if command.ceiling is None else checked_ceiling(command.ceiling)

    def decide(mutation: Mutation) -> Effect[MintedToken]:
        caller, now = mutation.caller, mutation.now
        agent_id, user_id = _holder(mutation, command)
        expire_at = _expire_at(command.expiry, now)
        _within(caller, ceiling, expire_at)
        minted = bearer.mint(minting_key(mutation.tx.token_keys(), now))
        token = Token(
            token_id=minted.token_id,
            agent_id=agent_id,
            user_id=user_id,
            label=label,
            ceiling=ceiling,
            act_as_owner=command.act_as_owner,
            created_by=caller.user.user_id,
            created_at=now,
            expire_at=expire_at,
            revoked_at=None,
            rotated_from=None,
            replaced_by=None,
            last_used_at=None,
            version=1,
        )
        mutation.tx.tokens.add(token, minted.digest, minted.key_id, caller.vouched_by)
        return Effect(
            value=MintedToken(token, minted.secret),
            kind=ChangeKind.TOKEN_CREATED,
            subjects=_subjects(token),
            after=snapshots.of_token(token),
            shown=token.token_id,
        )

    return mutate(app, call, decide, takes_nothing=True)


def get_token(app: App, ask: Ask, token_id: str) -> Token:
    """One token. Raises PermissionDenied, alike for a missing one and a hidden one."""
    with reading(app, ask) as (tx, caller, now, _):
        return _require_token(tx, caller, token_id, now, _may_see)


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


def rotate_token(app: App, call: Call, command: RotateToken) -> Written[RotatedToken] | Replayed:
    """Mint a successor with everything carried over; the old token ends after the overlap."""
    if not timedelta(0) <= command.overlap <= MAX_OVERLAP:
        raise invalid("overlap", "from 0 to {days} days", days=MAX_OVERLAP.days)

    def decide(mutation: Mutation) -> Effect[RotatedToken]:
        tx, now = mutation.tx, mutation.now
        old = _require_token(tx, mutation.caller, command.token_id, now, _may_rotate, lock=True)
        check_etag(command.etag, etag_of(old.version))
        _require_rotatable(old, now)
        expire_at = old.expire_at if command.expiry is None else _expire_at(command.expiry, now)
        _within(mutation.caller, old.ceiling, expire_at)
        minted = bearer.mint(minting_key(tx.token_keys(), now))
        successor = replace(
            old,
            token_id=minted.token_id,
            created_at=now,
            expire_at=expire_at,
            rotated_from=old.token_id,
            last_used_at=None,
            version=1,
        )
        tx.tokens.add(successor, minted.digest, minted.key_id, _vouchers(mutation, old))
        end = now + command.overlap
        if old.expire_at is not None:
            end = min(end, old.expire_at)
        replaced = tx.tokens.set_replaced(old.token_id, successor.token_id, end)
        assert replaced is not None  # noqa: S101 - the row is locked
        return Effect(
            value=RotatedToken(MintedToken(successor, minted.secret), replaced),
            kind=ChangeKind.TOKEN_ROTATED,
            subjects=(*_subjects(successor), subject(SubjectKind.TOKEN, old.token_id)),
            before=snapshots.of_token(old),
            after=snapshots.of_token(successor),
            shown=successor.token_id,
        )

    return mutate(app, call, decide)


def revoke_token(app: App, call: Call, command: RevokeToken) -> Written[Token] | Replayed:
    """End a token at once. One that is revoked already stays as it is."""

    def decide(mutation: Mutation) -> Effect[Token]:
        tx, now = mutation.tx, mutation.now
        token = _require_token(tx, mutation.caller, command.token_id, now, _may_end, lock=True)
        check_etag(command.etag, etag_of(token.version))
        revoked = tx.tokens.revoke(token.token_id, now)
        if revoked is None:
            return Effect(value=token)
        return Effect(
            value=revoked,
            kind=ChangeKind.TOKEN_REVOKED,
            subjects=_subjects(revoked),
            before=snapshots.of_token(token),
            after=snapshots.of_token(revoked),
        )

    return mutate(app, call, decide)


def revoke_agent_tokens(app: App, call: Call, ref: AgentRef) -> Written[int] | Replayed:
    """End all live tokens of an agent; how many there were."""

    def decide(mutation: Mutation) -> Effect[int]:
        tx, now = mutation.tx, mutation.now
        agent = require_agent(tx, mutation.caller, ref, Role.ADMIN, now, lock=True)
        ended = tx.tokens.revoke_where(agent_id=agent.agent_id, at=now)
        return _ended(ended, subject(SubjectKind.AGENT, agent.agent_id))

    return mutate(app, call, decide)


def revoke_user_tokens(
    app: App, call: Call, ref: UserRef, *, include_minted: bool
) -> Written[int] | Replayed:
    """End all live tokens of a user, and on request those that they minted for agents."""

    def decide(mutation: Mutation) -> Effect[int]:
        tx, now = mutation.tx, mutation.now
        _require_reach(mutation.caller, ref, Role.ADMIN, "tokens")
        user = require_user(tx, ref, share=True)
        user_id = user.user_id
        require_actions_of(mutation.caller, user.role)
        if include_minted:
            _require_reach_to_minted(mutation, user)
        ended = tx.tokens.revoke_where(user_id=user_id, at=now)
        if include_minted:
            ended += tx.tokens.revoke_where(minted_by=user_id, at=now)
        return _ended(sorted(ended), subject(SubjectKind.USER, user_id))

    return mutate(app, call, decide)


def checked_ceiling(ceiling: Ceiling) -> Ceiling:
    """The ceiling as it is stored: sorted, without repeats. Raises InvalidArgument."""
    if len(ceiling.capabilities) > MAX_CAPABILITIES:
        raise invalid("ceiling.capabilities", "at most {limit}", limit=MAX_CAPABILITIES)
    for place, capability in enumerate(ceiling.capabilities):
        texts.capability(f"ceiling.capabilities[{place}]", capability)
    return replace(ceiling, capabilities=tuple(sorted(set(ceiling.capabilities))))


def _holder(mutation: Mutation, command: CreateToken) -> tuple[int | None, int | None]:
    """Whom a token shall speak for, if the caller may mint it: an agent's id or a user's."""
    tx, caller, now = mutation.tx, mutation.caller, mutation.now
    if command.agent is not None:
        agent = require_agent(tx, caller, command.agent, Role.ADMIN, now, lock=True)
        if command.act_as_owner and not caller.is_user(agent.owner_id):
            raise PermissionDenied(
                Reason.OWNER_REQUIRED,
                "only the owner of {agent_slug!r} may mint a token that acts as them",
                agent_slug=agent.agent_slug,
            )
        return agent.agent_id, None
    if command.act_as_owner:
        raise invalid("act_as_owner", "for an agent's token only")
    if command.user is None:
        raise invalid("holder", "an agent or a user")
    ref = command.user
    _require_reach(caller, ref, Role.ADMIN, "new tokens")
    if not _may_mint_for(caller, ref):
        raise _missing(Action.MANAGE_AGENTS, "another user's new tokens")
    user = require_active(tx, ref)
    if not is_caller(caller, ref):
        require_actions_of(caller, user.role)
    return None, user.user_id


def _listed_holder(
    tx: Transaction, caller: Principal, query: ListTokens, now: datetime
) -> tuple[int | None, int | None]:
    agent_ref = query.agent
    if agent_ref is None and query.user is None and not caller.is_user(caller.user.user_id):
        agent_ref = None if caller.agent is None else caller.agent.agent_id
    if agent_ref is not None:
        agent = require_agent(tx, caller, agent_ref, Role.OPERATOR, now)
        return agent.agent_id, None
    ref = caller.user.user_id if query.user is None else query.user
    _require_reach(caller, ref, Role.OPERATOR, "tokens")
    return None, ref if isinstance(ref, int) else require_user(tx, ref).user_id


def _expire_at(expiry: Expiry | None, now: datetime) -> datetime | None:
    if expiry is None:
        return None
    if expiry.after is not None:
        if not timedelta(0) < expiry.after <= MAX_LIFETIME:
            raise invalid("ttl", "above zero, at most 100 years")
        return now + expiry.after
    if expired(expiry.at, now) or (expiry.at is not None and expiry.at > now + MAX_LIFETIME):
        raise invalid("expire_time", "a moment that lies ahead, at most 100 years")
    return expiry.at


def _within(caller: Principal, ceiling: Ceiling | None, expire_at: datetime | None) -> None:
    """Raise PermissionDenied if a token would be good for more or longer than the caller's."""
    own = caller.token
    if own is None:
        raise RuntimeError("a caller without a token")
    if own.expire_at is not None and (expire_at is None or expire_at > own.expire_at):
        raise PermissionDenied(
            Reason.CEILING_EXCEEDED,
            "your own token ends at {expire_at}: the new one must end by then",
            expire_at=own.expire_at.isoformat(),
        )
    if own.ceiling is None:
        return
    if ceiling is None or ceiling.max_role > own.ceiling.max_role:
        raise PermissionDenied(
            Reason.CEILING_EXCEEDED,
            "your own token reaches {max_role}: state a ceiling within that",
            max_role=own.ceiling.max_role.name,
        )
    beyond = sorted(set(ceiling.capabilities) - set(own.ceiling.capabilities))
    if beyond:
        raise PermissionDenied(
            Reason.CEILING_EXCEEDED,
            "your own token does not hold {capabilities}",
            capabilities=", ".join(beyond[:20]),
        )


def _require_rotatable(token: Token, now: datetime) -> None:
    if token.replaced_by is not None:
        raise Aborted(
            Reason.TOKEN_ALREADY_ROTATED,
            "{replaced} has a successor: {token_id}",
            token_id=token.replaced_by,
            replaced=token.token_id,
        )
    if token.revoked_at is not None or expired(token.expire_at, now):
        raise FailedPrecondition(
            Reason.TOKEN_NOT_LIVE,
            "{token_id} is revoked or expired: mint a new one",
            token_id=token.token_id,
        )


_May = Callable[[Transaction, Principal, Token, datetime], bool]


def _require_token(
    tx: Transaction,
    caller: Principal,
    token_id: str,
    now: datetime,
    may: _May,
    *,
    lock: bool = False,
) -> Token:
    """The token, if the caller may do this with it. Hidden and missing are refused alike."""
    if not bearer.is_token_id(token_id):
        raise invalid("token_id", "the public id of a token: 16 letters and digits")
    token = tx.tokens.find(token_id, lock=lock)
    if token is not None and may(tx, caller, token, now):
        return token
    if token is None and caller.manages_agents and Action.MANAGE_USERS in caller.actions:
        raise NotFound(
            Reason.AGENT_TOKEN_NOT_FOUND, "there is no token {token_id}", token_id=token_id
        )
    raise PermissionDenied(
        Reason.TOKEN_ACCESS_DENIED,
        "there is no token {token_id} that you may do this with",
        token_id=token_id,
    )


def _may_see(tx: Transaction, caller: Principal, token: Token, now: datetime) -> bool:
    return _is_own(caller, token) or _has(tx, caller, token, Role.OPERATOR, now)


def _may_end(tx: Transaction, caller: Principal, token: Token, now: datetime) -> bool:
    if _is_own(caller, token):
        return True
    if token.user_id is not None:
        return _reaches(caller, token.user_id, Role.ADMIN) and _outranks(tx, caller, token.user_id)
    minted = caller.is_user(token.created_by) and caller.max_role is Role.ADMIN
    return minted or _has(tx, caller, token, Role.ADMIN, now)


def _may_rotate(tx: Transaction, caller: Principal, token: Token, now: datetime) -> bool:
    """Whoever rotates learns the new secret, so that they must be one who could mint the token.

    And the old one ends by it, so that they must be one who may end it.
    """
    if token.user_id is not None:
        may = _is_own(caller, token) or _outranks(tx, caller, token.user_id)
        return may and _may_mint_for(caller, token.user_id)
    minted = caller.is_user(token.created_by)
    may = minted or (caller.manages_agents and not token.act_as_owner)
    return may and _has(tx, caller, token, Role.ADMIN, now)


def _outranks(tx: Transaction, caller: Principal, user_id: int) -> bool:
    """Whether the caller's credential has every action of the user's role."""
    user = tx.users.find(user_id)
    return user is not None and caller.actions >= ROLE_ACTIONS[user.role]


def _require_reach_to_minted(mutation: Mutation, user: User) -> None:
    """Raise PermissionDenied unless the caller may end all that a user has minted.

    For agents that is whoever has ADMIN on each of them, or has minted the tokens; for users,
    whoever may end those users' tokens.
    """
    tx, caller = mutation.tx, mutation.caller
    if not caller.manages_agents and not caller.is_user(user.user_id):
        raise _missing(Action.MANAGE_AGENTS, "tokens that another user minted")
    for bearer_id in tx.tokens.users_minted_for(user.user_id, mutation.now):
        bearer_user = require_user(tx, bearer_id, share=True)
        require_actions_of(caller, bearer_user.role)


def _may_mint_for(caller: Principal, ref: UserRef) -> bool:
    """For another user it takes every right that the token could give: on all of their agents."""
    if not _reaches(caller, ref, Role.ADMIN):
        return False
    return is_caller(caller, ref) or caller.manages_agents


def _vouchers(mutation: Mutation, old: Token) -> set[int]:
    """Who vouches for a successor: whoever did for the old token, and whoever rotates it.

    Otherwise somebody who rotates another's token, and so learns its secret, would keep it beyond
    their own rights.
    """
    caller = mutation.caller
    vouchers = {*mutation.tx.tokens.vouchers(old.token_id), *caller.vouched_by}
    return (vouchers | {caller.user.user_id}) - {old.created_by}


def _is_own(caller: Principal, token: Token) -> bool:
    return caller.token is not None and caller.token.token_id == token.token_id


def _has(tx: Transaction, caller: Principal, token: Token, role: Role, now: datetime) -> bool:
    """Whether the caller has the role on the token's agent, or is its user, or manages users."""
    if token.user_id is not None:
        return _reaches(caller, token.user_id, role)
    agent = None if token.agent_id is None else tx.agents.find(token.agent_id)
    held = None if agent is None else held_on(tx, caller, agent, now)
    return held is not None and held.role >= role


def _reaches(caller: Principal, ref: UserRef, role: Role) -> bool:
    """Whether the caller is this user, or manages users, with a token that reaches the role.

    So a token with a low ceiling neither ends other tokens nor mints one that would outlive its
    own revocation.
    """
    may = is_caller(caller, ref) or Action.MANAGE_USERS in caller.actions
    return may and caller.max_role >= role


def _require_reach(caller: Principal, ref: UserRef, role: Role, what: str) -> None:
    if _reaches(caller, ref, role):
        return
    if is_caller(caller, ref) or Action.MANAGE_USERS in caller.actions:
        raise PermissionDenied(
            Reason.ROLE_INSUFFICIENT,
            "{what} need a token that reaches {required_role}, yours reaches {role}",
            required_role=role.name,
            role=caller.max_role.name,
            what=what,
        )
    raise _missing(Action.MANAGE_USERS, f"another user's {what}")


def _missing(action: Action, what: str) -> PermissionDenied:
    return PermissionDenied(
        Reason.ACTION_MISSING, "{what} need the action {actions}", actions=action.value, what=what
    )


def _ended(token_ids: list[str], about: Subject) -> Effect[int]:
    if not token_ids:
        return Effect(value=0)
    return Effect(
        value=len(token_ids),
        kind=ChangeKind.TOKEN_REVOKED,
        subjects=(about, *token_subjects(token_ids)),
        after={"tokens_revoked": len(token_ids)},
    )


def _subjects(token: Token) -> tuple[Subject, ...]:
    if token.agent_id is not None:
        holder = subject(SubjectKind.AGENT, token.agent_id)
    else:
        holder = subject(SubjectKind.USER, token.user_id)
    return (subject(SubjectKind.TOKEN, token.token_id), holder)
