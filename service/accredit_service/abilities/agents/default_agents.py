"""Which agent is meant where none is named, and the choice that a user makes of one.

The token's own agent; else the one that the user chose; else the single active one that they own.
An agent that was granted decides nothing by itself: otherwise a stranger's grant would say what
somebody's question means. It is suggested to whoever asks which agent there is to work on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from accredit_storage.agents import AgentQuery
from accredit_storage.records import (
    Agent,
    AgentStatus,
    ChangeKind,
    Role,
    SubjectKind,
    User,
    UserUpdate,
)
from accredit_storage.store import Transaction, WriteTransaction

from ..calls import snapshots
from ..calls.app import App
from ..calls.callers import require_full_reach
from ..calls.mutations import (
    Effect,
    MutatingCall,
    Mutation,
    Replayed,
    RightsLock,
    Written,
    mutate,
)
from ..facts import Facts
from ..input.agent_refs import AgentRef, require_agent
from ..policy.permissions import ROLE_ACTIONS, Action
from ..policy.rights import Principal
from ..policy.subjects import subject

_CANDIDATES = 20


@dataclass(frozen=True, slots=True)
class Meant:
    """The agent that is meant, or None and the slugs of those that could be.

    ``fixed``: it is the token's own or the chosen one, whatever other agents there are. Then it
    is meant also while it is inactive or out of reach: the question is denied, and never goes to
    another agent.
    """

    agent: Agent | None
    fixed: bool = False
    candidates: tuple[str, ...] = ()


def meant(facts: Facts, principal: Principal) -> Meant:
    """The agent that a question is about which names none: what Authorize and WhoAmI go by."""
    return _fixed(facts, principal) or _only_one(facts.owned(principal.user.user_id))


def suggested(tx: Transaction, facts: Facts, principal: Principal, now: datetime) -> Meant:
    """The agent to work on: the one that is meant, else the single active one that was granted."""
    found = _fixed(facts, principal)
    if found is not None:
        return found
    owned = facts.owned(principal.user.user_id)
    return _only_one(owned or _granted(tx, principal, now))


def set_default_agent(
    app: App, call: MutatingCall, ref: AgentRef | None
) -> Written[Agent | None] | Replayed:
    """Choose the agent that the caller means where they name none; None for no agent any more.

    Raises PermissionDenied for an agent on which the caller has no role, NotFound to who may see
    every agent.
    """

    def perform(mutation: Mutation) -> Effect[Agent | None]:
        tx, caller, now = mutation.tx, mutation.caller, mutation.now
        require_full_reach(caller)
        agent = None if ref is None else require_agent(tx, caller, ref, Role.VIEWER, now)
        chosen = None if agent is None else agent.agent_id
        before = tx.users.find(caller.user.user_id, lock=True)
        assert before is not None  # noqa: S101 - nobody can delete them now
        if before.default_agent_id == chosen:
            return Effect(value=agent)
        after = tx.users.update(before.user_id, UserUpdate(default_agent_id=chosen), at=now)
        assert after is not None  # noqa: S101 - the row is locked
        agents = (one for one in (before.default_agent_id, chosen) if one is not None)
        return Effect(
            value=agent,
            kind=ChangeKind.DEFAULT_AGENT_SET,
            subjects=(
                subject(SubjectKind.USER, after.user_id),
                *(subject(SubjectKind.AGENT, agent_id) for agent_id in agents),
            ),
            before=snapshots.of_user(before),
            after=snapshots.of_user(after),
        )

    return mutate(app, call, perform, lock=RightsLock.SHARED)


def forget_without_grant(tx: WriteTransaction, agent: Agent, user: User, now: datetime) -> None:
    """End a user's choice of an agent on which they have lost their grant, unless more is left.

    That a grant expires ends no choice, nor that a user is deactivated or may do less: until they
    choose again their unnamed questions are denied.
    """
    if agent.owner_id == user.user_id or Action.MANAGE_AGENTS in ROLE_ACTIONS[user.role]:
        return
    tx.users.forget_agent(agent.agent_id, now, only=user.user_id)


def _fixed(facts: Facts, principal: Principal) -> Meant | None:
    if principal.agent is not None:
        # An agent means itself, also where it acts as its owner.
        return Meant(principal.agent, fixed=True)
    if not principal.user.active:
        return Meant(None)
    chosen = principal.user.default_agent_id
    return None if chosen is None else Meant(facts.agent(chosen), fixed=True)


def _granted(tx: Transaction, principal: Principal, now: datetime) -> Sequence[Agent]:
    """The first active agents that were granted to the user, who owns none that is active."""
    query = AgentQuery(
        user_id=principal.user.user_id,
        everyone=False,
        site_id=None,
        status=AgentStatus.ACTIVE,
        text=None,
        at=now,
        after=None,
        limit=_CANDIDATES,
    )
    return [listed.agent for listed in tx.agents.page(query)]


def _only_one(agents: Sequence[Agent]) -> Meant:
    if len(agents) == 1:
        return Meant(agents[0])
    return Meant(None, candidates=tuple(agent.agent_slug for agent in agents))
