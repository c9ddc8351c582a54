"""The chain, held against everybody who can write to the database but not to what was kept."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import column, table, text, update

from accredit_storage.chain import GENESIS, Verification
from accredit_storage.records import Actor, AgentId, UserId
from accredit_storage.store import Store
from tests.storage.making import NOW, about_agent, about_user, draft

LAST = 10


@pytest.fixture
def log(store: Store) -> Store:
    """A store with revisions 1 to 10, an hour apart."""
    for number in range(1, LAST + 1):
        with store.write() as tx:
            tx.record(
                draft(
                    about_agent(number),
                    about_user(1),
                    actor=Actor(user_id=UserId(number), agent_id=AgentId(2), token_id="t1"),
                    request_id=f"request {number}",
                    before={"n": number - 1},
                    after={"n": number},
                    at=NOW + timedelta(hours=number),
                )
            )
    return store


def alter(store: Store, *statements: str) -> None:
    """Do to the database what no repository does."""
    with store.write() as tx:
        for statement in statements:
            tx._connection.exec_driver_sql(statement)


def verify(
    store: Store, anchor: tuple[int, bytes] | None = None, limit: int | None = None
) -> Verification:
    with store.read() as tx:
        return tx.changes.verify(anchor=anchor, limit=limit)


def link(store: Store, revision: int) -> tuple[int, bytes]:
    """The anchor that somebody kept."""
    found = verify(store, limit=revision)
    assert found.reached[0] == revision
    return found.reached


def test_a_log_is_sound_and_says_where_it_stands(log: Store) -> None:
    found = verify(log)
    with log.read() as tx:
        assert found.head == tx.head()
    assert (found.first_broken, found.checked, found.start) == (None, LAST, 0)
    assert found.reached == (found.head.revision, found.head.hash)


def test_an_empty_log_is_sound(store: Store) -> None:
    found = verify(store)
    assert (found.first_broken, found.checked, found.head.revision) == (None, 0, 0)
    assert found.head.hash == GENESIS


@dataclass(frozen=True)
class Altered:
    """What was done to the log, and the revision at which it shows."""

    what: str
    statements: tuple[str, ...]
    broken: int


ALTERATIONS = [
    Altered("a time", ("UPDATE changes SET at = '2020-01-01 00:00:00' WHERE revision = 5",), 5),
    Altered("a kind", ("UPDATE changes SET kind = 'bulk' WHERE revision = 5",), 5),
    Altered(
        "a kind in upper case", ("UPDATE changes SET kind = upper(kind) WHERE revision = 5",), 5
    ),
    Altered("an unknown kind", ("UPDATE changes SET kind = 'x' WHERE revision = 5",), 5),
    Altered("an actor", ("UPDATE changes SET actor_user_id = 9 WHERE revision = 5",), 5),
    Altered("an agent", ("UPDATE changes SET actor_agent_id = 9 WHERE revision = 5",), 5),
    Altered("a token", ("UPDATE changes SET actor_token_id = 'x' WHERE revision = 5",), 5),
    Altered("a request", ("UPDATE changes SET request_id = '' WHERE revision = 5",), 5),
    Altered("the subjects", ("UPDATE changes SET subjects = '[]' WHERE revision = 5",), 5),
    Altered("no subjects", ("UPDATE changes SET subjects = 'x' WHERE revision = 5",), 5),
    Altered(
        "the subjects' spelling",
        ("UPDATE changes SET subjects = replace(subjects, ',', ', ') WHERE revision = 5",),
        5,
    ),
    Altered(
        "the subjects' escapes",
        ("UPDATE changes SET subjects = replace(subjects, 'agent', '\\u0061gent')",),
        1,
    ),
    Altered(
        "subjects in subjects",
        ("UPDATE changes SET subjects = '" + "[" * 100_000 + "' WHERE revision = 5",),
        5,
    ),
    Altered("a payload", ("UPDATE changes SET after = '{\"n\":6}' WHERE revision = 5",), 5),
    Altered("its spelling", ("UPDATE changes SET after = '{\"n\": 5}' WHERE revision = 5",), 5),
    Altered("its number", ("UPDATE changes SET after = '{\"n\":5.0}' WHERE revision = 5",), 5),
    Altered(
        "its escapes",
        ("UPDATE changes SET before = '{\"\\u006e\":4}' WHERE revision = 5",),
        5,
    ),
    Altered("a digest", ("UPDATE changes SET after_digest = hash WHERE revision = 5",), 5),
    Altered("no digest", ("UPDATE changes SET before_digest = NULL WHERE revision = 5",), 5),
    Altered("a hash", ("UPDATE changes SET hash = after_digest WHERE revision = 5",), 5),
    Altered("the first row gone", ("DELETE FROM changes WHERE revision = 1",), 1),
    Altered("a row gone", ("DELETE FROM changes WHERE revision = 5",), 5),
    Altered("the last row gone", ("DELETE FROM changes WHERE revision = 10",), 10),
    Altered("all gone", ("DELETE FROM changes",), 1),
    Altered(
        "two rows changed places",
        (
            "DELETE FROM change_subjects WHERE revision IN (4, 5)",
            "UPDATE changes SET revision = -1 WHERE revision = 4",
            "UPDATE changes SET revision = 4 WHERE revision = 5",
            "UPDATE changes SET revision = 5 WHERE revision = -1",
        ),
        4,
    ),
    Altered("a look-up gone", ("DELETE FROM change_subjects WHERE revision = 5",), 5),
    Altered("a look-up more", ("INSERT INTO change_subjects VALUES ('site', '1', 5)",), 5),
    Altered(
        "a look-up in upper case",
        ("UPDATE change_subjects SET kind = upper(kind) WHERE revision = 5",),
        5,
    ),
    Altered(
        "a look-up of another id",
        ("UPDATE change_subjects SET subject_id = '05' WHERE revision = 5 AND subject_id = '5'",),
        5,
    ),
    Altered(
        "a look-up moved",
        ("UPDATE change_subjects SET revision = 6 WHERE revision = 5 AND subject_id = '5'",),
        5,
    ),
    Altered("the counter set back", ("UPDATE store_state SET revision = 9",), 10),
    Altered("the counter set forward", ("UPDATE store_state SET revision = 11",), 11),
    Altered("the counter's hash", ("UPDATE store_state SET head_hash = anchor_hash",), 10),
    Altered("the anchor's hash", ("UPDATE store_state SET anchor_hash = head_hash",), 1),
    Altered("the anchor moved", ("UPDATE store_state SET anchor_revision = 3",), 4),
]


@pytest.mark.parametrize("altered", ALTERATIONS, ids=lambda altered: altered.what.replace(" ", "-"))
def test_an_altered_log_is_found_out(log: Store, altered: Altered) -> None:
    alter(log, *altered.statements)
    found = verify(log)
    assert found.first_broken == altered.broken
    assert found.reached[0] <= altered.broken


# SQLite keeps what it is given: other texts of the same value, and any type in any column.
LOOSE = [
    "UPDATE changes SET at = at || '+05:00' WHERE revision = 5",
    "UPDATE changes SET at = at || '+00:00' WHERE revision = 5",
    "UPDATE changes SET at = at || 'Z' WHERE revision = 5",
    "UPDATE changes SET at = at || '000' WHERE revision = 5",
    "UPDATE changes SET at = replace(at, ' ', 'T') WHERE revision = 5",
    "UPDATE changes SET at = CAST(at AS BLOB) WHERE revision = 5",
    "UPDATE changes SET kind = CAST(kind AS BLOB) WHERE revision = 5",
    "UPDATE changes SET actor_user_id = CAST(actor_user_id AS BLOB) WHERE revision = 5",
    "UPDATE changes SET actor_agent_id = 2.5 WHERE revision = 5",
    "UPDATE changes SET actor_token_id = CAST(actor_token_id AS BLOB) WHERE revision = 5",
    "UPDATE changes SET request_id = CAST(request_id AS BLOB) WHERE revision = 5",
    "UPDATE changes SET subjects = CAST(subjects AS BLOB) WHERE revision = 5",
    "UPDATE changes SET before = CAST(before AS BLOB) WHERE revision = 5",
    "UPDATE changes SET before_digest = CAST(before_digest AS TEXT) WHERE revision = 5",
    "UPDATE changes SET after_digest = lower(hex(after_digest)) WHERE revision = 5",
    "UPDATE changes SET hash = CAST(hash AS TEXT) WHERE revision = 5",
    "UPDATE changes SET hash = hex(hash) WHERE revision = 5",
    "UPDATE change_subjects SET kind = CAST(kind AS BLOB) WHERE revision = 5",
    "UPDATE change_subjects SET subject_id = CAST(subject_id AS BLOB) WHERE revision = 5",
]


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
@pytest.mark.parametrize("statement", LOOSE)
def test_what_is_stored_in_another_form_is_found_out(log: Store, statement: str) -> None:
    alter(log, statement)
    assert verify(log).first_broken == 5


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
@pytest.mark.parametrize("type_", ["TEXT", "REAL"])
def test_a_number_of_another_type_is_found_out(log: Store, type_: str) -> None:
    # A column without a type keeps what it is given, where ours would make an integer of it again.
    alter(
        log,
        "DROP INDEX ix_changes_actor_user_id_revision",
        "ALTER TABLE changes ADD COLUMN loose",
        "UPDATE changes SET loose = actor_user_id",
        f"UPDATE changes SET loose = CAST(loose AS {type_}) WHERE revision = 5",  # noqa: S608
        "ALTER TABLE changes DROP COLUMN actor_user_id",
        "ALTER TABLE changes RENAME COLUMN loose TO actor_user_id",
    )
    assert verify(log).first_broken == 5


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_an_anchor_that_is_no_hash_is_found_out(log: Store) -> None:
    alter(log, "UPDATE store_state SET anchor_hash = CAST(head_hash AS TEXT)")
    assert verify(log).first_broken == 1


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
@pytest.mark.parametrize("at", ["infinity", "-infinity", "2026-03-01 17:30:45.123456 BC"])
def test_a_time_that_python_cannot_hold_is_found_out(log: Store, at: str) -> None:
    alter(log, f"UPDATE changes SET at = '{at}' WHERE revision = 5")  # noqa: S608
    assert verify(log).first_broken == 5


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_a_log_verifies_in_any_zone(log: Store) -> None:
    with log.read() as tx:
        tx._connection.exec_driver_sql("SET LOCAL timezone = 'Asia/Kathmandu'")
        assert tx.changes.verify().first_broken is None


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ["at", "subjects", "before", "kind", "hash", "request_id"])
@pytest.mark.parametrize("value", [b"\0\xff", 7, "x"])
def test_where_any_value_fits_any_column_a_wrong_one_is_found_out(
    log: Store, name: str, value: object
) -> None:
    untyped = table("changes", column("revision"), column(name))
    with log.write() as tx:
        tx._connection.execute(update(untyped).where(untyped.c.revision == 5).values({name: value}))
    assert verify(log).first_broken == 5


def rewrite(store: Store) -> None:
    """Write the whole log anew, as somebody could who has all of the database."""
    alter(
        store,
        "DELETE FROM changes",
        "UPDATE store_state SET revision = 0, head_hash = anchor_hash",
    )
    for _ in range(LAST):
        with store.write() as tx:
            tx.record(draft(about_agent(666)))


def test_only_an_anchor_shows_that_all_was_written_anew(log: Store) -> None:
    kept = link(log, 6)
    rewrite(log)
    assert verify(log).first_broken is None
    assert verify(log, anchor=kept).first_broken == 6


def test_an_anchor_ahead_of_the_log_shows_that_it_was_cut(log: Store) -> None:
    with log.read() as tx:
        kept = (tx.head().revision, tx.head().hash)
    shorter = link(log, 7)
    alter(log, "DELETE FROM changes WHERE revision > 7", "UPDATE store_state SET revision = 7")
    with log.write() as tx:
        tx._connection.execute(
            text("UPDATE store_state SET head_hash = :hash"), {"hash": shorter[1]}
        )
    assert verify(log).first_broken is None
    assert verify(log, anchor=shorter).first_broken is None
    assert verify(log, anchor=kept).first_broken == 8


def test_a_check_goes_on_from_where_it_stopped(log: Store) -> None:
    anchor, checked = None, []
    for _ in range(4):
        found = verify(log, anchor=anchor, limit=4)
        assert found.first_broken is None
        checked.append((found.start, found.checked))
        anchor = found.reached
    assert checked == [(0, 4), (4, 4), (8, 2), (10, 0)]
    assert anchor == (found.head.revision, found.head.hash)


def test_rows_before_the_anchor_are_left_to_whoever_kept_it(log: Store) -> None:
    kept = link(log, 6)
    alter(log, "UPDATE changes SET request_id = '' WHERE revision = 5")
    assert verify(log, anchor=kept).first_broken is None
    assert verify(log).first_broken == 5


def prune_to(store: Store, revision: int) -> None:
    with store.write() as tx:
        assert tx.changes.prune(NOW + timedelta(hours=revision + 1)) == revision


def test_an_anchor_that_was_pruned_cannot_be_compared(log: Store) -> None:
    kept = link(log, 3)
    prune_to(log, 6)
    found = verify(log, anchor=kept)
    assert (found.first_broken, found.checked) == (None, 4)
    assert found.start == 6 > kept[0]
    assert verify(log, anchor=(3, b"anything")).first_broken is None


def test_the_anchor_where_the_log_begins_is_compared(log: Store) -> None:
    kept = link(log, 6)
    prune_to(log, 6)
    assert verify(log, anchor=kept).first_broken is None
    assert verify(log, anchor=(6, GENESIS)).first_broken == 6
    assert verify(log, anchor=(7, GENESIS)).first_broken == 7


def test_a_log_of_many_batches_is_checked_to_its_end(
    log: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accredit_storage.chain._BATCH", 3)
    assert verify(log).checked == LAST
    alter(log, "UPDATE changes SET request_id = '' WHERE revision = 10")
    assert verify(log).first_broken == 10


def test_equal_logs_of_different_histories_have_different_heads(log: Store) -> None:
    before = verify(log).head
    rewrite(log)
    after = verify(log).head
    assert (before.revision, before.epoch) == (after.revision, after.epoch)
    assert before.hash != after.hash
