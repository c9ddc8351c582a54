"""Credentials: a token together with everything that it rests on."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, FromClause, and_, bindparam, func, select

from accredit_storage.execution import Executor, Prepared, prepared
from accredit_storage.records import Agent, Credential, Grant, Token, User
from accredit_storage.schema import agents, grants, token_vouchers, tokens, users
from accredit_storage.statements import AnyRow, reader
from accredit_storage.tokens import TOKEN_COLUMNS
from accredit_storage.users import user_columns

_minters = users.alias("minters")
_vouchers = users.alias("vouchers")
#: What a credential is read from, one part a record.
CREDENTIAL_PARTS: tuple[Sequence[ColumnElement[Any]], ...] = (
    TOKEN_COLUMNS,
    list(agents.c),
    user_columns(users),
    user_columns(_minters),
    list(grants.c),
    user_columns(_vouchers),
)
CREDENTIAL_RECORDS = (Token, Agent, User, User, Grant, User)
#: What reads the record of a part, and where in a row it begins.
Span: TypeAlias = tuple[Callable[[Sequence[Any]], Any], int]


def spans(
    records: Sequence[type[Any]], parts: Sequence[Sequence[ColumnElement[Any]]], start: int = 0
) -> list[Span]:
    """Where in a row each part is found; the first one begins at ``start``."""
    found: list[Span] = []
    for record, part in zip(records, parts, strict=True):
        found.append((reader(record, [str(column.key) for column in part]), start))
        start += len(part)
    return found


def numbered(*parts: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    """The columns labelled by number: the tables have columns of the same name."""
    return [column.label(f"c{index}") for index, column in enumerate(chain(*parts))]


def with_what_it_rests_on(source: FromClause) -> FromClause:
    """A source of tokens, joined with everything that each rests on."""
    return (
        source.outerjoin(agents, agents.c.agent_id == tokens.c.agent_id)
        .outerjoin(users, users.c.user_id == func.coalesce(agents.c.owner_id, tokens.c.user_id))
        .outerjoin(_minters, _minters.c.user_id == tokens.c.created_by)
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


_spans = spans(CREDENTIAL_RECORDS, CREDENTIAL_PARTS)
_all = select(*numbered(*CREDENTIAL_PARTS)).select_from(with_what_it_rests_on(tokens))
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
        rows = self._connection.execute(statement, values).all()
        return credential_of(rows, _spans) if rows else None


def credential_of(rows: Sequence[AnyRow], where: Sequence[Span]) -> Credential | None:
    """The credential in rows of one token; None where they have none.

    There is one row for each voucher, and one if there is none.
    """
    token, agent, user, minter, grant, _ = (part_of(rows[0], *each) for each in where)
    if token is None:
        return None
    assert user is not None  # noqa: S101 - the rows refer to them, like the next
    assert minter is not None  # noqa: S101
    vouchers = (part_of(row, *where[-1]) for row in rows)
    return Credential(
        token=token,
        user=user,
        agent=agent,
        # Often they are one and the same, who then takes the room of one.
        minter=user if minter.user_id == user.user_id else minter,
        minter_grant=grant,
        vouchers=tuple(one for one in vouchers if one is not None),
    )


def part_of(row: AnyRow, read: Callable[[Sequence[Any]], Any], start: int) -> Any:
    """The record of one table in a joined row; None where no row of it was joined."""
    # The first column is part of the table's key.
    return None if row[start] is None else read(row[start:])
