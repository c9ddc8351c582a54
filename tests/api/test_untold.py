"""What is not told and what does not count: neighbours, secrets, calls that only validate."""

import uuid
from typing import Any

from accredit_service.abilities.credentials import bearer
from accredit_service.abilities.tokens.minting import MintedToken
from tests.minting import FOREIGN_KEY
from tests.server import Server


def test_an_agents_token_is_told_of_no_neighbour_but_its_own(server: Server) -> None:
    owner = server.user()
    stem = server.name("neighbouring-agent")
    own, other = (server.agent(owner, f"{stem}-{letter}") for letter in "ab")
    token = server.agent_token(owner, own.agent_id)
    near = f"{stem}-c"
    refused = token.refused("AgentService/GetAgent", agent={"agent_slug": near})
    assert refused.metadata["neighbours"] == own.agent_slug
    assert other.agent_slug not in refused.message
    told = owner.refused("AgentService/GetAgent", agent={"agent_slug": near})
    assert set(told.metadata["neighbours"].split(", ")) == {own.agent_slug, other.agent_slug}


def test_what_was_minted_is_shown_without_its_secret(server: Server) -> None:
    minted = bearer.mint(FOREIGN_KEY)
    assert minted.secret not in repr(minted)
    assert minted.token_id in repr(minted)
    with server.app.store.read() as tx:
        token = tx.tokens.find(server.admin.token_id or server.admin.token.split("_")[1])
    assert token is not None
    assert minted.secret not in repr(MintedToken(token, minted.secret))
    assert FOREIGN_KEY.key.hex() not in repr(FOREIGN_KEY)
    assert repr(FOREIGN_KEY.key) not in repr(FOREIGN_KEY)


def test_a_call_that_only_validates_uses_up_no_request_id(server: Server) -> None:
    wish: dict[str, Any] = {
        "agent_slug": server.name("validated"),
        "owner": {"user_id": server.admin.user_id},
        "request_id": str(uuid.uuid4()),
    }
    create = "AgentService/CreateAgent"
    for _ in range(2):
        assert server.admin.call(create, **wish, validate_only=True).created
    made = server.admin.call(create, **wish)
    assert made.created
    assert made.agent.agent_id
    # Nor does it repeat what another under the same id was answered: it judges anew.
    again = server.admin.refused(create, **wish, validate_only=True)
    assert again.reason == "AGENT_SLUG_CONFLICT"
    assert server.admin.call(create, **wish).agent.agent_id == made.agent.agent_id
