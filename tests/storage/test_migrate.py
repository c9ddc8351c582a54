"""Bringing databases up to date, and refusing those that are not."""

import ast
import multiprocessing
import stat
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, bindparam, inspect, text
from sqlalchemy.exc import DBAPIError

from accredit_storage import migrate
from accredit_storage.columns import UtcDateTime
from accredit_storage.directory.places import place_named
from accredit_storage.engine import make_engine, sqlite_path
from accredit_storage.errors import SchemaMismatch
from accredit_storage.migrations import versions
from accredit_storage.records import Role
from accredit_storage.schema import metadata
from accredit_storage.store import Store, Transaction
from tests.storage.making import NOW, agent, downgrade, draft, put_definition, user


@contextmanager
def opened(url: str) -> Generator[Store]:
    store = Store.open(url)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def connected(url: str) -> Generator[Connection]:
    """A connection in a transaction that may write, to a file that is made if need be."""
    if url.startswith("sqlite"):
        sqlite_path(url).touch()
    with opened(url) as store, store.write() as tx:
        yield tx._connection


def test_an_upgraded_database_is_served(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url)
    with opened(empty_database_url) as store:
        migrate.check(store)
        with store.write() as tx:
            user(tx)
            assert tx.record(draft()) == 1


def test_upgrading_again_changes_nothing(database_url: str) -> None:
    with opened(database_url) as store:
        with store.write() as tx:
            user(tx)
            tx.record(draft())
            before = tx.head()
        migrate.upgrade(database_url)
        with store.read() as tx:
            assert tx.head() == before
            assert tx.users.count() == 1


def test_every_database_has_an_epoch_of_its_own(tmp_path: Path) -> None:
    epochs = set()
    for number in range(3):
        url = f"sqlite:///{tmp_path / str(number)}.db"
        migrate.upgrade(url)
        with opened(url) as store, store.read() as tx:
            epochs.add(tx.head().epoch)
    assert len(epochs) == 3


def test_the_migrations_lead_to_the_tables_of_the_code(database_url: str) -> None:
    with connected(database_url) as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []


def test_alembics_own_check_agrees(database_url: str) -> None:
    with connected(database_url) as connection:
        command.check(migrate.alembic_config(connection))


def test_the_newest_schema_is_for_the_servers_of_this_generation(database_url: str) -> None:
    """Who raises the mark in a migration raises ``SERVER`` as well, and the other way round."""
    with connected(database_url) as connection:
        query = text("SELECT oldest_server FROM store_state")
        assert connection.execute(query).scalar_one() == migrate.SERVER


def test_migrations_use_nothing_of_ours_that_may_change_later() -> None:
    scripts = list(Path(versions.__path__[0]).glob("*.py"))
    assert scripts
    for script in scripts:
        for node in ast.walk(ast.parse(script.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith("accredit"), script.name
            elif isinstance(node, ast.Import):
                assert not any(one.name.startswith("accredit") for one in node.names), script.name


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_an_upgrade_lets_no_id_be_given_twice(empty_database_url: str) -> None:
    """SQLite makes a table anew that is altered, which then has only seen the ids that are left."""

    def last_ids(connection: Connection) -> dict[str, int]:
        rows = connection.execute(text("SELECT name, seq FROM sqlite_sequence"))
        return {row.name: row.seq for row in rows}

    with connected(empty_database_url) as connection:
        command.upgrade(migrate.alembic_config(connection), "0001")
        add = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, 1000)")
        for name in inspect(connection).get_table_names():
            table = metadata.tables.get(name)
            if table is not None and table.dialect_options["sqlite"]["autoincrement"]:
                connection.execute(add, {"name": name})
        before = last_ids(connection)
    assert {"agents", "users", "sites"} <= before.keys()
    migrate.upgrade(empty_database_url)
    with connected(empty_database_url) as connection:
        assert last_ids(connection).items() >= before.items()


def test_a_migration_can_be_taken_back(database_url: str) -> None:
    with connected(database_url) as connection:
        command.downgrade(migrate.alembic_config(connection), "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
        command.upgrade(migrate.alembic_config(connection), "head")


def test_an_empty_database_is_refused_with_the_command_that_helps(empty_database_url: str) -> None:
    with (
        opened(empty_database_url) as store,
        pytest.raises(SchemaMismatch, match="accredit-server migrate"),
    ):
        migrate.check(store)


def test_somebody_elses_database_is_refused(empty_database_url: str) -> None:
    with connected(empty_database_url) as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num text)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('another')"))
    with opened(empty_database_url) as store, pytest.raises(SchemaMismatch, match="no accredit"):
        migrate.check(store)


def set_version(url: str, revision: str, oldest_server: int = migrate.SERVER) -> None:
    with connected(url) as connection:
        values = {"revision": revision, "oldest": oldest_server}
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), values)
        connection.execute(text("UPDATE store_state SET oldest_server = :oldest"), values)


def test_an_older_schema_is_refused_with_the_command_that_helps(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alembic.script.ScriptDirectory.get_current_head", lambda _: "9999")
    with (
        opened(database_url) as store,
        pytest.raises(SchemaMismatch, match=r"schema \d{4}, .* 9999: run .accredit-server migrate"),
    ):
        migrate.check(store)


def test_a_newer_schema_is_served_while_it_allows_this_server(database_url: str) -> None:
    set_version(database_url, "9999")
    with opened(database_url) as store:
        migrate.check(store)
        migrate.upgrade(database_url)
        with store.write() as tx:
            assert tx.record(draft()) == 1


def test_a_newer_schema_that_shuts_this_server_out_is_refused(database_url: str) -> None:
    set_version(database_url, "9999", migrate.SERVER + 1)
    with (
        opened(database_url) as store,
        pytest.raises(SchemaMismatch, match=f"9999.*generation {migrate.SERVER + 1}"),
    ):
        migrate.check(store)
    with pytest.raises(SchemaMismatch, match="9999"):
        migrate.upgrade(database_url)


def test_an_upgrade_that_fails_leaves_nothing(empty_database_url: str) -> None:
    with connected(empty_database_url) as connection:
        connection.execute(text("CREATE TABLE tokens (in_the_way integer)"))
    with pytest.raises(DBAPIError):
        migrate.upgrade(empty_database_url)
    with connected(empty_database_url) as connection:
        assert inspect(connection).get_table_names() == ["tokens"]
        connection.execute(text("DROP TABLE tokens"))
    migrate.upgrade(empty_database_url)


def test_processes_that_upgrade_at_once_do_it_once(empty_database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as processes:
        processes.map(migrate.upgrade, [empty_database_url] * 6, chunksize=1)
    with opened(empty_database_url) as store:
        migrate.check(store)
        with store.read() as tx:
            assert tx.head().revision == 0


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_an_upgrade_keeps_what_refers_to_a_table_that_is_made_anew(database_url: str) -> None:
    with connected(database_url) as connection:
        made = user(Transaction(connection))
        Transaction(connection).reservations.put("scribe", made.user_id, made.created_at)
    engine = make_engine(database_url)
    with engine.connect() as connection, migrate._alone(connection):
        # What a batch of Alembic's comes to.
        connection.execute(text("CREATE TABLE anew AS SELECT * FROM users"))
        connection.execute(text("DROP TABLE users"))
        connection.execute(text("ALTER TABLE anew RENAME TO users"))
        connection.execute(text("CREATE UNIQUE INDEX users_user_id ON users (user_id)"))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM reservations")).scalar_one() == 1
    engine.dispose()


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_an_upgrade_that_loses_what_is_referred_to_is_undone(database_url: str) -> None:
    with connected(database_url) as connection:
        made = user(Transaction(connection))
        Transaction(connection).reservations.put("scribe", made.user_id, made.created_at)
    engine = make_engine(database_url)
    with (
        engine.connect() as connection,
        pytest.raises(RuntimeError, match="dangling"),
        migrate._alone(connection),
    ):
        connection.execute(text("DELETE FROM users"))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM users")).scalar_one() == 1
    engine.dispose()


def test_a_new_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "accredit.db"
    migrate.upgrade(f"sqlite:///{path}")
    with opened(f"sqlite:///{path}") as store, store.write() as tx:
        user(tx)
        made = {one.name: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}
    assert made == {"accredit.db": 0o600, "accredit.db-wal": 0o600, "accredit.db-shm": 0o600}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "accredit.db"
    with opened(f"sqlite:///{path}") as store, pytest.raises(SchemaMismatch, match=r"accredit\.db"):
        migrate.check(store)


def test_seeds_and_types_go_along_up_and_down(database_url: str) -> None:
    seeds = {"SOUL.md": "é\0\n", "MEMORY.md": ""}
    with opened(database_url) as store, store.write() as tx:
        _, made = put_definition(tx, memory_seeds=seeds)
        put_definition(tx, "bare", memory_seeds={})
        types = tx.memory_file_types.all()
    with connected(database_url) as connection:
        config = migrate.alembic_config(connection)
        command.downgrade(config, "0003")
        query = text("SELECT filename FROM memory_file_types WHERE NOT editable")
        assert connection.execute(query).scalars().all() == ["SITE.md"]
        command.upgrade(config, "head")
    with opened(database_url) as store, store.read() as tx:
        assert tx.memory_file_types.all() == types
        assert tx.definitions.find("scribe", source="a-plugin") == made
        assert tx.definitions.seed_texts(made.definition_id) == seeds


def test_users_and_what_refers_to_them_stay_as_their_table_is_made_anew(
    empty_database_url: str,
) -> None:
    migrate.upgrade(empty_database_url)
    with opened(empty_database_url) as store, store.write() as tx:
        ada, bob, gone = (user(tx, login) for login in ("ada", "bob", "gone"))
        made = agent(tx, ada)
        tx.grants.put(made.agent_id, bob.user_id, Role.VIEWER, ada.user_id, NOW, None)
        tx.users.delete(gone.user_id)
    downgrade(empty_database_url, "0004")
    migrate.upgrade(empty_database_url)
    with opened(empty_database_url) as store, store.write() as tx:
        found, agent_found = tx.users.find(ada.user_id), tx.agents.find(made.agent_id)
        assert found
        assert agent_found
        # Keys are drawn by the migration that adds them.
        assert replace(ada, directory_key=found.directory_key) == found
        assert replace(made, directory_key=agent_found.directory_key) == agent_found
        assert tx.grants.find(made.agent_id, bob.user_id) is not None
        # Nobody is taken for somebody who is gone.
        assert user(tx, "next").user_id > gone.user_id


def test_a_row_from_before_the_keys_for_directories_gets_the_same_key_again(
    database_url: str,
) -> None:
    """And another row with its id, as an older database gives it, does not."""
    with opened(database_url) as store, store.write() as tx:
        ada = user(tx)
        scribe, author = (agent(tx, ada, slug) for slug in ("scribe", "author"))
    later = text("UPDATE agents SET created_at = :later WHERE agent_id = :agent_id")
    found = []
    for moment in (scribe.created_at, scribe.created_at + timedelta(microseconds=1)):
        downgrade(database_url, "0007")
        with connected(database_url) as connection:
            named = later.bindparams(bindparam("later", type_=UtcDateTime))
            connection.execute(named, {"later": moment, "agent_id": scribe.agent_id})
        migrate.upgrade(database_url)
        with opened(database_url) as store, store.read() as tx:
            keys = [row.directory_key for row in tx.users.find_many([ada.user_id])]
            keys += [
                row.directory_key for row in tx.agents.find_many([scribe.agent_id, author.agent_id])
            ]
            found.append(keys)
    assert found[0][0] == found[1][0]
    assert found[0][2] == found[1][2]
    assert len({*found[0], *found[1]}) == 4
    assert all(place_named("agents", f"1.{key}") for key in found[0])


def test_a_database_whose_directories_have_their_names_is_not_taken_back(
    database_url: str,
) -> None:
    with opened(database_url) as store, store.write() as tx:
        ada = user(tx)
        tx.users.set_files_made([ada.user_id])
    with pytest.raises(RuntimeError, match="restore a backup"):
        downgrade(database_url, "0007")
    with opened(database_url) as store, store.read() as tx:
        assert tx.users.find(ada.user_id) == replace(ada, files_made=True)


def test_the_key_for_logins_is_the_stores_own_and_the_rest_of_its_state_stays(
    empty_database_url: str,
) -> None:
    with connected(empty_database_url) as connection:
        command.upgrade(migrate.alembic_config(connection), "0002")
        state = "UPDATE store_state SET revision = 7, anchor_revision = 3, head_hash = anchor_hash"
        connection.execute(text(state))
        before = connection.execute(text("SELECT * FROM store_state")).one()._mapping
        command.upgrade(migrate.alembic_config(connection), "0003")
        after = dict(connection.execute(text("SELECT * FROM store_state")).one()._mapping)
    key = bytes(after.pop("login_key"))
    # The log was hashed over another form until here, and older servers do not know the new one.
    assert after == {**before, "anchor_revision": 7, "oldest_server": 2}
    assert len(key) == 32
    assert len(set(key)) > 1


def test_tokens_from_before_the_keys_end_and_nobody_keeps_what_rested_on_them(
    empty_database_url: str,
) -> None:
    revoked = "SELECT count(*) FROM tokens WHERE revoked_at IS NOT NULL AND version = 2"
    with connected(empty_database_url) as connection:
        command.upgrade(migrate.alembic_config(connection), "0005")
        for statement in (
            "INSERT INTO users (login, kind, role, display_name, email, active, created_at,"
            " updated_at, version) VALUES ('ada', 'human', 'administrator', '', '', true,"
            " '2026-01-01', '2026-01-01', 1)",
            "INSERT INTO tokens (token_id, digest, user_id, label, act_as_owner, created_by,"
            " created_at, version) SELECT 't1', :digest, user_id, '', false, user_id,"
            " '2026-01-01', 1 FROM users",
        ):
            connection.execute(text(statement), {"digest": b"d"} if ":digest" in statement else {})
        before = connection.execute(text("SELECT epoch FROM store_state")).scalar_one()
        command.upgrade(migrate.alembic_config(connection), "0006")
        after = connection.execute(text("SELECT epoch, oldest_server FROM store_state")).one()
        assert connection.execute(text(revoked)).scalar_one() == 1
    assert after.epoch != before
    assert after.oldest_server == 3


def test_logins_that_differ_in_case_only_stop_the_migration_which_names_them(
    empty_database_url: str,
) -> None:
    add = (
        "INSERT INTO users (login, kind, role, display_name, email, active, created_at, updated_at,"
        " version) VALUES (:login, 'human', 'member', '', '', true, '2026-01-01', '2026-01-01', 1)"
    )
    with connected(empty_database_url) as connection:
        command.upgrade(migrate.alembic_config(connection), "0006")
        for login in ("Ada", "bob", "aDA"):
            connection.execute(text(add), {"login": login})
    with pytest.raises(RuntimeError, match="'Ada' and 'aDA' differ in case only"):
        migrate.upgrade(empty_database_url)
    with connected(empty_database_url) as connection:
        at = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        assert at == "0006"
        connection.execute(text("DELETE FROM users WHERE login = 'aDA'"))
    migrate.upgrade(empty_database_url)
    with connected(empty_database_url) as connection:
        found = connection.execute(text("SELECT login, login_folded FROM users ORDER BY login"))
        assert {tuple(row) for row in found} == {("Ada", "ada"), ("bob", "bob")}
