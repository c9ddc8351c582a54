"""Agents that are created in batches: an outcome for each, and none that stops the others."""

from typing import Any

import pytest
from google.rpc.code_pb2 import Code

from tests.api.asking import reason
from tests.server import Server


def test_a_batch_has_an_outcome_for_each_item_in_their_order(server: Server) -> None:
    member, other = server.user(), server.user()
    mine = server.agent(member)
    theirs = server.agent(other)
    new, newer = server.name("batch"), server.name("batch")
    answer = member.call(
        "AgentService/BatchCreateAgents",
        requests=[
            {"agent_slug": new, "owner": {"login": member.login}},
            {"agent_slug": "!"},
            {"agent_slug": mine.agent_slug, "agent_name": "ignored"},
            {"agent_slug": theirs.agent_slug},
            {"agent_slug": server.name("b"), "site_scope": 2**62},
            {"agent_slug": newer, "agent_name": "Newer"},
            {"agent_slug": new.upper()},
            {"agent_slug": server.name("b"), "owner": {"user_id": other.user_id}},
        ],
    )
    made, empty, found, hidden, placeless, last, again, foreign = answer.results
    assert (made.created, found.created, last.created, again.created) == (True, False, True, False)
    assert made.agent.owner_id == member.user_id
    mine.ClearField("config")
    assert found.agent == mine
    assert again.agent == made.agent
    assert last.agent.agent_name == "Newer"
    assert [reason(one.error) for one in (empty, hidden, placeless, foreign)] == [
        "INVALID_AGENT_SLUG",
        "AGENT_SLUG_CONFLICT",
        "ACTION_MISSING",
        "ACTION_MISSING",
    ]


def test_an_item_that_fails_ends_with_the_error_that_its_own_call_would_have(
    server: Server,
) -> None:
    member, other = server.user(), server.user()
    items: list[dict[str, Any]] = [
        {"agent_slug": "?"},
        {"agent_slug": server.agent(other).agent_slug},
        {"agent_slug": server.name("b"), "site_scope": 2**62},
        {"agent_slug": server.name("b"), "agent_name": "n" * 201},
    ]
    results = member.call("AgentService/BatchCreateAgents", requests=items).results
    for item, result in zip(items, results, strict=True):
        single = member.refused("AgentService/CreateAgent", **item)
        assert Code.Name(result.error.code) == single.code.name
        assert reason(result.error) == single.reason
        assert result.error.message == single.message


def test_the_limit_counts_inside_of_a_batch(strict_server: Server) -> None:
    member = strict_server.user()
    answer = member.call(
        "AgentService/BatchCreateAgents", requests=[{"agent_slug": one} for one in ("a", "b", "a")]
    )
    assert [one.created for one in answer.results] == [True, False, False]
    assert reason(answer.results[1].error) == "AGENT_LIMIT_REACHED"
    assert answer.results[2].agent == answer.results[0].agent


@pytest.mark.parametrize(
    ("requests", "field"),
    [
        pytest.param([{"agent_slug": "a"}] * 101, "requests", id="more than 100"),
        pytest.param(
            [{"agent_slug": "a"}, {"agent_slug": "b", "validate_only": True}],
            "requests[1].validate_only",
            id="validate_only is the batch's",
        ),
        pytest.param(
            [{"agent_slug": "a", "request_id": "123e4567-e89b-12d3-a456-426614174000"}],
            "requests[0].request_id",
            id="request_id is the batch's",
        ),
        pytest.param(
            [{"agent_slug": "a", "owner": {"user_id": -1}}],
            "requests[0].owner.user_id",
            id="a negative id",
        ),
        pytest.param([{"agent_slug": "a", "owner": {}}], "requests[0].owner", id="nobody is named"),
        pytest.param([], "requests", id="none at all"),
    ],
)
def test_a_batch_that_breaks_its_rules_is_refused_whole(
    server: Server, requests: list[dict[str, Any]], field: str
) -> None:
    refusal = server.admin.refused("AgentService/BatchCreateAgents", requests=requests)
    assert refusal.what == "INVALID_ARGUMENT FIELD_INVALID"
    assert refusal.fields == [field]
