"""Who may use which agent: grants, and the questions about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from accredit_storage.records import Agent, ChangeKind, Grant, Role, Subject, SubjectKind, User
from accredit_storage.store import Transaction

from . import snapshots
from .agent_refs import AgentRef, find_agent, held_on, require_agent, shown_holders, told
from .agents import token_subjects
from .app import App
from .consistency import Basis
from .errors import FailedPrecondition, NotFound, PermissionDenied, Reason, invalid
from .facts import AgentFacts
from .mutations import Call, Effect, Mutation, Replayed, Written, check_etag, mutate, subject
from .paging import Cursor, Page, PageRequest
from .permissions import Action
from .reads import Ask, reading
from .rights import (
    Decision,
    Demand,
    Held,
    Principal,
    decide,
    expired,
    held_by,
    user_principal,
)

MAX_BATCH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantAccess:
    """A role for a user on an agent."""

    agent: AgentRef
    user_id: int
    role: Role
    expire_at: datetime | None
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeAccess:
    """A user's grant on an agent, to be taken away."""

    agent: AgentRef
    user_id: int
    etag: str


@dataclass(frozen=True, slots=True)
class Revoked:
    """The grant as it last stood, and how many tokens went with it."""

    grant: Grant
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessCheck:
    """May this user act on this agent? ``user_id`` None: the acting user."""

    user_id: int | None
    agent: AgentRef
    demand: Demand


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """The answer. ``principal`` is whom it is about, None if there is no such user."""

    decision: Decision
    principal: Principal | None
    held: Held | None
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCheckResult:
    """One decision for each question."""

    decisions: Sequence[Decision]
    basis: Basis


def grant_access(app: App, call: Call, command: GrantAccess) -> Written[Grant] | Replayed:
    """Give a user a role on an agent instead of whatever they had."""

    def decide_grant(mutation: Mutation) -> Effect[Grant]:
        tx, now = mutation.tx, mutation.now
        agent = require_agent(tx, mutation.caller, command.agent, Role.ADMIN, now, lock=True)
        if expired(command.expire_at, now):
            raise invalid("expire_time", "a moment that lies ahead")
        _require_within(held_on(tx, mutation.caller, agent, now), command.expire_at)
        if tx.users.find(command.user_id, share=True) is None:
            raise NotFound(Reason.USER_NOT_FOUND, f"there is no user {command.user_id}")
        lowers = command.role is not Role.ADMIN or command.expire_at is not None
        if command.user_id == agent.owner_id and lowers:
            raise _owner_protected()
        if command.etag:
            current = tx.grants.find(agent.agent_id, command.user_id, lock=True)
            check_etag(command.etag, 0 if current is None else current.version)
        granter = mutation.caller.user.user_id
        before, after = tx.grants.put(
            agent.agent_id, command.user_id, command.role, granter, now, command.expire_at
        )
        return Effect(
            value=after,
            kind=ChangeKind.GRANT_CHANGED,
            subjects=_subjects(after),
            before=None if before is None else snapshots.of_grant(before),
            after=snapshots.of_grant(after),
        )

    return mutate(app, call, decide_grant)


def revoke_access(app: App, call: Call, command: RevokeAccess) -> Written[Revoked] | Replayed:
    """Take a user's grant away, with the tokens that they minted for this agent."""

    def decide_revocation(mutation: Mutation) -> Effect[Revoked]:
        tx, now = mutation.tx, mutation.now
        agent = require_agent(tx, mutation.caller, command.agent, Role.ADMIN, now, lock=True)
        if command.user_id == agent.owner_id:
            raise _owner_protected()
        grant = tx.grants.find(agent.agent_id, command.user_id, lock=True)
        if grant is None:
            raise NotFound(
                Reason.REVOKE_FAILED,
                f"user {command.user_id} has no grant on {agent.agent_slug!r}",
            )
        check_etag(command.etag, grant.version)
        tx.grants.remove(agent.agent_id, command.user_id)
        tokens = tx.tokens.revoke_where(agent_id=agent.agent_id, created_by=command.user_id, at=now)
        return Effect(
            value=Revoked(grant, len(tokens)),
            kind=ChangeKind.GRANT_REVOKED,
            subjects=(*_subjects(grant), *token_subjects(tokens)),
            before=snapshots.of_grant(grant),
        )

    return mutate(app, call, decide_revocation)


def get_access(app: App, ask: Ask, ref: AgentRef, user_id: int | None) -> Grant:
    """One grant, expired or not. Raises PermissionDenied, NotFound."""
    with reading(app, ask) as (tx, caller, now, _):
        wanted = caller.user.user_id if user_id is None else user_id
        found = find_agent(tx, ref)
        grant = None if found is None else tx.grants.find(found.agent_id, wanted)
        own = caller.is_user(wanted)
        if grant is not None and own:
            return grant
        # Who has no grant learns here no more of the agent than anywhere else.
        agent = require_agent(tx, caller, ref, Role.VIEWER if own else Role.ADMIN, now)
    if grant is None:
        raise NotFound(
            Reason.GRANT_NOT_FOUND, f"user {wanted} has no grant on {agent.agent_slug!r}"
        )
    return grant


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
    user_id: int | None,
    minimum_role: Role | None,
    page: PageRequest,
) -> Page[Grant]:
    """One page of a user's unexpired grants, by agent id."""
    with reading(app, ask) as (tx, caller, now, head):
        wanted = caller.user.user_id if user_id is None else user_id
        if not caller.is_user(wanted) and not caller.manages_agents:
            raise _missing(Action.MANAGE_AGENTS, "another user's grants")
        cursor = Cursor(page, caller, head.epoch)
        after = cursor.after(int)
        found = tx.grants.page_for_user(
            wanted,
            at=now,
            min_role=minimum_role,
            after=None if after is None else after[0],
            limit=cursor.size + 1,
        )
        return cursor.page(found, lambda grant: (grant.agent_id,))


def check_access(app: App, ask: Ask, check: AccessCheck) -> CheckResult:
    """Whether a user may act on an agent. A "no" is an answer."""
    with reading(app, ask) as (tx, caller, now, head):
        _may_ask(caller, [check])
        facts = _Facts(tx, caller, [check])
        decision, principal, agent, held = facts.answer(check, now)
        basis = Basis.of(head).with_principal(principal)
        basis = basis.with_agent(told(caller, agent, held), held, check.demand.site_id)
        return CheckResult(decision=decision, principal=principal, held=held, basis=basis)


def batch_check_access(app: App, ask: Ask, checks: Sequence[AccessCheck]) -> BatchCheckResult:
    """The same for several questions, all at one moment."""
    with reading(app, ask) as (tx, caller, now, head):
        _may_ask(caller, checks)
        facts = _Facts(tx, caller, checks)
        basis = Basis.of(head)
        decisions = []
        for check in checks:
            decision, principal, agent, held = facts.answer(check, now)
            decisions.append(decision)
            basis = basis.with_principal(principal)
            known = told(caller, agent, held)
            basis = basis.with_agent(known, held, check.demand.site_id)
        return BatchCheckResult(decisions=decisions, basis=basis)


class _Facts:
    """What some questions rest on, read at once."""

    def __init__(self, tx: Transaction, caller: Principal, checks: Sequence[AccessCheck]) -> None:
        self._caller = caller
        user_ids = {check.user_id for check in checks if check.user_id is not None}
        self._users = {user.user_id: user for user in tx.users.find_many(user_ids)}
        own = caller.user.user_id
        self._facts = AgentFacts(
            tx, ((check.agent, own if check.user_id is None else check.user_id) for check in checks)
        )

    def answer(
        self, check: AccessCheck, now: datetime
    ) -> tuple[Decision, Principal | None, Agent | None, Held | None]:
        """The decision on one question, and what it was made of."""
        principal = self._principal(check)
        if principal is None:
            return Decision.USER_INACTIVE, None, None, None
        agent = self._facts.agent(check.agent)
        held = None
        if agent is not None:
            grant = self._facts.grant(agent, principal.user.user_id)
            held = held_by(principal, agent, grant, now)
        return decide(principal, agent, held, check.demand), principal, agent, held

    def _principal(self, check: AccessCheck) -> Principal | None:
        if check.user_id is None:
            return self._caller
        user = self._users.get(check.user_id)
        return None if user is None else user_principal(user)


def _may_ask(caller: Principal, checks: Sequence[AccessCheck]) -> None:
    others = any(
        check.user_id is not None and not caller.is_user(check.user_id) for check in checks
    )
    if others and Action.AUTHENTICATE not in caller.actions:
        raise _missing(Action.AUTHENTICATE, "another user's access")


def _missing(action: Action, what: str) -> PermissionDenied:
    return PermissionDenied(
        Reason.ACTION_MISSING,
        f"{what} needs the action {action.value}",
        metadata={"actions": action.value},
    )


def _require_within(held: Held | None, expire_at: datetime | None) -> None:
    """Raise PermissionDenied for a grant that would outlast the granter's own.

    They could otherwise make themselves, or a friend, stay for good.
    """
    end = None if held is None else held.until
    if end is not None and (expire_at is None or expire_at > end):
        raise PermissionDenied(
            Reason.CEILING_EXCEEDED,
            f"your own grant ends at {end.isoformat()}: the new one must end by then",
        )


def _owner_protected() -> FailedPrecondition:
    return FailedPrecondition(
        Reason.CANNOT_REVOKE_OWNER,
        "the owner keeps ADMIN without an end: transfer ownership first",
    )


def _subjects(grant: Grant) -> tuple[Subject, ...]:
    return (
        subject(SubjectKind.GRANT, grant.agent_id, grant.user_id),
        subject(SubjectKind.AGENT, grant.agent_id),
        subject(SubjectKind.USER, grant.user_id),
    )
