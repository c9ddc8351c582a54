"""Intents: moves of agents' directories that are under way, or that a crash broke off."""

from collections.abc import Collection
from dataclasses import asdict

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select

from accredit_storage.records import Intent
from accredit_storage.schema import intents
from accredit_storage.statements import locked

_select = select(intents).order_by(intents.c.recorded_at, intents.c.intent_id)


class Intents:
    """The intents that one transaction sees. There are few: one to each move of this moment."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, intent: Intent) -> None:
        """Announce a move. Raises Conflict where one touches the same agent, source or target."""
        self._connection.execute(insert(intents), asdict(intent))

    def all(self) -> list[Intent]:
        """Every one, in the order in which they were recorded."""
        return [Intent(**row._mapping) for row in self._connection.execute(_select)]

    def touching(self, agent_id: int | None, names: Collection[str] = ()) -> list[Intent]:
        """Those about the agent, and those with a source or a target among ``names``."""
        about: list[ColumnElement[bool]] = [
            intents.c.source.in_(names),
            intents.c.target.in_(names),
        ]
        if agent_id is not None:
            about.append(intents.c.agent_id == agent_id)
        rows = self._connection.execute(_select.where(or_(*about)))
        return [Intent(**row._mapping) for row in rows]

    def of_holder(self, holder: str, *, lock: bool = False) -> list[Intent]:
        """Those of one holder.

        With ``lock``, waits where a transaction that removes one of them has not ended, and then
        finds it only if that one did not commit.
        """
        statement = locked(_select.where(intents.c.holder == holder), lock=lock, share=False)
        return [Intent(**row._mapping) for row in self._connection.execute(statement)]

    def remove(self, intent_id: str) -> bool:
        """Withdraw one; False if it is not there."""
        statement = delete(intents).where(intents.c.intent_id == intent_id)
        return self._connection.execute(statement).rowcount > 0
