"""An agent gets another owner: at once, or when the one to whom it is offered accepts.

Nobody is given anything that they cannot refuse. So an owner only offers; whoever manages agents
transfers at once. What an offer was made under may have changed: all of it is judged again when it
is accepted.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from accredit_storage.records import (
    Agent,
    AgentUpdate,
    ChangeKind,
    Grant,
    Role,
    TransferOffer,
    User,
    UserId,
)
from accredit_storage.store import Transaction

from ..calls import snapshots
from ..calls.app import App
from ..calls.callers import require_full_reach
from ..calls.mutations import (
    Effect,
    MutatingCall,
    Mutation,
    Replayed,
    Written,
    check_etag,
    mutate,
)
from ..calls.mutations import etag as etag_of
from ..calls.paging import Cursor, Page, PageRequest
from ..calls.reads import Ask, reading
from ..errors import (
    FailedPrecondition,
    NotFound,
    Reason,
    ResourceExhausted,
    action_missing,
    invalid,
)
from ..input.agent_refs import AgentRef, require_agent, shown_holders
from ..input.user_refs import (
    UserRef,
    is_caller,
    require_active,
    require_user,
)
from ..policy.permissions import Action
from ..policy.subjects import (
    agent_subjects,
    grant_subject,
    offer_subjects,
    token_subjects,
)
from .agents import require_owner
from .creation import require_quota
from .default_agents import forget_without_grant

#: How many offers a user may have made, and how many been made, at one time.
MAX_OFFERS = 20
_MAX_GRANTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferAgent:
    """A new owner for an agent."""

    agent: AgentRef
    new_owner: UserRef
    keep_access: bool
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptTransfer:
    """An offer to accept; whether the former owner keeps a grant."""

    offer_id: int
    keep_access: bool


class Side(enum.Enum):
    """On which side of an offer a user stands."""

    RECEIVED = "received"
    MADE = "made"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOffers:
    """Whose offers, on which side. ``user`` None: the acting user's. ``side`` None: either."""

    user: UserRef | None
    side: Side | None


class OfferView(NamedTuple):
    """An offer with its agent's slug and the logins of both sides."""

    offer: TransferOffer
    agent_slug: str
    owner_login: str
    new_owner_login: str


@dataclass(frozen=True, slots=True)
class Transferred:
    """The agent under its new owner, the former one, what was revoked, and the grants that stay."""

    agent: Agent
    former_owner_id: UserId
    tokens_revoked: int
    grants: Sequence[tuple[Grant, User]]


@dataclass(frozen=True, slots=True)
class Offered:
    """The agent as it stays, its offer, and whether this call made it."""

    agent: Agent
    view: OfferView
    made: bool


def transfer_agent(
    app: App, call: MutatingCall, command: TransferAgent
) -> Written[Transferred | Offered] | Replayed:
    """Give an agent to another owner if the caller manages agents, else offer it to them."""

    def perform(mutation: Mutation) -> Effect[Transferred] | Effect[Offered]:
        tx, caller = mutation.tx, mutation.caller
        agent = require_agent(tx, caller, command.agent, Role.ADMIN, mutation.now, lock=True)
        require_owner(caller, agent)
        if command.keep_access and not caller.manages_agents:
            raise invalid(
                "keep_access",
                "unset: you make an offer, and whoever accepts it decides what you keep",
            )
        check_etag(command.etag, etag_of(agent.version))
        new_owner = _new_owner(tx, command.new_owner, agent)
        if caller.manages_agents:
            return _transfer(mutation, agent, new_owner, keep_access=command.keep_access)
        return _offer(mutation, agent, new_owner)

    return mutate(app, call, perform)


def accept_transfer(
    app: App, call: MutatingCall, command: AcceptTransfer
) -> Written[Transferred] | Replayed:
    """Take an agent that was offered to the caller, who may have one more."""

    def perform(mutation: Mutation) -> Effect[Transferred]:
        tx, caller = mutation.tx, mutation.caller
        require_full_reach(caller)
        offer = tx.transfer_offers.find(command.offer_id, mutation.now, lock=True)
        if offer is None or offer.new_owner_id != caller.user.user_id:
            raise _no_offer(command.offer_id)
        agent = tx.agents.find(offer.agent_id, lock=True)
        giver = tx.users.find(offer.owner_id, share=True)
        # What ends an offer removes it. Should one be left behind, it gives nothing away.
        if agent is None or giver is None or agent.owner_id != giver.user_id or not giver.active:
            raise _no_offer(command.offer_id)
        if not caller.manages_agents:
            require_quota(mutation, caller.user)
        return _transfer(mutation, agent, caller.user, keep_access=command.keep_access)

    return mutate(app, call, perform)


def decline_transfer(app: App, call: MutatingCall, offer_id: int) -> Written[OfferView] | Replayed:
    """End an offer that was made to the caller, or that the caller has made."""

    def perform(mutation: Mutation) -> Effect[OfferView]:
        tx, caller = mutation.tx, mutation.caller
        require_full_reach(caller)
        offer = tx.transfer_offers.find(offer_id, mutation.now, lock=True)
        if offer is None or caller.user.user_id not in (offer.owner_id, offer.new_owner_id):
            raise _no_offer(offer_id)
        view = _view(tx, offer)
        tx.transfer_offers.end(agent_id=offer.agent_id)
        return Effect(
            value=view,
            kind=ChangeKind.TRANSFER_DECLINED,
            subjects=offer_subjects([offer]),
            before=snapshots.of_offer(offer),
        )

    return mutate(app, call, perform)


def list_offers(app: App, ask: Ask, query: ListOffers, page: PageRequest) -> Page[OfferView]:
    """One page of a user's open offers. Raises PermissionDenied for another user's."""
    with reading(app, ask) as (tx, caller, now, head):
        user = caller.user
        if query.user is not None and not is_caller(caller, query.user):
            if not caller.manages_agents:
                raise action_missing(Action.MANAGE_AGENTS, "to list another user's offers")
            user = require_user(tx, query.user)
        cursor = Cursor(page, caller, head.epoch, about=user.user_id)
        after = cursor.after(int)
        found = tx.transfer_offers.page(
            user.user_id,
            made=query.side is not Side.RECEIVED,
            received=query.side is not Side.MADE,
            at=now,
            after=None if after is None else after[0],
            limit=cursor.size + 1,
        )
        views = [OfferView(*one) for one in found]
        return cursor.page(views, lambda view: (view.offer.offer_id,))


def _transfer(
    mutation: Mutation, before: Agent, owner: User, *, keep_access: bool
) -> Effect[Transferred]:
    """Change the owner, with all that follows from it, in one change."""
    tx, now = mutation.tx, mutation.now
    # Every token, whoever minted it: the new owner's rights are not the old one's to give.
    revoked = tx.tokens.revoke_where(agent_id=before.agent_id, at=now)
    ended = tx.transfer_offers.end(agent_id=before.agent_id)
    after = tx.agents.update(before.agent_id, AgentUpdate(owner_id=owner.user_id), at=now)
    assert after is not None  # noqa: S101 - the row is locked
    granter = mutation.caller.user.user_id
    tx.grants.put(before.agent_id, owner.user_id, Role.ADMIN, granter, now, None)
    if not keep_access:
        tx.grants.remove(before.agent_id, before.owner_id)
        giver = require_user(tx, before.owner_id)
        forget_without_grant(tx, after, giver, now)
    holders = tx.grants.page_for_agent(after.agent_id, after=None, limit=_MAX_GRANTS)
    stay = shown_holders(mutation.caller, holders)
    return Effect(
        value=Transferred(after, before.owner_id, len(revoked), stay),
        kind=ChangeKind.AGENT_TRANSFERRED,
        subjects=(
            *agent_subjects(after, after.owner_id, before.owner_id),
            grant_subject(after.agent_id, after.owner_id),
            grant_subject(after.agent_id, before.owner_id),
            *offer_subjects(ended),
            *token_subjects(revoked),
        ),
        before=snapshots.of_agent(before),
        after=snapshots.of_agent(after),
    )


def _offer(mutation: Mutation, agent: Agent, new_owner: User) -> Effect[Offered]:
    """Offer an agent, in place of what it was offered before."""
    tx, now = mutation.tx, mutation.now
    current = tx.transfer_offers.find_for_agent(agent.agent_id, now)
    if current is not None and current.new_owner_id == new_owner.user_id:
        # Whoever asks twice wants what there is; asking again does not prolong it either.
        return Effect(value=Offered(agent, _view(tx, current), False))
    replaced = tx.transfer_offers.end(agent_id=agent.agent_id)
    _require_room_for_offers(tx, agent.owner_id, new_owner.user_id, now)
    offer = tx.transfer_offers.add(
        agent_id=agent.agent_id,
        owner_id=agent.owner_id,
        new_owner_id=new_owner.user_id,
        at=now,
        expire_at=now + mutation.app.limits.transfer_offer_lifetime,
    )
    return Effect(
        value=Offered(agent, _view(tx, offer), True),
        kind=ChangeKind.TRANSFER_OFFERED,
        subjects=offer_subjects([offer, *replaced]),
        before=None if current is None else snapshots.of_offer(current),
        after=snapshots.of_offer(offer),
    )


def _require_room_for_offers(
    tx: Transaction, giver_id: UserId, receiver_id: UserId, now: datetime
) -> None:
    """Raise ResourceExhausted if one of them has as many open offers as they may have.

    So nobody fills another's list without an end, nor the store by offering to everybody.
    """
    made = tx.transfer_offers.count(now, owner_id=giver_id)
    received = tx.transfer_offers.count(now, new_owner_id=receiver_id)
    for side, count in (("giver", made), ("receiver", received)):
        if count >= MAX_OFFERS:
            raise ResourceExhausted(
                Reason.TRANSFER_OFFER_LIMIT_REACHED,
                "the {side} has {limit} open offers already: some have to be accepted, declined or "
                "withdrawn first",
                side=side,
                limit=MAX_OFFERS,
            )


def _new_owner(tx: Transaction, who: UserRef, agent: Agent) -> User:
    owner = require_active(tx, who, Reason.AGENT_OWNER_NOT_FOUND)
    if owner.user_id == agent.owner_id:
        raise FailedPrecondition(
            Reason.ALREADY_OWNER,
            "{login!r} owns {agent_slug!r} already",
            login=owner.login,
            agent_slug=agent.agent_slug,
        )
    return owner


def _view(tx: Transaction, offer: TransferOffer) -> OfferView:
    return OfferView(*tx.transfer_offers.describe(offer))


def _no_offer(offer_id: int) -> NotFound:
    """The refusal of an offer that is unknown, somebody else's, or over: they are told alike."""
    return NotFound(
        Reason.TRANSFER_OFFER_NOT_FOUND,
        "there is no open offer {offer_id} of yours: list yours",
        offer_id=offer_id,
    )
