"""The synchronous client on grpcio-testing's channel: what it hands to gRPC, exactly."""

from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc
import grpc_testing
import pytest

import accredit
from accredit._client import Stubs, Transport
from accredit._options import CallOptions
from accredit._services import Services
from accredit._tokens import Fixed
from accredit.v1 import agent_pb2
from tests.client.conftest import AT_ONCE

SERVICE = agent_pb2.DESCRIPTOR.services_by_name["AgentService"]
OPTIONS = CallOptions(timeout=10, token=Fixed("acr_1_s"), site=3, retries=AT_ONCE)


@pytest.fixture
def channel() -> Any:
    return grpc_testing.channel([SERVICE], grpc_testing.strict_fake_time(0))


def calling(
    channel: grpc.Channel, use: Callable[[Any], Any]
) -> tuple[futures.Executor, futures.Future[Any]]:
    """A call under way on a thread of its own, as the fake channel answers on this one."""
    client = Services(Transport(Stubs(channel), OPTIONS))
    executor = futures.ThreadPoolExecutor(1)
    return executor, executor.submit(use, client)


def test_every_attempt_has_token_and_site_and_the_same_request(channel: Any) -> None:
    executor, call = calling(
        channel, lambda client: client.agents.create_agent(agent_slug="billing")
    )
    method = SERVICE.methods_by_name["CreateAgent"]
    with executor:
        headers, first, rpc = channel.take_unary_unary(method)
        rpc.terminate(None, (), grpc.StatusCode.UNAVAILABLE, "down")
        again, second, rpc = channel.take_unary_unary(method)
        rpc.terminate(agent_pb2.CreateAgentResponse(created=True), (), grpc.StatusCode.OK, "")
    assert call.result() == agent_pb2.CreateAgentResponse(created=True)
    assert {("authorization", "Bearer acr_1_s"), ("accredit-site", "3")} <= set(headers)
    assert list(again) == list(headers)
    assert first == second
    assert first.request_id


def test_a_failure_is_typed(channel: Any) -> None:
    executor, call = calling(channel, lambda client: client.agents.get_agent())
    with executor:
        _, _, rpc = channel.take_unary_unary(SERVICE.methods_by_name["GetAgent"])
        rpc.terminate(None, (), grpc.StatusCode.NOT_FOUND, "gone")
    assert isinstance(call.exception(), accredit.NotFound)
