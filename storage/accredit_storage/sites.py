"""Sites: the places that share the network of agents."""

from datetime import datetime

from sqlalchemy import bindparam, delete, func, select

from accredit_storage.execution import Executor, locked, prepared
from accredit_storage.records import NewSite, Site, SiteId, given
from accredit_storage.schema import agents, sites
from accredit_storage.statements import AnyRow, by_dialect

_select = select(sites)
_by_id = prepared(_select.where(sites.c.site_id == bindparam("site_id")))
_by_slug = prepared(_select.where(sites.c.site_slug == bindparam("site_slug")))
_page = prepared(
    _select.where(sites.c.site_id > bindparam("after"))
    .order_by(sites.c.site_id)
    .limit(bindparam("limit"))
)
_delete = prepared(delete(sites).where(sites.c.site_id == bindparam("site_id")))
_agent_count = prepared(
    select(func.count()).select_from(agents).where(agents.c.site_scope == bindparam("site_id"))
)
_add = by_dialect(
    lambda insert: (
        insert(sites).on_conflict_do_nothing(index_elements=[sites.c.site_slug]).returning(*sites.c)
    )
)


class Sites:
    """The sites that one transaction sees."""

    def __init__(self, connection: Executor) -> None:
        self._connection = connection

    def add(self, new: NewSite, *, at: datetime) -> Site | None:
        """Store a new site; None if the slug is taken."""
        values = {
            **given(new),
            "version": 1,
            "created_at": at,
            "updated_at": at,
        }
        statement = _add
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
        rows = self._connection.execute(_page, {"after": after or 0, "limit": limit})
        return [Site(**row._asdict()) for row in rows]

    def delete(self, site_id: SiteId) -> bool:
        """Remove the site; False if there is none.

        While an agent is of this site, the transaction ends with Conflict.
        """
        return self._connection.execute(_delete, {"site_id": site_id}).rowcount > 0

    def agent_count(self, site_id: SiteId) -> int:
        """How many agents are of this site."""
        count: int = self._connection.execute(_agent_count, {"site_id": site_id}).scalar_one()
        return count


def _site(row: AnyRow | None) -> Site | None:
    return None if row is None else Site(**row._asdict())
