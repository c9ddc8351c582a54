"""Access grants: one user's role on one agent."""

from collections.abc import Collection
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    FromClause,
    Integer,
    and_,
    bindparam,
    delete,
    or_,
    select,
    tuple_,
    update,
)

from accredit_storage.arrays import tuple_values, tuples
from accredit_storage.errors import Conflict
from accredit_storage.execution import Executor, Prepared, locked, prepared
from accredit_storage.records import AgentId, Grant, Role, User, UserId
from accredit_storage.schema import grants, users
from accredit_storage.statements import AnyRow, AnySelect, by_dialect, reader, unexpired
from accredit_storage.users import user_columns

_key = and_(
    grants.c.agent_id == bindparam("of_agent_id"), grants.c.user_id == bindparam("of_user_id")
)
_select = select(grants)


def _joined(asked: FromClause) -> AnySelect:
    # Not (agent_id, user_id) IN (…), for which SQLite reads the whole table.
    return _select.join(
        asked,
        and_(asked.c.agent_id == grants.c.agent_id, asked.c.user_id == grants.c.user_id),
    )


_by_key = prepared(_select.where(_key))
_add = by_dialect(
    lambda insert: (
        insert(grants)
        .on_conflict_do_nothing(index_elements=[grants.c.agent_id, grants.c.user_id])
        .returning(*grants.c)
    )
)
_replace = prepared(
    update(grants).where(_key).values(version=grants.c.version + 1).returning(*grants.c)
)
_many = Prepared(
    lambda dialect: _joined(tuples((grants.c.agent_id, grants.c.user_id), "asked", dialect))
)
_remove = prepared(delete(grants).where(_key).returning(*grants.c))
_holder_columns = user_columns(users)
_read = reader(Grant, grants.c.keys())
_read_holder = reader(User, [str(column.key) for column in _holder_columns])
_limit = bindparam("limit", type_=Integer())
_on_agent = grants.c.agent_id == bindparam("agent_id")
_by_age = (
    select(*grants.c, *_holder_columns)
    .join(users, users.c.user_id == grants.c.user_id)
    .where(_on_agent)
    .order_by(grants.c.granted_at, grants.c.user_id)
    .limit(_limit)
)
_holders = prepared(_by_age)
_holders_after = prepared(
    _by_age.where(
        tuple_(grants.c.granted_at, grants.c.user_id)
        > tuple_(
            bindparam("after_at", type_=grants.c.granted_at.type),
            bindparam("after_id", type_=grants.c.user_id.type),
        )
    )
)
_of_agent = prepared(_select.where(_on_agent).order_by(grants.c.user_id))
_by_user = _select.where(grants.c.user_id == bindparam("user_id")).order_by(grants.c.agent_id)
_of_user = prepared(_by_user)


@cache
def _page(min_role: Role | None) -> Prepared:
    """The unexpired grants of a user, of at least that role."""
    at = bindparam("at", type_=grants.c.expire_at.type)
    statement = _by_user.where(
        unexpired(grants.c.expire_at, at), grants.c.agent_id > bindparam("after")
    ).limit(_limit)
    if min_role is not None:
        enough = [grants.c.role == role for role in Role if role >= min_role]
        statement = statement.where(or_(*enough))
    return prepared(statement)


class Grants:
    """The grants that one transaction sees; expired ones too, where not said otherwise."""

    def __init__(self, connection: Executor) -> None:
        self._connection = connection

    def find(self, agent_id: AgentId, user_id: UserId, *, lock: bool = False) -> Grant | None:
        """The user's grant on the agent."""
        statement = locked(_by_key, lock=lock)
        return _grant(self._connection.execute(statement, _values(agent_id, user_id)).one_or_none())

    def put(
        self,
        agent_id: AgentId,
        user_id: UserId,
        role: Role,
        granted_by: UserId | None,
        at: datetime,
        expire_at: datetime | None,
    ) -> tuple[Grant | None, Grant]:
        """Grant the role, whatever the user had before: that grant or None, and the new one.

        One that was there keeps its ``granted_at`` and raises its version. Raises Conflict where it
        is revoked at the same time.
        """
        new = {
            "role": role,
            "granted_by": granted_by,
            "expire_at": expire_at,
            "updated_at": at,
        }
        added = self._connection.execute(
            _add,
            {"agent_id": agent_id, "user_id": user_id, "granted_at": at, "version": 1, **new},
        ).one_or_none()
        if added is not None:
            return None, _read(added)
        before = self.find(agent_id, user_id, lock=True)
        if before is None:
            raise Conflict("the grant was revoked at the same time")
        after = self._connection.execute(_replace, {**_values(agent_id, user_id), **new}).one()
        return before, _read(after)

    def remove(self, agent_id: AgentId, user_id: UserId) -> Grant | None:
        """Remove the user's grant: what it was, None if there was none."""
        return _grant(self._connection.execute(_remove, _values(agent_id, user_id)).one_or_none())

    def page_for_agent(
        self, agent_id: AgentId, *, after: tuple[datetime, int] | None, limit: int
    ) -> list[tuple[Grant, User]]:
        """Up to ``limit`` grants on the agent with their users, oldest first.

        In the order of (granted_at, user id); ``after`` is that pair of the last one already had.
        """
        values: dict[str, Any] = {"agent_id": agent_id, "limit": limit}
        if after is None:
            return [_with_user(row) for row in self._connection.execute(_holders, values)]
        values |= {"after_at": after[0], "after_id": after[1]}
        return [_with_user(row) for row in self._connection.execute(_holders_after, values)]

    def page_for_user(
        self,
        user_id: UserId,
        *,
        at: datetime,
        min_role: Role | None,
        after: int | None,
        limit: int,
    ) -> list[Grant]:
        """Up to ``limit`` grants of the user, unexpired at ``at``, lowest agent id first.

        ``min_role`` keeps the grants of at least that role; ``after`` is the agent id of the last
        one already had.
        """
        values = {"user_id": user_id, "at": at, "after": after or 0, "limit": limit}
        rows = self._connection.execute(_page(min_role), values)
        return [_read(row) for row in rows]

    def find_many(self, of: Collection[tuple[int, int]]) -> dict[tuple[int, int], Grant]:
        """The grants among up to 5 000 pairs of (agent id, user id)."""
        if not of:
            return {}
        dialect = self._connection.dialect.name
        rows = self._connection.execute(_many, tuple_values("asked", of, 2, dialect))
        found = [_read(row) for row in rows]
        return {(grant.agent_id, grant.user_id): grant for grant in found}

    def all_for_agent(self, agent_id: AgentId) -> list[Grant]:
        """Every grant on the agent, lowest user id first."""
        rows = self._connection.execute(_of_agent, {"agent_id": agent_id})
        return [_read(row) for row in rows]

    def all_for_user(self, user_id: UserId) -> list[Grant]:
        """Every grant of the user, lowest agent id first."""
        rows = self._connection.execute(_of_user, {"user_id": user_id})
        return [_read(row) for row in rows]


def _values(agent_id: AgentId, user_id: UserId) -> dict[str, int]:
    """The values of ``_key``, whose names must not be those of columns that an UPDATE sets."""
    return {"of_agent_id": agent_id, "of_user_id": user_id}


def _grant(row: AnyRow | None) -> Grant | None:
    return None if row is None else _read(row)


def _with_user(row: AnyRow) -> tuple[Grant, User]:
    # By position: both tables have a user_id, a role and a version.
    return _read(row), _read_holder(row[len(grants.c) :])
