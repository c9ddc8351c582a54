"""Reservations: slugs that were released and still belong to somebody."""

from datetime import datetime

from sqlalchemy import Connection, Executable, delete, select

from accredit_storage.records import Reservation, UserId
from accredit_storage.schema import reservations
from accredit_storage.statements import InsertMaker, by_dialect, unexpired


def _putting(insert: InsertMaker) -> Executable:
    statement = insert(reservations)
    new = {name: statement.excluded[name] for name in ("owner_id", "expire_at")}
    return statement.on_conflict_do_update(index_elements=[reservations.c.agent_slug], set_=new)


_put = by_dialect(_putting)


class Reservations:
    """The reservations that one transaction sees."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, agent_slug: str, owner_id: UserId, expire_at: datetime) -> None:
        """Keep the slug for ``owner_id`` until ``expire_at``, whoever it was kept for before."""
        values = {"agent_slug": agent_slug, "owner_id": owner_id, "expire_at": expire_at}
        self._connection.execute(_put[self._connection.dialect.name], values)

    def find(self, agent_slug: str, at: datetime) -> Reservation | None:
        """The reservation of exactly this slug, unless it has expired by ``at``."""
        statement = select(reservations).where(
            reservations.c.agent_slug == agent_slug, unexpired(reservations.c.expire_at, at)
        )
        row = self._connection.execute(statement).one_or_none()
        return None if row is None else Reservation(**row._mapping)

    def drop(self, agent_slug: str) -> bool:
        """Release the slug; False if it was not reserved."""
        statement = delete(reservations).where(reservations.c.agent_slug == agent_slug)
        return self._connection.execute(statement).rowcount > 0

    def sweep(self, at: datetime) -> int:
        """Remove what has expired by ``at``: how many there were."""
        statement = delete(reservations).where(reservations.c.expire_at <= at)
        return self._connection.execute(statement).rowcount
