"""What is not told and what does not count: neighbours, secrets, calls that only validate."""

import uuid
from typing import Any

from accredit_service.abilities.credentials import bearer
from accredit_service.abilities.tokens.minting import MintedToken
from tests.minting import FOREIGN_KEY
from tests.registry import Registry


def test_an_agents_token_is_told_of_no_neighbour_but_its_own(registry: Registry) -> None:
    owner = registry.user()
    stem = registry.name("neighbouring-agent")
    own, other = (registry.agent(owner, f"{stem}-{letter}") for letter in "ab")
    token = registry.agent_token(owner, own.agent_id)
    near = f"{stem}-c"
    refused = token.refused("AgentService/GetAgent", agent={"agent_slug": near})
    assert refused.metadata["neighbours"] == own.agent_slug
    assert other.agent_slug not in refused.message
    told = owner.refused("AgentService/GetAgent", agent={"agent_slug": near})
    assert set(told.metadata["neighbours"].split(", ")) == {own.agent_slug, other.agent_slug}


def test_what_was_minted_is_shown_without_its_secret(registry: Registry) -> None:
    minted = bearer.mint(FOREIGN_KEY)
    assert minted.secret not in repr(minted)
    assert minted.token_id in repr(minted)
    with registry.app.store.read() as tx:
        token = tx.tokens.find(registry.admin.token_id or registry.admin.token.split("_")[1])
    assert token is not None
    assert minted.secret not in repr(MintedToken(token, minted.secret))
    assert FOREIGN_KEY.key.hex() not in repr(FOREIGN_KEY)
    assert repr(FOREIGN_KEY.key) not in repr(FOREIGN_KEY)


def test_a_call_that_only_validates_uses_up_no_request_id(registry: Registry) -> None:
    wish: dict[str, Any] = {
        "agent_slug": registry.name("validated"),
        "owner": {"user_id": registry.admin.user_id},
        "request_id": str(uuid.uuid4()),
    }
    create = "AgentService/CreateAgent"
    for _ in range(2):
        assert registry.admin.call(create, **wish, validate_only=True).created
    made = registry.admin.call(create, **wish)
    assert made.created
    assert made.agent.agent_id
    # Nor does it repeat what another under the same id was answered: it judges anew.
    again = registry.admin.refused(create, **wish, validate_only=True)
    assert again.reason == "AGENT_SLUG_CONFLICT"
    assert registry.admin.call(create, **wish).agent.agent_id == made.agent.agent_id
