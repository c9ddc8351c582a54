import re
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from accredit.v1 import auth_pb2
from accredit_service.interceptors.calls import Call
from accredit_service.interceptors.telemetry import request_id
from accredit_service.setting_rules import LogLevel
from accredit_storage.records import UserRole
from tests.service.conftest import Start
from tests.service.running import PATIENCE, WHO_AM_I, Running
from tests.service.test_access import agent_token


def test_a_call_is_one_line_that_says_who_did_what_and_how_it_ended(server: Running) -> None:
    trailers = server.call()
    (line,) = server.calls()
    assert line.pop("duration_ms") >= 0
    assert line.pop("time")
    assert re.fullmatch(r"ipv4:127\.0\.0\.1:\d+", line.pop("peer"))
    assert line == {
        "level": "info",
        "event": "call",
        "logger": "accredit_service.interceptors.telemetry",
        "method": "AuthService/WhoAmI",
        "code": "OK",
        "request_id": trailers["x-request-id"],
        "user_id": 1,
        "token_id": server.token.split("_")[1],
    }


def test_an_agents_call_names_the_agent(server: Running) -> None:
    server.call(token=agent_token(server.app, UserRole.MEMBER))
    (line,) = server.calls()
    assert (line["user_id"], line["agent_id"]) == (2, 1)


def test_a_refused_call_has_its_reason_and_nobody(server: Running) -> None:
    failed = server.fails(token="")
    (line,) = server.calls()
    assert (line["code"], line["reason"]) == ("UNAUTHENTICATED", "TOKEN_MISSING")
    assert line["request_id"] == failed.trailers["x-request-id"]
    assert "user_id" not in line
    assert "traceback" not in line


@pytest.mark.parametrize("given", ["a", "4bf92f35-77b3_4da6/a3ce:929d@0e0e+47=36.x", "x" * 128])
def test_the_callers_own_request_id_is_kept(server: Running, given: str) -> None:
    assert server.call(metadata=[("x-request-id", given)])["x-request-id"] == given
    assert server.calls()[0]["request_id"] == given


@pytest.mark.parametrize(
    "given",
    [[], [""], ["x" * 129], ["a b"], ["a\nb"], ["a\n"], ['"'], ["\u00fc"], ["<b>"], ["a", "a"]],
    ids=repr,
)
def test_another_is_replaced(given: Sequence[str]) -> None:
    made = request_id(given)
    assert re.fullmatch(r"[0-9a-f]{32}", made)
    assert made != request_id(given)


def test_nothing_of_what_was_asked_or_told_is_written_at_any_level(server: Running) -> None:
    def script(request: auth_pb2.AuthenticateRequest, call: Call) -> Any:
        return auth_pb2.WhoAmIResponse(
            principal={"login": "told-in-confidence"}  # type: ignore[arg-type]
        )

    server.scripted.script = script
    body = auth_pb2.AuthenticateRequest(token="asked-in-confidence").SerializeToString()
    server.call(body)
    server.fails(body, token="acr_not-a-token")
    written = server.log.getvalue()
    assert "confidence" not in written
    assert "not-a-token" not in written
    assert server.token not in written


def test_a_level_above_leaves_calls_out(start: Start) -> None:
    server = start(log_level=LogLevel.WARNING)
    server.call()
    server.fails(token="")
    assert server.calls() == []
    server.scripted.script = lambda request, context: 1 // 0
    server.fails()
    (line,) = server.calls()
    assert "ZeroDivisionError" in line["traceback"]


def test_a_client_that_goes_away_is_logged_as_such(server: Running) -> None:
    begun, ended = threading.Event(), threading.Event()

    def script(request: object, call: Call) -> Any:
        call.context.add_callback(ended.set)
        begun.set()
        assert ended.wait(PATIENCE)
        return auth_pb2.WhoAmIResponse()

    server.scripted.script = script
    metadata = [("authorization", f"Bearer {server.token}")]
    call = server.channel.unary_unary(WHO_AM_I).future(b"", metadata=metadata)
    assert begun.wait(PATIENCE)
    call.cancel()
    assert ended.wait(PATIENCE)
    # The next call is logged after it, on the one thread that there is.
    server.server.stop(PATIENCE)
    assert [line["code"] for line in server.calls()] == ["CANCELLED"]


def test_health_is_not_logged(server: Running) -> None:
    server.call(method="/grpc.health.v1.Health/Check", token="")
    assert server.calls() == []


def test_an_unknown_method_is_logged_whatever_it_is_called(server: Running) -> None:
    server.fails(method="/x/" + "y" * 1000)
    (line,) = server.calls()
    assert line["reason"] == "METHOD_UNKNOWN"
    assert len(line["method"]) <= 120
