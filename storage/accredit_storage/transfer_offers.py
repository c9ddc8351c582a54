"""Offers: agents whose owners want to give them to somebody who has not accepted yet.

Only what is open counts: at its very ``expire_at`` an offer no longer is. One that has ended in any
other way has no row.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, func, or_, select

from accredit_storage.records import AgentId, TransferOffer, UserId
from accredit_storage.schema import agents, transfer_offers, users
from accredit_storage.statements import AnyRow, locked

_givers = users.alias("givers")
_receivers = users.alias("receivers")
_select = select(transfer_offers)
_of_giver, _of_receiver = transfer_offers.c.owner_id, transfer_offers.c.new_owner_id


class TransferOffers:
    """The offers that one transaction sees."""

    def __init__(self, connection: Connection) -> None:
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
        statement = transfer_offers.insert().values(values).returning(*transfer_offers.c)
        return TransferOffer(**self._connection.execute(statement).one()._mapping)

    def find(self, offer_id: int, at: datetime, *, lock: bool = False) -> TransferOffer | None:
        """The offer of this id, if it is open at ``at``."""
        statement = _select.where(transfer_offers.c.offer_id == offer_id, *_open(at))
        return _offer(self._connection.execute(locked(statement, lock=lock)).one_or_none())

    def find_for_agent(self, agent_id: AgentId, at: datetime) -> TransferOffer | None:
        """The offer of the agent, if one is open at ``at``."""
        statement = _select.where(transfer_offers.c.agent_id == agent_id, *_open(at))
        return _offer(self._connection.execute(statement).one_or_none())

    def count(
        self, at: datetime, *, owner_id: UserId | None = None, new_owner_id: UserId | None = None
    ) -> int:
        """How many offers are open at ``at``, made by a user or to one."""
        statement = select(func.count()).select_from(transfer_offers).where(*_open(at))
        if owner_id is not None:
            statement = statement.where(_of_giver == owner_id)
        if new_owner_id is not None:
            statement = statement.where(_of_receiver == new_owner_id)
        return self._connection.execute(statement).scalar_one()

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
        return self._remove(transfer_offers.c.agent_id == agent_id)

    def end_of_user(self, user_id: UserId) -> list[TransferOffer]:
        """Remove all offers that the user has made or been made, in the order of their ids."""
        return self._remove(or_(_of_giver == user_id, _of_receiver == user_id))

    def sweep(self, at: datetime) -> int:
        """Remove what has expired by ``at``: how many there were."""
        statement = delete(transfer_offers).where(transfer_offers.c.expire_at <= at)
        return self._connection.execute(statement).rowcount

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

    def _remove(self, condition: ColumnElement[bool]) -> list[TransferOffer]:
        statement = delete(transfer_offers).where(condition).returning(*transfer_offers.c)
        found = [TransferOffer(**row._mapping) for row in self._connection.execute(statement)]
        return sorted(found, key=lambda offer: offer.offer_id)


def _open(at: datetime) -> tuple[ColumnElement[bool]]:
    return (transfer_offers.c.expire_at > at,)


def _offer(row: AnyRow | None) -> TransferOffer | None:
    return None if row is None else TransferOffer(**row._mapping)


def _described(row: AnyRow) -> tuple[TransferOffer, str, str, str]:
    *columns, agent_slug, owner_login, new_owner_login = row
    offer = TransferOffer(**dict(zip(transfer_offers.c.keys(), columns, strict=True)))
    return offer, agent_slug, owner_login, new_owner_login
