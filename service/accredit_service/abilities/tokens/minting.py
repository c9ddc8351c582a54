"""Tokens come to be: minted within their minter's rights, or as successors of others."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from accredit_storage.records import (
    AgentId,
    Ceiling,
    ChangeKind,
    Role,
    SubjectKind,
    Token,
    UserId,
)

from ..calls import snapshots
from ..calls.app import App
from ..calls.callers import require_actions_of
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
from ..credentials import bearer
from ..errors import (
    Aborted,
    FailedPrecondition,
    PermissionDenied,
    Reason,
    action_missing,
    invalid,
)
from ..input import texts
from ..input.agent_refs import AgentRef, require_agent
from ..input.user_refs import (
    UserRef,
    is_caller,
    require_active,
)
from ..policy.permissions import Action
from ..policy.rights import Principal, expired
from ..policy.subjects import subject, subjects_of_token
from .access import may_mint_for, may_rotate, require_reach, require_token
from .keys import minting_key

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


def create_token(
    app: App, call: MutatingCall, command: CreateToken
) -> Written[MintedToken] | Replayed:
    """Mint a token within the caller's own rights."""
    label = texts.one_line("label", command.label)
    ceiling = None if command.ceiling is None else checked_ceiling(command.ceiling)

    def perform(mutation: Mutation) -> Effect[MintedToken]:
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
            subjects=subjects_of_token(token),
            after=snapshots.of_token(token),
            shown=token.token_id,
        )

    return mutate(app, call, perform, lock=RightsLock.SHARED)


def rotate_token(
    app: App, call: MutatingCall, command: RotateToken
) -> Written[RotatedToken] | Replayed:
    """Mint a successor with everything carried over; the old token ends after the overlap."""
    if not timedelta(0) <= command.overlap <= MAX_OVERLAP:
        raise invalid("overlap", "from 0 to {days} days", days=MAX_OVERLAP.days)

    def perform(mutation: Mutation) -> Effect[RotatedToken]:
        tx, now = mutation.tx, mutation.now
        old = require_token(tx, mutation.caller, command.token_id, now, may_rotate, lock=True)
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
        replaced = tx.tokens.set_replaced(
            old.token_id, successor_id=successor.token_id, expire_at=end
        )
        assert replaced is not None  # noqa: S101 - the row is locked
        return Effect(
            value=RotatedToken(MintedToken(successor, minted.secret), replaced),
            kind=ChangeKind.TOKEN_ROTATED,
            subjects=(*subjects_of_token(successor), subject(SubjectKind.TOKEN, old.token_id)),
            before=snapshots.of_token(old),
            after=snapshots.of_token(successor),
            shown=successor.token_id,
        )

    return mutate(app, call, perform)


def checked_ceiling(ceiling: Ceiling) -> Ceiling:
    """The ceiling as it is stored: sorted, without repeats. Raises InvalidArgument."""
    if len(ceiling.capabilities) > MAX_CAPABILITIES:
        raise invalid("ceiling.capabilities", "at most {limit}", limit=MAX_CAPABILITIES)
    for index, capability in enumerate(ceiling.capabilities):
        texts.capability(f"ceiling.capabilities[{index}]", capability)
    return replace(ceiling, capabilities=tuple(sorted(set(ceiling.capabilities))))


def _holder(mutation: Mutation, command: CreateToken) -> tuple[AgentId | None, UserId | None]:
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
    require_reach(caller, ref, Role.ADMIN, "new tokens")
    if not may_mint_for(caller, ref):
        raise action_missing(Action.MANAGE_AGENTS, "to mint another user's tokens")
    user = require_active(tx, ref)
    if not is_caller(caller, ref):
        require_actions_of(caller, user.role)
    return None, user.user_id


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
    if token.has_ended(now):
        raise FailedPrecondition(
            Reason.TOKEN_NOT_LIVE,
            "{token_id} is revoked or expired: mint a new one",
            token_id=token.token_id,
        )


def _vouchers(mutation: Mutation, old: Token) -> set[int]:
    """Who vouches for a successor: whoever did for the old token, and whoever rotates it.

    Otherwise somebody who rotates another's token, and so learns its secret, would keep it beyond
    their own rights.
    """
    caller = mutation.caller
    vouchers = {*mutation.tx.tokens.vouchers(old.token_id), *caller.vouched_by}
    return (vouchers | {caller.user.user_id}) - {old.created_by}
