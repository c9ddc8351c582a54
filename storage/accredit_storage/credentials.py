"""Credentials: a token together with everything that it rests on."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, select

from accredit_storage.agents import Agents
from accredit_storage.grants import Grants
from accredit_storage.records import Agent, Credential, Grant, Token, User
from accredit_storage.schema import agents, grants, tokens, users
from accredit_storage.tokens import TOKEN_COLUMNS, Tokens
from accredit_storage.users import Users

_minters = users.alias("minters")
_parts: tuple[Sequence[ColumnElement[Any]], ...] = (
    TOKEN_COLUMNS,
    list(agents.c),
    list(users.c),
    list(_minters.c),
    list(grants.c),
)
_by_digest = (
    # Labelled by their place: the tables have columns of the same name.
    select(*(column.label(f"c{place}") for place, column in enumerate(chain(*_parts))))
    .select_from(
        tokens.outerjoin(agents, agents.c.agent_id == tokens.c.agent_id)
        .join(users, users.c.user_id == func.coalesce(agents.c.owner_id, tokens.c.user_id))
        .join(_minters, _minters.c.user_id == tokens.c.created_by)
        .outerjoin(
            grants,
            and_(grants.c.agent_id == tokens.c.agent_id, grants.c.user_id == tokens.c.created_by),
        )
    )
    .where(tokens.c.digest == bindparam("digest"))
)


class Credentials:
    """The credentials that one transaction sees; of revoked and expired tokens too."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find_by_digest(self, digest: bytes) -> Credential | None:
        """The credential of the token whose text has this digest: one statement."""
        row = self._connection.execute(_by_digest, {"digest": digest}).one_or_none()
        if row is None:
            return None
        values = iter(row)
        token, agent, user, minter, grant = (
            {str(column.key): next(values) for column in part} for part in _parts
        )
        return Credential(
            token=Token(**token),
            user=User(**user),
            agent=None if agent["agent_id"] is None else Agent(**agent),
            minter=User(**minter),
            minter_grant=None if grant["agent_id"] is None else Grant(**grant),
        )

    def hold(self, token_id: str) -> Credential | None:
        """The credential of this token, every part of it kept from changing until the end.

        Part by part, because PostgreSQL locks no row that an outer join may leave out. None also
        if a part has gone in between.
        """
        connection = self._connection
        token = Tokens(connection).find(token_id, share=True)
        if token is None:
            return None
        agent, user_id = None, token.user_id
        if token.agent_id is not None:
            agent = Agents(connection).find(token.agent_id, share=True)
            user_id = None if agent is None else agent.owner_id
        user = None if user_id is None else Users(connection).find(user_id, share=True)
        minter, grant = user, None
        if user is not None and token.created_by != user.user_id:
            minter = Users(connection).find(token.created_by, share=True)
            if agent is not None:
                grant = Grants(connection).find(agent.agent_id, token.created_by, share=True)
        if user is None or minter is None:
            return None
        return Credential(token=token, user=user, agent=agent, minter=minter, minter_grant=grant)
