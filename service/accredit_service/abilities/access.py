"""Access to agents: grants (``accredit_storage.grants``), and the questions about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from accredit_storage.records import (
    Agent,
    AgentId,
    ChangeKind,
    Grant,
    Role,
    Subject,
    SubjectKind,
    User,
)

from .agents.default_agents import forget_without_grant
from .calls import snapshots
from .calls.app import App
from .calls.callers import require_full_reach
from .calls.consistency import Basis
from .calls.mutations import (
    Effect,
    MutatingCall,
    Mutation,
    Replayed,
    Written,
    check_etag,
    mutate,
)
from .calls.mutations import etag as etag_of
from .calls.paging import Cursor, Page, PageRequest
from .calls.reads import Ask, Question, answered, basis_of, reading
from .errors import (
    FailedPrecondition,
    NotFound,
    PermissionDenied,
    Reason,
    action_missing,
    actions_missing,
    invalid,
)
from .input.agent_refs import (
    AgentRef,
    effective_role_on,
    find_agent,
    knows_every_agent,
    require_agent,
    shown_holders,
)
from .input.facts import AgentFacts
from .input.user_refs import UserRef, is_caller, require_user
from .policy.permissions import Action
from .policy.rights import (
    Decision,
    Demand,
    EffectiveRole,
    Principal,
    PrincipalKind,
    decide,
    effective_role,
    expired,
    roles_of,
    user_principal,
)
from .policy.subjects import (
    grant_subject,
    subject,
    token_subjects,
)

MAX_BATCH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantAccess:
    """A role for a user on an agent. ``only_if_absent``: not in place of a grant that counts."""

    agent: AgentRef
    user: UserRef
    role: Role
    expire_at: datetime | None
    etag: str
    only_if_absent: bool = False


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant, its user, and whether this call made it what it is."""

    grant: Grant
    user: User
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeAccess:
    """A user's grant on an agent, to be taken away."""

    agent: AgentRef
    user: UserRef
    etag: str


@dataclass(frozen=True, slots=True)
class Revoked:
    """The grant as it last stood, its user, and how many tokens went with it."""

    grant: Grant
    user: User
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessCheck:
    """May this user act on this agent? ``user`` None: the caller, within its own ceiling."""

    user: UserRef | None
    agent: AgentRef
    demand: Demand


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """The answer. ``principal`` is whom it is about, None if there is no such user."""

    decision: Decision
    principal: Principal | None
    effective: EffectiveRole | None
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCheckResult:
    """One decision for each question. ``basis`` None: it was not asked for."""

    decisions: Sequence[Decision]
    basis: Basis | None


def grant_access(app: App, call: MutatingCall, command: GrantAccess) -> Written[Granted] | Replayed:
    """Give a user a role on an agent instead of whatever they had."""

    def decide_grant(mutation: Mutation) -> Effect[Granted]:
        tx, now = mutation.tx, mutation.now
        agent = require_agent(tx, mutation.caller, command.agent, Role.ADMIN, now, lock=True)
        if expired(command.expire_at, now):
            raise invalid("expire_time", "a moment that lies ahead")
        _require_within(effective_role_on(tx, mutation.caller, agent, now), command.expire_at)
        user = require_user(tx, command.user, share=True)
        current = tx.grants.find(agent.agent_id, user.user_id, lock=True)
        counts = current is not None and not expired(current.expire_at, now)
        if command.only_if_absent and current is not None and counts:
            return Effect(value=Granted(current, user, False))
        lowers = command.role is not Role.ADMIN or command.expire_at is not None
        if user.user_id == agent.owner_id and lowers:
            raise _owner_protected()
        check_etag(command.etag, "" if current is None else grant_etag(current))
        granter = mutation.caller.user.user_id
        before, after = tx.grants.put(
            agent.agent_id, user.user_id, command.role, granter, now, command.expire_at
        )
        return Effect(
            value=Granted(after, user, True),
            kind=ChangeKind.GRANT_CHANGED,
            subjects=_subjects(after),
            before=None if before is None else snapshots.of_grant(before),
            after=snapshots.of_grant(after),
        )

    return mutate(app, call, decide_grant)


def revoke_access(
    app: App, call: MutatingCall, command: RevokeAccess
) -> Written[Revoked] | Replayed:
    """Take a user's grant away, with the tokens that they minted for this agent.

    Everybody may give up their own, whatever its role.
    """

    def decide_revocation(mutation: Mutation) -> Effect[Revoked]:
        tx, now = mutation.tx, mutation.now
        if _in_person(mutation.caller, command.user):
            agent, user = _own_agent(mutation, command.agent), mutation.caller.user
        else:
            agent = require_agent(tx, mutation.caller, command.agent, Role.ADMIN, now, lock=True)
            user = require_user(tx, command.user)
        if user.user_id == agent.owner_id:
            raise _owner_protected()
        grant = tx.grants.find(agent.agent_id, user.user_id, lock=True)
        if grant is None:
            raise NotFound(
                Reason.REVOKE_FAILED,
                "{user!r} has no grant on {agent_slug!r}",
                user=command.user,
                agent_slug=agent.agent_slug,
            )
        check_etag(command.etag, grant_etag(grant))
        tx.grants.remove(agent.agent_id, user.user_id)
        forget_without_grant(tx, agent, user, now)
        tokens = tx.tokens.revoke_where(agent_id=agent.agent_id, created_by=user.user_id, at=now)
        return Effect(
            value=Revoked(grant, user, len(tokens)),
            kind=ChangeKind.GRANT_REVOKED,
            subjects=(*_subjects(grant), *token_subjects(tokens)),
            before=snapshots.of_grant(grant),
        )

    return mutate(app, call, decide_revocation)


def grant_etag(grant: Grant) -> str:
    """The etag of a grant, which differs from that of one that was revoked before."""
    return etag_of(grant.version, grant.granted_at)


def get_access(app: App, ask: Ask, ref: AgentRef, wanted: UserRef | None) -> tuple[Grant, User]:
    """One grant, expired or not, with its user. Raises PermissionDenied, NotFound."""
    with reading(app, ask) as (tx, caller, now, _):
        whose = caller.user.user_id if wanted is None else wanted
        # An agent's own token is not the user whom it acts for: their grant is another's.
        own = is_caller(caller, whose)
        if own:
            found = find_agent(tx, ref)
            grant = None if found is None else tx.grants.find(found.agent_id, caller.user.user_id)
            if grant is not None:
                return grant, caller.user
        # Who has no grant learns here no more of the agent than anywhere else.
        agent = require_agent(tx, caller, ref, Role.VIEWER if own else Role.ADMIN, now)
        user = caller.user if own else require_user(tx, whose)
        grant = tx.grants.find(agent.agent_id, user.user_id)
    if grant is None:
        raise NotFound(
            Reason.GRANT_NOT_FOUND,
            "{user!r} has no grant on {agent_slug!r}",
            user=caller.user.login if wanted is None else wanted,
            agent_slug=agent.agent_slug,
        )
    return grant, user


def list_agent_access(
    app: App, ask: Ask, ref: AgentRef, page: PageRequest
) -> Page[tuple[Grant, User]]:
    """One page of the grants on an agent, oldest first, each with its user."""
    with reading(app, ask) as (tx, caller, now, head):
        agent = require_agent(tx, caller, ref, Role.ADMIN, now)
        cursor = Cursor(page, caller, head.epoch, about=agent.agent_id)
        after = cursor.after(datetime, int)
        found = tx.grants.page_for_agent(
            agent.agent_id,
            after=None if after is None else (after[0], after[1]),
            limit=cursor.size + 1,
        )
        shown = shown_holders(caller, found)
        return cursor.page(shown, lambda pair: (pair[0].granted_at, pair[0].user_id))


def list_user_access(
    app: App,
    ask: Ask,
    wanted: UserRef | None,
    minimum_role: Role | None,
    page: PageRequest,
) -> Page[tuple[Grant, User]]:
    """One page of a user's unexpired grants, by agent id, each with the user."""
    with reading(app, ask) as (tx, caller, now, head):
        user = caller.user
        if wanted is not None and not is_caller(caller, wanted):
            if not caller.manages_agents:
                raise action_missing(Action.MANAGE_AGENTS, "to list another user's grants")
            user = require_user(tx, wanted)
        cursor = Cursor(page, caller, head.epoch, about=user.user_id)
        after = cursor.after(int)
        found = tx.grants.page_for_user(
            user.user_id,
            at=now,
            min_role=minimum_role,
            after=None if after is None else after[0],
            limit=cursor.size + 1,
        )
        pairs = [(grant, user) for grant in found]
        return cursor.page(pairs, lambda pair: (pair[0].agent_id,))


def check_access(app: App, ask: Ask, check: AccessCheck) -> CheckResult:
    """Whether a user may act on an agent. A "no" is an answer."""

    def compose(question: Question) -> CheckResult:
        checks = _Checks(question, [check])
        answer = checks.answer(check)
        return CheckResult(
            decision=answer.decision,
            principal=answer.principal,
            effective=answer.effective,
            basis=checks.basis(check, answer, basis_of(question)),
        )

    return answered(app, ask, compose)


def batch_check_access(
    app: App, ask: Ask, wanted: Sequence[AccessCheck], *, with_basis: bool
) -> BatchCheckResult:
    """The same for several questions, all at one moment."""

    def compose(question: Question) -> BatchCheckResult:
        checks = _Checks(question, wanted)
        if not with_basis:
            return BatchCheckResult(decisions=checks.decisions(wanted), basis=None)
        basis = basis_of(question)
        answers = [checks.answer(check) for check in wanted]
        for check, answer in zip(wanted, answers, strict=True):
            checks.basis(check, answer, basis)
        return BatchCheckResult(decisions=[one.decision for one in answers], basis=basis)

    return answered(app, ask, compose)


class _Answer(NamedTuple):
    """The decision on one question, and what it was made of."""

    decision: Decision
    principal: Principal | None
    agent: Agent | None
    effective: EffectiveRole | None


class _Checks:
    """Some checks and what they rest on, read at once."""

    def __init__(self, question: Question, checks: Sequence[AccessCheck]) -> None:
        """Raise PermissionDenied if one of them is not the caller's to ask."""
        self._question, self._caller, self._now = question, question.caller, question.now
        viewer = self._viewer(checks)
        own = self._caller.user.user_id
        if Action.AUTHENTICATE not in self._caller.actions:
            # Before anybody is looked up, so that nobody learns which users there are.
            self._facts = AgentFacts(
                question.facts, ((check.agent, own) for check in checks), self._now, viewer
            )
            for check in checks:
                self._require_may_ask(check)
        self._principals: dict[UserRef | None, Principal] = {None: self._caller}
        if refs := {check.user for check in checks if check.user is not None}:
            users = question.facts.users(refs)
            self._principals |= {ref: user_principal(user) for ref, user in users.items()}
        user_ids = {ref: one.user.user_id for ref, one in self._principals.items()}
        pairs = {(check.agent, user_ids.get(check.user, own)) for check in checks}
        if viewer is not None:
            # Their own role is a part of what their answers rest on.
            pairs |= {(check.agent, own) for check in checks}
        self._facts = AgentFacts(question.facts, pairs, self._now, viewer)

    def _viewer(self, checks: Sequence[AccessCheck]) -> Principal | None:
        """Who is to have a role on the agents for them to be found; None: nobody has to."""
        if knows_every_agent(self._caller):
            return None
        if any(check.user is not None and is_caller(self._caller, check.user) for check in checks):
            # In person they may do more than with a token that is held to little.
            return user_principal(self._caller.user)
        return self._caller

    def answer(self, check: AccessCheck) -> _Answer:
        """The decision on one question. A user whom nobody knows is one who is not active."""
        principal = self._principals.get(check.user)
        if principal is None:
            return _Answer(Decision.USER_INACTIVE, None, None, None)
        agent, effective = self._effective(principal, check.agent)
        return _Answer(
            decide(principal, agent, effective, check.demand), principal, agent, effective
        )

    def decisions(self, checks: Sequence[AccessCheck]) -> list[Decision]:
        """The decisions alone, as ``answer`` makes them; there may be a thousand."""
        found = self._facts.found
        roles = {ref: roles_of(one, self._now) for ref, one in self._principals.items()}
        decisions = []
        for check in checks:
            user, demand = check.user, check.demand
            principal = self._principals.get(user)
            if principal is None:
                decisions.append(Decision.USER_INACTIVE)
                continue
            agent, grant = found[check.agent, principal.user.user_id]
            effective = None if agent is None else roles[user](agent, grant)
            decisions.append(decide(principal, agent, effective, demand))
        return decisions

    def basis(self, check: AccessCheck, answer: _Answer, basis: Basis) -> Basis:
        """And on what this answer rests on."""
        knows_all = knows_every_agent(self._caller)
        if not knows_all:
            basis = self._asked_with(check.agent, basis)
        if isinstance(check.user, str):
            digest = self._question.facts.login_digest(check.user)
            basis = basis.on(subject(SubjectKind.LOGIN, digest))
        elif check.user is not None:
            basis = basis.on(subject(SubjectKind.USER, check.user))
        if answer.principal is None:
            return basis
        # What is found is the caller's to know: see ``_viewer``.
        basis = basis.on_principal(answer.principal)
        return basis.on_agent(
            check.agent,
            answer.principal,
            answer.agent,
            answer.effective,
            may_be_hidden=not knows_all,
        )

    def _asked_with(self, ref: AgentRef, basis: Basis) -> Basis:
        """And that the caller may ask about the agent rests on their own role on it."""
        agent, effective = self._effective(self._caller, ref)
        if agent is None:
            return basis
        own = grant_subject(agent.agent_id, self._caller.user.user_id)
        named = subject(SubjectKind.AGENT, agent.agent_id)
        return basis.asked_with([own, named], None if effective is None else effective.until)

    def _effective(
        self, principal: Principal, ref: AgentRef
    ) -> tuple[Agent | None, EffectiveRole | None]:
        agent, grant = self._facts.found[ref, principal.user.user_id]
        if agent is None:
            return None, None
        return agent, effective_role(principal, agent, grant, self._now)

    def _require_may_ask(self, check: AccessCheck) -> None:
        """One's own access is one's own to know; another user's takes ADMIN on the agent."""
        if check.user is None or is_caller(self._caller, check.user):
            return
        _agent, effective = self._effective(self._caller, check.agent)
        if effective is None or effective.role is not Role.ADMIN:
            # In the same words whether there is such an agent or not.
            raise actions_missing(
                [Action.AUTHENTICATE],
                "another user's access needs ADMIN on the agent, or the action {actions}",
            )


def _in_person(caller: Principal, ref: UserRef) -> bool:
    """Whether the user meant is the caller, with a token of their own."""
    return caller.kind is PrincipalKind.USER and is_caller(caller, ref)


def _own_agent(mutation: Mutation, ref: AgentRef) -> Agent:
    """The agent on which the caller gives up their grant, expired or not.

    Who has none learns no more of the agent than anywhere else.
    """
    tx, caller = mutation.tx, mutation.caller
    require_full_reach(caller)
    found = find_agent(tx, ref)
    # No agent has the id 0: one that does not exist is looked up as one that is hidden.
    grant = tx.grants.find(AgentId(0) if found is None else found.agent_id, caller.user.user_id)
    # Locked only now, so that a stranger keeps nobody's agent from changing.
    agent = None if found is None or grant is None else tx.agents.find(found.agent_id, lock=True)
    return agent or require_agent(tx, caller, ref, Role.VIEWER, mutation.now)


def _require_within(effective: EffectiveRole | None, expire_at: datetime | None) -> None:
    """Raise PermissionDenied for a grant that would outlast the granter's own.

    They could otherwise make themselves, or a friend, stay for good.
    """
    end = None if effective is None else effective.until
    if end is not None and (expire_at is None or expire_at > end):
        raise PermissionDenied(
            Reason.CEILING_EXCEEDED,
            "your own grant ends at {end}: the new one must end by then",
            end=end.isoformat(),
        )


def _owner_protected() -> FailedPrecondition:
    return FailedPrecondition(
        Reason.CANNOT_REVOKE_OWNER,
        "the owner keeps ADMIN without an end: transfer ownership first",
    )


def _subjects(grant: Grant) -> tuple[Subject, ...]:
    return (
        grant_subject(grant.agent_id, grant.user_id),
        subject(SubjectKind.AGENT, grant.agent_id),
        subject(SubjectKind.USER, grant.user_id),
    )
