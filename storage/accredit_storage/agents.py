"""Agents, and the one query that lists them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    FromClause,
    Integer,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    type_coerce,
    union_all,
    update,
)

from accredit_storage.arrays import among, by_keys
from accredit_storage.directory.places import new_key
from accredit_storage.errors import SlugTaken
from accredit_storage.execution import Executor, Prepared, locked, prepared
from accredit_storage.records import (
    Agent,
    AgentId,
    AgentStatus,
    AgentUpdate,
    Grant,
    NewAgent,
    Role,
    SiteId,
    Unset,
    UserId,
    given,
)
from accredit_storage.schema import agents, grants
from accredit_storage.statements import (
    AnyRow,
    any_like,
    by_dialect,
    containing,
    reader,
    refusing_taken,
    unexpired,
)

#: The blocks of a list, in their order.
OWNED, GRANTED = 0, 1

_read, _read_grant = reader(Agent, agents.c.keys()), reader(Grant, grants.c.keys())

_select = select(agents)
_by_id = prepared(_select.where(agents.c.agent_id == bindparam("agent_id")))
_by_slug = prepared(_select.where(agents.c.agent_slug == bindparam("agent_slug")))
_owned_all = (
    _select.where(agents.c.owner_id == bindparam("owner_id"))
    .order_by(agents.c.agent_id)
    .limit(bindparam("most", type_=Integer()))
)
_owned = prepared(_owned_all)
_owned_active = prepared(_owned_all.where(agents.c.status == AgentStatus.ACTIVE))
_viewer_id = bindparam("viewer_id", type_=grants.c.user_id.type)
_is_live = unexpired(grants.c.expire_at, bindparam("at", type_=grants.c.expire_at.type))


def is_seen(agent: FromClause, *, granted: ColumnElement[bool]) -> ColumnElement[bool]:
    """True where a viewer has a role on an agent; ``granted``: where they have an unexpired grant.

    A statement with this condition does not return the row of a hidden agent, whose size would
    otherwise show in the time.
    """
    return or_(
        bindparam("sees_all", type_=Boolean()),
        agent.c.owner_id == _viewer_id,
        agent.c.agent_id == bindparam("viewer_agent_id", type_=agent.c.agent_id.type),
        granted,
    )


def has_grant(agent: FromClause) -> ColumnElement[bool]:
    """True where a viewer has an unexpired grant on an agent, in a statement without grants."""
    theirs = and_(grants.c.agent_id == agent.c.agent_id, grants.c.user_id == _viewer_id)
    return exists().where(theirs, _is_live)


_with_grant = agents.outerjoin(
    grants, and_(grants.c.agent_id == agents.c.agent_id, grants.c.user_id == _viewer_id)
)
_is_seen = is_seen(agents, granted=and_(grants.c.user_id.is_not(None), _is_live))
_seen = select(*agents.c, *grants.c).select_from(_with_grant).where(_is_seen)
_seen_by_id = prepared(_seen.where(agents.c.agent_id == bindparam("agent_id")))
_seen_by_slug = prepared(_seen.where(agents.c.agent_slug == bindparam("agent_slug")))
_all_seen = select(*agents.c).select_from(_with_grant).where(_is_seen)
# By what they are looked for, and whether for a viewer.
_many = {
    (by, is_seen): by_keys(base.order_by(agents.c.agent_id), agents.c[by])
    for by in ("agent_id", "agent_slug")
    for is_seen, base in ((False, _select), (True, _all_seen))
}
_files_made = Prepared(
    lambda dialect: (
        update(agents).where(among(agents.c.agent_id, "keys", dialect)).values(files_made=True)
    )
)
_add = by_dialect(
    lambda insert: (
        insert(agents)
        .on_conflict_do_nothing(index_elements=[agents.c.agent_slug])
        .returning(*agents.c)
    )
)
_of_owner = agents.c.owner_id == bindparam("owner_id")
_count_owned = prepared(select(func.count()).select_from(agents).where(_of_owner))
_first_owned = prepared(_select.where(_of_owner).order_by(agents.c.agent_id).limit(1))
_after = prepared(
    _select.where(agents.c.agent_id > bindparam("after"))
    .order_by(agents.c.agent_id)
    .limit(bindparam("limit"))
)
_delete = prepared(delete(agents).where(agents.c.agent_id == bindparam("agent_id")))


@cache
def _updating(names: frozenset[str]) -> Prepared:
    """The UPDATE that sets these columns of an agent."""
    return prepared(
        update(agents)
        .where(agents.c.agent_id == bindparam("of_agent_id"))
        .values(
            {name: bindparam(name) for name in names}
            | {"version": agents.c.version + 1, "updated_at": bindparam("updated_at")}
        )
        .returning(*agents.c)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentQuery:
    """Which agents to list, for whom, and from where on.

    Not ``everyone``: the agents that ``user_id`` owns, then those granted to them that they do not
    own. ``everyone``: every agent there is, in one block; ``user_id`` then only says whose role is
    told. ``site_id`` keeps the agents of that site and those of the whole network. ``text`` is
    looked for in slug and name, A to Z being the same as a to z. Grants are judged ``at`` that
    time. ``after`` is the (block, agent id) of the last agent already had.
    """

    user_id: UserId
    everyone: bool
    site_id: SiteId | None
    status: AgentStatus | None
    text: str | None
    at: datetime
    after: tuple[int, int] | None
    limit: int
    #: Keep this one agent.
    only: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who looks for an agent, by the ids by which they may have a role; 0 for none.

    ``sees_all``: they have one on every agent. Grants are judged ``at`` that time.
    """

    user_id: UserId
    agent_id: AgentId
    sees_all: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAgent:
    """An agent as it stands in somebody's list.

    ``role`` is theirs: ADMIN for the owner whatever is granted, else their unexpired grant's, None
    without one.
    """

    agent: Agent
    block: int
    is_owner: bool
    role: Role | None


class Agents:
    """The agents that one transaction sees."""

    def __init__(self, connection: Executor) -> None:
        self._connection = connection

    def add(self, new: NewAgent, *, owner_id: UserId, at: datetime) -> Agent | None:
        """Store a new agent; None if the slug is taken.

        Where another transaction is adding the same slug, waits for how that one ends.
        """
        values = {
            **given(new),
            "owner_id": owner_id,
            "version": 1,
            "created_at": at,
            "updated_at": at,
            "directory_key": new_key(),
            "files_made": False,
        }
        statement = _add
        return _agent(self._connection.execute(statement, values).one_or_none())

    def find(self, agent_id: AgentId, *, lock: bool = False) -> Agent | None:
        """The agent of this id."""
        statement = locked(_by_id, lock=lock)
        return _agent(self._connection.execute(statement, {"agent_id": agent_id}).one_or_none())

    def find_by_slug(self, agent_slug: str, *, lock: bool = False) -> Agent | None:
        """The agent of exactly this slug."""
        statement = locked(_by_slug, lock=lock)
        return _agent(self._connection.execute(statement, {"agent_slug": agent_slug}).one_or_none())

    def find_seen(
        self, ref: AgentId | str, viewer: Viewer, *, lock: bool = False
    ) -> tuple[Agent, Grant | None] | None:
        """The agent of an id or a slug and the viewer's grant on it, if they have a role on it.

        One statement, the same for an agent on which they have none and for one that is not there.
        """
        by_id = isinstance(ref, int)
        statement = locked(_seen_by_id if by_id else _seen_by_slug, lock=lock, of=agents)
        values = {"agent_id" if by_id else "agent_slug": ref, **values_of(viewer)}
        row = self._connection.execute(statement, values).one_or_none()
        return None if row is None else _with_their_grant(row)

    def find_many(
        self, agent_ids: Collection[AgentId], viewer: Viewer | None = None
    ) -> list[Agent]:
        """Those of up to 10 000 ``agent_ids`` that exist, each once, lowest id first.

        Of them only those on which a ``viewer`` has a role, if one is given.
        """
        if not agent_ids:
            return []
        return self._many("agent_id", agent_ids, viewer)

    def find_many_by_slug(
        self, agent_slugs: Collection[str], viewer: Viewer | None = None
    ) -> list[Agent]:
        """The same of ``agent_slugs``."""
        if not agent_slugs:
            return []
        return self._many("agent_slug", agent_slugs, viewer)

    def all_after(self, agent_id: AgentId, limit: int) -> list[Agent]:
        """Up to ``limit`` agents with higher ids, lowest first."""
        rows = self._connection.execute(_after, {"after": agent_id, "limit": limit})
        return [_read(row) for row in rows]

    def set_files_made(self, agent_ids: Collection[AgentId]) -> None:
        """Say of up to 10 000 agents that their directories were made. No version is raised."""
        statement = _files_made
        self._connection.execute(statement, {"keys": agent_ids})

    def count_owned(self, owner_id: UserId) -> int:
        """How many agents the user owns, whatever their status."""
        count: int = self._connection.execute(_count_owned, {"owner_id": owner_id}).scalar_one()
        return count

    def first_owned(self, owner_id: UserId) -> Agent | None:
        """The agent with the lowest id among those the user owns."""
        row = self._connection.execute(_first_owned, {"owner_id": owner_id}).one_or_none()
        return _agent(row)

    def owned(self, owner_id: UserId, limit: int, *, only_active: bool = False) -> list[Agent]:
        """Up to ``limit`` agents that the user owns, lowest id first."""
        statement = _owned_active if only_active else _owned
        rows = self._connection.execute(statement, {"owner_id": owner_id, "most": limit})
        return [Agent(**row._asdict()) for row in rows]

    def page(self, query: AgentQuery) -> list[ListedAgent]:
        """Up to ``query.limit`` agents in the order of (block, agent id), by one statement."""
        asked = _filters_of(query)
        first = None if query.after is None else query.after[0]
        statement = _all(frozenset(asked)) if query.everyone else _mine(frozenset(asked), first)
        values = {
            **asked,
            "user_id": query.user_id,
            "at": query.at,
            "after": 0 if query.after is None else query.after[1],
            "limit": query.limit,
        }
        found = [_listed(row, query.user_id) for row in self._connection.execute(statement, values)]
        found.sort(key=lambda one: (one.block, one.agent.agent_id))
        return found[: query.limit]

    def update(self, agent_id: AgentId, wanted: AgentUpdate, *, at: datetime) -> Agent | None:
        """Set what is given and raise the version: the agent as it is then, None if not there.

        Raises SlugTaken, after which the transaction goes on.
        """
        values = given(wanted)
        statement = _updating(frozenset(values))
        values |= {"of_agent_id": agent_id, "updated_at": at}
        if isinstance(wanted.agent_slug, Unset):
            return _agent(self._connection.execute(statement, values).one_or_none())
        refusal = SlugTaken(f"another agent has the slug {wanted.agent_slug!r}")
        with refusing_taken(self._connection, refusal):
            return _agent(self._connection.execute(statement, values).one_or_none())

    def delete(self, agent_id: AgentId) -> bool:
        """Remove the agent with its grants, tokens and offer; False if there is none."""
        return self._connection.execute(_delete, {"agent_id": agent_id}).rowcount > 0

    def _many(self, by: str, keys: Collection[Any], viewer: Viewer | None) -> list[Agent]:
        statement = _many[by, viewer is not None]
        values = {} if viewer is None else values_of(viewer)
        rows = self._connection.execute(statement, {"keys": keys, **values})
        return [_read(row) for row in rows]


def _agent(row: AnyRow | None) -> Agent | None:
    return None if row is None else _read(row)


def values_of(viewer: Viewer) -> dict[str, Any]:
    """The parameters of ``is_seen`` and ``has_grant``."""
    return {
        "viewer_id": viewer.user_id,
        "viewer_agent_id": viewer.agent_id,
        "sees_all": viewer.sees_all,
        "at": viewer.at,
    }


def _with_their_grant(row: AnyRow) -> tuple[Agent, Grant | None]:
    # By position: both tables have an agent_id and a version.
    width = len(agents.c)
    # Of a grant's key, the first column is the agent's.
    return _read(row), None if row[width] is None else _read_grant(row[width:])


def _listed(row: AnyRow, user_id: UserId) -> ListedAgent:
    *columns, block, role = row
    agent = _read(columns)
    is_owner = agent.owner_id == user_id
    return ListedAgent(
        agent=agent, block=block, is_owner=is_owner, role=Role.ADMIN if is_owner else role
    )


_user = bindparam("user_id", type_=agents.c.owner_id.type)
_is_after = agents.c.agent_id > bindparam("after")
_limit = bindparam("limit", type_=Integer())


@cache
def _all(asked: frozenset[str]) -> Prepared:
    """Every agent, beside each the user's unexpired grant."""
    theirs = and_(grants.c.agent_id == agents.c.agent_id, grants.c.user_id == _user, _is_live)
    return prepared(
        select(*agents.c, literal(OWNED).label("block"), grants.c.role.label("role"))
        .select_from(agents.outerjoin(grants, theirs))
        .where(*_filters(asked), _is_after)
        .order_by(agents.c.agent_id)
        .limit(_limit)
    )


@cache
def _mine(asked: frozenset[str], first: int | None) -> Prepared:
    """The owned block and the granted one; ``first`` is the one that is gone on with.

    Each is cut to the limit by itself, so that a page costs a page of either and not the whole.
    ``page`` puts one behind the other: SQLite would copy every row to sort them.
    """
    # The first arm of a UNION says what type its columns are read as.
    no_role = type_coerce(null(), grants.c.role.type).label("role")
    owned = select(*agents.c, literal(OWNED).label("block"), no_role).where(
        agents.c.owner_id == _user
    )
    granted = (
        select(*agents.c, literal(GRANTED).label("block"), grants.c.role.label("role"))
        .join(grants, grants.c.agent_id == agents.c.agent_id)
        .where(grants.c.user_id == _user, _is_live, agents.c.owner_id != _user)
    )
    blocks = [owned, granted]
    if first is not None:
        blocks = blocks[first:]
        blocks[0] = blocks[0].where(_is_after)
    pages = [
        # A query around each, because SQLite takes no LIMIT in an arm of a UNION.
        select(block.where(*_filters(asked)).order_by(agents.c.agent_id).limit(_limit).subquery())
        for block in blocks
    ]
    return prepared(union_all(*pages))


_CONDITIONS = {
    "site_id": or_(
        agents.c.site_scope == bindparam("site_id", type_=agents.c.site_scope.type),
        agents.c.site_scope.is_(None),
    ),
    "only": agents.c.agent_id == bindparam("only"),
    "status": agents.c.status == bindparam("status"),
    "pattern": any_like((agents.c.agent_slug, agents.c.agent_name), "pattern"),
}


def _filters(asked: frozenset[str]) -> list[ColumnElement[bool]]:
    return [condition for name, condition in _CONDITIONS.items() if name in asked]


def _filters_of(query: AgentQuery) -> dict[str, Any]:
    """What is asked of the agents, by the name of its condition."""
    asked = {
        "site_id": query.site_id,
        "only": query.only,
        "status": query.status,
        "pattern": None if query.text is None else containing(query.text),
    }
    return {name: value for name, value in asked.items() if value is not None}
