"""Payloads that an operator takes out of the log."""

from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from accredit.v1 import change_pb2
from accredit_service.abilities.changes import redact
from accredit_service.abilities.errors import InvalidArgument
from accredit_service.background import Housekeeping
from tests.server import Server


def _list(server: Server) -> list[Any]:
    return list(server.admin.call("ChangeService/ListChanges", page_size=500).changes)


def test_payloads_are_taken_out_and_that_is_logged(own_server: Server) -> None:
    server = own_server
    server.user(email="secret@example.org")
    written = _list(server)

    found = redact(server.app, [3, 2, 2])

    assert (found.taken, found.without) == ((2, 3), ())
    *changes, logged = _list(server)
    assert "secret@example.org" in str(written)
    assert "secret@example.org" not in str(changes)
    for before, after in zip(written, changes, strict=True):
        if after.revision in found.taken:
            before.ClearField("before")
            before.ClearField("after")
            assert after.after_digest
        assert after == before
    assert logged.kind == change_pb2.CHANGE_KIND_CHANGE_REDACTED
    assert logged.actor == change_pb2.Actor()
    assert (len(logged.subjects), logged.request_id) == (0, "")
    assert MessageToDict(logged.after) == {"revisions": [2.0, 3.0]}
    assert server.admin.call("ChangeService/VerifyChanges").intact


def test_doing_it_again_does_nothing(own_server: Server) -> None:
    server = own_server
    server.site()
    redact(server.app, [2])
    written = _list(server)
    again = redact(server.app, [2])
    assert (again.taken, again.without) == ((), (2,))
    assert _list(server) == written
    # Of several, those that had a payload are logged.
    assert redact(server.app, [1, 2]).taken == (1,)
    assert MessageToDict(_list(server)[-1].after) == {"revisions": [1.0]}


@pytest.mark.parametrize("revisions", [[9], [2, 9], [0], [1], [2, 1]])
def test_what_is_not_in_the_log_is_an_error_and_nothing_is_done(
    own_server: Server, revisions: list[int]
) -> None:
    server = own_server
    server.clock.advance(days=401)
    server.site()
    # Of the first, only the anchor is left.
    Housekeeping(server.app).sweep()
    written = _list(server)
    assert [one.revision for one in written] == [2]
    with pytest.raises(InvalidArgument, match="not in the log"):
        redact(server.app, revisions)
    assert _list(server) == written


def test_there_is_a_bound(own_server: Server) -> None:
    with pytest.raises(InvalidArgument, match="at most 1000"):
        redact(own_server.app, range(1, 1002))
