"""A feed that has lost its connection keeps no call from the answer that it has read already."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from tests.server import Server

Two = tuple[Server, Server]


def test_a_fill_that_is_ahead_of_a_feed_without_a_connection_is_answered(two: Two) -> None:
    first, second = two
    feed = second.app.memory.feed
    if not feed.is_polled:
        pytest.skip("the feed of PostgreSQL has a connection of its own")
    member = first.user()
    there = replace(member, server=second)
    feed.follow()
    there.call("AuthService/WhoAmI")
    with feed._store.read() as tx:
        pid = tx._connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    # The log moves on, and the feed's connection alone is lost.
    agent = first.agent(first.user())
    with first.app.store.read() as tx:
        tx._connection.execute(text(f"SELECT pg_terminate_backend({pid})")).scalar_one()
    check: dict[str, Any] = {"caller": True, "agent": {"agent_id": agent.agent_id}}
    check["minimum_role"] = "ROLE_VIEWER"
    there.call("AccessService/CheckAccess", check=check)
