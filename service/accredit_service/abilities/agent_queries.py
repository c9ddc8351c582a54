"""Finding agents: one, several, a list, and the one that is meant."""

import enum
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from accredit_storage.agents import AgentQuery, ListedAgent
from accredit_storage.directory.directories import DirectoryState
from accredit_storage.errors import StoreError
from accredit_storage.records import Agent, AgentStatus, Grant, Role, User
from accredit_storage.store import Transaction

from . import texts
from .agent_refs import (
    AgentRef,
    default_agent,
    find_agent,
    held_on,
    require_agent,
    shown_holders,
)
from .app import App
from .directories import Directory
from .errors import FailedPrecondition, NotFound, PermissionDenied, Reason
from .facts import AgentFacts
from .paging import Cursor, Page, PageRequest
from .permissions import Action
from .reads import Ask, reading
from .rights import Principal, PrincipalKind, held_by, user_principal

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
    """Which agents to list. ``everyone``: scope ALL. ``user_id`` None: the acting user."""

    everyone: bool
    user_id: int | None
    site_id: int | None
    status: AgentStatus | None
    text: str


def get_agent(app: App, ask: Ask, ref: AgentRef) -> AgentView:
    """One agent. Raises PermissionDenied; NotFound to a caller who may see every agent."""
    with reading(app, ask) as (tx, caller, now, _):
        agent = require_agent(tx, caller, ref, Role.VIEWER, now)
        held = held_on(tx, caller, agent, now)
        role = Role.VIEWER if held is None else held.role
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


def batch_get_agents(app: App, ask: Ask, refs: Sequence[AgentRef]) -> list[Agent]:
    """Those of the agents that the caller may view, lowest id first, each once."""
    with reading(app, ask) as (tx, caller, now, _):
        user_id = caller.user.user_id
        facts = AgentFacts(tx, ((ref, user_id) for ref in refs))
        return [
            agent
            for agent in facts.agents
            if held_by(caller, agent, facts.grant(agent, user_id), now) is not None
        ]


def list_agents(app: App, ask: Ask, query: ListAgents, page: PageRequest) -> Page[ListedAgent]:
    """One page of a user's agents, or of all. Raises PermissionDenied for more than one's own."""
    with reading(app, ask) as (tx, caller, now, head):
        target = caller.user.user_id if query.user_id is None else query.user_id
        _may_list(caller, target, everyone=query.everyone)
        cursor = Cursor(page, caller, head.epoch)
        after = cursor.after(int, int)
        only = (
            caller.agent.agent_id if caller.agent and caller.kind is PrincipalKind.AGENT else None
        )
        found = tx.agents.page(
            AgentQuery(
                only=only,
                user_id=target,
                everyone=query.everyone,
                site_id=query.site_id,
                status=query.status,
                text=texts.search("text", query.text),
                at=now,
                after=None if after is None else (after[0], after[1]),
                limit=cursor.size + 1,
            )
        )
        if not query.everyone and not _lists_for(tx, caller, target):
            found = []
        return cursor.page(found, lambda one: (one.block, one.agent.agent_id))


def resolve_agent(app: App, ask: Ask, ref: AgentRef | None, user_id: int | None) -> Agent:
    """The agent that is meant. Never creates one.

    Raises FailedPrecondition with the candidates if several could be, NotFound if none.
    """
    with reading(app, ask) as (tx, caller, now, _):
        resolves_any = Action.AUTHENTICATE in caller.actions
        if ref is not None:
            agent = find_agent(tx, ref) if resolves_any else None
            return agent or require_agent(tx, caller, ref, Role.VIEWER, now)
        whose = caller
        if user_id is not None and not caller.is_user(user_id):
            if not resolves_any:
                raise PermissionDenied(
                    Reason.ACTION_MISSING,
                    "another user's default agent needs the action authenticate",
                    metadata={"actions": Action.AUTHENTICATE.value},
                )
            user = tx.users.find(user_id)
            if user is None:
                raise NotFound(Reason.USER_NOT_FOUND, f"there is no user {user_id}")
            whose = user_principal(user)
        agent, candidates = default_agent(tx, whose, now)
    if agent is not None:
        return agent
    if candidates:
        raise FailedPrecondition(
            Reason.AGENT_AMBIGUOUS,
            f"several agents could be meant, name one: {', '.join(candidates)}",
            metadata={"candidates": ",".join(candidates)},
        )
    raise NotFound(Reason.NO_AGENT, "there is no agent to be meant: name one, or create one")


def _may_list(caller: Principal, target: int, *, everyone: bool) -> None:
    if caller.manages_agents:
        return
    if everyone:
        raise PermissionDenied(
            Reason.AGENT_SCOPE_FORBIDDEN, "scope ALL is for an admin: it needs manage_agents"
        )
    if target != caller.user.user_id:
        raise PermissionDenied(
            Reason.AGENT_USER_SCOPE_FORBIDDEN,
            "another user's agents need the action manage_agents",
        )


def _lists_for(tx: Transaction, caller: Principal, target: int) -> bool:
    """An inactive user has no access, so that their list is empty as their checks are denied."""
    if target == caller.user.user_id:
        return True
    user = tx.users.find(target)
    return user is not None and user.active
