"""A refusal of the caller from memory comes before the call's consistency is known."""

from dataclasses import replace
from typing import Any

import pytest

from tests.server import Person, Server

Two = tuple[Server, Server]


def _stopped(two: Two) -> tuple[Person, Person, str]:
    """A user whom the second server remembers as inactive and who is active again."""
    first, second = two
    member = first.user()
    there = replace(member, server=second)
    _sync(second)
    there.call("AuthService/WhoAmI")
    first.admin.call("UserService/DeactivateUser", **member.ref)
    _sync(second)
    assert there.refused("AuthService/WhoAmI").reason == "USER_INACTIVE"
    answer = first.admin.call(
        "UserService/UpdateUser",
        user={"user_id": member.user_id},
        update={"active": True},
        update_mask={"paths": ["active"]},
    )
    # It is active: the first server says so.
    member.call("AuthService/WhoAmI")
    return member, there, answer.consistency_token


def _sync(server: Server) -> None:
    server.app.memory.feed.follow()


@pytest.mark.parametrize("fully", [False, True])
def test_a_read_as_fresh_as_asked(two: Two, fully: bool) -> None:
    _member, there, token = _stopped(two)
    fresh: dict[str, Any] = {"fully_consistent": True} if fully else {"at_least_as_fresh": token}
    there.call("SiteService/ListSites", consistency=fresh)


def test_a_mutation_does_not_decide_on_memory(two: Two) -> None:
    _member, there, _token = _stopped(two)
    there.call("AgentService/CreateAgent", agent_slug="mine")


def test_a_mutation_by_who_may_now(two: Two) -> None:
    first, second = two
    member = first.user("MEMBER")
    there = replace(member, server=second)
    _sync(second)
    there.call("AuthService/WhoAmI")
    first.admin.call(
        "UserService/UpdateUser",
        user={"user_id": member.user_id},
        update={"role": "USER_ROLE_ADMINISTRATOR"},
        update_mask={"paths": ["role"]},
    )
    member.call("SiteService/CreateSite", site_slug="one")
    there.call("SiteService/CreateSite", site_slug="two")
