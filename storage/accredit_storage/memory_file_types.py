"""Memory file types: which files make up an agent's memory, and how each is treated."""

from datetime import datetime

from sqlalchemy import Integer, bindparam, delete, select, tuple_, update

from accredit_storage.columns import PlainText
from accredit_storage.errors import Conflict
from accredit_storage.execution import Executor, locked, prepared
from accredit_storage.records import MemoryFileType, MemoryLayer
from accredit_storage.schema import memory_file_types
from accredit_storage.statements import AnyRow, by_dialect

# Not the name of a column, which an UPDATE would set.
_key = memory_file_types.c.filename == bindparam("of_filename")
_select = select(memory_file_types)
_by_filename = prepared(_select.where(_key))
_key_of_list = (memory_file_types.c.priority, memory_file_types.c.filename)
_all = prepared(_select.order_by(*_key_of_list))
_page = prepared(
    _select.where(
        tuple_(*_key_of_list)
        > tuple_(
            bindparam("after_priority", type_=Integer()),
            bindparam("after_filename", type_=PlainText()),
        )
    )
    .order_by(*_key_of_list)
    .limit(bindparam("limit"))
)
# No priority is below 0.
_BEGINNING = (-1, "")
_add = by_dialect(
    lambda insert: (
        insert(memory_file_types)
        .on_conflict_do_nothing(index_elements=[memory_file_types.c.filename])
        .returning(*memory_file_types.c)
    )
)
_replace = prepared(
    update(memory_file_types)
    .where(_key)
    .values(version=memory_file_types.c.version + 1)
    .returning(*memory_file_types.c)
)
_remove = prepared(delete(memory_file_types).where(_key).returning(*memory_file_types.c))


class MemoryFileTypes:
    """The memory file types that one transaction sees. There are few, six at first."""

    def __init__(self, connection: Executor) -> None:
        self._connection = connection

    def put(
        self,
        *,
        filename: str,
        layer: MemoryLayer,
        priority: int,
        is_protected: bool,
        read_only: bool,
        required_capability: str,
        label: str,
        at: datetime,
    ) -> tuple[MemoryFileType | None, MemoryFileType]:
        """Register the type, whatever the filename was before: that or None, and the new one.

        One that was there keeps its ``created_at`` and raises its version. One that is the same
        already is left as it is: then both are that. Raises Conflict where it is removed at the
        same time.
        """
        content = {
            "layer": layer,
            "priority": priority,
            "is_protected": is_protected,
            "read_only": read_only,
            "required_capability": required_capability,
            "label": label,
        }
        new = {**content, "updated_at": at}
        added = self._connection.execute(
            _add,
            {"filename": filename, "version": 1, "created_at": at, **new},
        ).one_or_none()
        if added is not None:
            return None, MemoryFileType(**added._asdict())
        before = self.find(filename, lock=True)
        if before is None:
            raise Conflict("the memory file type was removed at the same time")
        if {name: getattr(before, name) for name in content} == content:
            return before, before
        after = self._connection.execute(_replace, {"of_filename": filename, **new}).one()
        return before, MemoryFileType(**after._asdict())

    def find(self, filename: str, *, lock: bool = False) -> MemoryFileType | None:
        """The type of exactly this filename."""
        statement = locked(_by_filename, lock=lock)
        return _type(self._connection.execute(statement, {"of_filename": filename}).one_or_none())

    def all(self) -> list[MemoryFileType]:
        """Every one, lowest priority first, those of one priority by filename."""
        return [MemoryFileType(**row._asdict()) for row in self._connection.execute(_all)]

    def page(self, *, after: tuple[int, str] | None, limit: int) -> list[MemoryFileType]:
        """Up to ``limit`` of them in that order, behind the priority and the filename ``after``."""
        priority, filename = after or _BEGINNING
        values = {"after_priority": priority, "after_filename": filename, "limit": limit}
        return [MemoryFileType(**row._asdict()) for row in self._connection.execute(_page, values)]

    def remove(self, filename: str) -> MemoryFileType | None:
        """Remove the type: what it was, None if there was none."""
        return _type(self._connection.execute(_remove, {"of_filename": filename}).one_or_none())


def _type(row: AnyRow | None) -> MemoryFileType | None:
    return None if row is None else MemoryFileType(**row._asdict())
