"""Prepared statements: compiled once, run on the driver, and refused in the words of the others."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import bindparam, event, literal, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from accredit_storage.errors import Conflict
from accredit_storage.execution import Executor, Rows, prepared
from accredit_storage.records import Site, SiteId
from accredit_storage.schema import sites, users
from accredit_storage.statements import reader
from accredit_storage.store import Store
from tests.storage.making import NOW, user

_logins = prepared(
    select(users.c.user_id, users.c.login)
    .where(users.c.user_id > bindparam("after"))
    .order_by(users.c.user_id)
)
_add_site = prepared(sites.insert())


def site(slug: str) -> dict[str, Any]:
    return {
        "site_slug": slug,
        "site_name": "50 % of %s",
        "version": 1,
        "created_at": NOW,
        "updated_at": NOW,
    }


@contextmanager
def heard(store: Store) -> Generator[list[tuple[str, bool]]]:
    """What those are told who listen to the engine."""
    seen: list[tuple[str, bool]] = []

    def note(*told: Any) -> None:
        seen.append((told[2].split()[0], told[5]))

    event.listen(store.engine, "before_cursor_execute", note)
    yield seen
    event.remove(store.engine, "before_cursor_execute", note)


def test_rows_are_read_by_name_and_by_position(store: Store) -> None:
    with store.write() as tx:
        ada = user(tx, "ada")
        bob = user(tx, "bob")
        rows = Executor(tx._connection).execute(_logins, {"after": 0})
        assert [row.login for row in rows] == ["ada", "bob"]
        assert rows.all()[1]._asdict() == {"user_id": bob.user_id, "login": "bob"}
        assert rows.scalars() == [ada.user_id, bob.user_id]
        assert rows.scalar() == ada.user_id
        last = Executor(tx._connection).execute(_logins, {"after": ada.user_id})
        assert last.one() == (bob.user_id, "bob")
        none = Executor(tx._connection).execute(_logins, {"after": bob.user_id})
        assert (none.all(), none.one_or_none(), none.scalar()) == ([], None, None)


@pytest.mark.parametrize("rows", [(), ((1,), (2,))])
def test_one_row_is_neither_none_nor_two(rows: Sequence[tuple[int]]) -> None:
    with pytest.raises(RuntimeError, match="instead of one"):
        Rows(rows, len(rows)).one()
    with pytest.raises(RuntimeError, match="instead of one"):
        Rows(rows, len(rows)).scalar_one()


def test_what_is_not_prepared_is_answered_alike(store: Store) -> None:
    with store.write() as tx:
        user(tx, "ada")
        executor = Executor(tx._connection)
        row = executor.execute(select(users.c.login, users.c.active)).one()
        assert row._asdict() == {"login": "ada", "active": True}
        assert executor.execute(update(users).values(version=2)).rowcount == 1


def test_constants_percent_signs_and_one_parameter_in_two_places(store: Store) -> None:
    asked = bindparam("asked", type_=users.c.login.type)
    half = literal("50 %", asked.type).label("half")
    statement = prepared(select(half, asked.label("a"), (asked + "%s").label("b")))
    with store.read() as tx:
        row = Executor(tx._connection).execute(statement, {"asked": "x'y"}).one()
        assert row == ("50 %", "x'y", "x'y%s")


def test_a_statement_runs_for_several_values(store: Store) -> None:
    with store.write() as tx:
        executor = Executor(tx._connection)
        assert executor.execute(_add_site, [site("a"), site("b")]).rowcount == 2
        assert [one.site_name for one in tx.sites.page(after=None, limit=9)] == ["50 % of %s"] * 2


@pytest.mark.parametrize("values", [site("a"), [site("b"), site("a")]], ids=["one", "several"])
def test_a_taken_value_is_refused_as_by_sqlalchemy(
    store: Store, values: dict[str, Any] | list[dict[str, Any]]
) -> None:
    def take_it() -> None:
        with store.write() as tx:
            executor = Executor(tx._connection)
            executor.execute(_add_site, site("a"))
            executor.execute(_add_site, values)

    with pytest.raises(Conflict) as caught:
        take_it()
    refusal = caught.value.__cause__
    assert isinstance(refusal, IntegrityError)
    assert "50 %" not in str(refusal)
    with store.read() as tx:
        assert tx.sites.page(after=None, limit=9) == []


def test_what_is_prepared_outlives_a_transaction_that_is_undone(database_url: str) -> None:
    store = Store.open(database_url, pool_size=1)
    for _ in range(7):
        with suppress(Conflict), store.write() as tx:
            Executor(tx._connection).execute(_logins, {"after": 0})
            # As often as makes psycopg prepare a statement by itself.
            for number in range(7):
                tx._connection.execute(select(users.c.login).where(users.c.user_id == number))
            raise Conflict
    with store.write() as tx:
        assert Executor(tx._connection).execute(_logins, {"after": 0}).all() == []
    store.close()


def test_bad_sql_is_the_drivers_refusal(store: Store) -> None:
    with pytest.raises(DBAPIError), store.read() as tx:
        Executor(tx._connection).execute(prepared(text("SELECT nothing FROM nowhere")))


def test_what_a_column_refuses_is_raised_as_itself(store: Store) -> None:
    with pytest.raises(ValueError, match=r"U\+0000"), store.write() as tx:
        Executor(tx._connection).execute(_add_site, site("a\0b"))


def test_a_record_is_read_from_the_columns_that_a_row_begins_with() -> None:
    names = ["site_name", "site_id", "site_slug", "version", "created_at", "updated_at"]
    read = reader(Site, names)
    made = Site(
        site_id=SiteId(7), site_slug="a", site_name="A", version=1, created_at=NOW, updated_at=NOW
    )
    assert read(("A", 7, "a", 1, NOW, NOW, "more")) == made
    with pytest.raises(TypeError, match="fields of Site"):
        reader(Site, names[1:])


def test_who_listens_is_told(store: Store) -> None:
    with store.write() as tx, heard(store) as seen:
        executor = Executor(tx._connection)
        executor.execute(_logins, {"after": 0})
        executor.execute(_add_site, [site("a"), site("b")])
    assert seen == [("SELECT", False), ("INSERT", True)]
