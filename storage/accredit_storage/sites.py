"""Sites: the places that share the network of agents."""

from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, select

from accredit_storage.records import NewSite, Site, SiteId, given
from accredit_storage.schema import agents, sites
from accredit_storage.statements import AnyRow, by_dialect, locked

_select = select(sites)
_by_id = _select.where(sites.c.site_id == bindparam("site_id"))
_by_slug = _select.where(sites.c.site_slug == bindparam("site_slug"))
_add = by_dialect(
    lambda insert: (
        insert(sites).on_conflict_do_nothing(index_elements=[sites.c.site_slug]).returning(*sites.c)
    )
)


class Sites:
    """The sites that one transaction sees."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, new: NewSite, *, at: datetime) -> Site | None:
        """Store a new site; None if the slug is taken."""
        values = {
            **given(new),
            "version": 1,
            "created_at": at,
            "updated_at": at,
        }
        statement = _add[self._connection.dialect.name]
        return _site(self._connection.execute(statement, values).one_or_none())

    def find(self, site_id: SiteId, *, lock: bool = False) -> Site | None:
        """The site of this id."""
        statement = locked(_by_id, lock=lock)
        return _site(self._connection.execute(statement, {"site_id": site_id}).one_or_none())

    def find_by_slug(self, site_slug: str, *, lock: bool = False) -> Site | None:
        """The site of exactly this slug."""
        statement = locked(_by_slug, lock=lock)
        return _site(self._connection.execute(statement, {"site_slug": site_slug}).one_or_none())

    def page(self, *, after: int | None, limit: int) -> list[Site]:
        """Up to ``limit`` sites, lowest id first; ``after`` is that of the last one already had."""
        statement = _select.order_by(sites.c.site_id).limit(limit)
        if after is not None:
            statement = statement.where(sites.c.site_id > after)
        return [Site(**row._mapping) for row in self._connection.execute(statement)]

    def delete(self, site_id: SiteId) -> bool:
        """Remove the site; False if there is none.

        While an agent is of this site, the transaction ends with Conflict.
        """
        statement = delete(sites).where(sites.c.site_id == site_id)
        return self._connection.execute(statement).rowcount > 0

    def agent_count(self, site_id: SiteId) -> int:
        """How many agents are of this site."""
        statement = select(func.count()).select_from(agents).where(agents.c.site_scope == site_id)
        return self._connection.execute(statement).scalar_one()


def _site(row: AnyRow | None) -> Site | None:
    return None if row is None else Site(**row._mapping)
