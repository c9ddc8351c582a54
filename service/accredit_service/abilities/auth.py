"""Whose token is this (``accredit_storage.credentials``), and may its bearer do that?

These questions are about somebody else's token. The answer is a decision, which is a value. For the
caller's own credential see ``calls.introspection``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from accredit_storage.records import Agent, Token, User

from .agents.default_agents import Meant, meant
from .calls.app import App
from .calls.consistency import Basis
from .calls.introspection import Introspection, introspect, presented
from .calls.reads import Ask, Question, answered, basis_of
from .input.agent_refs import AgentRef
from .input.facts import AgentFacts
from .policy.rights import (
    Decision,
    Demand,
    EffectiveRole,
    Principal,
    decide,
    effective_role,
)


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
    effective: EffectiveRole | None
    agent: Agent | None
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAuthorization:
    """One decision for each demand, and whose token it is. ``basis`` None: it was not asked for."""

    decisions: Sequence[Decision]
    principal: Principal | None
    basis: Basis | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Self:
    """The caller as they see themselves. ``agent`` None: none, or several could be meant."""

    principal: Principal
    user: User
    agent: Agent | None
    token: Token


def authenticate(app: App, ask: Ask, text: str) -> Introspection:
    """Whose token this is. Sites play no part."""
    digest = presented(app, text)

    def compose(question: Question) -> Introspection:
        return introspect(app, question.facts, digest, basis_of(question))

    return answered(app, ask, compose)


def authorize(app: App, ask: Ask, text: str, wanted: AgentDemand) -> Authorization:
    """Whose token this is, and whether it meets the demand on an active agent."""
    digest = presented(app, text)

    def compose(question: Question) -> Authorization:
        if digest is not None and wanted.agent is not None:
            question.facts.prepare(digest, wanted.agent, question.now)
        found = introspect(app, question.facts, digest, basis_of(question))
        decision, principal, basis = found.decision, found.principal, found.basis
        agent, effective = None, None
        if principal is not None:
            demands = _Demands(question, principal, [wanted])
            decision, agent, effective = demands.answer(wanted)
            basis = demands.basis(wanted, agent, effective, basis)
        allowed = decision is Decision.ALLOWED
        return Authorization(
            decision=decision,
            principal=principal if allowed else None,
            effective=effective if allowed else None,
            agent=agent if allowed else None,
            basis=basis,
        )

    return answered(app, ask, compose)


def batch_authorize(
    app: App, ask: Ask, text: str, wanted: Sequence[AgentDemand], *, with_basis: bool
) -> BatchAuthorization:
    """The same for several demands on one token, all at one moment."""
    digest = presented(app, text)

    def compose(question: Question) -> BatchAuthorization:
        found = introspect(app, question.facts, digest, basis_of(question))
        principal, basis = found.principal, found.basis
        decisions = [found.decision] * len(wanted)
        if principal is not None:
            demands = _Demands(question, principal, wanted)
            answers = [demands.answer(one) for one in wanted]
            decisions = [decision for decision, _agent, _effective in answers]
            if with_basis:
                for one, (_decision, agent, effective) in zip(wanted, answers, strict=True):
                    demands.basis(one, agent, effective, basis)
        return BatchAuthorization(
            decisions=decisions, principal=principal, basis=basis if with_basis else None
        )

    return answered(app, ask, compose)


def who_am_i(app: App, ask: Ask) -> Self:
    """The caller, and the agent that is meant when they name none."""

    def compose(question: Question) -> Self:
        caller = question.caller
        if caller.token is None:
            raise RuntimeError("a caller without a token")
        agent = meant(question.facts, caller).agent
        return Self(principal=caller, user=caller.user, agent=agent, token=caller.token)

    return answered(app, ask, compose)


class _Demands:
    """What some demands of one principal rest on, read at once."""

    def __init__(
        self, question: Question, principal: Principal, wanted: Sequence[AgentDemand]
    ) -> None:
        self._principal = principal
        self._user_id = principal.user.user_id
        self._now = question.now
        self._unnamed = Meant(None)
        refs: list[AgentRef] = [one.agent for one in wanted if one.agent is not None]
        if len(refs) < len(wanted):
            self._unnamed = meant(question.facts, principal)
            if self._unnamed.agent is not None:
                refs.append(self._unnamed.agent.agent_id)
        pairs = ((ref, self._user_id) for ref in refs)
        self._facts = AgentFacts(question.facts, pairs, question.now)

    def answer(self, wanted: AgentDemand) -> tuple[Decision, Agent | None, EffectiveRole | None]:
        """The decision on one demand, and what it was made of."""
        if wanted.agent is None and self._unnamed.candidates:
            return Decision.AGENT_AMBIGUOUS, None, None
        ref = wanted.agent
        if ref is None and self._unnamed.agent is not None:
            ref = self._unnamed.agent.agent_id
        agent, effective = None, None
        if ref is not None:
            agent, grant = self._facts.found[ref, self._user_id]
            if agent is not None:
                effective = effective_role(self._principal, agent, grant, self._now)
        return decide(self._principal, agent, effective, wanted.demand), agent, effective

    def basis(
        self,
        wanted: AgentDemand,
        agent: Agent | None,
        effective: EffectiveRole | None,
        basis: Basis,
    ) -> Basis:
        """And on what this answer rests on. Whoever asks may know of every agent."""
        principal = self._principal
        if wanted.agent is not None:
            return basis.on_agent(wanted.agent, principal, agent, effective)
        if agent is not None and self._unnamed.fixed:
            # That another one is chosen is a change of the user, on whom all of this rests.
            return basis.on_agent(agent.agent_id, principal, agent, effective)
        # Which agent is meant may change by what happens to any agent of the user's.
        return basis.not_kept()
