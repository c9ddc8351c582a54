"""What memory takes by its own account is what it takes."""

from tests.server import Server


def test_a_tokens_capabilities_are_counted(lone: Server) -> None:
    server = lone
    member = server.user()
    capabilities = [f"c{number:03}" + "x" * 96 for number in range(100)]
    ceiling = {"max_role": "ROLE_ADMIN", "capabilities": capabilities}
    wide = server.user_token(member, ceiling=ceiling)
    member.call("AuthService/WhoAmI")
    before = server.app.memory.authority.size
    wide.call("AuthService/WhoAmI")
    # The texts alone, as Python keeps them: 49 bytes each, and one for a character.
    assert server.app.memory.authority.size - before > sum(49 + len(one) for one in capabilities)
