"""Tokens: found by the digest of their text, which is all of it that is stored."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    bindparam,
    delete,
    func,
    or_,
    select,
    tuple_,
    update,
)

from accredit_storage.arrays import among
from accredit_storage.execution import Executor, Prepared, locked, prepared
from accredit_storage.records import AgentId, Token, UserId
from accredit_storage.schema import token_vouchers, tokens
from accredit_storage.statements import AnyRow, reader, unexpired

#: What a token is read from. The digest and the key's id go in and are compared; neither comes out.
TOKEN_COLUMNS = [column for column in tokens.c if column.name not in ("digest", "key_id")]
_read = reader(Token, [column.name for column in TOKEN_COLUMNS])
_select = select(*TOKEN_COLUMNS)
_by_id = prepared(_select.where(tokens.c.token_id == bindparam("token_id")))
_add = prepared(tokens.insert())
_vouch = prepared(token_vouchers.insert())
_touch = prepared(
    update(tokens)
    .where(
        tokens.c.token_id == bindparam("used_id"),
        or_(tokens.c.last_used_at.is_(None), tokens.c.last_used_at < bindparam("used_at")),
    )
    .values(last_used_at=bindparam("used_at"))
)
_change = update(tokens).where(tokens.c.token_id == bindparam("of_id"))
_set_replaced = prepared(
    _change.values(
        replaced_by=bindparam("successor_id"),
        expire_at=bindparam("end"),
        version=tokens.c.version + 1,
    ).returning(*TOKEN_COLUMNS)
)
_revoke = prepared(
    _change.where(tokens.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("revoked"), version=tokens.c.version + 1)
    .returning(*TOKEN_COLUMNS)
)
_vouchers = prepared(
    select(token_vouchers.c.user_id)
    .where(token_vouchers.c.token_id == bindparam("token_id"))
    .order_by(token_vouchers.c.user_id)
)
_adopt = Prepared(
    lambda dialect: (
        update(tokens)
        .where(
            tokens.c.created_by == bindparam("of_user_id"),
            among(tokens.c.user_id, "keys", dialect),
        )
        .values(created_by=tokens.c.user_id)
    )
)
_need_no_more = Prepared(
    lambda dialect: delete(token_vouchers).where(
        token_vouchers.c.user_id == bindparam("of_user_id"),
        token_vouchers.c.token_id.in_(
            select(tokens.c.token_id).where(among(tokens.c.created_by, "keys", dialect))
        ),
    )
)


class Tokens:
    """The tokens that one transaction sees; inactive ones too, where not said otherwise.

    A token is live while it is neither revoked nor expired; at its very ``expire_at`` it no longer
    is.
    """

    def __init__(self, connection: Executor) -> None:
        self._connection = connection

    def add(self, token: Token, digest: bytes, key_id: str, vouchers: Iterable[int] = ()) -> None:
        """Store the token under the digest of its text, with the id of the key it was minted under.

        And the ids of the users who vouch for it.

        Raises Conflict if its id or digest is taken: both are random, so that is no accident.
        """
        values = {column.name: getattr(token, column.name) for column in TOKEN_COLUMNS}
        self._connection.execute(_add, {**values, "digest": digest, "key_id": key_id})
        if rows := [{"token_id": token.token_id, "user_id": user_id} for user_id in vouchers]:
            self._connection.execute(_vouch, rows)

    def find(self, token_id: str, *, lock: bool = False) -> Token | None:
        """The token of this public id."""
        statement = locked(_by_id, lock=lock)
        return _token(self._connection.execute(statement, {"token_id": token_id}).one_or_none())

    def page(
        self,
        *,
        agent_id: AgentId | None,
        user_id: UserId | None,
        include_inactive: bool,
        at: datetime,
        after: tuple[datetime, str] | None,
        limit: int,
    ) -> list[Token]:
        """Up to ``limit`` tokens of the agent or of the user, of all if both are None.

        Newest first, in descending order of (created_at, token id); ``after`` is that pair of the
        last one already had. Without ``include_inactive`` those that are live at ``at``.
        """
        asked = {"agent_id": agent_id, "user_id": user_id, "at": None if include_inactive else at}
        values: dict[str, Any] = {k: value for k, value in asked.items() if value is not None}
        if after is not None:
            values |= {"after_at": after[0], "after_id": after[1]}
        rows = self._connection.execute(_page(frozenset(values)), {**values, "limit": limit})
        return [_read(row) for row in rows]

    def set_replaced(
        self, token_id: str, *, successor_id: str, expire_at: datetime | None
    ) -> Token | None:
        """Name the successor and set the end: the token as it is then, None if there is none."""
        values = {"of_id": token_id, "successor_id": successor_id, "end": expire_at}
        return _token(self._connection.execute(_set_replaced, values).one_or_none())

    def revoke(self, token_id: str, at: datetime) -> Token | None:
        """Revoke the token: as it is then, None if there is none or it was revoked before."""
        values = {"of_id": token_id, "revoked": at}
        return _token(self._connection.execute(_revoke, values).one_or_none())

    def revoke_where(
        self,
        *,
        agent_id: AgentId | None = None,
        user_id: UserId | None = None,
        created_by: UserId | None = None,
        minted_by: UserId | None = None,
        at: datetime,
    ) -> list[str]:
        """Revoke the live tokens of which everything given is true: their ids, sorted.

        Those of the agent, of the user, minted by the user ``created_by``, minted or made possible
        by the user ``minted_by``. ValueError if nothing is given, for it would be every token.
        """
        asked = {"agent_id": agent_id, "user_id": user_id, "created_by": created_by}
        conditions = [tokens.c[name] == value for name, value in asked.items() if value is not None]
        if minted_by is not None:
            conditions.append(_minted(minted_by))
        if not conditions:
            raise ValueError("whose tokens to revoke?")
        return self._revoke(*conditions, at=at)

    def revoke_minted_under(self, key_id: str, at: datetime) -> int:
        """Revoke the live tokens that were minted under the key: how many there were."""
        return len(self._revoke(tokens.c.key_id == key_id, at=at))

    def touch(self, used: Mapping[str, datetime]) -> None:
        """Note when tokens, by id, were last used.

        Never moves a time backwards, raises no version, passes over ids that are unknown.
        """
        if used:
            # One statement, run for each in one order, so that two servers which flush at once
            # wait for each other and do not deadlock.
            self._connection.execute(
                _touch, [{"used_id": key, "used_at": used[key]} for key in sorted(used)]
            )

    def minted_by(self, user_id: UserId) -> list[str]:
        """The ids of all tokens that the user minted or vouches for, sorted."""
        return self._ids(_minted(user_id))

    def users_minted_for(self, user_id: UserId, at: datetime) -> list[UserId]:
        """The ids of the others of whom the user minted, or vouches for, a live token; sorted."""
        statement = (
            select(tokens.c.user_id)
            .distinct()
            .where(_minted(user_id), tokens.c.user_id != user_id, *_live(at))
            .order_by(tokens.c.user_id)
        )
        return list(self._connection.execute(statement).scalars())

    def vouchers(self, token_id: str) -> list[int]:
        """The ids of the users who vouch for the token, sorted."""
        return self._connection.execute(_vouchers, {"token_id": token_id}).scalars()

    def adopt(self, user_id: UserId, heirs: Collection[int]) -> None:
        """Make what the user minted for ``heirs`` their own, and need the user's word no more.

        The same for what ``heirs`` minted and the user vouches for.
        """
        values = {"of_user_id": user_id, "keys": heirs}
        self._connection.execute(_adopt, values)
        self._connection.execute(_need_no_more, values)

    def delete_minted(self, user_id: UserId) -> None:
        """Remove all tokens that the user minted or vouches for."""
        self._connection.execute(delete(tokens).where(_minted(user_id)))

    def live_by_key(self, at: datetime) -> dict[str, int]:
        """How many tokens are live, by the id of the key that they were minted under."""
        statement = (
            select(tokens.c.key_id, func.count())
            .where(tokens.c.key_id.is_not(None), *_live(at))
            .group_by(tokens.c.key_id)
        )
        return {row[0]: row[1] for row in self._connection.execute(statement)}

    def for_agent(self, agent_id: AgentId) -> list[str]:
        """The ids of all tokens of the agent, sorted."""
        return self._ids(tokens.c.agent_id == agent_id)

    def for_user(self, user_id: UserId) -> list[str]:
        """The ids of all tokens of the user, sorted."""
        return self._ids(tokens.c.user_id == user_id)

    def _revoke(self, *conditions: ColumnElement[bool], at: datetime) -> list[str]:
        statement = (
            update(tokens)
            .where(*conditions, *_live(at))
            .values(revoked_at=at, version=tokens.c.version + 1)
            .returning(tokens.c.token_id)
        )
        return sorted(self._connection.execute(statement).scalars())

    def _ids(self, condition: ColumnElement[bool]) -> list[str]:
        statement = select(tokens.c.token_id).where(condition).order_by(tokens.c.token_id)
        return list(self._connection.execute(statement).scalars())


def _minted(user_id: UserId) -> ColumnElement[bool]:
    vouched = select(token_vouchers.c.token_id).where(token_vouchers.c.user_id == user_id)
    return or_(tokens.c.created_by == user_id, tokens.c.token_id.in_(vouched))


@cache
def _page(asked: frozenset[str]) -> Prepared:
    """The tokens of which everything asked is true, newest first."""
    statement = _select.order_by(tokens.c.created_at.desc(), tokens.c.token_id.desc())
    for name in asked & {"agent_id", "user_id"}:
        statement = statement.where(tokens.c[name] == bindparam(name))
    if "at" in asked:
        statement = statement.where(*_live(bindparam("at", type_=tokens.c.expire_at.type)))
    if "after_at" in asked:
        last = (
            bindparam("after_at", type_=tokens.c.created_at.type),
            bindparam("after_id", type_=tokens.c.token_id.type),
        )
        statement = statement.where(tuple_(tokens.c.created_at, tokens.c.token_id) < tuple_(*last))
    return prepared(statement.limit(bindparam("limit", type_=Integer())))


def _live(at: datetime | ColumnElement[datetime]) -> tuple[ColumnElement[bool], ...]:
    return tokens.c.revoked_at.is_(None), unexpired(tokens.c.expire_at, at)


def _token(row: AnyRow | None) -> Token | None:
    return None if row is None else _read(row)
