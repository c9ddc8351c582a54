"""Definitions: the agents that sources declare, and the names kept from declaring any."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, select, update

from accredit_storage.canonical import canonical_json
from accredit_storage.records import StoredDefinition, Suppression
from accredit_storage.schema import definitions, suppressions
from accredit_storage.statements import AnyRow, AnySelect, by_dialect, locked

_key = and_(
    definitions.c.agent_slug == bindparam("of_agent_slug"),
    definitions.c.source == bindparam("of_source"),
)
_select = select(definitions)
_select_without_seeds = select(*(c for c in definitions.c if c is not definitions.c.memory_seeds))
_by_key = _select.where(_key)
# Under a name of its own: an UPDATE would take the table for its own row.
_others = definitions.alias("others")
_next_turn = select(func.coalesce(func.max(_others.c.turn), 0) + 1).scalar_subquery()
_add = insert(definitions).values(turn=_next_turn, version=1).returning(*definitions.c)
_replace = (
    update(definitions)
    .where(_key)
    .values(turn=_next_turn, version=definitions.c.version + 1)
    .returning(*definitions.c)
)
_remove = delete(definitions).where(_key).returning(*definitions.c)
_suppress = by_dialect(
    lambda insert: (
        insert(suppressions)
        .on_conflict_do_nothing(index_elements=[suppressions.c.name])
        .returning(suppressions.c.name)
    )
)


class Definitions:
    """The definitions that one transaction sees, of suppressed names too.

    Where ``seeds`` is False, their memory seeds are left in the database, and are an empty mapping.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(
        self,
        *,
        agent_slug: str,
        source: str,
        label: str,
        description: str,
        memory_seeds: Mapping[str, str],
        owner_id: int | None,
        owner_login: str,
        owner_resolver: str,
        default_config: Mapping[str, Any],
        meta: Mapping[str, Any],
        priority: int,
        registered_by: int | None,
        at: datetime,
    ) -> tuple[StoredDefinition | None, StoredDefinition]:
        """Declare the agent, whatever the source declared before: that or None, and the new one.

        One that was there keeps its id and ``created_at``, raises its version and takes a new turn.
        One that says the same already, whoever registered it, is left as it is: then both are that.

        The caller holds ``exclusive("definitions")``. Of two who do without, one may end with
        Conflict, because they took the same turn.
        """
        content = {
            "label": label,
            "description": description,
            "memory_seeds": memory_seeds,
            "owner_id": owner_id,
            "owner_login": owner_login,
            "owner_resolver": owner_resolver,
            "default_config": default_config,
            "meta": meta,
            "priority": priority,
        }
        new = {**content, "registered_by": registered_by, "updated_at": at}
        before = self.find(agent_slug, source, lock=True)
        if before is None:
            key = {"agent_slug": agent_slug, "source": source}
            added = self._connection.execute(_add, {**key, "created_at": at, **new}).one()
            return None, _definition(added)
        # As text: Python takes 1, 1.0 and True in a config for the same.
        if canonical_json({name: getattr(before, name) for name in content}) == canonical_json(
            content
        ):
            return before, before
        after = self._connection.execute(_replace, {**_values(agent_slug, source), **new}).one()
        return before, _definition(after)

    def find(self, agent_slug: str, source: str, *, lock: bool = False) -> StoredDefinition | None:
        """What exactly this source declares under exactly this slug."""
        statement = locked(_by_key, lock=lock, share=False)
        row = self._connection.execute(statement, _values(agent_slug, source)).one_or_none()
        return None if row is None else _definition(row)

    def of_slug(self, agent_slug: str) -> list[StoredDefinition]:
        """What every source declares under this slug, the last registered last."""
        return self._found(
            _select.where(definitions.c.agent_slug == agent_slug).order_by(definitions.c.turn)
        )

    def all(self, *, seeds: bool = True) -> list[StoredDefinition]:
        """Every one, lowest id first."""
        return self._found(_selected(seeds).order_by(definitions.c.definition_id))

    def page(self, *, after: int | None, limit: int, seeds: bool = True) -> list[StoredDefinition]:
        """Up to ``limit``, lowest id first; ``after`` is that of the last one already had."""
        statement = _selected(seeds).order_by(definitions.c.definition_id).limit(limit)
        if after is not None:
            statement = statement.where(definitions.c.definition_id > after)
        return self._found(statement)

    def count(self) -> int:
        """How many definitions there are."""
        return self._connection.execute(select(func.count()).select_from(definitions)).scalar_one()

    def remove(self, agent_slug: str, source: str) -> StoredDefinition | None:
        """Withdraw what the source declares: what it was, None if there was nothing."""
        row = self._connection.execute(_remove, _values(agent_slug, source)).one_or_none()
        return None if row is None else _definition(row)

    def _found(self, statement: AnySelect) -> list[StoredDefinition]:
        return [_definition(row) for row in self._connection.execute(statement)]


class Suppressions:
    """The suppressed names that one transaction sees. There are few: people enter them by hand."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, name: str, by: int | None, at: datetime) -> bool:
        """Suppress the name; False if it is already, and then ``by`` and ``at`` change nothing."""
        values = {"name": name, "suppressed_by": by, "created_at": at}
        statement = _suppress[self._connection.dialect.name]
        return self._connection.execute(statement, values).one_or_none() is not None

    def remove(self, name: str) -> bool:
        """Suppress exactly this name no more; False if it was not."""
        statement = delete(suppressions).where(suppressions.c.name == name)
        return self._connection.execute(statement).rowcount > 0

    def all(self) -> list[Suppression]:
        """Every one, in the order of their names."""
        rows = self._connection.execute(select(suppressions).order_by(suppressions.c.name))
        return [Suppression(**row._mapping) for row in rows]


def _selected(seeds: bool) -> AnySelect:
    return _select if seeds else _select_without_seeds


def _values(agent_slug: str, source: str) -> dict[str, str]:
    """The values of ``_key``, whose names must not be those of columns that an UPDATE sets."""
    return {"of_agent_slug": agent_slug, "of_source": source}


def _definition(row: AnyRow) -> StoredDefinition:
    return StoredDefinition(**{"memory_seeds": {}, **row._mapping})
