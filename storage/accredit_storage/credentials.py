"""Credentials: a token together with everything that it rests on."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, func, select

from accredit_storage.execution import Executor, Prepared, prepared
from accredit_storage.records import Agent, Credential, Grant, Token, User
from accredit_storage.schema import agents, grants, token_vouchers, tokens, users
from accredit_storage.statements import AnyRow, reader
from accredit_storage.tokens import TOKEN_COLUMNS
from accredit_storage.users import user_columns

_minters = users.alias("minters")
_vouchers = users.alias("vouchers")
_parts: tuple[Sequence[ColumnElement[Any]], ...] = (
    TOKEN_COLUMNS,
    list(agents.c),
    user_columns(users),
    user_columns(_minters),
    list(grants.c),
    user_columns(_vouchers),
)
# What reads each part, and where in a row it begins.
_spans: list[tuple[Callable[[Sequence[Any]], Any], int]] = [
    (
        reader(record, [str(column.key) for column in part]),
        sum(len(before) for before in _parts[:number]),
    )
    for number, (record, part) in enumerate(
        zip((Token, Agent, User, User, Grant, User), _parts, strict=True)
    )
]
_all = (
    # Labelled by number: the tables have columns of the same name.
    select(*(column.label(f"c{index}") for index, column in enumerate(chain(*_parts)))).select_from(
        tokens.outerjoin(agents, agents.c.agent_id == tokens.c.agent_id)
        .join(users, users.c.user_id == func.coalesce(agents.c.owner_id, tokens.c.user_id))
        .join(_minters, _minters.c.user_id == tokens.c.created_by)
        .outerjoin(
            grants,
            and_(
                grants.c.agent_id == tokens.c.agent_id,
                grants.c.user_id == tokens.c.created_by,
                agents.c.owner_id != tokens.c.created_by,
            ),
        )
        .outerjoin(token_vouchers, token_vouchers.c.token_id == tokens.c.token_id)
        .outerjoin(_vouchers, _vouchers.c.user_id == token_vouchers.c.user_id)
    )
)
_by_digest = prepared(_all.where(tokens.c.digest == bindparam("digest")))
_by_token_id = prepared(_all.where(tokens.c.token_id == bindparam("token_id")))


class Credentials:
    """The credentials that one transaction sees; of revoked and expired tokens too."""

    def __init__(self, connection: Executor) -> None:
        self._connection = connection

    def find_by_digest(self, digest: bytes) -> Credential | None:
        """The credential of the token whose text has this digest: one statement."""
        return self._one(_by_digest, {"digest": digest})

    def find(self, token_id: str) -> Credential | None:
        """The credential of the token with this public id: one statement."""
        return self._one(_by_token_id, {"token_id": token_id})

    def _one(self, statement: Prepared, values: dict[str, Any]) -> Credential | None:
        # One row for each voucher, and one if there is none.
        rows = self._connection.execute(statement, values).all()
        if not rows:
            return None
        token, agent, user, minter, grant, _ = (_part(rows[0], *each) for each in _spans)
        assert token is not None  # noqa: S101 - the key of the row
        assert user is not None  # noqa: S101 - joined, like the next
        assert minter is not None  # noqa: S101
        vouchers = (_part(row, *_spans[-1]) for row in rows)
        return Credential(
            token=token,
            user=user,
            agent=agent,
            minter=minter,
            minter_grant=grant,
            vouchers=tuple(one for one in vouchers if one is not None),
        )


def _part(row: AnyRow, read: Callable[[Sequence[Any]], Any], start: int) -> Any:
    """The record of one table in a joined row; None where no row of it was joined."""
    # The first column is part of the table's key.
    return None if row[start] is None else read(row[start:])
