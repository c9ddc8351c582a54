"""Connections that grow old, and those at whose other end nobody is any more."""

import socket
import time

import pytest

from accredit_service.interceptors.limits import KEEPALIVE_OPTIONS
from tests.service.conftest import Start
from tests.service.running import PATIENCE

_TIMES = {
    "grpc.keepalive_time_ms",
    "grpc.keepalive_timeout_ms",
    "grpc.http2.ping_timeout_ms",
}
# A client's side of the beginning of HTTP/2, with empty settings.
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


def test_a_connection_that_is_old_is_made_anew_and_no_call_fails(start: Start) -> None:
    server = start(max_connection_age=1.0)
    end = time.monotonic() + PATIENCE
    while len({line["peer"] for line in server.calls()}) < 2:
        assert time.monotonic() < end
        server.call()
    assert {line["code"] for line in server.calls()} == {"OK"}


def test_who_does_not_answer_pings_is_let_go(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = [(name, value // 50 if name in _TIMES else value) for name, value in KEEPALIVE_OPTIONS]
    monkeypatch.setattr("accredit_service.server.KEEPALIVE_OPTIONS", quick)
    server = start()
    host, _, port = server.server.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as silent:
        silent.sendall(_HELLO)
        received = b"."
        while received:
            received = silent.recv(4096)
