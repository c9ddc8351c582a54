"""Whether the log is still what was written: verified from any anchor, tampered with, pruned."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from accredit_service.background import Housekeeping
from tests.api.asking import changes_of
from tests.server import Server


def _verify(server: Server, **request: Any) -> Any:
    return server.admin.call("ChangeService/VerifyChanges", **request)


def test_an_untouched_log_verifies_from_any_anchor(own_server: Server) -> None:
    server = own_server
    for _ in range(5):
        server.site()
    changes = changes_of(server.admin)
    head = changes[-1]

    whole = _verify(server)
    assert (whole.intact, whole.first_broken_revision, whole.checked_count) == (
        True,
        0,
        len(changes),
    )
    assert (whole.head.revision, whole.head.hash) == (head.revision, head.hash)
    assert whole.next_page_token == ""
    for change in changes:
        since = _verify(server, anchor={"revision": change.revision, "hash": change.hash})
        assert (since.intact, since.checked_count) == (True, len(changes) - change.revision)
    assert _verify(server, anchor={}).checked_count == len(changes)


@pytest.mark.parametrize(
    ("tamper", "broken"),
    [
        pytest.param("UPDATE changes SET actor_user_id = 7 WHERE revision = 3", 3, id="an actor"),
        pytest.param(
            "UPDATE changes SET after = '{}' WHERE revision = 4", 4, id="what is there after"
        ),
        pytest.param("DELETE FROM changes WHERE revision = 3", 3, id="a change in the middle"),
        pytest.param("DELETE FROM changes WHERE revision > 4", 5, id="the newest changes"),
    ],
)
def test_the_first_change_that_was_tampered_with_is_named(
    own_server: Server, tamper: str, broken: int
) -> None:
    server = own_server
    for _ in range(5):
        server.site()
    changes = changes_of(server.admin)
    with server.app.store.write() as tx:
        tx._connection.execute(text(tamper))
    found = _verify(server)
    assert (found.intact, found.first_broken_revision) == (False, broken)
    assert (found.head.revision, found.head.hash) == (broken - 1, changes[broken - 2].hash)


def test_an_anchor_kept_elsewhere_finds_a_log_that_was_written_anew(
    own_server: Server,
) -> None:
    server = own_server
    for _ in range(3):
        server.site()
    noted = changes_of(server.admin)[2]
    anchor = {"revision": noted.revision, "hash": bytes(32)}
    found = _verify(server, anchor=anchor)
    assert (found.intact, found.first_broken_revision) == (False, noted.revision)
    ahead = _verify(server, anchor={"revision": 999, "hash": noted.hash})
    assert not ahead.intact


@pytest.mark.parametrize(
    ("anchor", "field"),
    [
        ({"revision": -1}, "anchor.revision"),
        ({"revision": 1}, "anchor.hash"),
        ({"revision": 1, "hash": b"x" * 31}, "anchor.hash"),
        ({"hash": b"x" * 32}, "anchor.hash"),
    ],
)
def test_what_is_no_anchor_is_refused(server: Server, anchor: dict[str, Any], field: str) -> None:
    refusal = server.admin.refused("ChangeService/VerifyChanges", anchor=anchor)
    assert (refusal.what, refusal.fields) == ("INVALID_ARGUMENT FIELD_INVALID", [field])


def test_what_is_past_its_time_is_pruned_and_the_rest_still_verifies(
    own_server: Server,
) -> None:
    server = own_server
    for _ in range(3):
        server.site()
    old = changes_of(server.admin)
    server.clock.advance(days=401)
    server.site()
    Housekeeping(server.app).sweep()
    kept = changes_of(server.admin)
    assert [one.revision for one in kept] == [old[-1].revision + 1]
    assert _verify(server).intact
    # An anchor from before is no longer comparable, and no alarm.
    assert _verify(server, anchor={"revision": 2, "hash": old[1].hash}).intact
    assert server.clock() - timedelta(days=400) < kept[0].create_time.ToDatetime(
        tzinfo=server.clock().tzinfo
    )
