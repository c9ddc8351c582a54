import itertools
from datetime import timedelta

import pytest

from accredit_storage.canonical import canonical_json, digest
from accredit_storage.chain import GENESIS
from accredit_storage.changes import ChangeQuery
from accredit_storage.records import Actor, AgentId, ChangeKind, Subject, SubjectKind, UserId
from accredit_storage.store import Store, Transaction
from tests.storage.making import (
    EARLIER,
    LATER,
    NOW,
    about_agent,
    about_user,
    all_at_once,
    draft,
)


def revisions(tx: Transaction, query: ChangeQuery, limit: int = 100) -> list[int]:
    """Every page of ``query``, one after the other."""
    found: list[int] = []
    after = None
    while page := tx.changes.page(query, after=after, limit=limit):
        assert len(page) <= limit
        found += [change.revision for change in page]
        after = found[-1]
    return found


def test_a_change_comes_back_as_it_was_recorded(store: Store) -> None:
    grant = Subject(kind=SubjectKind.GRANT, subject_id="3:user:14")
    made = draft(
        about_agent(3),
        grant,
        about_user(14),
        kind=ChangeKind.GRANT_CHANGED,
        actor=Actor(user_id=UserId(1), agent_id=AgentId(2), token_id="t1"),
        request_id="a request",
        before={"role": "viewer", "note": "\0é\U0001f916"},
        after={"role": "admin"},
    )
    with store.write() as tx:
        assert tx.head().revision == 0
        assert tx.record(made) == 1
    with store.read() as tx:
        (change,) = tx.changes.page(ChangeQuery(), after=None, limit=10)
        head = tx.head()
    assert (change.kind, change.actor, change.request_id) == (made.kind, made.actor, "a request")
    assert change.subjects == (about_agent(3), grant, about_user(14))
    assert (change.before, change.after, change.at) == (made.before, made.after, NOW)
    assert (head.revision, head.hash) == (1, change.hash)
    assert len(change.hash) == 32
    assert change.previous_hash == GENESIS
    assert change.before_digest == digest(canonical_json(made.before))
    assert change.after_digest == digest('{"role":"admin"}')


def test_a_transaction_records_once(store: Store) -> None:
    def record_twice() -> None:
        with store.write() as tx:
            tx.record(draft())
            tx.record(draft())

    with pytest.raises(RuntimeError, match="one change"):
        record_twice()
    with store.read() as tx:
        assert tx.head().revision == 0
        assert tx.changes.page(ChangeQuery(), after=None, limit=10) == []


def test_a_change_that_is_rolled_back_leaves_no_gap(store: Store) -> None:
    def fail_after_recording() -> None:
        with store.write() as tx:
            assert tx.record(draft()) == 2
            raise ZeroDivisionError

    with store.write() as tx:
        assert tx.record(draft()) == 1
    with pytest.raises(ZeroDivisionError):
        fail_after_recording()
    with store.write() as tx:
        assert tx.record(draft()) == 2


def test_revisions_are_without_gaps_and_in_the_order_of_the_commits(store: Store) -> None:
    def write(number: int) -> list[int]:
        mine = []
        for _ in range(20):
            with store.write() as tx:
                mine.append(tx.record(draft(about_agent(number))))
            with store.read() as tx:
                # Nothing below the head is missing at any moment, and our own is not above it.
                count = len(tx.changes.page(ChangeQuery(), after=None, limit=1000))
                assert mine[-1] <= tx.head().revision == count
        return mine

    of_each = all_at_once(8, write)
    assert all(mine == sorted(mine) for mine in of_each)
    assert sorted(itertools.chain(*of_each)) == list(range(1, 161))
    with store.read() as tx:
        found = tx.changes.verify()
    assert (found.first_broken, found.checked) == (None, 160)


def test_changes_are_found_by_subject_actor_kind_and_time(store: Store) -> None:
    bob = Actor(user_id=UserId(2))
    drafts = [
        draft(about_agent(1), actor=Actor(user_id=UserId(1)), at=EARLIER),
        draft(about_agent(1), about_user(2), kind=ChangeKind.GRANT_CHANGED, actor=bob),
        draft(about_user(2), actor=Actor(user_id=UserId(2), agent_id=AgentId(7), token_id="t1")),
        draft(about_agent(11), about_user(1), kind=ChangeKind.TOKEN_REVOKED, at=LATER),
        draft(about_agent(1), about_agent(1), about_user(2), actor=bob, at=LATER),
    ]
    for made in drafts:
        with store.write() as tx:
            tx.record(made)
    cases = [
        (ChangeQuery(), [1, 2, 3, 4, 5]),
        (ChangeQuery(subjects=(about_agent(1),)), [1, 2, 5]),
        (ChangeQuery(subjects=(about_user(2),)), [2, 3, 5]),
        (ChangeQuery(subjects=(about_agent(1), about_user(2))), [1, 2, 3, 5]),
        (ChangeQuery(subjects=(about_agent(11), about_user(9), about_user(1))), [4]),
        (ChangeQuery(subjects=(about_agent(1), about_agent(11)), after_revision=2), [4, 5]),
        (ChangeQuery(subjects=(about_agent(1),), after_revision=1), [2, 5]),
        (ChangeQuery(after_revision=3), [4, 5]),
        (ChangeQuery(after_revision=9), []),
        (ChangeQuery(subjects=(about_agent(2),)), []),
        (ChangeQuery(actor_user_id=UserId(2)), [2, 3, 5]),
        (ChangeQuery(actor_agent_id=AgentId(7)), [3]),
        (ChangeQuery(actor_token_id="t1"), [3]),
        (ChangeQuery(kinds=(ChangeKind.GRANT_CHANGED, ChangeKind.TOKEN_REVOKED)), [2, 4]),
        (ChangeQuery(from_at=NOW), [2, 3, 4, 5]),
        (ChangeQuery(to_at=NOW), [1]),
        (ChangeQuery(from_at=NOW, to_at=LATER), [2, 3]),
        (
            ChangeQuery(
                subjects=(about_agent(1), about_agent(11)), actor_user_id=UserId(2), from_at=LATER
            ),
            [5],
        ),
    ]
    with store.read() as tx:
        for query, expected in cases:
            for limit in (1, 2, 100):
                assert revisions(tx, query, limit) == expected
                values = {name: getattr(query, name) for name in query.__slots__}
                backwards = ChangeQuery(**{**values, "newest_first": True})
                assert revisions(tx, backwards, limit) == expected[::-1]


def test_a_redacted_change_keeps_all_but_its_payloads(store: Store) -> None:
    for number in (1, 2):
        with store.write() as tx:
            tx.record(draft(about_agent(1), before={"n": number}, after={"email": "b"}))
    with store.write() as tx:
        tx.record(draft(about_agent(1)))
    with store.write() as tx:
        missing = tx.changes.redact([1, 4, 9])
        assert (missing.taken, missing.missing) == ((1,), (4, 9))
        assert all(one.after for one in tx.changes.page(ChangeQuery(), after=None, limit=2))
    with store.write() as tx:
        taken = tx.changes.redact([3, 1])
        assert (taken.taken, taken.without, taken.missing) == ((1,), (3,), ())
        assert tx.changes.redact([1]).without == (1,)
    with store.read() as tx:
        first, second, _ = tx.changes.page(
            ChangeQuery(subjects=(about_agent(1),)), after=None, limit=10
        )
        assert (first.before, first.after) == (None, None)
        assert first.before_digest == digest('{"n":1}')
        assert second.after == {"email": "b"}
        assert tx.changes.verify().first_broken is None


def test_sizes_count_all_that_can_be_large(store: Store) -> None:
    subjects = tuple(map(about_agent, range(100, 200)))
    with store.write() as tx:
        tx.record(draft(*subjects))
    with store.write() as tx:
        tx.record(draft(before={"a": "é" * 50}, after={"b": 1}))
    with store.read() as tx:
        listed = len('["agent","100"]') * 100 + 99 + len("[]")
        assert tx.changes.sizes(ChangeQuery(), after=None, limit=5) == [listed, 58 + 7 + 2]


def test_every_change_says_the_hash_before_it(store: Store) -> None:
    for number in range(6):
        with store.write() as tx:
            tx.record(draft(about_agent(number % 2), at=NOW + timedelta(hours=number)))
    with store.write() as tx:
        assert tx.changes.prune(NOW + timedelta(hours=2)) == 2
    subjects = (about_agent(1), about_agent(7))
    with store.read() as tx:
        kept = tx.changes.page(ChangeQuery(), after=None, limit=10)
        anchor = tx.changes.verify(limit=0).reached
        some = tx.changes.page(
            ChangeQuery(subjects=subjects, newest_first=True), after=None, limit=10
        )
    assert (anchor[0], kept[0].previous_hash) == (2, anchor[1])
    assert [one.previous_hash for one in kept[1:]] == [one.hash for one in kept[:-1]]
    assert some == kept[::-2]


def test_the_hash_before_is_not_made_up(store: Store) -> None:
    for _ in range(2):
        with store.write() as tx:
            tx.record(draft())
    with store.write() as tx:
        tx._connection.exec_driver_sql("DELETE FROM changes WHERE revision = 1")
    with store.read() as tx:
        (left,) = tx.changes.page(ChangeQuery(), after=None, limit=10)
    assert left.previous_hash is None


def test_pruning_takes_a_prefix(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accredit_storage.changes.PRUNE_AT_ONCE", 3)
    # The clock was set back once: 6 stays, being above 5.
    for hours in (0, 1, 2, 3, 9, 4, 10):
        with store.write() as tx:
            tx.record(draft(about_agent(1), at=NOW + timedelta(hours=hours)))
    pruned = []
    for _ in range(4):
        with store.write() as tx:
            pruned.append(tx.changes.prune(NOW + timedelta(hours=5)))
    assert pruned == [3, 1, 0, 0]
    with store.read() as tx:
        assert revisions(tx, ChangeQuery()) == [5, 6, 7]
        assert revisions(tx, ChangeQuery(subjects=(about_agent(1),))) == [5, 6, 7]
        found = tx.changes.verify()
        assert (found.first_broken, found.start, found.checked) == (None, 4, 3)


def test_servers_that_prune_at_once_leave_one_sound_log(store: Store) -> None:
    for hours in range(12):
        with store.write() as tx:
            tx.record(draft(about_agent(1), at=NOW + timedelta(hours=hours)))

    def prune(number: int) -> int:
        with store.write() as tx:
            return tx.changes.prune(NOW + timedelta(hours=2 + 2 * number))

    pruned = all_at_once(4, prune)
    with store.read() as reader:
        found = reader.changes.verify()
    assert sum(pruned) == found.start == 8
    assert (found.first_broken, found.checked) == (None, 4)


def test_everything_can_be_pruned_and_the_log_goes_on(store: Store) -> None:
    with store.write() as tx:
        assert tx.changes.prune(LATER) == 0
        tx.record(draft())
    with store.write() as tx:
        assert tx.changes.prune(LATER) == 1
    with store.read() as tx:
        assert tx.changes.verify().first_broken is None
        assert tx.head().revision == 1
    with store.write() as tx:
        assert tx.record(draft()) == 2
    with store.read() as tx:
        found = tx.changes.verify()
        assert (found.first_broken, found.start, found.checked) == (None, 1, 1)


def test_the_hash_of_a_change_is_found_while_it_is_there(store: Store) -> None:
    heads = []
    for _ in range(2):
        with store.write() as tx:
            tx.record(draft())
            heads.append(tx.head())
    with store.read() as tx:
        assert [tx.changes.hash_at(head.revision) for head in heads] == [
            head.hash for head in heads
        ]
        assert tx.changes.hash_at(0) is None
        assert tx.changes.hash_at(3) is None
