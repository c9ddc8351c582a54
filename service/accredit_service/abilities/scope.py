"""Which rows of another service a principal may see: what to filter by, and one row at a time.

"Everything" is always said in so many words; whatever cannot be resolved is a denial. The
reference system answered both with null, and services showed everything to whom nothing was meant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from accredit_storage.agents import AgentQuery
from accredit_storage.records import Agent, AgentStatus, Role
from accredit_storage.store import Transaction

from .agent_refs import AgentRef, find_agent, held_on, told
from .app import App
from .auth import subject
from .consistency import Basis
from .errors import FailedPrecondition, PermissionDenied, Reason
from .permissions import Action
from .reads import Ask, reading
from .rights import Decision, Demand, Held, Principal, PrincipalKind, decide

MAX_AGENTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveScope:
    """What is asked for. No ``token``: for the caller. No ``user_id``, no ``agent``: whichever."""

    token: str
    user_id: int | None
    agent: AgentRef | None
    demand: Demand


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What to filter by. ``user_id`` None: everybody's. ``agent_ids`` None: every agent's.

    ``named`` says that the one agent in ``agent_ids`` was named or is the principal itself.
    """

    user_id: int | None
    agent_ids: tuple[int, ...] | None
    named: bool
    default_agent_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeResult:
    """The scope, or None and why."""

    decision: Decision
    scope: Scope | None
    principal: Principal | None
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResource:
    """A row that carries a user and an agent; 0 for a user shares it, None for an agent is none."""

    token: str
    user_id: int
    agent_id: int | None
    demand: Demand


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceResult:
    """Whether the principal may touch the row."""

    decision: Decision
    principal: Principal | None
    basis: Basis


def resolve_scope(app: App, ask: Ask, query: ResolveScope) -> ScopeResult:
    """What a principal's queries filter by, or a denial."""
    with reading(app, ask) as (tx, caller, now, head):
        _may_ask(caller, query.token)
        basis = Basis.of(head)
        decision, principal = _principal(app, tx, caller, query.token, now)
        if principal is None:
            return ScopeResult(decision=decision, scope=None, principal=None, basis=basis)
        basis = basis.with_principal(principal)
        scope = None
        if principal.max_role < query.demand.minimum_role:
            # No agent can be reached then, and "everybody's rows" would be all that is left.
            decision = Decision.ROLE_INSUFFICIENT
        elif query.agent is not None:
            decision, agent, held = _named(tx, principal, query.agent, query.demand, now)
            basis = basis.with_agent(told(caller, agent, held), held, query.demand.site_id)
            agent_ids = () if agent is None else (agent.agent_id,)
            scope = Scope(
                user_id=_users(principal, query.user_id),
                agent_ids=agent_ids,
                named=True,
                default_agent_id=agent_ids[0] if agent_ids else None,
            )
        else:
            scope, until = _unnamed(tx, principal, query, now)
            basis = basis.until(until).with_agent(None, None, query.demand.site_id)
            decision = Decision.ALLOWED
        return ScopeResult(
            decision=decision,
            scope=scope if decision is Decision.ALLOWED else None,
            principal=principal,
            basis=basis,
        )


def check_resource(app: App, ask: Ask, query: CheckResource) -> ResourceResult:
    """Whether a principal may touch one row of another service."""
    with reading(app, ask) as (tx, caller, now, head):
        _may_ask(caller, query.token)
        basis = Basis.of(head)
        decision, principal = _principal(app, tx, caller, query.token, now)
        if principal is None:
            return ResourceResult(decision=decision, principal=None, basis=basis)
        basis = basis.with_principal(principal)
        if query.agent_id is not None:
            decision, agent, held = _named(tx, principal, query.agent_id, query.demand, now)
            basis = basis.with_agent(told(caller, agent, held), held, query.demand.site_id)
        elif principal.max_role < query.demand.minimum_role:
            decision = Decision.ROLE_INSUFFICIENT
        else:
            shared = query.user_id == 0
            owns = principal.is_user(query.user_id) or principal.manages_agents
            decision = Decision.ALLOWED if shared or owns else Decision.NOT_OWNER
        return ResourceResult(decision=decision, principal=principal, basis=basis)


def _may_ask(caller: Principal, token: str) -> None:
    if token and Action.AUTHENTICATE not in caller.actions:
        raise PermissionDenied(
            Reason.ACTION_MISSING,
            "another token's scope needs the action authenticate",
            metadata={"actions": Action.AUTHENTICATE.value},
        )


def _principal(
    app: App, tx: Transaction, caller: Principal, token: str, now: datetime
) -> tuple[Decision, Principal | None]:
    return subject(app, tx, token, now) if token else (Decision.ALLOWED, caller)


def _named(
    tx: Transaction, principal: Principal, ref: AgentRef, demand: Demand, now: datetime
) -> tuple[Decision, Agent | None, Held | None]:
    agent = find_agent(tx, ref)
    held = None if agent is None else held_on(tx, principal, agent, now)
    return decide(principal, agent, held, demand), agent, held


def _users(principal: Principal, wanted: int | None) -> int | None:
    """Whose rows: without manage_agents always one's own, whoever is named."""
    return wanted if principal.manages_agents else principal.user.user_id


def _unnamed(
    tx: Transaction, principal: Principal, query: ResolveScope, now: datetime
) -> tuple[Scope, datetime | None]:
    user_id = _users(principal, query.user_id)
    if principal.kind is PrincipalKind.AGENT and principal.agent is not None:
        return _own_agent(principal, principal.agent, query.demand, user_id), None
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
            Reason.SCOPE_TOO_WIDE, f"more than {MAX_AGENTS} agents: name one of them"
        )
    reached = [one for one in listed if _reaches(principal, one.role, query.demand)]
    agent_ids = [one.agent.agent_id for one in reached]
    everything = principal.manages_agents and principal.max_role >= query.demand.minimum_role
    scope = Scope(
        user_id=user_id,
        agent_ids=None if everything else tuple(sorted(agent_ids)),
        named=False,
        default_agent_id=_default(principal, agent_ids),
    )
    granted = any(not one.is_owner for one in reached)
    return scope, tx.grants.next_expiry(principal.user.user_id, now) if granted else None


def _reaches(principal: Principal, role: Role | None, demand: Demand) -> bool:
    """Whether a role that its user has on an agent will do, within the principal's ceiling."""
    if principal.manages_agents:
        role = Role.ADMIN
    return role is not None and min(role, principal.max_role) >= demand.minimum_role


def _default(principal: Principal, agent_ids: Sequence[int]) -> int | None:
    """Of agents in their order: the one whose token it is, else the first."""
    if principal.agent is not None and principal.agent.agent_id in agent_ids:
        return principal.agent.agent_id
    return agent_ids[0] if agent_ids else None


def _own_agent(principal: Principal, agent: Agent, demand: Demand, user_id: int | None) -> Scope:
    at_site = agent.site_scope is None or demand.site_id in (None, agent.site_scope)
    reaches = principal.max_role >= demand.minimum_role and at_site
    return Scope(
        user_id=user_id,
        agent_ids=(agent.agent_id,) if reaches else (),
        named=reaches,
        default_agent_id=agent.agent_id if reaches else None,
    )
