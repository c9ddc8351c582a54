"""Offers: agents whose owners want to give them to somebody who has not accepted yet.

Only what is open counts: at its very ``expire_at`` an offer no longer is. One that has ended in any
other way has no row.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, delete, func, or_, select

from accredit_storage.execution import Executor, locked, prepared
from accredit_storage.records import AgentId, TransferOffer, UserId
from accredit_storage.schema import agents, transfer_offers, users
from accredit_storage.statements import AnyRow

_givers = users.alias("givers")
_receivers = users.alias("receivers")
_select = select(transfer_offers)
_of_giver, _of_receiver = transfer_offers.c.owner_id, transfer_offers.c.new_owner_id
_is_open = transfer_offers.c.expire_at > bindparam("at")
_of_agent = transfer_offers.c.agent_id == bindparam("agent_id")
_add = prepared(transfer_offers.insert().returning(*transfer_offers.c))
_by_id = prepared(_select.where(transfer_offers.c.offer_id == bindparam("offer_id"), _is_open))
_by_agent = prepared(_select.where(_of_agent, _is_open))
_end = prepared(delete(transfer_offers).where(_of_agent).returning(*transfer_offers.c))
_end_of_user = prepared(
    delete(transfer_offers)
    .where(or_(_of_giver == bindparam("of_user_id"), _of_receiver == bindparam("of_user_id")))
    .returning(*transfer_offers.c)
)
_sweep = prepared(delete(transfer_offers).where(transfer_offers.c.expire_at <= bindparam("at")))


class TransferOffers:
    """The offers that one transaction sees."""

    def __init__(self, connection: Executor) -> None:
        self._connection = connection

    def add(
        self,
        *,
        agent_id: AgentId,
        owner_id: UserId,
        new_owner_id: UserId,
        at: datetime,
        expire_at: datetime,
    ) -> TransferOffer:
        """Store a new offer. Raises Conflict if the agent has one: end it first."""
        values = {
            "agent_id": agent_id,
            "owner_id": owner_id,
            "new_owner_id": new_owner_id,
            "created_at": at,
            "expire_at": expire_at,
        }
        return TransferOffer(**self._connection.execute(_add, values).one()._asdict())

    def find(self, offer_id: int, at: datetime, *, lock: bool = False) -> TransferOffer | None:
        """The offer of this id, if it is open at ``at``."""
        statement, values = locked(_by_id, lock=lock), {"offer_id": offer_id, "at": at}
        return _offer(self._connection.execute(statement, values).one_or_none())

    def find_for_agent(self, agent_id: AgentId, at: datetime) -> TransferOffer | None:
        """The offer of the agent, if one is open at ``at``."""
        values = {"agent_id": agent_id, "at": at}
        return _offer(self._connection.execute(_by_agent, values).one_or_none())

    def count(
        self, at: datetime, *, owner_id: UserId | None = None, new_owner_id: UserId | None = None
    ) -> int:
        """How many offers are open at ``at``, made by a user or to one."""
        statement = select(func.count()).select_from(transfer_offers).where(*_open(at))
        if owner_id is not None:
            statement = statement.where(_of_giver == owner_id)
        if new_owner_id is not None:
            statement = statement.where(_of_receiver == new_owner_id)
        count: int = self._connection.execute(statement).scalar_one()
        return count

    def page(
        self,
        user_id: UserId,
        *,
        made: bool,
        received: bool,
        at: datetime,
        after: int | None,
        limit: int,
    ) -> list[tuple[TransferOffer, str, str, str]]:
        """Up to ``limit`` offers that are open at ``at``, lowest id first.

        Those that the user has ``made``, those they have ``received``, or both; each with the slug
        of its agent and the logins of giver and receiver. ``after`` is the id of the last one
        already had.
        """
        sides = [_of_giver == user_id] if made else []
        sides += [_of_receiver == user_id] if received else []
        conditions = [or_(*sides), *_open(at)]
        if after is not None:
            conditions.append(transfer_offers.c.offer_id > after)
        return self._described(conditions, limit)

    def describe(self, offer: TransferOffer) -> tuple[TransferOffer, str, str, str]:
        """The offer, stored as it is, with agent_slug and logins as in a page."""
        (found,) = self._described([transfer_offers.c.offer_id == offer.offer_id], 1)
        return found

    def end(self, *, agent_id: AgentId) -> list[TransferOffer]:
        """Remove the agent's offer: what it was, expired or not; none if there was none."""
        return _offers(self._connection.execute(_end, {"agent_id": agent_id}))

    def end_of_user(self, user_id: UserId) -> list[TransferOffer]:
        """Remove all offers that the user has made or been made, in the order of their ids."""
        return _offers(self._connection.execute(_end_of_user, {"of_user_id": user_id}))

    def sweep(self, at: datetime) -> int:
        """Remove what has expired by ``at``: how many there were."""
        return self._connection.execute(_sweep, {"at": at}).rowcount

    def _described(
        self, conditions: Sequence[ColumnElement[bool]], limit: int
    ) -> list[tuple[TransferOffer, str, str, str]]:
        statement = (
            select(*transfer_offers.c, agents.c.agent_slug, _givers.c.login, _receivers.c.login)
            .join(agents, agents.c.agent_id == transfer_offers.c.agent_id)
            .join(_givers, _givers.c.user_id == _of_giver)
            .join(_receivers, _receivers.c.user_id == _of_receiver)
            .where(*conditions)
            .order_by(transfer_offers.c.offer_id)
            .limit(limit)
        )
        return [_described(row) for row in self._connection.execute(statement)]


def _open(at: datetime) -> tuple[ColumnElement[bool]]:
    return (transfer_offers.c.expire_at > at,)


def _offer(row: AnyRow | None) -> TransferOffer | None:
    return None if row is None else TransferOffer(**row._asdict())


def _offers(rows: Iterable[AnyRow]) -> list[TransferOffer]:
    """In the order of their ids."""
    found = [TransferOffer(**row._asdict()) for row in rows]
    return sorted(found, key=lambda offer: offer.offer_id)


def _described(row: AnyRow) -> tuple[TransferOffer, str, str, str]:
    *columns, agent_slug, owner_login, new_owner_login = row
    offer = TransferOffer(**dict(zip(transfer_offers.c.keys(), columns, strict=True)))
    return offer, agent_slug, owner_login, new_owner_login
