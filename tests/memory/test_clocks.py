"""A clock that is set back gives what had expired its time back."""

from datetime import timedelta
from typing import Any

from tests.server import Server


def test_a_kept_denial_ends_when_the_clock_is_set_back(lone: Server) -> None:
    server = lone
    owner, member = server.user(), server.user()
    agent = server.agent(owner)
    end = server.clock.stop() + timedelta(seconds=60)
    server.grant(agent.agent_id, member, "VIEWER", expire_time=end)
    asked: dict[str, Any] = {
        "check": {
            "caller": True,
            "agent": {"agent_id": agent.agent_id},
            "minimum_role": "ROLE_VIEWER",
        }
    }
    assert member.call("AccessService/CheckAccess", **asked).WhichOneof("outcome") == "principal"
    server.clock.advance(seconds=100)
    assert member.call("AccessService/CheckAccess", **asked).WhichOneof("outcome") == "denial"
    server.clock.advance(seconds=-100)
    assert member.call("AccessService/CheckAccess", **asked).WhichOneof("outcome") == "principal"
