"""Whose token is this, and may its bearer do that?

``identify`` is for the caller's own credential and refuses; the others are about somebody else's
and answer with a decision, which is a value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from accredit_storage.records import Agent, Token, User
from accredit_storage.store import Transaction

from . import bearer
from .agent_refs import AgentRef, default_agent
from .app import App
from .consistency import Basis, Consistency, reading
from .errors import PermissionDenied, Reason, Unauthenticated
from .facts import AgentFacts
from .rights import (
    Decision,
    Demand,
    Held,
    Principal,
    decide,
    held_by,
    judge,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Introspection:
    """Whose token it is: a principal, or None and why."""

    decision: Decision
    principal: Principal | None
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDemand:
    """A demand and the agent it is about. ``agent`` None: the default one."""

    agent: AgentRef | None
    demand: Demand


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """Whether the bearer may, with what role on which agent."""

    decision: Decision
    principal: Principal | None
    held: Held | None
    agent: Agent | None
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAuthorization:
    """One decision for each demand, and whose token it is."""

    decisions: Sequence[Decision]
    principal: Principal | None
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class Self:
    """The caller as they see themselves. ``agent`` None: none, or several could be meant."""

    principal: Principal
    user: User
    agent: Agent | None
    token: Token


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


def identify(app: App, text: str) -> Principal:
    """The caller whose credential this is. Raises Unauthenticated, or PermissionDenied."""
    with app.store.read() as tx:
        return accept(app, _judged(tx, text, app.now()))


def accept(app: App, judged: Principal | Decision) -> Principal:
    """The principal, noted as having used its token; else the refusal of a caller's credential."""
    if isinstance(judged, Decision):
        refusal = _REFUSALS[judged]
        # A new one each time: an exception that is raised twice collects tracebacks.
        raise type(refusal)(refusal.reason, refusal.message)
    if judged.token is not None:
        app.usage.note(judged.token.token_id, app.now())
    return judged


def authenticate(app: App, text: str, consistency: Consistency) -> Introspection:
    """Whose token this is. Sites play no part."""
    with reading(app, consistency) as (tx, head):
        now = app.now()
        decision, principal = subject(app, tx, text, now)
        return Introspection(
            decision=decision, principal=principal, basis=Basis.of(head).with_principal(principal)
        )


def authorize(app: App, text: str, wanted: AgentDemand, consistency: Consistency) -> Authorization:
    """Whose token this is, and whether it meets the demand on an active agent."""
    with reading(app, consistency) as (tx, head):
        now = app.now()
        basis = Basis.of(head)
        decision, principal = subject(app, tx, text, now)
        agent, held = None, None
        if principal is not None:
            basis = basis.with_principal(principal)
            decision, agent, held = _Facts(tx, principal, [wanted], now).answer(wanted)
            basis = basis.with_agent(agent, held, wanted.demand.site_id)
        allowed = decision is Decision.ALLOWED
        return Authorization(
            decision=decision,
            principal=principal if allowed else None,
            held=held if allowed else None,
            agent=agent if allowed else None,
            basis=basis,
        )


def batch_authorize(
    app: App, text: str, wanted: Sequence[AgentDemand], consistency: Consistency
) -> BatchAuthorization:
    """The same for several demands on one token, all at one moment."""
    with reading(app, consistency) as (tx, head):
        now = app.now()
        basis = Basis.of(head)
        decision, principal = subject(app, tx, text, now)
        if principal is None:
            return BatchAuthorization(
                decisions=[decision] * len(wanted), principal=None, basis=basis
            )
        basis = basis.with_principal(principal)
        facts = _Facts(tx, principal, wanted, now)
        decisions = []
        for one in wanted:
            decision, agent, held = facts.answer(one)
            basis = basis.with_agent(agent, held, one.demand.site_id)
            decisions.append(decision)
        return BatchAuthorization(decisions=decisions, principal=principal, basis=basis)


def who_am_i(app: App, caller: Principal) -> Self:
    """The caller, and the agent that is meant when they name none."""
    with app.store.read() as tx:
        agent, _ = default_agent(tx, caller, app.now())
    if caller.token is None:
        raise RuntimeError("a caller without a token")
    return Self(principal=caller, user=caller.user, agent=agent, token=caller.token)


def _judged(tx: Transaction, text: str, now: datetime) -> Principal | Decision:
    if bearer.parse(text) is None:
        return Decision.TOKEN_INVALID
    credential = tx.credentials.find_by_digest(bearer.digest(text))
    return Decision.TOKEN_INVALID if credential is None else judge(credential, now)


def subject(
    app: App, tx: Transaction, text: str, now: datetime
) -> tuple[Decision, Principal | None]:
    """Whom somebody else's token speaks for; its use is noted."""
    judged = _judged(tx, text, now)
    if isinstance(judged, Decision):
        return judged, None
    return Decision.ALLOWED, accept(app, judged)


class _Facts:
    """What some demands of one principal rest on, read at once."""

    def __init__(
        self, tx: Transaction, principal: Principal, wanted: Sequence[AgentDemand], now: datetime
    ) -> None:
        self._principal = principal
        self._now = now
        self._default: Agent | None = None
        self._ambiguous = False
        refs: list[AgentRef] = [one.agent for one in wanted if one.agent is not None]
        if len(refs) < len(wanted):
            self._default, candidates = default_agent(tx, principal, now)
            self._ambiguous = bool(candidates)
            if self._default is not None:
                refs.append(self._default.agent_id)
        self._facts = AgentFacts(tx, ((ref, principal.user.user_id) for ref in refs))

    def answer(self, wanted: AgentDemand) -> tuple[Decision, Agent | None, Held | None]:
        """The decision on one demand, and what it was made of."""
        if wanted.agent is None and self._ambiguous:
            return Decision.AGENT_AMBIGUOUS, None, None
        agent = self._default if wanted.agent is None else self._facts.agent(wanted.agent)
        held = None
        if agent is not None:
            grant = self._facts.grant(agent, self._principal.user.user_id)
            held = held_by(self._principal, agent, grant, self._now)
        return decide(self._principal, agent, held, wanted.demand), agent, held
