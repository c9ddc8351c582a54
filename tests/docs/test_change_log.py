"""The example of the page on the change log is what the server writes and the program verifies."""

import json
from datetime import UTC, datetime

from accredit_storage.canonical import canonical_json, digest
from accredit_storage.changes import ChangeQuery
from accredit_storage.records import Actor, ChangeKind, Draft, Subject, SubjectKind, UserId
from accredit_storage.store import Store
from tests.docs.pages import DOCS, blocks
from tests.verifying import PROGRAM, verified

PAGE = DOCS / "change-log.md"


def test_the_example_is_what_the_store_writes(store: Store) -> None:
    example, before, after, covered = (block.text for block in blocks(PAGE, "An example"))
    change = json.loads(example)
    at = datetime(2026, 3, 1, 12, 30, 45, 123456, tzinfo=UTC)
    with store.write() as tx:
        tx.record(
            Draft(
                kind=ChangeKind.AGENT_UPDATED,
                actor=Actor(user_id=UserId(7), token_id=change["actor"]["tokenId"]),
                request_id="",
                subjects=(
                    Subject(kind=SubjectKind.AGENT, subject_id="3"),
                    Subject(kind=SubjectKind.USER, subject_id="7"),
                ),
                before=change["before"],
                after=change["after"],
                at=at,
            )
        )
    with store.read() as tx:
        (written,) = tx.changes.page(ChangeQuery(), after=None, limit=1)
    assert datetime.fromisoformat(change["createTime"]) == at
    for text, payload, stored in (
        (before, change["before"], written.before_digest),
        (after, change["after"], written.after_digest),
    ):
        line, said = text.splitlines()
        assert (line, bytes.fromhex(said)) == (canonical_json(payload), stored)
    line, said = covered.splitlines()
    assert digest(line) == bytes.fromhex(said) == written.hash


def test_the_program_verifies_the_example() -> None:
    example = blocks(PAGE, "An example")[0].text
    code, said = verified(f"[{example}]")
    revision = json.loads(example)["revision"]
    assert (code, said.split(";")[0]) == (
        0,
        f"verified 1 of revisions {revision} to {revision}",
    )
    assert verified(f"[{example.replace('0.25', '0.26')}]")[0] == 1


def test_the_program_refuses_what_it_cannot_answer_for() -> None:
    assert verified("") == (1, "no changes to verify")
    assert verified('{"changes": []}') == (1, "no changes to verify")
    example = f"[{blocks(PAGE, 'An example')[0].text}]"
    assert verified(example, "--filterd") == (1, "neither --filtered nor REVISION:HASH: --filterd")
    assert verified(example, f"1:{'0' * 64}") == (1, f"not among them: 1:{'0' * 64}")
    partial = example.replace("CHANGE_VIEW_FULL", "CHANGE_VIEW_PARTIAL")
    assert verified(partial)[0] == 1
    code, said = verified(partial, "--filtered")
    assert (code, said.splitlines()[1:]) == (0, ["1 are shown in part and cannot be verified"])


def test_the_program_can_be_read_at_a_glance() -> None:
    assert len(PROGRAM.read_text().splitlines()) <= 80
