"""How a prepared statement is run on PostgreSQL: by psycopg's own hold of libpq.

A cursor of psycopg's waits in Python for the socket, which costs several times what sending and
reading cost. Here libpq waits, and lets other threads work meanwhile.
"""

from collections.abc import Sequence
from typing import Any, NoReturn

from psycopg import Connection, OperationalError, errors
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from accredit_storage.engine import Mode

Parameters = Sequence[Any]

_BEGIN = {
    # Whatever the database's default is: our locking is made for this one.
    Mode.WRITE: "BEGIN ISOLATION LEVEL READ COMMITTED",
    # Otherwise each statement would see a moment of its own.
    Mode.READ: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    Mode.GLANCE: "",
}
_BINARY = 1
_DONE = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)


class PostgresDriver:
    """One connection of the driver's, and the statements that the server has prepared for it."""

    #: A transaction begins together with its first statement, which saves a journey.
    begins_late = True

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection
        self._libpq: PGconn = connection.pgconn
        self._prepared: dict[str, bytes] = {}
        self.rowcount = -1

    def execute(self, text: str, parameters: Parameters = ()) -> Sequence[Any]:
        """Run a statement: its rows."""
        name = self._prepared.get(text) or self._prepare(text)
        transformer = Transformer(self._connection)
        # As texts, whose types the server knows from the statement: the driver's guess would differ
        # from one number to another, and with it what is prepared.
        texts: Any = transformer.dump_sequence(parameters, [PyFormat.TEXT] * len(parameters))
        result = self._libpq.exec_prepared(name, texts, result_format=_BINARY)
        return self._rows(result, transformer)

    def execute_many(self, text: str, many: Sequence[Parameters]) -> None:
        """Run a statement that answers nothing once for each."""
        changed = 0
        for parameters in many:
            self.execute(text, parameters)
            changed += self.rowcount
        self.rowcount = changed

    def begin(self, mode: Mode, text: str = "") -> Sequence[Any]:
        """Begin a transaction with a statement that takes no parameters: its rows."""
        both = "; ".join(part for part in (_BEGIN[mode], text) if part)
        if not both:
            return ()
        return self._rows(self._libpq.exec_(both.encode()), Transformer(self._connection))

    def in_transaction(self) -> bool:
        """Whether a COMMIT would keep what was done."""
        return self._libpq.transaction_status == TransactionStatus.INTRANS

    def commit(self) -> None:
        """Keep what was done."""
        result = self._libpq.exec_(b"COMMIT")
        if result.status not in _DONE:
            self._refuse(result)

    def _prepare(self, text: str) -> bytes:
        name = f"accredit_{len(self._prepared)}".encode()
        result = self._libpq.prepare(name, text.encode())
        if result.status not in _DONE:
            self._refuse(result)
        self._prepared[text] = name
        return name

    def _rows(self, result: PGresult, transformer: Any) -> Sequence[Any]:
        if result.status not in _DONE:
            self._refuse(result)
        self.rowcount = result.command_tuples or 0
        if not result.ntuples:
            return ()
        transformer.set_pgresult(result)
        rows: list[Any] = transformer.load_rows(0, result.ntuples, tuple)
        return rows

    def _refuse(self, result: PGresult) -> NoReturn:
        if (
            not result.error_field(DiagnosticField.SQLSTATE)
            and self._libpq.status == ConnStatus.BAD
        ):
            # There was no answer to carry one.
            raise OperationalError("the connection is lost")
        raise errors.error_from_result(result)
