"""The caller's own credential: believed or refused, and held against what a call demands."""

from datetime import datetime

from accredit_storage.records import Credential, Role, UserRole

from ..errors import PermissionDenied, Reason, Unauthenticated, actions_missing
from ..facts import Judged
from ..policy.methods import Method
from ..policy.permissions import ROLE_ACTIONS, Speaker
from ..policy.rights import (
    Decision,
    Principal,
    PrincipalKind,
    judge,
)
from .app import App

_REFUSALS = {
    Decision.TOKEN_INVALID: Unauthenticated(
        Reason.TOKEN_INVALID, "the token is unknown, expired or revoked: present a live one"
    ),
    Decision.USER_INACTIVE: Unauthenticated(
        Reason.USER_INACTIVE, "the token's user is deactivated: ask an administrator"
    ),
    Decision.MINTER_WITHOUT_RIGHTS: Unauthenticated(
        Reason.MINTER_WITHOUT_RIGHTS,
        "whoever minted the token has no right left to pass on: mint a new one",
    ),
    Decision.AGENT_INACTIVE: PermissionDenied(
        Reason.AGENT_INACTIVE, "the token's agent is not active: its owner can make it so"
    ),
}


def accept(app: App, credential: Credential | None) -> Principal:
    """Who presents the credential, noted as having used it.

    Raises Unauthenticated, or PermissionDenied if only the agent is at fault. None: there is no
    such token.
    """
    now = app.now()
    outcome = Decision.TOKEN_INVALID if credential is None else judge(credential, now)
    return accept_judged(app, Judged(credential, outcome), now)


def accept_judged(app: App, judged: Judged, now: datetime) -> Principal:
    """The same of a credential that was judged already."""
    outcome = judged.outcome
    if isinstance(outcome, Decision):
        refusal = _REFUSALS[outcome]
        # A new one each time: an exception that is raised twice collects tracebacks.
        raise type(refusal)(refusal.reason, refusal.message)
    if outcome.token is not None:
        app.usage.note(outcome.token.token_id, now)
    return outcome


def permits(caller: Principal, permission: Method) -> bool:
    """Whether ``permit`` would let the caller in."""
    if not caller.may_speak(permission.speaker):
        return False
    return not permission.any_action or not permission.any_action.isdisjoint(caller.actions)


def permit(caller: Principal, permission: Method) -> None:
    """Raise PermissionDenied unless the caller has an action, and a kind of token, that will do."""
    if permits(caller, permission):
        return
    if not caller.may_speak(permission.speaker):
        needed = permission.speaker.value
        if permission.speaker is Speaker.USER and caller.kind is PrincipalKind.AGENT_AS_OWNER:
            needed = "a user's token: acting as the owner is not enough"
        raise PermissionDenied(
            Reason.USER_TOKEN_REQUIRED, "this call needs {needed}", needed=needed
        )
    if permission.any_action and not permission.any_action & caller.actions:
        which = "the action" if len(permission.any_action) == 1 else "one of the actions"
        raise actions_missing(permission.any_action, f"this call needs {which} {{actions}}")


def require_full_reach(caller: Principal) -> None:
    """Raise PermissionDenied for a token that is held to little.

    With such a token nobody changes themselves, nor takes or gives up what is theirs.
    """
    if caller.max_role < Role.ADMIN:
        raise PermissionDenied(
            Reason.ROLE_INSUFFICIENT,
            "this needs a token that reaches ADMIN, yours reaches {role}",
            required_role=Role.ADMIN.name,
            role=caller.max_role.name,
        )


def require_actions_of(caller: Principal, role: UserRole) -> None:
    """Raise PermissionDenied where the role can do more than the caller's own credential.

    Nobody gives such a role away, and nobody acts on a user who has it: changes them, stops them,
    or ends their tokens.
    """
    if missing := ROLE_ACTIONS[role] - caller.actions:
        message = "the role {role} has actions that your credential lacks: {actions}"
        raise actions_missing(missing, message, role=role.name)
