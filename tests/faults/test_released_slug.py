"""A slug that its agent gives up while somebody else is being given it stays with its owner."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text

from accredit_service.abilities.calls.app import App
from accredit_storage.records import UserId
from tests.server import RefusedError, Server

_WAITS = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def wait_for_a_waiter(app: App) -> None:
    """Return as soon as some transaction waits for another one's row."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with app.store.read() as tx:
            if tx._connection.execute(_WAITS).scalar_one():
                return
    raise AssertionError("nobody waits")


# On SQLite whoever gives a slug sees all that was done before.
@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
@pytest.mark.parametrize("call", ["CreateAgent", "RenameAgent", "ProvisionAgent"])
def test_who_waited_for_the_slug_does_not_get_it(server: Server, call: str) -> None:
    owner = server.user()
    stranger = server.user(login=server.name("stranger"))
    freed = server.agent(owner, stranger.login)
    other = server.agent(stranger) if call == "RenameAgent" else None
    asked = {
        "CreateAgent": {"agent_slug": freed.agent_slug},
        "RenameAgent": {
            "agent": {"agent_id": other.agent_id if other else 0},
            "new_slug": freed.agent_slug,
        },
        "ProvisionAgent": {},
    }[call]
    with ThreadPoolExecutor(1) as pool:
        # What DeleteAgent writes, by hand: it is committed when somebody waits for the row.
        with server.app.store.write() as tx:
            tx.agents.delete(freed.agent_id)
            until = server.clock() + timedelta(days=1)
            tx.reservations.put(freed.agent_slug, UserId(owner.user_id), until)
            answer = pool.submit(stranger.call, f"AgentService/{call}", **asked)
            wait_for_a_waiter(server.app)
        if call == "ProvisionAgent":
            assert answer.result().agent.agent_slug == f"{freed.agent_slug}-2"
            return
        with pytest.raises(RefusedError) as refused:
            answer.result()
    assert refused.value.what == "FAILED_PRECONDITION SLUG_RESERVED"
