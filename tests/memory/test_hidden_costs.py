"""What a caller may not know costs what nothing costs, warm and cold."""

from tests.server import Person, Server
from tests.statements import statements


def _asked(stranger: Person, slug: str, login: str) -> list[str]:
    check = {"agent": {"agent_slug": slug}, "minimum_role": "ROLE_VIEWER"}
    with statements(stranger.server) as sent:
        refusal = stranger.refused(
            "AccessService/CheckAccess", check={**check, "principal": {"login": login}}
        )
    assert refusal.reason == "ACTION_MISSING"
    return sent


def test_a_login_that_there_is_costs_a_stranger_what_another_costs(lone: Server) -> None:
    server = lone
    known, stranger = server.user(), server.user()
    # Both are warm, and the agents are none.
    for login in (known.login, "nobody"):
        _asked(stranger, "none", login)
    there = _asked(stranger, "none-1", known.login)
    missing = _asked(stranger, "none-2", "nobody")
    assert len(there) == len(missing), (there, missing)


def test_the_same_cold(lone: Server) -> None:
    server = lone
    known, stranger = server.user(), server.user()
    stranger.call("AuthService/WhoAmI")
    there = _asked(stranger, "none-1", known.login)
    missing = _asked(stranger, "none-2", "nobody")
    assert len(there) == len(missing), (there, missing)


def test_the_same_for_one_agent(lone: Server) -> None:
    server = lone
    first, known, stranger = server.user(), server.user(), server.user()
    _asked(stranger, "none", first.login)
    _asked(stranger, "none", "nobody")
    there = _asked(stranger, "none", known.login)
    missing = _asked(stranger, "none", "nobody-else")
    assert len(there) == len(missing), (there, missing)


def test_the_rows_of_hidden_agents_are_not_fetched(lone: Server) -> None:
    server = lone
    owner, stranger = server.user(), server.user()
    hidden = server.agent(owner).agent_slug
    checks = [
        {"agent": {"agent_slug": slug}, "caller": True, "minimum_role": "ROLE_VIEWER"}
        for slug in (hidden, "none-1")
    ]
    stranger.call("AuthService/WhoAmI")
    with statements(server) as sent:
        stranger.call("AccessService/BatchCheckAccess", checks=checks)
    of_agents = [one for one in sent if "FROM agents" in one]
    # Only those with an owner or a grant that the stranger is: their config may be large.
    assert of_agents
    assert all("grants.user_id" in one and "agents.owner_id =" in one for one in of_agents), sent
