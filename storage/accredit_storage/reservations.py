"""Reservations: slugs that were released and still belong to somebody."""

from datetime import datetime

from sqlalchemy import Executable, bindparam, delete, select

from accredit_storage.execution import Executor, prepared
from accredit_storage.records import Reservation, UserId
from accredit_storage.schema import reservations
from accredit_storage.statements import InsertMaker, by_dialect, unexpired


def _putting(insert: InsertMaker) -> Executable:
    statement = insert(reservations)
    new = {name: statement.excluded[name] for name in ("owner_id", "expire_at")}
    return statement.on_conflict_do_update(index_elements=[reservations.c.agent_slug], set_=new)


_put = by_dialect(_putting)
_of_slug = reservations.c.agent_slug == bindparam("agent_slug")
_find = prepared(
    select(reservations).where(
        _of_slug,
        unexpired(reservations.c.expire_at, bindparam("at", type_=reservations.c.expire_at.type)),
    )
)
_drop = prepared(delete(reservations).where(_of_slug))
_sweep = prepared(delete(reservations).where(reservations.c.expire_at <= bindparam("at")))


class Reservations:
    """The reservations that one transaction sees."""

    def __init__(self, connection: Executor) -> None:
        self._connection = connection

    def put(self, agent_slug: str, owner_id: UserId, expire_at: datetime) -> None:
        """Keep the slug for ``owner_id`` until ``expire_at``, whoever it was kept for before."""
        values = {"agent_slug": agent_slug, "owner_id": owner_id, "expire_at": expire_at}
        self._connection.execute(_put, values)

    def find(self, agent_slug: str, at: datetime) -> Reservation | None:
        """The reservation of exactly this slug, unless it has expired by ``at``."""
        values = {"agent_slug": agent_slug, "at": at}
        row = self._connection.execute(_find, values).one_or_none()
        return None if row is None else Reservation(**row._asdict())

    def drop(self, agent_slug: str) -> bool:
        """Release the slug; False if it was not reserved."""
        return self._connection.execute(_drop, {"agent_slug": agent_slug}).rowcount > 0

    def sweep(self, at: datetime) -> int:
        """Remove what has expired by ``at``: how many there were."""
        return self._connection.execute(_sweep, {"at": at}).rowcount
