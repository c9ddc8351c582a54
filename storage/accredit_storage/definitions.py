"""Definitions: the agents that sources declare, and the names kept from declaring any."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from accredit_storage.arrays import by_keys
from accredit_storage.canonical import canonical_json
from accredit_storage.execution import Executor, locked, prepared
from accredit_storage.records import StoredDefinition, StoredSeed, Suppression, UserId
from accredit_storage.schema import definition_seeds, definitions, suppressions
from accredit_storage.statements import AnyRow, by_dialect

_key = and_(
    definitions.c.agent_slug == bindparam("of_agent_slug"),
    definitions.c.source == bindparam("of_source"),
)
_select = select(definitions)
_by_key = prepared(_select.where(_key))
_of_slug = definitions.c.agent_slug == bindparam("agent_slug")
_by_slug = prepared(_select.where(_of_slug).order_by(definitions.c.turn))
_all = prepared(_select.order_by(definitions.c.definition_id))
_newest = prepared(select(func.max(definitions.c.turn)).where(_of_slug))
# Under a name of its own: an UPDATE would take the table for its own row.
_others = definitions.alias("others")
_next_turn = select(func.coalesce(func.max(_others.c.turn), 0) + 1).scalar_subquery()
_add = prepared(insert(definitions).values(turn=_next_turn, version=1).returning(*definitions.c))
_replace = prepared(
    update(definitions)
    .where(_key)
    .values(turn=_next_turn, version=definitions.c.version + 1)
    .returning(*definitions.c)
)
_remove = prepared(delete(definitions).where(_key))
_seeds = select(
    definition_seeds.c.definition_id,
    definition_seeds.c.filename,
    definition_seeds.c.size,
    definition_seeds.c.sha256,
)
_all_seeds = prepared(_seeds)
_seeds_of = by_keys(_seeds, definition_seeds.c.definition_id)
_of_definition = definition_seeds.c.definition_id == bindparam("of_definition_id")
_texts = prepared(
    select(definition_seeds.c.filename, definition_seeds.c.content).where(_of_definition)
)
_add_seeds = prepared(insert(definition_seeds))
_remove_seeds = prepared(delete(definition_seeds).where(_of_definition))
_suppress = by_dialect(
    lambda insert: (
        insert(suppressions)
        .on_conflict_do_nothing(index_elements=[suppressions.c.name])
        .returning(suppressions.c.name)
    )
)
_unsuppress = prepared(delete(suppressions).where(suppressions.c.name == bindparam("name")))
_suppressions = prepared(select(suppressions).order_by(suppressions.c.name))


class Definitions:
    """The definitions that one transaction sees, of suppressed names too.

    None has the texts of its seeds, which may be megabytes: ``seed_texts`` has those of one.
    """

    def __init__(self, connection: Executor) -> None:
        self._connection = connection

    def put(
        self,
        *,
        agent_slug: str,
        source: str,
        label: str,
        description: str,
        memory_seeds: Mapping[str, str],
        owner_id: UserId | None,
        owner_resolver: str,
        default_config: Mapping[str, Any],
        meta: Mapping[str, Any],
        priority: int,
        registered_by: UserId | None,
        at: datetime,
    ) -> tuple[StoredDefinition | None, StoredDefinition]:
        """Declare the agent, whatever the source declared before: that or None, and the new one.

        ``memory_seeds`` are texts by filename. One that was there keeps its id and ``created_at``,
        raises its version and takes a new turn. One that says the same already, whoever registered
        it, is left as it is while it is the last of its slug: then both are that. Otherwise it
        takes a new turn as well, because the last registration wins.

        The caller holds ``exclusive("definitions")``. Of two who do without, one may end with
        Conflict, because they took the same turn.
        """
        content = {
            "label": label,
            "description": description,
            "owner_id": owner_id,
            "owner_login": "",
            "owner_resolver": owner_resolver,
            "default_config": default_config,
            "meta": meta,
            "priority": priority,
        }
        new = {**content, "registered_by": registered_by, "updated_at": at}
        encoded = {filename: text.encode() for filename, text in memory_seeds.items()}
        seeds = {
            filename: StoredSeed(len(text), hashlib.sha256(text).digest())
            for filename, text in encoded.items()
        }
        before = self.find(agent_slug, source=source, lock=True)
        if before is None:
            key = {"agent_slug": agent_slug, "source": source}
            row = self._connection.execute(_add, {**key, "created_at": at, **new}).one()
        # As text: Python takes 1, 1.0 and True in a config for the same.
        elif (
            before.memory_seeds == seeds
            and canonical_json({name: getattr(before, name) for name in content})
            == canonical_json(content)
            and self._is_last(before)
        ):
            return before, before
        else:
            key = _values(agent_slug, source)
            row = self._connection.execute(_replace, {**key, **new}).one()
        if before is None or before.memory_seeds != seeds:
            self._put_seeds(row.definition_id, seeds, encoded)
        return before, _definition(row, seeds)

    def _is_last(self, definition: StoredDefinition) -> bool:
        """Whether none of its slug was registered after it."""
        newest = self._connection.execute(_newest, {"agent_slug": definition.agent_slug})
        return bool(newest.scalar() == definition.turn)

    def find(self, agent_slug: str, *, source: str, lock: bool = False) -> StoredDefinition | None:
        """What exactly this source declares under exactly this slug."""
        statement = locked(_by_key, lock=lock)
        row = self._connection.execute(statement, _values(agent_slug, source)).one_or_none()
        return None if row is None else self._with_seeds([row])[0]

    def seed_texts(self, definition_id: int) -> Mapping[str, str]:
        """What files are to begin with by a definition, by filename."""
        rows = self._connection.execute(_texts, {"of_definition_id": definition_id})
        return {row.filename: bytes(row.content).decode() for row in rows}

    def of_slug(self, agent_slug: str) -> list[StoredDefinition]:
        """What every source declares under this slug, the last registered last."""
        rows = self._connection.execute(_by_slug, {"agent_slug": agent_slug}).all()
        return self._with_seeds(rows)

    def all(self) -> list[StoredDefinition]:
        """Every one, lowest id first."""
        rows = self._connection.execute(_all).all()
        return _joined(rows, self._connection.execute(_all_seeds).all())

    def remove(self, agent_slug: str, *, source: str) -> StoredDefinition | None:
        """Withdraw what the source declares: what it was, None if there was nothing."""
        gone = self.find(agent_slug, source=source, lock=True)
        if gone is not None:
            self._connection.execute(_remove, _values(agent_slug, source))
        return gone

    def _put_seeds(
        self,
        definition_id: int,
        seeds: Mapping[str, StoredSeed],
        contents: Mapping[str, bytes],
    ) -> None:
        self._connection.execute(_remove_seeds, {"of_definition_id": definition_id})
        if seeds:
            rows = [
                {
                    "definition_id": definition_id,
                    "filename": filename,
                    "size": seed.size,
                    "sha256": seed.sha256,
                    "content": contents[filename],
                }
                for filename, seed in seeds.items()
            ]
            self._connection.execute(_add_seeds, rows)

    def _with_seeds(self, rows: Sequence[AnyRow]) -> list[StoredDefinition]:
        ids = [row.definition_id for row in rows]
        if not ids:
            return []
        return _joined(rows, self._connection.execute(_seeds_of, {"keys": ids}).all())


class Suppressions:
    """The suppressed names that one transaction sees. There are few: people enter them by hand."""

    def __init__(self, connection: Executor) -> None:
        self._connection = connection

    def put(self, name: str, by: UserId | None, at: datetime) -> bool:
        """Suppress the name; False if it is already, and then ``by`` and ``at`` change nothing."""
        values = {"name": name, "suppressed_by": by, "created_at": at}
        return self._connection.execute(_suppress, values).one_or_none() is not None

    def remove(self, name: str) -> bool:
        """Suppress exactly this name no more; False if it was not."""
        return self._connection.execute(_unsuppress, {"name": name}).rowcount > 0

    def all(self) -> list[Suppression]:
        """Every one, in the order of their names."""
        rows = self._connection.execute(_suppressions)
        return [Suppression(**row._asdict()) for row in rows]


def _values(agent_slug: str, source: str) -> dict[str, str]:
    """The values of ``_key``, whose names must not be those of columns that an UPDATE sets."""
    return {"of_agent_slug": agent_slug, "of_source": source}


def _joined(rows: Sequence[AnyRow], seeds: Sequence[AnyRow]) -> list[StoredDefinition]:
    """The definitions of these rows, each with its own of the seeds."""
    by_id: dict[int, dict[str, StoredSeed]] = {row.definition_id: {} for row in rows}
    for seed in seeds:
        if seed.definition_id in by_id:
            by_id[seed.definition_id][seed.filename] = StoredSeed(seed.size, bytes(seed.sha256))
    return [_definition(row, by_id[row.definition_id]) for row in rows]


def _definition(row: AnyRow, seeds: Mapping[str, StoredSeed]) -> StoredDefinition:
    return StoredDefinition(**row._asdict(), memory_seeds=seeds)
