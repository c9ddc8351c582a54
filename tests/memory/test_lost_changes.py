"""The log has lost its last revisions and goes on with others, in the same epoch."""

from typing import Any

from sqlalchemy import delete, select, update

from accredit_storage.schema import change_subjects, changes, store_state, tokens
from tests.server import Server

LOST = "INVALID_ARGUMENT CONSISTENCY_TOKEN_INVALID"


def _write(server: Server) -> str:
    made = server.admin.call("SiteService/CreateSite", site_slug=server.name("site"))
    token: str = made.consistency_token
    return token


def _lose_the_last(server: Server, *more: Any) -> None:
    """As a failover does; ``more`` undoes what the change had done."""
    with server.app.store.write() as tx:
        revision = tx.head().revision
        for table in (change_subjects, changes):
            tx._connection.execute(delete(table).where(table.c.revision == revision))
        before = select(changes.c.hash).where(changes.c.revision == revision - 1)
        hash_ = tx._connection.execute(before).scalar_one()
        tx._connection.execute(update(store_state).values(revision=revision - 1, head_hash=hash_))
        for statement in more:
            tx._connection.execute(statement)


def _fields() -> dict[str, Any]:
    return {"check": {"caller": True, "agent": {"agent_id": 1}, "minimum_role": "ROLE_VIEWER"}}


def test_a_token_of_commits_that_were_lost_is_refused_by_what_memory_answers(lone: Server) -> None:
    server = lone
    check = server.admin
    lost = _write(server)
    at_lost = {"at_least_as_fresh": lost}
    check.call("AccessService/CheckAccess", consistency=at_lost, **_fields())
    _lose_the_last(server)
    server.app.memory.feed.follow()
    assert check.refused("AccessService/CheckAccess", consistency=at_lost, **_fields()).what == LOST
    # Others come in its place, in one look.
    _write(server)
    _write(server)
    server.app.memory.feed.follow()
    # What only the database answers says so.
    assert check.refused("SiteService/ListSites", consistency=at_lost).what == LOST
    assert check.refused("AccessService/CheckAccess", consistency=at_lost, **_fields()).what == LOST


def test_the_same_where_the_others_are_seen_together(lone: Server) -> None:
    server = lone
    lost = _write(server)
    at_lost = {"at_least_as_fresh": lost}
    server.admin.call("AccessService/CheckAccess", consistency=at_lost, **_fields())
    _lose_the_last(server)
    _write(server)
    _write(server)
    server.app.memory.feed.follow()
    assert server.admin.refused("SiteService/ListSites", consistency=at_lost).what == LOST
    refused = server.admin.refused("AccessService/CheckAccess", consistency=at_lost, **_fields())
    assert refused.what == LOST


def test_a_token_whose_revocation_was_lost_lives(lone: Server) -> None:
    server = lone
    member = server.user()
    server.admin.call("TokenService/RevokeToken", token_id=member.token_id)
    assert member.refused("AuthService/WhoAmI").reason == "TOKEN_INVALID"
    live = update(tokens).where(tokens.c.token_id == member.token_id).values(revoked_at=None)
    _lose_the_last(server, live)
    _write(server)
    server.app.memory.feed.follow()
    member.call("AuthService/WhoAmI")


def test_an_own_commit_in_place_of_a_lost_one_is_known(lone: Server) -> None:
    """Its revision is the lost one's, which is not to say that it was passed."""
    server = lone
    member = server.user()
    server.admin.call("AuthService/Authenticate", token=member.token)
    _write(server)
    server.admin.call("AuthService/Authenticate", token=member.token)
    _lose_the_last(server)
    # Takes the revision of what was lost.
    server.admin.call("UserService/DeactivateUser", **member.ref)
    answer = server.admin.call("AuthService/Authenticate", token=member.token)
    assert answer.WhichOneof("outcome") == "denial"
