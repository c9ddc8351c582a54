"""The scope of a principal: which rows of other services they may see, listed or one by one.

"Everything" is always said in so many words; whatever cannot be resolved is a denial. The
reference system answered both with null, and services showed everything to whom nothing was meant.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from accredit_storage.agents import AgentQuery
from accredit_storage.records import Agent, AgentId, AgentStatus, Role, SubjectKind, UserId
from accredit_storage.store import Transaction

from .calls.app import App
from .calls.consistency import Basis
from .calls.introspection import Introspection, introspect, presented
from .calls.reads import Ask, basis_of, reading
from .errors import FailedPrecondition, Reason, action_missing
from .facts import TransactionFacts
from .input.agent_refs import (
    AgentRef,
    effective_role_on,
    find_agent,
    knows_every_agent,
    reach,
)
from .input.user_refs import UserRef, is_caller, require_user
from .policy.permissions import Action
from .policy.rights import (
    Decision,
    Demand,
    EffectiveRole,
    Principal,
    PrincipalKind,
    decide,
)
from .policy.subjects import login_subject, subject

MAX_AGENTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveScope:
    """What is asked for. ``token`` None: for the caller. No ``user``, no ``agent``: whichever."""

    token: str | None
    user: UserRef | None
    agent: AgentRef | None
    demand: Demand


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What to filter by. ``user_id`` None: everybody's. ``agent_ids`` None: every agent's.

    ``named`` says that the one agent in ``agent_ids`` was named or is the principal itself.
    """

    user_id: UserId | None
    agent_ids: tuple[AgentId, ...] | None
    named: bool
    default_agent_id: AgentId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeResult:
    """The scope, or None and why."""

    decision: Decision
    scope: Scope | None
    principal: Principal | None
    basis: Basis


class Shared(enum.Enum):
    """Whom a row belongs to that belongs to nobody."""

    SHARED = "shared"


@dataclass(frozen=True, slots=True)
class OfAgent:
    """A row that carries an agent."""

    agent: AgentRef


@dataclass(frozen=True, slots=True)
class OfUser:
    """A row that carries a user and no agent."""

    user: UserRef


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResource:
    """A row, by whom it belongs to. ``token`` None: asked for the caller."""

    token: str | None
    owner: OfAgent | OfUser | Shared
    demand: Demand


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceResult:
    """Whether the principal may touch the row."""

    decision: Decision
    principal: Principal | None
    basis: Basis


def resolve_scope(app: App, ask: Ask, query: ResolveScope) -> ScopeResult:
    """What a principal's queries filter by, or a denial."""
    digest = None if query.token is None else presented(app, query.token)
    with reading(app, ask) as view:
        tx, caller, now, _ = view
        basis = basis_of(view)
        found = _introspect(app, tx, caller, query.token is None, digest, basis)
        principal, basis = found.principal, found.basis
        if principal is None:
            return ScopeResult(decision=found.decision, scope=None, principal=None, basis=basis)
        decision, scope = Decision.ALLOWED, None
        if principal.max_role < query.demand.minimum_role:
            # No agent can be reached then, and "everybody's rows" would be all that is left.
            decision = Decision.ROLE_INSUFFICIENT
        elif query.agent is not None:
            decision, agent, effective = _named(
                tx, caller, principal, query.agent, query.demand, now
            )
            hidden = not knows_every_agent(caller)
            basis = basis.on_agent(query.agent, principal, agent, effective, may_be_hidden=hidden)
            if agent is not None and decision is Decision.ALLOWED:
                user_id, basis = _users(tx, principal, query.user, basis)
                scope = Scope(
                    user_id=user_id,
                    agent_ids=(agent.agent_id,),
                    named=True,
                    default_agent_id=agent.agent_id,
                )
        else:
            scope, basis = _unnamed(tx, principal, query, basis)
        return ScopeResult(decision=decision, scope=scope, principal=principal, basis=basis)


def check_resource(app: App, ask: Ask, query: CheckResource) -> ResourceResult:
    """Whether a principal may touch one row of another service."""
    digest = None if query.token is None else presented(app, query.token)
    with reading(app, ask) as view:
        tx, caller, now, _ = view
        basis = basis_of(view)
        found = _introspect(app, tx, caller, query.token is None, digest, basis)
        principal, basis = found.principal, found.basis
        if principal is None:
            return ResourceResult(decision=found.decision, principal=None, basis=basis)
        owner = query.owner
        if isinstance(owner, OfAgent):
            decision, agent, effective = _named(
                tx, caller, principal, owner.agent, query.demand, now
            )
            hidden = not knows_every_agent(caller)
            basis = basis.on_agent(owner.agent, principal, agent, effective, may_be_hidden=hidden)
        elif principal.max_role < query.demand.minimum_role:
            decision = Decision.ROLE_INSUFFICIENT
        elif owner is Shared.SHARED or principal.manages_agents:
            decision = Decision.ALLOWED
        else:
            decision = Decision.NOT_OWNER
            if isinstance(owner, OfUser) and is_caller(principal, owner.user):
                decision = Decision.ALLOWED
        return ResourceResult(decision=decision, principal=principal, basis=basis)


def _introspect(
    app: App,
    tx: Transaction,
    caller: Principal,
    about_caller: bool,
    digest: bytes | None,
    basis: Basis,
) -> Introspection:
    """Whom it is asked for: the caller, or the bearer of a token for who may ask about those."""
    if about_caller:
        return Introspection(
            decision=Decision.ALLOWED, principal=caller, basis=basis.on_principal(caller)
        )
    if Action.AUTHENTICATE not in caller.actions:
        raise action_missing(Action.AUTHENTICATE, "to ask for another token")
    return introspect(app, TransactionFacts(tx, app.dead_tokens), digest, basis)


def _named(
    tx: Transaction,
    caller: Principal,
    principal: Principal,
    ref: AgentRef,
    demand: Demand,
    now: datetime,
) -> tuple[Decision, Agent | None, EffectiveRole | None]:
    """The decision on an agent that is named, and what it was made of."""
    if knows_every_agent(caller):
        agent = find_agent(tx, ref)
        effective = None if agent is None else effective_role_on(tx, principal, agent, now)
    else:
        # Then the principal is the caller.
        agent, effective = reach(tx, principal, ref, now) or (None, None)
    return decide(principal, agent, effective, demand), agent, effective


def _users(
    tx: Transaction, principal: Principal, wanted: UserRef | None, basis: Basis
) -> tuple[UserId | None, Basis]:
    """Whose rows, None for everybody's. Without manage_agents always one's own."""
    if not principal.manages_agents:
        return principal.user.user_id, basis
    if not isinstance(wanted, str):
        return wanted, basis
    # By a login the answer says whose id it is.
    user_id = require_user(tx, wanted).user_id
    return user_id, basis.on(login_subject(tx, wanted), subject(SubjectKind.USER, user_id))


def _unnamed(
    tx: Transaction, principal: Principal, query: ResolveScope, basis: Basis
) -> tuple[Scope, Basis]:
    now = basis.judged_at
    user_id, basis = _users(tx, principal, query.user, basis)
    if principal.kind is PrincipalKind.AGENT and principal.agent is not None:
        return _own_agent(principal, principal.agent, query.demand, user_id), basis
    # Which agents these are may change by what happens to any agent.
    basis = basis.not_kept()
    listed = tx.agents.page(
        AgentQuery(
            user_id=principal.user.user_id,
            everyone=False,
            site_id=query.demand.site_id,
            status=AgentStatus.ACTIVE if query.demand.require_active else None,
            text=None,
            at=now,
            after=None,
            limit=MAX_AGENTS + 1,
        )
    )
    if len(listed) > MAX_AGENTS and not principal.manages_agents:
        raise FailedPrecondition(
            Reason.SCOPE_TOO_WIDE,
            "more than {limit} agents: name one of them",
            limit=MAX_AGENTS,
        )
    reached = [one for one in listed if _reaches(principal, one.role, query.demand)]
    agent_ids = [one.agent.agent_id for one in reached]
    everything = principal.manages_agents and principal.max_role >= query.demand.minimum_role
    scope = Scope(
        user_id=user_id,
        agent_ids=None if everything else tuple(sorted(agent_ids)),
        named=False,
        default_agent_id=_default(tx, principal, query.demand, agent_ids, now),
    )
    return scope, basis


def _reaches(principal: Principal, role: Role | None, demand: Demand) -> bool:
    """Whether a role that its user has on an agent will do, within the principal's ceiling."""
    if principal.manages_agents:
        role = Role.ADMIN
    return role is not None and min(role, principal.max_role) >= demand.minimum_role


def _default(
    tx: Transaction,
    principal: Principal,
    demand: Demand,
    agent_ids: Sequence[AgentId],
    now: datetime,
) -> AgentId | None:
    """Of agents in their order: the token's own, else the chosen one and no other, else the first.

    An administrator may have chosen one that is neither theirs nor granted to them.
    """
    if principal.agent is not None and principal.agent.agent_id in agent_ids:
        return principal.agent.agent_id
    chosen = principal.user.default_agent_id
    if principal.agent is not None or chosen is None:
        return agent_ids[0] if agent_ids else None
    agent = tx.agents.find(chosen)
    effective = None if agent is None else effective_role_on(tx, principal, agent, now)
    if agent is None or effective is None or effective.role < demand.minimum_role:
        return None
    return chosen if _fits(agent, demand) else None


def _fits(agent: Agent, demand: Demand) -> bool:
    """Whether an agent that is not named is one that the demand is about."""
    if demand.require_active and agent.status is not AgentStatus.ACTIVE:
        return False
    return demand.site_id is None or agent.site_scope in (None, demand.site_id)


def _own_agent(principal: Principal, agent: Agent, demand: Demand, user_id: UserId | None) -> Scope:
    at_site = agent.site_scope is None or demand.site_id in (None, agent.site_scope)
    reaches = principal.max_role >= demand.minimum_role and at_site
    return Scope(
        user_id=user_id,
        agent_ids=(agent.agent_id,) if reaches else (),
        named=reaches,
        default_agent_id=agent.agent_id if reaches else None,
    )
