"""Who may do what, as pure functions of records and a moment.

Effective rights are the owner's rights, within the token's ceiling, within its minter's rights,
while the agent is active. All of it is judged anew at every use: nothing here is stored, and
adding a restriction anywhere never adds a right.
"""

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from accredit_storage.records import (
    Agent,
    AgentStatus,
    Credential,
    Grant,
    Role,
    SiteId,
    Subject,
    SubjectKind,
    Token,
    User,
    UserId,
)

from .permissions import (
    AGENT_ACTIONS,
    ROLE_ACTIONS,
    Action,
    Speaker,
)
from .subjects import grant_subject, subject


class PrincipalKind(enum.Enum):
    """What kind of credential speaks."""

    USER = "user"
    AGENT = "agent"
    AGENT_AS_OWNER = "agent_as_owner"
    AGENT_IMPORTED = "agent_imported"


# The kinds that speak as their user and not merely as an agent of theirs.
_OWNERS = frozenset({PrincipalKind.USER, PrincipalKind.AGENT_AS_OWNER})


class RoleSource(enum.Enum):
    """Where a role on an agent comes from."""

    ADMINISTRATOR = "administrator"
    OWNER = "owner"
    GRANT = "grant"
    AGENT = "agent"


class Decision(enum.Enum):
    """The outcome of a question about somebody's credential or access."""

    ALLOWED = "allowed"
    TOKEN_INVALID = "token_invalid"  # noqa: S105 - an outcome, not a secret
    AGENT_INACTIVE = "agent_inactive"
    USER_INACTIVE = "user_inactive"
    MINTER_WITHOUT_RIGHTS = "minter_without_rights"
    ROLE_INSUFFICIENT = "role_insufficient"
    SITE_REQUIRED = "site_required"
    SITE_MISMATCH = "site_mismatch"
    CAPABILITY_MISSING = "capability_missing"
    NOT_OWNER = "not_owner"
    AGENT_AMBIGUOUS = "agent_ambiguous"

    # By identity, as a batch looks up a thousand.
    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who speaks, and the most that the credential may do at this moment.

    ``capabilities`` are those of consuming services; None means every one of them.
    ``valid_until`` is the earliest expiry that could take something away. ``vouched_by`` are the
    users besides ``user`` who minted the token, or the one that it was minted with, and so on: when
    one of them can no longer do so, it ends. ``rests_on`` is all that could change any of this.
    """

    kind: PrincipalKind
    user: User
    agent: Agent | None
    token: Token | None
    actions: frozenset[Action]
    max_role: Role
    capabilities: frozenset[str] | None
    valid_until: datetime | None
    vouched_by: frozenset[int] = frozenset()
    rests_on: frozenset[Subject] = frozenset()

    @property
    def manages_agents(self) -> bool:
        """Whether every agent is open to it."""
        return Action.MANAGE_AGENTS in self.actions

    def is_user(self, user_id: UserId) -> bool:
        """Whether it speaks as this user, not merely as an agent of theirs."""
        return self.kind in _OWNERS and self.user.user_id == user_id

    def may_speak(self, speaker: Speaker) -> bool:
        """Whether this kind of credential will do."""
        if speaker is Speaker.USER:
            return self.kind is PrincipalKind.USER
        return speaker is Speaker.ANY or self.kind in _OWNERS

    def holds(self, capability: str) -> bool:
        """Whether it has one of Accredit's actions, or a consuming service's capability."""
        if capability in _ACTION_NAMES:
            return Action(capability) in self.actions
        return self.capabilities is None or capability in self.capabilities


@dataclass(frozen=True, slots=True)
class EffectiveRole:
    """A role on an agent, where it comes from, and when it ends."""

    role: Role
    source: RoleSource
    until: datetime | None = None


#: The role on an agent of somebody whose grant on it is given with it.
RoleOn: TypeAlias = Callable[[Agent, Grant | None], EffectiveRole | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What somebody wants to do with an agent. ``site_id`` None: no site is stated."""

    minimum_role: Role
    site_id: SiteId | None = None
    capability: str = ""
    require_active: bool = False


# What most have is made once.
_AS_ADMINISTRATOR = EffectiveRole(Role.ADMIN, RoleSource.ADMINISTRATOR)
_AS_OWNER = EffectiveRole(Role.ADMIN, RoleSource.OWNER)
_ACTION_NAMES = frozenset(action.value for action in Action)


def expired(expire_at: datetime | None, now: datetime) -> bool:
    """Whether the moment has come: at ``expire_at`` itself it has."""
    return expire_at is not None and now >= expire_at


def earliest(moments: Iterable[datetime | None]) -> datetime | None:
    """The first of those that are set."""
    return min((moment for moment in moments if moment is not None), default=None)


def judge(credential: Credential, now: datetime) -> Principal | Decision:
    """Who presents this token, or why nobody does."""
    token = credential.token
    if token.has_ended(now):
        return Decision.TOKEN_INVALID
    if credential.agent is not None and credential.agent.status is not AgentStatus.ACTIVE:
        return Decision.AGENT_INACTIVE
    if not credential.user.active:
        return Decision.USER_INACTIVE
    if not _could_be_minted(credential):
        return Decision.MINTER_WITHOUT_RIGHTS
    if credential.agent is None:
        actions = ROLE_ACTIONS[credential.user.role]
        return _principal(credential, PrincipalKind.USER, actions, Role.ADMIN, until=None)
    if token.act_as_owner:
        return _judge_owner_token(credential)
    return _judge_agent_token(credential, credential.agent, now)


def rests_on(credential: Credential) -> frozenset[Subject]:
    """All that ``judge`` goes by: what has to change before its answer does, but for the time."""
    token, agent = credential.token, credential.agent
    users = (credential.user, credential.minter, *credential.vouchers)
    found = {subject(SubjectKind.TOKEN, token.token_id)}
    found |= {subject(SubjectKind.USER, user.user_id) for user in users}
    if agent is not None:
        found.add(subject(SubjectKind.AGENT, agent.agent_id))
        found.add(grant_subject(agent.agent_id, credential.minter.user_id))
    return frozenset(found)


def user_principal(user: User) -> Principal:
    """The user in person, without a token: the subject of a check."""
    return Principal(
        kind=PrincipalKind.USER,
        user=user,
        agent=None,
        token=None,
        actions=ROLE_ACTIONS[user.role] if user.active else frozenset(),
        max_role=Role.ADMIN,
        capabilities=None,
        valid_until=None,
        rests_on=frozenset({subject(SubjectKind.USER, user.user_id)}),
    )


def roles_of_user(user: User, actions: frozenset[Action], now: datetime) -> RoleOn:
    """The roles of a user who has these actions, before any ceiling. Status plays no part."""
    if not user.active:
        return lambda agent, grant: None
    if Action.MANAGE_AGENTS in actions:
        return lambda agent, grant: _AS_ADMINISTRATOR
    user_id = user.user_id

    def role_on(agent: Agent, grant: Grant | None) -> EffectiveRole | None:
        if agent.owner_id == user_id:
            return _AS_OWNER
        if grant is not None and not expired(grant.expire_at, now):
            return EffectiveRole(grant.role, RoleSource.GRANT, grant.expire_at)
        return None

    return role_on


def roles_of(principal: Principal, now: datetime) -> RoleOn:
    """The roles of a principal. A batch asks for a thousand."""
    most = principal.max_role
    if principal.kind is PrincipalKind.AGENT:
        own = None if principal.agent is None else principal.agent.agent_id
        as_agent = EffectiveRole(most, RoleSource.AGENT)
        return lambda agent, grant: as_agent if agent.agent_id == own else None
    role_of_user = roles_of_user(principal.user, principal.actions, now)
    if most is Role.ADMIN:
        return role_of_user

    def role_on(agent: Agent, grant: Grant | None) -> EffectiveRole | None:
        effective = role_of_user(agent, grant)
        if effective is None or effective.role <= most:
            return effective
        return EffectiveRole(most, effective.source, effective.until)

    return role_on


def effective_role(
    principal: Principal, agent: Agent, grant: Grant | None, now: datetime
) -> EffectiveRole | None:
    """The role of a principal on an agent; ``grant`` is the acting user's on it."""
    return roles_of(principal, now)(agent, grant)


def decide(
    principal: Principal, agent: Agent | None, effective: EffectiveRole | None, demand: Demand
) -> Decision:
    """Whether the role held meets the demand. An unknown agent is denied to everybody."""
    if not principal.user.active:
        return Decision.USER_INACTIVE
    # The role before everything else: what follows tells something about the agent.
    if agent is None or effective is None or effective.role < demand.minimum_role:
        return Decision.ROLE_INSUFFICIENT
    if demand.require_active and agent.status is not AgentStatus.ACTIVE:
        return Decision.AGENT_INACTIVE
    if agent.site_scope is not None and demand.site_id != agent.site_scope:
        return Decision.SITE_REQUIRED if demand.site_id is None else Decision.SITE_MISMATCH
    if demand.capability and not principal.holds(demand.capability):
        return Decision.CAPABILITY_MISSING
    return Decision.ALLOWED


def _could_be_minted(credential: Credential) -> bool:
    """Whether all by whose rights the token came to be still have them.

    Whoever mints for another user has to manage users, and so has whoever minted what it was minted
    with. Only an administrator's own token stands by itself: otherwise removing one administrator
    could leave the others without a token that works, since the first one minted them all.
    """
    minter, user = credential.minter, credential.user
    if credential.agent is None and _manages_users(user):
        return True
    if not minter.active or _manages_users(minter):
        return minter.active
    own = credential.agent is not None or minter.user_id == user.user_id
    return own and all(map(_manages_users, credential.vouchers))


def _manages_users(user: User) -> bool:
    return user.active and Action.MANAGE_USERS in ROLE_ACTIONS[user.role]


def _judge_owner_token(credential: Credential) -> Principal | Decision:
    if credential.minter.user_id != credential.user.user_id:
        return Decision.MINTER_WITHOUT_RIGHTS
    actions = ROLE_ACTIONS[credential.user.role]
    return _principal(credential, PrincipalKind.AGENT_AS_OWNER, actions, Role.ADMIN, until=None)


def _judge_agent_token(credential: Credential, agent: Agent, now: datetime) -> Principal | Decision:
    minter_actions = ROLE_ACTIONS[credential.minter.role]
    role_on = roles_of_user(credential.minter, minter_actions, now)
    effective = role_on(agent, credential.minter_grant)
    if effective is None:
        return Decision.MINTER_WITHOUT_RIGHTS
    actions = ROLE_ACTIONS[credential.user.role] & minter_actions & AGENT_ACTIONS
    return _principal(
        credential, PrincipalKind.AGENT, actions, effective.role, until=effective.until
    )


def _principal(
    credential: Credential,
    kind: PrincipalKind,
    actions: frozenset[Action],
    max_role: Role,
    *,
    until: datetime | None,
) -> Principal:
    ceiling = credential.token.ceiling
    others = {credential.minter.user_id, *(user.user_id for user in credential.vouchers)}
    others.discard(credential.user.user_id)
    capabilities = None
    if ceiling is not None:
        actions = frozenset(action for action in actions if action.value in ceiling.capabilities)
        max_role = min(max_role, ceiling.max_role)
        capabilities = frozenset(ceiling.capabilities) - _ACTION_NAMES
    return Principal(
        kind=kind,
        user=credential.user,
        agent=credential.agent,
        token=credential.token,
        actions=actions,
        max_role=max_role,
        capabilities=capabilities,
        valid_until=earliest((credential.token.expire_at, until)),
        vouched_by=frozenset(others),
        rests_on=rests_on(credential),
    )
