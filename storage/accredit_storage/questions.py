"""What a question rests on, in one statement: a credential, an agent, a user's grant on it."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, bindparam, literal_column, select

from accredit_storage.agents import Viewer, has_grant, is_seen, values_of
from accredit_storage.credentials import (
    CREDENTIAL_PARTS,
    CREDENTIAL_RECORDS,
    credential_of,
    numbered,
    part_of,
    spans,
    with_what_it_rests_on,
)
from accredit_storage.execution import Executor, Prepared, prepared
from accredit_storage.records import Agent, AgentId, Credential, Grant, Head, UserId
from accredit_storage.schema import agents, grants, store_state, tokens, users
from accredit_storage.statements import AnyRow

_asked = agents.alias("asked")
_asked_grants = grants.alias("asked_grants")
# Without the config: it may be large, and nobody who asks here needs it.
_asked_columns: list[ColumnElement[Any]] = [
    literal_column("'{}'", type_=column.type).label("config") if column.name == "config" else column
    for column in _asked.c
]
_head = (store_state.c.epoch, store_state.c.revision, store_state.c.head_hash)
_digest = tokens.c.digest == bindparam("digest", type_=tokens.c.digest.type)
_of_token = with_what_it_rests_on(store_state.outerjoin(tokens, _digest))
_user_id = bindparam("user_id", type_=users.c.user_id.type)


def _with_asked(
    source: FromClause, key: str, user_id: object, *conditions: ColumnElement[bool]
) -> FromClause:
    column = _asked.c[key]
    is_asked = and_(column == bindparam("agent", type_=column.type), *conditions)
    return source.outerjoin(_asked, is_asked).outerjoin(
        _asked_grants,
        and_(_asked_grants.c.agent_id == _asked.c.agent_id, _asked_grants.c.user_id == user_id),
    )


def _select(source: FromClause, *, of_token: bool, of_agent: bool) -> Prepared:
    parts = [list(_head), _asked_columns, list(_asked_grants.c)] if of_agent else [list(_head)]
    columns = numbered(*parts, *(CREDENTIAL_PARTS if of_token else ()))
    return prepared(select(*columns).select_from(source))


_by_digest = _select(_of_token, of_token=True, of_agent=False)
_by_user = {
    key: _select(_with_asked(store_state, key, _user_id), of_token=False, of_agent=True)
    for key in ("agent_id", "agent_slug")
}
_seen = is_seen(_asked, granted=has_grant(_asked))
_by_viewer = {
    key: _select(_with_asked(store_state, key, _user_id, _seen), of_token=False, of_agent=True)
    for key in ("agent_id", "agent_slug")
}
_by_both = {
    key: _select(_with_asked(_of_token, key, users.c.user_id), of_token=True, of_agent=True)
    for key in ("agent_id", "agent_slug")
}
_asked_parts: list[list[ColumnElement[Any]]] = [_asked_columns, list(_asked_grants.c)]
_agent_span, _grant_span = spans((Agent, Grant), _asked_parts, len(_head))
_after_head = spans(CREDENTIAL_RECORDS, CREDENTIAL_PARTS, len(_head))
_after_grant = spans(
    CREDENTIAL_RECORDS, CREDENTIAL_PARTS, len(_head) + sum(len(part) for part in _asked_parts)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a question rests on, and where the log stood at that moment."""

    head: Head
    credential: Credential | None = None
    agent: Agent | None = None
    grant: Grant | None = None


class Questions:
    """What one transaction sees of what questions rest on."""

    def __init__(self, connection: Executor) -> None:
        self._connection = connection

    def of_token(self, digest: bytes) -> Found:
        """The credential of the token whose text has this digest."""
        rows = self._connection.execute(_by_digest, {"digest": digest}).all()
        return Found(head=_head_of(rows[0]), credential=credential_of(rows, _after_head))

    def of_token_on(self, digest: bytes, ref: AgentId | str) -> Found:
        """The same, an agent, and the grant on it of the user for whom the token speaks."""
        statement = _by_both["agent_id" if isinstance(ref, int) else "agent_slug"]
        rows = self._connection.execute(statement, {"digest": digest, "agent": ref}).all()
        agent, grant = part_of(rows[0], *_agent_span), part_of(rows[0], *_grant_span)
        return Found(
            head=_head_of(rows[0]),
            credential=credential_of(rows, _after_grant),
            agent=agent,
            grant=grant,
        )

    def of_user_on(
        self, user_id: UserId, ref: AgentId | str, viewer: Viewer | None = None
    ) -> Found:
        """An agent, and a user's grant on it. One that is not there takes the same statement.

        An agent on which a ``viewer`` has no role is as one that is not there.
        """
        by = "agent_id" if isinstance(ref, int) else "agent_slug"
        values = {"user_id": user_id, "agent": ref}
        statement = _by_user[by]
        if viewer is not None:
            statement = _by_viewer[by]
            values |= values_of(viewer)
        row = self._connection.execute(statement, values).one()
        agent, grant = part_of(row, *_agent_span), part_of(row, *_grant_span)
        return Found(
            head=_head_of(row),
            agent=agent,
            grant=grant,
        )


def _head_of(row: AnyRow) -> Head:
    return Head(epoch=row[0], revision=row[1], hash=row[2])
