"""From what a caller writes to the agent that is meant, with the role that the caller has on it.

Method is judged before existence: who may not view an agent is told the same, in the same
words, whether it exists or not.
"""

import difflib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from accredit_storage.agents import AgentQuery, Viewer
from accredit_storage.records import Agent, AgentId, Grant, Role, User, UserId
from accredit_storage.store import Transaction

from ..errors import (
    NotFound,
    PermissionDenied,
    Reason,
    invalid,
)
from ..policy.permissions import Action
from ..policy.rights import (
    EffectiveRole,
    Principal,
    PrincipalKind,
    effective_role,
)
from . import slugs, texts

# An id, or a clean slug.
AgentRef = AgentId | str

MAX_SLUG_INPUT = 1000
_NEIGHBOURS = 3
_NEIGHBOUR_POOL = 50
# Comparing grows with the product of the lengths, and somebody waits for the writers' lock.
_NEIGHBOUR_LENGTH = 64


def clean_slug(path: str, text: str, reason: Reason = Reason.INVALID_AGENT_SLUG) -> str:
    """The slug that a text becomes. Raises InvalidArgument if there is none."""
    if len(text) > MAX_SLUG_INPUT:
        raise invalid(
            path,
            "at most {limit} characters before cleaning",
            reason,
            limit=MAX_SLUG_INPUT,
        )
    slug = text
    if not slugs.is_clean(text):
        texts.visible(path, text, reason)
        slug = slugs.clean(text)
    if not slug:
        raise invalid(path, "a slug with at least one letter, digit or underscore", reason)
    if slugs.is_numeric(slug):
        raise invalid(path, "not digits only: that reads as an id", reason)
    return slug


def find_agent(tx: Transaction, ref: AgentRef, *, lock: bool = False) -> Agent | None:
    """The agent that is meant, whoever asks."""
    if isinstance(ref, int):
        return tx.agents.find(ref, lock=lock)
    return tx.agents.find_by_slug(ref, lock=lock)


def effective_role_on(
    tx: Transaction, principal: Principal, agent: Agent, now: datetime
) -> EffectiveRole | None:
    """The principal's role on an agent, with whatever grant it takes."""
    grant = None
    if principal.kind is not PrincipalKind.AGENT and not principal.manages_agents:
        grant = tx.grants.find(agent.agent_id, principal.user.user_id)
    return effective_role(principal, agent, grant, now)


def viewer_of(principal: Principal, now: datetime) -> Viewer:
    """The principal as who looks for agents: where ``effective_role`` has none, it is hidden."""
    as_agent = principal.kind is PrincipalKind.AGENT
    agent = principal.agent if as_agent else None
    agent_id = AgentId(0) if agent is None else agent.agent_id
    return Viewer(
        user_id=UserId(0) if as_agent else principal.user.user_id,
        agent_id=agent_id,
        sees_all=principal.manages_agents and not as_agent,
        at=now,
    )


def reach(
    tx: Transaction, principal: Principal, ref: AgentRef, now: datetime, *, lock: bool = False
) -> tuple[Agent, EffectiveRole] | None:
    """The agent that is meant and the principal's role on it; None where they have none.

    A hidden agent and a missing one take the same statement. ``lock`` keeps it from changing.
    """
    found = tx.agents.find_seen(ref, viewer_of(principal, now), lock=lock)
    if found is None:
        return None
    agent, grant = found
    effective = effective_role(principal, agent, grant, now)
    return None if effective is None else (agent, effective)


def require_reach(
    tx: Transaction,
    caller: Principal,
    ref: AgentRef,
    role: Role,
    now: datetime,
    *,
    lock: bool = False,
) -> tuple[Agent, EffectiveRole]:
    """The agent meant and the caller's role on it, if that is at least ``role``.

    Raises PermissionDenied; NotFound to a caller who may see every agent.
    """
    found = reach(tx, caller, ref, now, lock=lock)
    if found is None:
        raise _no_agent(tx, caller, ref, now)
    agent, effective = found
    if effective.role < role:
        raise PermissionDenied(
            Reason.ROLE_INSUFFICIENT,
            "this needs the role {required_role} on agent {agent_slug!r}, yours is {role}: ask its "
            "owner for a grant, or use a token with a higher ceiling",
            required_role=role.name,
            role=effective.role.name,
            agent_slug=agent.agent_slug,
        )
    return agent, effective


def require_agent(
    tx: Transaction,
    caller: Principal,
    ref: AgentRef,
    role: Role,
    now: datetime,
    *,
    lock: bool = False,
) -> Agent:
    """The agent of ``require_reach``."""
    return require_reach(tx, caller, ref, role, now, lock=lock)[0]


def knows_every_agent(caller: Principal) -> bool:
    """Whether the caller may learn of any agent that it is there."""
    return caller.manages_agents or Action.AUTHENTICATE in caller.actions


def _no_agent(
    tx: Transaction, caller: Principal, ref: AgentRef, now: datetime
) -> NotFound | PermissionDenied:
    name = str(ref)
    neighbours = [] if isinstance(ref, int) else _neighbours(tx, caller, name, now)
    parts: dict[str, Any] = {"agent": name}
    hint = ""
    if neighbours:
        parts["neighbours"] = ", ".join(neighbours)
        hint = "; did you mean {neighbours}?"
    if caller.manages_agents:
        return NotFound(Reason.AGENT_NOT_FOUND, "there is no agent {agent!r}" + hint, **parts)
    return PermissionDenied(
        Reason.AGENT_ACCESS_DENIED, "there is no agent {agent!r} that you may use" + hint, **parts
    )


def _neighbours(tx: Transaction, caller: Principal, slug: str, now: datetime) -> list[str]:
    if caller.kind is PrincipalKind.AGENT:
        pool = [] if caller.agent is None else [caller.agent.agent_slug]
    else:
        query = AgentQuery(
            user_id=caller.user.user_id,
            everyone=caller.manages_agents,
            site_id=None,
            status=None,
            text=None,
            at=now,
            after=None,
            limit=_NEIGHBOUR_POOL,
        )
        pool = [listed.agent.agent_slug for listed in tx.agents.page(query)]
    if len(slug) > _NEIGHBOUR_LENGTH:
        return []
    pool = [known for known in pool if len(known) <= _NEIGHBOUR_LENGTH]
    return difflib.get_close_matches(slug, pool, n=_NEIGHBOURS, cutoff=0.7)


def shown_holders(
    caller: Principal, found: Sequence[tuple[Grant, User]]
) -> list[tuple[Grant, User]]:
    """Grants with their users; e-mails only for who may see every user."""
    if Action.MANAGE_USERS in caller.actions:
        return list(found)
    return [(grant, replace(user, email="")) for grant, user in found]
