"""A consistency token names a history: the store, the revision, and what was committed then."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from accredit_storage.schema import change_subjects, changes, store_state
from tests.server import Person, Server

LOST = "INVALID_ARGUMENT CONSISTENCY_TOKEN_INVALID"


def _write(server: Server) -> str:
    made = server.admin.call("SiteService/CreateSite", site_slug=server.name("site"))
    token: str = made.consistency_token
    return token


def _read(person: Person, token: str) -> Any:
    return person.call("SiteService/ListSites", consistency={"at_least_as_fresh": token})


def _refused(person: Person, token: str) -> str:
    return person.refused("SiteService/ListSites", consistency={"at_least_as_fresh": token}).what


def _lose_the_last(server: Server) -> None:
    """Go back by one change, as a database does that fails over to one that lagged behind."""
    with server.app.store.write() as tx:
        revision = tx.head().revision
        for table in (change_subjects, changes):
            tx._connection.execute(delete(table).where(table.c.revision == revision))
        before = select(changes.c.hash).where(changes.c.revision == revision - 1)
        hash_ = tx._connection.execute(before).scalar_one()
        tx._connection.execute(update(store_state).values(revision=revision - 1, head_hash=hash_))


def test_a_token_of_commits_that_were_lost_is_refused(own_server: Server) -> None:
    server = own_server
    kept, lost = _write(server), _write(server)
    _read(server.admin, lost)

    _lose_the_last(server)

    # The revision is still to come.
    assert _refused(server.admin, lost) == LOST
    again = _write(server)
    # It came, as another change.
    assert _refused(server.admin, lost) == LOST
    _write(server)
    assert _refused(server.admin, lost) == LOST
    for token in (kept, again):
        _read(server.admin, token)


def test_a_token_of_another_epoch_is_refused(own_server: Server) -> None:
    server = own_server
    before = _write(server)
    with server.app.store.write() as tx:
        tx.renew_epoch()
    assert _refused(server.admin, before) == LOST
    _read(server.admin, _write(server))


def test_what_was_pruned_cannot_be_compared_and_is_taken(own_server: Server) -> None:
    server = own_server
    old, new = _write(server), _write(server)
    with server.app.store.write() as tx:
        last = tx.head().revision
        for table in (change_subjects, changes):
            tx._connection.execute(delete(table).where(table.c.revision < last))
    for token in (old, new):
        _read(server.admin, token)


def _check(server: Server) -> Any:
    agent = {"agent_id": 1}
    check = {"caller": True, "agent": agent, "minimum_role": "ROLE_VIEWER"}
    return server.admin.call("AccessService/CheckAccess", check=check)


def _authenticate(server: Server) -> Any:
    return server.admin.call("AuthService/Authenticate", token=server.admin.token)


def _scope(server: Server) -> Any:
    fields: dict[str, Any] = {"caller": True, "minimum_role": "ROLE_VIEWER"}
    return server.admin.call("ScopeService/ResolveScope", **fields)


@pytest.mark.parametrize("ask", [_check, _authenticate, _scope])
def test_an_answer_says_at_which_position_it_was_judged(
    own_server: Server, ask: Callable[[Server], Any]
) -> None:
    server = own_server
    token = _write(server)
    basis = ask(server).basis
    with server.app.store.read() as tx:
        head = tx.head()
    assert basis.position.revision == head.revision
    assert basis.position.hash_prefix == head.hash[:8]
    # The key to page tokens is not told.
    assert head.epoch not in (basis.position.epoch, basis.consistency_token)
    assert basis.consistency_token == token
    _read(server.admin, basis.consistency_token)

    _write(server)
    later = ask(server).basis
    assert later.position.epoch == basis.position.epoch
    assert later.position.revision == basis.position.revision + 1
    assert later.position.hash_prefix != basis.position.hash_prefix
    with server.app.store.write() as tx:
        tx.renew_epoch()
    server.app.memory.feed.follow()
    assert ask(server).basis.position.epoch != basis.position.epoch


def test_position_and_token_are_the_last_fields_of_a_basis(server: Server) -> None:
    # So that kept bytes may be sent with a newer position behind them: the last one counts.
    older = _authenticate(server).basis
    _write(server)
    newer = _authenticate(server).basis
    fields = [field.name for field in sorted(older.DESCRIPTOR.fields, key=lambda one: one.number)]
    assert fields[-2:] == ["position", "consistency_token"]
    tail = type(older)(position=newer.position, consistency_token=newer.consistency_token)
    read = type(older).FromString(older.SerializeToString() + tail.SerializeToString())
    assert (read.position, read.consistency_token) == (newer.position, newer.consistency_token)
    assert read.judged_at == older.judged_at
    assert list(read.depends_on) == list(older.depends_on)
