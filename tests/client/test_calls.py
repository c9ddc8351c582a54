"""What travels with a call, what comes back, and when it is sent again."""

import math
import uuid
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

import accredit
from accredit.v1 import agent_pb2, auth_pb2, token_pb2, types_pb2
from tests.client.conftest import Ask
from tests.client.peer import Fail, Peer, because, retry_after, until_gone

FOUND = agent_pb2.GetAgentResponse(agent=agent_pb2.Agent(agent_id=7, agent_slug="billing"))
CREATED = agent_pb2.CreateAgentResponse(created=True)
DOWN = Fail(grpc.StatusCode.UNAVAILABLE, "the database does not answer")


def get_agent(client: Any) -> Any:
    return client.agents.get_agent(agent={"agent_slug": "billing"})


def create_agent(client: Any) -> Any:
    return client.agents.create_agent(agent_slug="billing")


# --- requests ---


def test_a_request_is_a_message_or_its_fields(peer: Peer, ask: Ask) -> None:
    peer.script("GetAgent", FOUND)
    request = agent_pb2.GetAgentRequest(agent=accredit.agent_ref("billing"))
    assert ask(peer.address, get_agent) == FOUND
    assert ask(peer.address, lambda client: client.agents.get_agent(request)) == FOUND
    assert [seen.request for seen in peer.seen] == [request, request]


def test_a_request_is_not_a_message_and_fields_nor_another_message(ask: Ask) -> None:
    request = agent_pb2.GetAgentRequest()
    nowhere = "127.0.0.1:1"
    with pytest.raises(TypeError, match="not both"):
        ask(nowhere, lambda client: client.agents.get_agent(request, agent={}))
    with pytest.raises(TypeError, match="GetAgentRequest, not a DeleteAgentRequest"):
        ask(nowhere, lambda client: client.agents.get_agent(agent_pb2.DeleteAgentRequest()))
    with pytest.raises(ValueError, match="agnet"):
        ask(nowhere, lambda client: client.agents.get_agent(agnet={}))
    with pytest.raises(AttributeError, match="get_agnet"):
        ask(nowhere, lambda client: client.agents.get_agnet())


def test_a_field_may_be_called_as_an_option_of_the_client_is(peer: Peer, ask: Ask) -> None:
    peer.script("Authenticate", auth_pb2.AuthenticateResponse())
    ask(peer.address, lambda client: client.auth.authenticate(token="theirs"), token="ours")
    assert peer.seen[0].request.token == "theirs"
    assert peer.seen[0].metadata["authorization"] == "Bearer ours"


# --- token and site ---


def test_token_and_site_come_from_the_environment(
    peer: Peer, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCREDIT_ADDRESS", peer.address)
    monkeypatch.setenv("ACCREDIT_TOKEN", "acr_1_s")
    monkeypatch.setenv("ACCREDIT_SITE", "3")
    peer.script("GetAgent", FOUND)
    ask(None, get_agent)
    assert peer.seen[0].metadata["authorization"] == "Bearer acr_1_s"
    assert peer.seen[0].metadata["accredit-site"] == "3"


def test_what_is_given_wins_over_the_environment(
    peer: Peer, ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("acr_2_s\n")
    monkeypatch.setenv("ACCREDIT_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("ACCREDIT_TOKEN", "acr_1_s")
    monkeypatch.setenv("ACCREDIT_SITE", "3")
    peer.script("GetAgent", FOUND)
    ask(peer.address, get_agent, token_file=tmp_path / "token", site=4)
    assert peer.seen[0].metadata["authorization"] == "Bearer acr_2_s"
    assert peer.seen[0].metadata["accredit-site"] == "4"


def test_a_client_without_a_token_sends_none(peer: Peer, ask: Ask) -> None:
    peer.script("GetAgent", FOUND)
    ask(peer.address, get_agent)
    assert "authorization" not in peer.seen[0].metadata
    assert "accredit-site" not in peer.seen[0].metadata


def test_options_change_for_one_call_and_no_other(peer: Peer, ask: Ask) -> None:
    peer.script("GetAgent", FOUND)

    def other(client: Any) -> Any:
        return get_agent(client.with_options(token="acr_2_s", site=9, timeout=3))

    ask(peer.address, other, token="acr_1_s", site=1)
    ask(peer.address, get_agent, token="acr_1_s", site=1)
    assert [seen.metadata["authorization"] for seen in peer.seen] == [
        "Bearer acr_2_s",
        "Bearer acr_1_s",
    ]
    assert [seen.metadata["accredit-site"] for seen in peer.seen] == ["9", "1"]
    assert peer.seen[0].time_remaining < 4 < peer.seen[1].time_remaining


def test_a_rotated_token_file_is_used_by_the_next_call(peer: Peer, tmp_path: Path) -> None:
    peer.script("GetAgent", FOUND)
    file = tmp_path / "token"
    file.write_text("acr_1_first")
    with accredit.Client(peer.address, token_file=file) as client:
        get_agent(client)
        (tmp_path / "next").write_text("acr_1_second\n")
        (tmp_path / "next").rename(file)
        get_agent(client)
    assert [seen.metadata["authorization"] for seen in peer.seen] == [
        "Bearer acr_1_first",
        "Bearer acr_1_second",
    ]


# --- deadlines ---


def test_every_call_has_a_deadline(peer: Peer, ask: Ask) -> None:
    peer.script("GetAgent", FOUND)
    ask(peer.address, get_agent)
    ask(peer.address, get_agent, timeout=300)
    agent = {"agent_id": 1}
    ask(peer.address, lambda client: client.agents.get_agent(agent=agent, timeout=60))
    ask(peer.address, get_agent, timeout=math.inf)
    usual, own, for_one_call, none = (seen.time_remaining for seen in peer.seen)
    # Compared roughly: gRPC rounds a timeout up as it puts it on the wire.
    assert usual < 12 < for_one_call < 70 < own < 330
    assert none > 1e6


def test_no_answer_in_time_is_deadline_exceeded_and_not_tried_again(peer: Peer, ask: Ask) -> None:
    peer.script("GetAgent", until_gone)
    with pytest.raises(accredit.DeadlineExceeded):
        ask(peer.address, get_agent, timeout=0.2)
    # None of them on a machine so busy that the first did not arrive in time either.
    assert len(peer.seen) <= 1


@pytest.mark.parametrize("timeout", [0, -1, math.nan])
def test_a_timeout_that_leaves_no_time_is_a_mistake(ask: Ask, timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        ask("127.0.0.1:1", get_agent, timeout=timeout)


# --- retries ---


def test_a_read_is_repeated_while_the_server_is_unavailable(peer: Peer, ask: Ask) -> None:
    peer.script("GetAgent", DOWN, DOWN, FOUND)
    assert ask(peer.address, get_agent) == FOUND
    assert len(peer.seen) == 3


def test_a_mutation_is_repeated_under_one_request_id(peer: Peer, ask: Ask) -> None:
    peer.script("CreateAgent", DOWN, CREATED)
    assert ask(peer.address, create_agent) == CREATED
    first, second = (seen.request.request_id for seen in peer.seen)
    assert first == second
    assert uuid.UUID(first).version == 4


def test_each_call_has_a_request_id_of_its_own_even_for_one_message(peer: Peer, ask: Ask) -> None:
    peer.script("CreateAgent", CREATED)
    request = agent_pb2.CreateAgentRequest(agent_slug="billing")
    ask(peer.address, lambda client: client.agents.create_agent(request))
    ask(peer.address, lambda client: client.agents.create_agent(request))
    assert peer.seen[0].request.request_id != peer.seen[1].request.request_id
    assert request.request_id == ""


def test_the_callers_own_request_id_is_kept(peer: Peer, ask: Ask) -> None:
    mine = str(uuid.uuid4())
    peer.script("CreateAgent", CREATED)
    ask(
        peer.address,
        lambda client: client.agents.create_agent(agent_slug="billing", request_id=mine),
    )
    assert peer.seen[0].request.request_id == mine


@pytest.mark.parametrize("code", [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED])
def test_a_limit_is_retried_only_if_the_server_asks_for_it(
    peer: Peer, ask: Ask, code: grpc.StatusCode
) -> None:
    peer.script("GetAgent", Fail(code, "busy", retry_after(0)), FOUND)
    assert ask(peer.address, get_agent) == FOUND
    peer.script("GetAgent", Fail(code, "full"), FOUND)
    with pytest.raises(accredit.AccreditError, match="full"):
        ask(peer.address, get_agent)


@pytest.mark.parametrize(
    "reason",
    [
        "SECRET_ALREADY_SHOWN",
        "TOKEN_ALREADY_ROTATED",
        "ETAG_MISMATCH",
        "AGENT_LIMIT_REACHED",
    ],
)
def test_what_no_repeat_can_change_is_not_repeated(peer: Peer, ask: Ask, reason: str) -> None:
    final = Fail(grpc.StatusCode.ABORTED, "no use", because(reason), retry_after(0))
    peer.script("RotateToken", final, token_pb2.RotateTokenResponse())
    with pytest.raises(accredit.Aborted) as caught:
        ask(peer.address, lambda client: client.tokens.rotate_token(token_id="t"))
    assert caught.value.reason == reason
    assert len(peer.seen) == 1


def test_a_secret_that_a_lost_reply_took_along_is_reported_not_asked_for_again(
    peer: Peer, ask: Ask
) -> None:
    shown = because("SECRET_ALREADY_SHOWN", token_id="tok7")
    peer.script("CreateToken", DOWN, Fail(grpc.StatusCode.ABORTED, "shown", shown))
    with pytest.raises(accredit.Aborted) as caught:
        ask(peer.address, lambda client: client.tokens.create_token(full_rights=True))
    assert caught.value.metadata == {"token_id": "tok7"}
    assert len(peer.seen) == 2


def test_no_wait_goes_beyond_the_deadline(peer: Peer, ask: Ask) -> None:
    peer.script("GetAgent", Fail(grpc.StatusCode.UNAVAILABLE, "later", retry_after(60)), FOUND)
    with pytest.raises(accredit.Unavailable) as caught:
        ask(peer.address, get_agent)
    assert caught.value.retry_after == 60
    assert len(peer.seen) == 1


def test_retries_have_an_end_and_can_be_switched_off(peer: Peer, ask: Ask) -> None:
    peer.script("GetAgent", DOWN)
    with pytest.raises(accredit.Unavailable):
        ask(peer.address, get_agent)
    assert len(peer.seen) == 8
    peer.seen.clear()
    with pytest.raises(accredit.Unavailable):
        ask(peer.address, get_agent, retries=accredit.Retries(max_attempts=1))
    assert len(peer.seen) == 1


def test_a_server_that_is_not_there_is_unavailable(ask: Ask) -> None:
    with pytest.raises(accredit.Unavailable) as caught:
        ask("127.0.0.1:1", get_agent)
    assert caught.value.reason == ""


# --- errors ---


def test_an_error_says_all_that_the_server_said(peer: Peer, ask: Ask) -> None:
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="agent.agent_slug", description="not digits only")
    peer.script(
        "GetAgent",
        Fail(
            grpc.StatusCode.INVALID_ARGUMENT,
            "fix the slug",
            because("INVALID_AGENT_SLUG", value="12"),
            bad,
            trailers=[("x-request-id", "r-1")],
        ),
    )
    with pytest.raises(accredit.InvalidArgument) as caught:
        ask(peer.address, get_agent)
    error = caught.value
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.reason == "INVALID_AGENT_SLUG"
    assert error.message == "fix the slug"
    assert error.fields == (accredit.FieldViolation("agent.agent_slug", "not digits only"),)
    assert error.metadata == {"value": "12"}
    assert error.retry_after is None
    assert error.request_id == "r-1"
    assert isinstance(error.__cause__, grpc.RpcError)
    assert str(error) == "INVALID_AGENT_SLUG: fix the slug (agent.agent_slug: not digits only)"


def test_a_denial_is_an_answer_and_no_error(peer: Peer, ask: Ask) -> None:
    denied = auth_pb2.AuthenticateResponse(
        denial=types_pb2.Denial(reason=types_pb2.DECISION_TOKEN_INVALID)
    )
    peer.script("Authenticate", denied)
    assert ask(peer.address, lambda client: client.auth.authenticate(token="x")) == denied


# --- pages ---


def page(*ids: int, following: str = "") -> agent_pb2.ListAgentsResponse:
    return agent_pb2.ListAgentsResponse(
        agents=[agent_pb2.ListedAgent(agent_id=each) for each in ids], next_page_token=following
    )


def test_pages_are_one_sequence(peer: Peer, ask: Ask) -> None:
    peer.script("ListAgents", page(1, 2, following="b"), page(following="c"), page(3))
    found = ask(peer.address, lambda client: client.agents.iterate_agents(text="x", page_size=2))
    assert [agent.agent_id for agent in found] == [1, 2, 3]
    assert [seen.request.page_token for seen in peer.seen] == ["", "b", "c"]
    assert {(seen.request.text, seen.request.page_size) for seen in peer.seen} == {("x", 2)}


def test_a_page_is_bounded_where_nobody_says_how(peer: Peer, ask: Ask) -> None:
    peer.script("ListAgents", page())
    request = agent_pb2.ListAgentsRequest()
    assert ask(peer.address, lambda client: client.agents.iterate_agents(request)) == []
    assert peer.seen[0].request.page_size == 100
    assert request.page_size == 0


def test_a_page_is_fetched_when_its_first_item_is_wanted(peer: Peer) -> None:
    peer.script("ListAgents", page(1, 2, following="b"), page(3))
    with accredit.Client(peer.address) as client:
        agents = client.agents.iterate_agents()
        assert len(peer.seen) == 0
        assert [next(agents).agent_id, next(agents).agent_id] == [1, 2]
        assert len(peer.seen) == 1
        assert next(agents).agent_id == 3
        assert len(peer.seen) == 2


def test_each_page_is_retried_by_itself(peer: Peer, ask: Ask) -> None:
    peer.script("ListAgents", page(1, following="b"), DOWN, page(2))
    found = ask(peer.address, lambda client: client.agents.iterate_agents())
    assert [agent.agent_id for agent in found] == [1, 2]


def test_a_wrong_field_is_reported_when_the_iterator_is_made() -> None:
    with accredit.Client("127.0.0.1:1") as client, pytest.raises(ValueError, match="txet"):
        client.agents.iterate_agents(txet="x")
