"""The notes, in SQLite. Who may see them is judged elsewhere, and comes in as a filter."""

import json
import sqlite3
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

_TABLE = """
    CREATE TABLE IF NOT EXISTS notes (
        note_id INTEGER PRIMARY KEY AUTOINCREMENT,
        agent_id INTEGER NOT NULL,
        site_id INTEGER NOT NULL,
        author_id INTEGER NOT NULL,
        text TEXT NOT NULL,
        created_at TEXT NOT NULL
    )
"""
_ADD = """
    INSERT INTO notes (agent_id, site_id, author_id, text, created_at)
    VALUES (?, ?, ?, ?, ?) RETURNING *
"""
_FIND = "SELECT * FROM notes WHERE note_id = ?"
_REMOVE = "DELETE FROM notes WHERE note_id = ?"
_NEWEST = """
    SELECT * FROM notes
    WHERE (?1 IS NULL OR agent_id IN (SELECT value FROM json_each(?1)))
        AND (?2 = 0 OR site_id = ?2)
    ORDER BY note_id DESC LIMIT 100
"""


@dataclass(frozen=True, slots=True)
class Note:
    """A stored note. ``site_id`` 0: no site was stated."""

    note_id: int
    agent_id: int
    site_id: int
    author_id: int
    text: str
    created_at: str


class Notes:
    """All notes. Threads may share it."""

    def __init__(self, path: str = ":memory:") -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute(_TABLE)

    def add(self, *, agent_id: int, site_id: int, author_id: int, text: str) -> Note:
        """Store a note."""
        now = datetime.now(UTC).isoformat()
        return self._rows(_ADD, agent_id, site_id, author_id, text, now)[0]

    def find(self, note_id: int) -> Note | None:
        """The note, if there is one."""
        return next(iter(self._rows(_FIND, note_id)), None)

    def newest(self, *, agent_ids: Collection[int] | None, site_id: int) -> Sequence[Note]:
        """The newest notes. ``agent_ids`` None: of all agents. ``site_id`` 0: of all sites."""
        agents = None if agent_ids is None else json.dumps(list(agent_ids))
        return self._rows(_NEWEST, agents, site_id)

    def remove(self, note_id: int) -> None:
        """Remove the note, if it is there."""
        self._rows(_REMOVE, note_id)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _rows(self, statement: str, *values: object) -> list[Note]:
        with self._lock:
            return [Note(*row) for row in self._connection.execute(statement, values)]
