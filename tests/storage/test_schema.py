"""The tables as the database sees them."""

import re

import pytest
from sqlalchemy import Engine, MetaData, Table, create_engine, text

from accredit_storage import schema
from accredit_storage.columns import MemberName, PlainText
from accredit_storage.engine import make_engine
from accredit_storage.store import Store
from tests.postgres import PostgresServer

TABLES = list(schema.metadata.tables.values())


def create_all(engine: Engine) -> None:
    """Make the tables of the code, from a copy.

    Making tables that refer to each other changes the definition for the next engine.
    """
    copy = MetaData(naming_convention=schema.metadata.naming_convention)
    for table in TABLES:
        table.to_metadata(copy)
    copy.create_all(engine)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_reference_can_be_looked_up_from_the_other_side(table: Table) -> None:
    leading = {index.columns[0].name for index in table.indexes}
    leading.add(table.primary_key.columns[0].name)
    for reference in table.foreign_keys:
        assert reference.parent.name in leading


def definitions(engine: Engine) -> set[tuple[object, ...]]:
    """Everything about the tables of a PostgreSQL database that its catalogue knows."""
    queries = (
        "SELECT 'column', attrelid::regclass::text, attname, format_type(atttypid, atttypmod),"
        " attnotnull::text, attidentity::text, attcollation::regcollation::text,"
        " pg_get_expr(adbin, adrelid) FROM pg_attribute"
        " LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
        " WHERE attrelid IN (SELECT oid FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = 'public'::regnamespace) AND attnum > 0 AND NOT attisdropped",
        "SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)"
        " FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
        "SELECT 'index', tablename, indexname, indexdef FROM pg_indexes"
        " WHERE schemaname = 'public'",
    )
    with engine.connect() as connection:
        found = {tuple(row) for query in queries for row in connection.execute(text(query))}
    return {row for row in found if row[1] != "alembic_version"}


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_postgresql_is_migrated_to_what_the_code_says_to_the_letter(
    store: Store, postgres: PostgresServer
) -> None:
    name = postgres.create_database()
    made = make_engine(postgres.url(name))
    create_all(made)
    said = definitions(made)
    made.dispose()
    postgres.drop_database(name)
    assert definitions(store.engine) == said


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_sqlite_is_migrated_to_what_the_code_says_to_the_letter(store: Store) -> None:
    def statements(engine: Engine) -> list[list[str]]:
        query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'alembic_version'"
        with engine.connect() as connection:
            found = [row.sql for row in connection.execute(text(query))]
        # SQLite puts the name of a table that was made anew into quotes.
        found = [re.sub(r'^CREATE TABLE "(\w+)" ', r"CREATE TABLE \1 ", sql) for sql in found]
        # Beside that, the order of the constraints in a CREATE TABLE is all that may differ.
        return sorted(sorted(line.strip(" ,") for line in sql.splitlines()) for sql in found)

    made = create_engine("sqlite://")
    create_all(made)
    said = statements(made)
    made.dispose()
    assert statements(store.engine) == said


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_no_text_that_is_compared_follows_the_locale(store: Store) -> None:
    collations = {
        (str(row[1]), str(row[2])): row[6]
        for row in definitions(store.engine)
        if row[0] == "column"
    }
    compared = [
        (table.name, column.name)
        for table in TABLES
        for column in table.columns
        if isinstance(column.type, PlainText | MemberName)
    ]
    assert compared
    assert {collations[key] for key in compared} == {'"C"'}


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_ids_grow_by_themselves_and_are_kept_count_of(store: Store) -> None:
    with store.read() as tx:
        found = tx._connection.execute(
            text("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'")
        )
        assert {row.name for row in found} == {
            "users",
            "sites",
            "agents",
            "definitions",
            "transfer_offers",
        }
