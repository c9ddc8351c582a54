"""Who may see, end and rotate a token, and mint for whom."""

from collections.abc import Callable
from datetime import datetime

from accredit_storage.records import (
    Role,
    Token,
    UserId,
)
from accredit_storage.store import Transaction

from ..credentials import bearer
from ..errors import NotFound, PermissionDenied, Reason, action_missing, invalid
from ..input.agent_refs import effective_role_on
from ..input.user_refs import (
    UserRef,
    is_caller,
)
from ..policy.permissions import ROLE_ACTIONS, Action
from ..policy.rights import Principal

_May = Callable[[Transaction, Principal, Token, datetime], bool]


def require_token(
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


def may_see(tx: Transaction, caller: Principal, token: Token, now: datetime) -> bool:
    """Whether the caller may look at a token."""
    return _is_own(caller, token) or _has(tx, caller, token, Role.OPERATOR, now)


def may_end(tx: Transaction, caller: Principal, token: Token, now: datetime) -> bool:
    """Whether the caller may revoke a token; its own always."""
    if _is_own(caller, token):
        return True
    if token.user_id is not None:
        return _reaches(caller, token.user_id, Role.ADMIN) and _outranks(tx, caller, token.user_id)
    minted = caller.is_user(token.created_by) and caller.max_role is Role.ADMIN
    return minted or _has(tx, caller, token, Role.ADMIN, now)


def may_rotate(tx: Transaction, caller: Principal, token: Token, now: datetime) -> bool:
    """Whoever rotates learns the new secret, so that they must be one who could mint the token.

    And the old one ends by it, so that they must be one who may end it.
    """
    if token.user_id is not None:
        may = _is_own(caller, token) or _outranks(tx, caller, token.user_id)
        return may and may_mint_for(caller, token.user_id)
    minted = caller.is_user(token.created_by)
    may = minted or (caller.manages_agents and not token.act_as_owner)
    return may and _has(tx, caller, token, Role.ADMIN, now)


def _outranks(tx: Transaction, caller: Principal, user_id: UserId) -> bool:
    """Whether the caller's credential has every action of the user's role."""
    user = tx.users.find(user_id)
    return user is not None and caller.actions >= ROLE_ACTIONS[user.role]


def may_mint_for(caller: Principal, ref: UserRef) -> bool:
    """For another user it takes every right that the token could give: on all of their agents."""
    if not _reaches(caller, ref, Role.ADMIN):
        return False
    return is_caller(caller, ref) or caller.manages_agents


def _is_own(caller: Principal, token: Token) -> bool:
    return caller.token is not None and caller.token.token_id == token.token_id


def _has(tx: Transaction, caller: Principal, token: Token, role: Role, now: datetime) -> bool:
    """Whether the caller has the role on the token's agent, or is its user, or manages users."""
    if token.user_id is not None:
        return _reaches(caller, token.user_id, role)
    agent = None if token.agent_id is None else tx.agents.find(token.agent_id)
    effective = None if agent is None else effective_role_on(tx, caller, agent, now)
    return effective is not None and effective.role >= role


def _reaches(caller: Principal, ref: UserRef, role: Role) -> bool:
    """Whether the caller is this user, or manages users, with a token that reaches the role.

    So a token with a low ceiling neither ends other tokens nor mints one that would outlive its
    own revocation.
    """
    may = is_caller(caller, ref) or Action.MANAGE_USERS in caller.actions
    return may and caller.max_role >= role


def require_reach(caller: Principal, ref: UserRef, role: Role, what: str) -> None:
    """Raise PermissionDenied unless the caller is this user, or manages users, up to the role."""
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
    raise action_missing(Action.MANAGE_USERS, f"to deal with another user's {what}")
