"""How an agent comes to be: its owner, the limit, reserved slugs, provisioning."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from accredit_storage.errors import Conflict
from accredit_storage.records import Agent, ChangeKind, NewAgent, Role, SiteId, User, UserId
from accredit_storage.store import WriteTransaction

from ..calls import snapshots
from ..calls.app import App
from ..calls.mutations import (
    Effect,
    MutatingCall,
    Mutation,
    Replayed,
    RightsLock,
    Written,
    mutate,
)
from ..definitions import definitions
from ..errors import (
    AlreadyExists,
    FailedPrecondition,
    NotFound,
    Reason,
    Refusal,
    ResourceExhausted,
    action_missing,
    invalid,
)
from ..files.new_directories import FilesMade, with_directories
from ..files.scaffolding import Scaffold, ScaffoldedFile, agent_scaffold
from ..input import slugs
from ..input.user_refs import UserRef, is_caller, require_active
from ..policy.permissions import Action
from ..policy.subjects import creation_subjects

_PROVISION_ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class Created:
    """An agent; if this call made it, its starter files: as planned, and what became of them."""

    agent: Agent
    scaffold: Scaffold | None
    files: tuple[ScaffoldedFile, ...] = ()

    @property
    def created(self) -> bool:
        """Whether this call made it."""
        return self.scaffold is not None


def create_or_find(
    app: App, call: MutatingCall, find: Callable[[Mutation], Created]
) -> Written[Created] | Replayed:
    """Log the agent that ``find`` has made, if it has, and make its directory."""

    def perform(mutation: Mutation) -> Effect[Created]:
        created = find(mutation)
        if not created.created:
            return Effect(value=created)
        return Effect(
            value=created,
            kind=ChangeKind.AGENT_CREATED,
            subjects=creation_subjects(created.agent),
            after=snapshots.of_agent(created.agent),
        )

    written = mutate(app, call, perform, lock=RightsLock.SHARED)
    if isinstance(written, Replayed):
        return written
    return with_directories(app, call, written, scaffolds([written.value]), with_files)


def scaffolds(outcomes: Sequence[Created | Refusal]) -> list[Scaffold]:
    """The starter files of all that a call has made."""
    return [one.scaffold for one in outcomes if isinstance(one, Created) and one.scaffold]


def with_files(created: Created, files: FilesMade) -> Created:
    """What a call has made, with what became of its starter files."""
    made = files.get(created.agent.agent_id)
    return created if made is None else replace(created, files=made.files)


def owner_of_new(mutation: Mutation, ref: UserRef | None) -> User:
    """Who will own what the caller creates. Raises PermissionDenied, InvalidArgument, NotFound."""
    caller = mutation.caller
    if ref is None and caller.manages_agents:
        raise invalid("owner", "the user who will own it", Reason.INVALID_AGENT_OWNER)
    wanted = caller.user.user_id if ref is None else ref
    if not caller.manages_agents and not is_caller(caller, wanted):
        raise action_missing(Action.MANAGE_AGENTS, "to create for another owner")
    return require_active(mutation.tx, wanted, Reason.AGENT_OWNER_NOT_FOUND)


def insert_agent(mutation: Mutation, new: NewAgent, owner: User) -> Agent | None:
    """Store an agent and its owner's grant; None if the slug is taken. Logs nothing itself.

    Its directory is still to be made. Raises before it writes anything if the limit or a
    reservation stand against it.
    """
    if not mutation.caller.manages_agents:
        require_quota(mutation, owner)
    check_slug(mutation, new.agent_slug, owner.user_id, path="agent_slug")
    return _store(mutation, new, owner.user_id)


def require_site(mutation: Mutation, site_scope: SiteId | None) -> None:
    """Raise PermissionDenied unless the caller may set a site scope, NotFound without such a site.

    None stands for every site.
    """
    if not mutation.caller.manages_agents:
        raise action_missing(Action.MANAGE_AGENTS, "to set the site scope")
    if site_scope is not None and mutation.tx.sites.find(site_scope) is None:
        raise NotFound(Reason.SITE_NOT_FOUND, "there is no site {site_id}", site_id=site_scope)


def add_agent(
    tx: WriteTransaction, new: NewAgent, owner_id: UserId, now: datetime, granted_by: UserId | None
) -> Agent | None:
    """The rows of an agent: its own and its owner's grant. None if the slug is taken."""
    agent = tx.agents.add(new, owner_id=owner_id, at=now)
    if agent is not None:
        tx.grants.put(agent.agent_id, owner_id, Role.ADMIN, granted_by, now, None)
    return agent


def provision_agent(
    app: App, call: MutatingCall, ref: UserRef | None
) -> Written[Created] | Replayed:
    """The agent with the lowest id that a user owns, or a new one named after their login."""
    return create_or_find(app, call, lambda mutation: _provision(mutation, ref))


def require_quota(mutation: Mutation, owner: User) -> None:
    """Raise ResourceExhausted if the owner has as many agents as they may have."""
    limit = mutation.app.limits.agents_per_user
    hold_quota(mutation, owner.user_id)
    owned = mutation.tx.agents.count_owned(owner.user_id)
    if owned < limit:
        return
    if not mutation.caller.is_user(owner.user_id):
        # What another user has is not the caller's to know.
        raise ResourceExhausted(
            Reason.AGENT_LIMIT_REACHED,
            "they own as many agents as they may: ask an administrator",
        )
    parts: dict[str, Any] = {"login": owner.login, "owned": owned, "limit": limit}
    message = "{login!r} owns {owned} agents and may own {limit}"
    first = mutation.tx.agents.first_owned(owner.user_id) if owned == 1 else None
    if first is not None:
        message = "{login!r} owns {agent_slug!r}, {agent_name!r}, and may own {limit}"
        parts |= {"agent_slug": first.agent_slug, "agent_name": first.agent_name}
    message += ": delete or transfer one, or ask an administrator"
    raise ResourceExhausted(Reason.AGENT_LIMIT_REACHED, message, **parts)


def hold_quota(mutation: Mutation, owner_id: UserId) -> None:
    """Keep others from creating agents of this owner, so that no two find the last free place.

    Not by the user's row: racing calls of one caller share that already, and each would wait for
    the others to let go.
    """
    mutation.tx.exclusive(f"agents of {owner_id}")


def check_slug(mutation: Mutation, slug: str, owner_id: UserId, *, path: str) -> None:
    """Raise FailedPrecondition if a slug is kept for somebody else. Administrators may override."""
    if mutation.caller.manages_agents:
        return
    why = ""
    if _is_reserved(mutation, slug, owner_id):
        why = "was released lately and is kept for its former owner"
    elif definitions.is_for_another(mutation.app, mutation.tx, slug, owner_id):
        why = "is declared, for another owner"
    if why:
        raise FailedPrecondition(
            Reason.SLUG_RESERVED,
            "{field}: {agent_slug!r} {why}",
            agent_slug=slug,
            field=path,
            why=why,
        )


def claim_slug(mutation: Mutation, agent: Agent) -> None:
    """End the reservation of a slug that an agent has just been given.

    Raises Conflict where the slug was released to somebody else after it was admitted: whoever
    releases it holds the row that giving it has waited for.
    """
    admitted = mutation.caller.manages_agents
    if not admitted and _is_reserved(mutation, agent.agent_slug, agent.owner_id):
        raise Conflict(f"the slug {agent.agent_slug!r} was released at the same time")
    mutation.tx.reservations.drop(agent.agent_slug)


def reserve_slug(mutation: Mutation, agent: Agent) -> None:
    """Keep the slug that an agent has just given up for its owner."""
    until = mutation.now + mutation.app.limits.slug_reservation
    mutation.tx.reservations.put(agent.agent_slug, agent.owner_id, until)


def _provision(mutation: Mutation, ref: UserRef | None) -> Created:
    user = _provisioned_user(mutation, ref)
    found = mutation.tx.agents.first_owned(user.user_id)
    if found is not None:
        return Created(found, None)
    if not mutation.caller.manages_agents:
        require_quota(mutation, user)
    for slug in _login_slugs(user.login):
        if _is_reserved(mutation, slug, user.user_id):
            continue
        if definitions.is_for_another(mutation.app, mutation.tx, slug, user.user_id):
            continue
        new = NewAgent(
            agent_slug=slug,
            agent_name=user.display_name or user.login,
            config={},
            site_scope=None,
        )
        agent = _store(mutation, new, user.user_id)
        if agent is not None:
            return Created(agent, agent_scaffold(mutation.app, mutation.tx, agent))
    raise AlreadyExists(
        Reason.AGENT_SLUG_CONFLICT,
        "every slug near the login {login!r} is taken: create an agent by name",
        login=user.login,
    )


def _store(mutation: Mutation, new: NewAgent, owner_id: UserId) -> Agent | None:
    granter = mutation.caller.user.user_id
    agent = add_agent(mutation.tx, new, owner_id, mutation.now, granter)
    if agent is not None:
        claim_slug(mutation, agent)
    return agent


def _provisioned_user(mutation: Mutation, ref: UserRef | None) -> User:
    caller = mutation.caller
    wanted = caller.user.user_id if ref is None else ref
    if not caller.manages_agents and not is_caller(caller, wanted):
        raise action_missing(Action.MANAGE_AGENTS, "to provision another user's agent")
    user = require_active(mutation.tx, wanted)
    hold_quota(mutation, user.user_id)
    return user


def _is_reserved(mutation: Mutation, slug: str, owner_id: UserId) -> bool:
    reservation = mutation.tx.reservations.find(slug, mutation.now)
    return reservation is not None and reservation.owner_id != owner_id


def _login_slugs(login: str) -> Iterator[str]:
    # A login has a letter or a digit, but dots alone would clean to digits: "1.2" to "1-2" is fine.
    base = slugs.clean(login) or "agent"
    if not slugs.is_numeric(base):
        yield base
    for number in range(2, _PROVISION_ATTEMPTS):
        yield f"{base[: slugs.MAX_LENGTH - 4]}-{number}"
