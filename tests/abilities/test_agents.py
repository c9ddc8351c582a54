"""Agents are created, found, changed, renamed, transferred and deleted."""

from tests.registry import Registry


def test_a_slug_is_cleaned_and_the_reply_says_what_it_became(registry: Registry) -> None:
    owner = registry.user()
    made = owner.call("AgentService/CreateAgent", agent_slug="Größe & Co!")
    assert made.created
    assert made.agent.agent_slug == "grose-co"
    assert made.agent.agent_name == "grose-co"
    assert made.agent.owner_id == owner.user_id
