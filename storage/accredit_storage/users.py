"""Users: those who call, and who own agents."""

from collections.abc import Collection
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    and_,
    bindparam,
    delete,
    func,
    select,
    update,
)

from accredit_storage.arrays import among, by_keys
from accredit_storage.directory.places import new_key
from accredit_storage.errors import LoginTaken
from accredit_storage.execution import Executor, Prepared, locked, prepared
from accredit_storage.records import (
    AgentId,
    NewUser,
    Unset,
    User,
    UserId,
    UserRole,
    UserUpdate,
    folded,
    given,
)
from accredit_storage.schema import agents, users
from accredit_storage.statements import (
    AnyRow,
    any_like,
    by_dialect,
    containing,
    reader,
    refusing_taken,
)


def user_columns(table: FromClause) -> list[ColumnElement[Any]]:
    """What a user is read from. The folded login is only looked for."""
    return [column for column in table.c if column.name != "login_folded"]


_columns = user_columns(users)
_read = reader(User, [str(column.key) for column in _columns])
_select = select(*_columns)
_many = {
    by: by_keys(_select.order_by(users.c.user_id), users.c[by])
    for by in ("user_id", "login_folded")
}
_files_made = Prepared(
    lambda dialect: (
        update(users).where(among(users.c.user_id, "keys", dialect)).values(files_made=True)
    )
)
_by_id = prepared(_select.where(users.c.user_id == bindparam("user_id")))
_by_login = prepared(_select.where(users.c.login_folded == bindparam("login_folded")))
_add = by_dialect(
    lambda insert: (
        insert(users)
        .on_conflict_do_nothing(index_elements=[users.c.login_folded])
        .returning(*_columns)
    )
)
_is_active_administrator = and_(users.c.role == UserRole.ADMINISTRATOR, users.c.active.is_(True))
_count = prepared(select(func.count()).select_from(users))
_count_administrators = prepared(
    select(func.count()).select_from(users).where(_is_active_administrator)
)
_administrators = prepared(
    select(users.c.user_id).where(_is_active_administrator).order_by(users.c.user_id)
)
_first_administrator = prepared(
    _select.where(_is_active_administrator).order_by(users.c.user_id).limit(1)
)
_owned = prepared(
    select(agents.c.agent_id)
    .where(agents.c.owner_id == bindparam("user_id"))
    .order_by(agents.c.agent_id)
)
_delete = prepared(delete(users).where(users.c.user_id == bindparam("user_id")))


_CONDITIONS = {
    "after": users.c.user_id > bindparam("after"),
    "pattern": any_like((users.c.login, users.c.display_name), "pattern"),
    "email": users.c.email == bindparam("email"),
    "role": users.c.role == bindparam("role"),
    "active": users.c.active == bindparam("active"),
}


@cache
def _page(asked: frozenset[str]) -> Prepared:
    """The users of whom everything asked is true."""
    conditions = [condition for name, condition in _CONDITIONS.items() if name in asked]
    statement = _select.where(*conditions).order_by(users.c.user_id)
    return prepared(statement.limit(bindparam("limit", type_=Integer())))


@cache
def _updating(names: frozenset[str]) -> Prepared:
    """The UPDATE that sets these columns of a user."""
    return prepared(
        update(users)
        .where(users.c.user_id == bindparam("of_user_id"))
        .values(
            {name: bindparam(name) for name in names}
            | {"version": users.c.version + 1, "updated_at": bindparam("updated_at")}
        )
        .returning(*_columns)
    )


class Users:
    """The users that one transaction sees."""

    def __init__(self, connection: Executor) -> None:
        self._connection = connection

    def add(self, new: NewUser, *, at: datetime) -> User | None:
        """Store a new user; None if the login is taken.

        Where another transaction is adding the same login, waits for how that one ends.
        """
        values = {
            **given(new),
            "kind": new.kind or new.role.usual_kind,
            "login_folded": folded(new.login),
            "version": 1,
            "created_at": at,
            "updated_at": at,
            "directory_key": new_key(),
            "files_made": False,
        }
        statement = _add
        return _user(self._connection.execute(statement, values).one_or_none())

    def find(self, user_id: UserId, *, lock: bool = False, share: bool = False) -> User | None:
        """The user of this id."""
        statement = locked(_by_id, lock=lock, share=share)
        return _user(self._connection.execute(statement, {"user_id": user_id}).one_or_none())

    def find_by_login(self, login: str, *, lock: bool = False, share: bool = False) -> User | None:
        """The user of this login, whatever its case."""
        statement = locked(_by_login, lock=lock, share=share)
        values = {"login_folded": folded(login)}
        return _user(self._connection.execute(statement, values).one_or_none())

    def find_many(self, user_ids: Collection[UserId]) -> list[User]:
        """Those of up to 10 000 ``user_ids`` that exist, each once, lowest id first."""
        if not user_ids:
            return []
        return self._many("user_id", user_ids)

    def find_many_by_login(self, logins: Collection[str]) -> list[User]:
        """Those of up to 10 000 ``logins``, whatever their case, that exist; lowest id first."""
        if not logins:
            return []
        return self._many("login_folded", {folded(login) for login in logins})

    def set_files_made(self, user_ids: Collection[UserId]) -> None:
        """Say of up to 10 000 users that their directories were made. No version is raised."""
        statement = _files_made
        self._connection.execute(statement, {"keys": user_ids})

    def _many(self, by: str, keys: Collection[Any]) -> list[User]:
        statement = _many[by]
        return [_read(row) for row in self._connection.execute(statement, {"keys": keys})]

    def page(
        self,
        *,
        after: int | None,
        limit: int,
        text: str | None = None,
        email: str | None = None,
        role: UserRole | None = None,
        active: bool | None = None,
    ) -> list[User]:
        """Up to ``limit`` users, lowest id first; ``after`` is the id of the last one already had.

        ``text`` is looked for in login and display name, A to Z being the same as a to z; an e-mail
        address is compared byte for byte.
        """
        asked = {
            "after": after,
            "pattern": None if text is None else containing(text),
            "email": email,
            "role": role,
            "active": active,
        }
        asked = {name: value for name, value in asked.items() if value is not None}
        statement = _page(frozenset(asked))
        rows = self._connection.execute(statement, {**asked, "limit": limit})
        return [_read(row) for row in rows]

    def update(self, user_id: UserId, wanted: UserUpdate, *, at: datetime) -> User | None:
        """Set what is given and raise the version: the user as they are then, None if not there.

        Raises LoginTaken, after which the transaction goes on.
        """
        values = given(wanted)
        login = wanted.login
        if not isinstance(login, Unset):
            values["login_folded"] = folded(login)
        statement = _updating(frozenset(values))
        values |= {"of_user_id": user_id, "updated_at": at}
        if isinstance(login, Unset):
            return _user(self._connection.execute(statement, values).one_or_none())
        with refusing_taken(self._connection, LoginTaken(f"another user has the login {login!r}")):
            return _user(self._connection.execute(statement, values).one_or_none())

    def forget_agent(
        self, agent_id: AgentId, at: datetime, *, only: UserId | None = None
    ) -> list[int]:
        """Let the agent be nobody's default any more, or not the user's ``only``.

        The ids of those whose default it was, lowest first; their versions are raised.
        """
        statement = (
            update(users)
            .where(users.c.default_agent_id == agent_id)
            .values(default_agent_id=None, version=users.c.version + 1, updated_at=at)
            .returning(users.c.user_id)
        )
        if only is not None:
            statement = statement.where(users.c.user_id == only)
        return sorted(self._connection.execute(statement).scalars())

    def delete(self, user_id: UserId) -> bool:
        """Remove the user; False if there is none.

        With them go their tokens, those they minted, their grants, their reservations and the
        agents' offers to them. While they own an agent, the transaction ends with Conflict.
        """
        return self._connection.execute(_delete, {"user_id": user_id}).rowcount > 0

    def count(self) -> int:
        """How many users there are."""
        count: int = self._connection.execute(_count).scalar_one()
        return count

    def count_active_administrators(self) -> int:
        """How many users are administrators and active."""
        count: int = self._connection.execute(_count_administrators).scalar_one()
        return count

    def active_administrators(self) -> list[int]:
        """The ids of the users who are administrators and active, lowest first."""
        return self._connection.execute(_administrators).scalars()

    def first_administrator(self) -> User | None:
        """The active administrator with the lowest id."""
        return _user(self._connection.execute(_first_administrator).one_or_none())

    def owned_agents(self, user_id: UserId) -> list[int]:
        """The ids of the agents that the user owns, lowest first."""
        return self._connection.execute(_owned, {"user_id": user_id}).scalars()


def _user(row: AnyRow | None) -> User | None:
    return None if row is None else _read(row)
