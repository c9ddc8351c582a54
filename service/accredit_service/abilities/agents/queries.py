"""Finding agents: one, several, a list, and the one that is meant."""

import enum
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from accredit_storage.agents import AgentQuery, ListedAgent
from accredit_storage.directory.directories import DirectoryState
from accredit_storage.errors import StoreError
from accredit_storage.records import Agent, AgentStatus, Grant, Role, SiteId, User, UserId, folded
from accredit_storage.store import Transaction

from ..calls.app import App
from ..calls.paging import Cursor, Page, PageRequest
from ..calls.reads import Ask, reading
from ..errors import (
    FailedPrecondition,
    NotFound,
    PermissionDenied,
    Reason,
    action_missing,
)
from ..facts import TransactionFacts
from ..files.directories import Directory
from ..input import texts
from ..input.agent_refs import (
    AgentRef,
    find_agent,
    require_agent,
    require_reach,
    shown_holders,
)
from ..input.facts import AgentFacts
from ..input.user_refs import UserRef, is_caller, require_user
from ..policy.permissions import Action
from ..policy.rights import (
    Principal,
    PrincipalKind,
    user_principal,
)
from .default_agents import suggested

MAX_BATCH = 100
_MAX_GRANTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    """An agent, the caller's role on it, its grants if that role is ADMIN, and its directory.

    ``directory`` None: the disk does not answer.
    """

    agent: Agent
    caller_role: Role
    grants: Sequence[tuple[Grant, User]]
    directory_path: str
    directory: DirectoryState | None


class ListScope(enum.Enum):
    """Whose agents: one user's, or all."""

    MINE = "mine"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAgents:
    """Which agents to list. ``everyone``: scope ALL. ``user`` None: the acting user."""

    everyone: bool
    user: UserRef | None
    site_id: SiteId | None
    status: AgentStatus | None
    text: str


def get_agent(app: App, ask: Ask, ref: AgentRef) -> AgentView:
    """One agent. Raises PermissionDenied; NotFound to a caller who may see every agent."""
    with reading(app, ask) as (tx, caller, now, _):
        agent, effective = require_reach(tx, caller, ref, Role.VIEWER, now)
        role = effective.role
        grants: Sequence[tuple[Grant, User]] = ()
        if role is Role.ADMIN:
            grants = shown_holders(
                caller, tx.grants.page_for_agent(agent.agent_id, after=None, limit=_MAX_GRANTS)
            )
    directory = Directory(agent=agent)
    state = None
    with suppress(StoreError):
        state = directory.state(app)
    return AgentView(
        agent=agent,
        caller_role=role,
        grants=grants,
        directory_path=directory.path,
        directory=state,
    )


def batch_get_agents(
    app: App, ask: Ask, refs: Sequence[AgentRef], page: PageRequest
) -> Page[Agent]:
    """One page of those of the agents that the caller may view, lowest id first, each once."""
    with reading(app, ask) as (tx, caller, now, head):
        cursor = Cursor(page, caller, head.epoch)
        after = cursor.after(int)
        last = 0 if after is None else after[0]
        user_id = caller.user.user_id
        asked = ((ref, user_id) for ref in refs)
        facts = AgentFacts(TransactionFacts(tx, app.dead_tokens), asked, now, caller)
        found = [agent for agent in facts.agents if agent.agent_id > last]
        return cursor.page(found, lambda agent: (agent.agent_id,))


def list_agents(app: App, ask: Ask, query: ListAgents, page: PageRequest) -> Page[ListedAgent]:
    """One page of a user's agents, or of all. Raises PermissionDenied for more than one's own."""
    with reading(app, ask) as (tx, caller, now, head):
        user_id, active = _listed_user(tx, caller, query)
        cursor = Cursor(page, caller, head.epoch, about=user_id)
        after = cursor.after(int, int)
        only = (
            caller.agent.agent_id if caller.agent and caller.kind is PrincipalKind.AGENT else None
        )
        found = tx.agents.page(
            AgentQuery(
                only=only,
                user_id=user_id,
                everyone=query.everyone,
                site_id=query.site_id,
                status=query.status,
                text=texts.search("text", query.text),
                at=now,
                after=None if after is None else (after[0], after[1]),
                limit=cursor.size + 1,
            )
        )
        if not query.everyone and not active:
            # An inactive user has no access: their list is empty, as their checks are denied.
            found = []
        return cursor.page(found, lambda one: (one.block, one.agent.agent_id))


def resolve_agent(app: App, ask: Ask, ref: AgentRef | None, user: UserRef | None) -> Agent:
    """The agent that is meant. Never creates one.

    Raises FailedPrecondition with the candidates if several could be, NotFound if none.
    """
    with reading(app, ask) as (tx, caller, now, _):
        resolves_any = Action.AUTHENTICATE in caller.actions
        if ref is not None:
            agent = find_agent(tx, ref) if resolves_any else None
            return agent or require_agent(tx, caller, ref, Role.VIEWER, now)
        whose = caller
        if user is not None and not is_caller(caller, user):
            if not resolves_any:
                raise action_missing(Action.AUTHENTICATE, "to resolve another user's default agent")
            whose = user_principal(require_user(tx, user))
        found = suggested(tx, TransactionFacts(tx, app.dead_tokens), whose, now)
        if found.agent is not None and found.fixed and not resolves_any:
            _require_usable(require_agent(tx, caller, found.agent.agent_id, Role.VIEWER, now))
    if found.agent is not None:
        return found.agent
    if found.candidates:
        raise FailedPrecondition(
            Reason.AGENT_AMBIGUOUS,
            "several agents could be meant, name one: {candidates}",
            candidates=", ".join(found.candidates),
        )
    raise NotFound(Reason.NO_AGENT, "there is no agent to be meant: name one, or create one")


def _require_usable(agent: Agent) -> None:
    """Raise PermissionDenied for a chosen agent that is not active: no other takes its place."""
    if agent.status is not AgentStatus.ACTIVE:
        raise PermissionDenied(
            Reason.AGENT_INACTIVE,
            "{agent_slug!r}, which you chose as your default agent, is not active: name "
            "another, or choose one",
            agent_slug=agent.agent_slug,
        )


def _listed_user(tx: Transaction, caller: Principal, query: ListAgents) -> tuple[UserId, bool]:
    """Whose agents are listed, and whether they are active. Raises PermissionDenied, NotFound."""
    if query.everyone and not caller.manages_agents:
        raise PermissionDenied(
            Reason.AGENT_SCOPE_FORBIDDEN, "scope ALL is for an admin: it needs manage_agents"
        )
    own = caller.user
    is_own = query.user in (None, own.user_id)
    if isinstance(query.user, str):
        is_own = folded(query.user) == folded(own.login)
    if query.user is None or is_own:
        return own.user_id, own.active
    if not caller.manages_agents:
        raise PermissionDenied(
            Reason.AGENT_USER_SCOPE_FORBIDDEN,
            "another user's agents need the action manage_agents",
        )
    if isinstance(query.user, str):
        user = require_user(tx, query.user)
        return user.user_id, user.active
    found = tx.users.find(query.user)
    return query.user, found is not None and found.active
