import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from accredit.v1 import auth_pb2
from accredit_service.abilities.errors import DeadlineExceeded
from accredit_service.interceptors.calls import Call
from accredit_service.interceptors.limits import (
    CHANNEL_OPTIONS,
    ENTRIES_LIMIT,
    LEAST_TIME,
    MESSAGE_LIMIT,
    METADATA_LIMIT,
    Deadlines,
)
from tests.service.conftest import Start
from tests.service.running import PATIENCE, WHO_AM_I, Running, failed


class Context:
    """What a deadline needs of a call's context."""

    def __init__(self, remaining: float) -> None:
        self.remaining = remaining
        self.cancelled = False

    def time_remaining(self) -> float:
        return self.remaining

    def cancel(self) -> None:
        self.cancelled = True

    def invocation_metadata(self) -> None:
        return None


def call_with(remaining: float) -> tuple[Call, Context]:
    context = Context(remaining)
    unlike_grpcs: Any = context
    return Call("A/B", unlike_grpcs), context


def padded(server: Running, size: int) -> list[tuple[str, str]]:
    """Metadata of so many bytes in all, with the credential that is sent besides."""
    sent = len("authorization") + len(f"Bearer {server.token}") + len("padding")
    return [("padding", "x" * (size - sent))]


def test_metadata_up_to_the_limit_is_taken_and_one_byte_more_never(server: Running) -> None:
    for _ in range(40):
        server.call(metadata=padded(server, METADATA_LIMIT))
        failed = server.fails(metadata=padded(server, METADATA_LIMIT + 1))
        assert (failed.code, failed.reason) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "METADATA_TOO_LARGE",
        )


def test_a_thousand_keys_count_by_their_sum(server: Running) -> None:
    server.call(metadata=[(f"k{number}", "x") for number in range(1000)])
    too_many = [(f"longer-{number}", "x") for number in range(1000)]
    assert server.fails(metadata=too_many).reason == "METADATA_TOO_LARGE"


def test_so_many_keys_that_grpc_might_refuse_them_are_always_refused(server: Running) -> None:
    # Small enough in bytes, but each key costs gRPC 32 more.
    many = [("k", "")] * ENTRIES_LIMIT
    assert {server.fails(metadata=many).reason for _ in range(40)} == {"METADATA_TOO_LARGE"}
    within = 33 * ENTRIES_LIMIT + METADATA_LIMIT
    assert within < dict(CHANNEL_OPTIONS)["grpc.max_metadata_size"]


def test_binary_metadata_counts_as_well(server: Running) -> None:
    binary: Any = [("padding-bin", b"\0" * METADATA_LIMIT)]
    assert server.fails(metadata=binary).reason == "METADATA_TOO_LARGE"


def test_what_grpc_alone_would_refuse_at_random_is_refused_by_us(server: Running) -> None:
    reasons = {server.fails(metadata=padded(server, 12_000)).reason for _ in range(40)}
    assert reasons == {"METADATA_TOO_LARGE"}


@pytest.mark.parametrize("compression", list(grpc.Compression), ids=lambda one: one.name)
def test_a_request_over_the_limit_is_refused_before_it_is_parsed(
    server: Running, compression: grpc.Compression
) -> None:
    parsed: list[int] = []

    def script(request: Any, call: Call) -> Any:
        parsed.append(request.ByteSize())
        return auth_pb2.WhoAmIResponse()

    server.scripted.script = script
    call = server.channel.unary_unary(WHO_AM_I)
    metadata = [("authorization", f"Bearer {server.token}")]
    # An unknown field: a tag, a length of three bytes, and what is in it.
    head = b"\x7a" + bytes([0xFC, 0xFF, 0x3F])
    largest = head + b"\0" * (MESSAGE_LIMIT - len(head))
    call(largest, metadata=metadata, compression=compression, timeout=PATIENCE)
    assert parsed == [MESSAGE_LIMIT]
    for size in (MESSAGE_LIMIT + 1, 32 * MESSAGE_LIMIT):
        with pytest.raises(grpc.RpcError) as refused:
            call(b"\0" * size, metadata=metadata, compression=compression, timeout=PATIENCE)
        assert failed(refused.value).code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert parsed == [MESSAGE_LIMIT]


def test_nothing_begins_that_would_come_too_late() -> None:
    deadlines = Deadlines(30.0, clock=lambda: 100.0)
    for remaining in (0.0, LEAST_TIME / 2):
        call, _ = call_with(remaining)
        with pytest.raises(DeadlineExceeded, match="20 ms"):
            deadlines.limit(call)
    call, _ = call_with(LEAST_TIME)
    deadlines.limit(call)
    assert call.deadline == 100.0 + LEAST_TIME


def test_a_call_without_a_deadline_gets_the_servers() -> None:
    deadlines = Deadlines(30.0, clock=lambda: 100.0)
    call, _ = call_with(9.2e18)
    deadlines.limit(call)
    assert call.deadline == 130.0


def test_a_call_with_a_deadline_keeps_it_unless_the_servers_is_sooner(server: Running) -> None:
    seen: list[float] = []

    def script(request: object, call: Call) -> Any:
        seen.append(call.deadline - time.monotonic())
        return auth_pb2.WhoAmIResponse()

    server.scripted.script = script
    for timeout in (15.0, 3000.0, None):
        server.call(timeout=timeout)
    # gRPC rounds a deadline up on its way.
    assert seen[0] < 20 < seen[1] <= 30
    assert 20 < seen[2] <= 30


def test_only_calls_past_the_servers_deadline_are_let_go() -> None:
    now = 100.0
    deadlines = Deadlines(30.0, clock=lambda: now)
    (own, own_context), (early, early_context), (late, late_context) = (
        call_with(5.0),
        call_with(9.2e18),
        call_with(9.2e18),
    )
    deadlines.limit(own)
    deadlines.limit(early)
    now = 120.0
    deadlines.limit(late)
    now = 130.0
    deadlines.release_overdue()
    assert early_context.cancelled
    assert not late_context.cancelled
    assert not own_context.cancelled
    early_context.cancelled = False
    deadlines.release_overdue()
    assert not early_context.cancelled, "once is enough"
    late.end()
    now = 1000.0
    deadlines.release_overdue()
    assert not late_context.cancelled, "it has ended"


@pytest.mark.parametrize("timeout", [None, 3600.0])
def test_the_client_of_a_call_that_hangs_is_let_go_whatever_deadline_it_named(
    start: Start, timeout: float | None
) -> None:
    server = start(default_deadline=0.1)
    ended: list[bool] = []

    def script(request: object, call: Call) -> Any:
        gone = threading.Event()
        call.context.add_callback(gone.set)
        ended.append(gone.wait(PATIENCE))
        return auth_pb2.WhoAmIResponse()

    server.scripted.script = script
    assert server.code(timeout=timeout) is grpc.StatusCode.CANCELLED
    assert server.code(method=WHO_AM_I, token="") is grpc.StatusCode.UNAUTHENTICATED
    while len(server.calls()) < 2:
        pass
    assert ended == [True]
    assert sorted(line["code"] for line in server.calls()) == [
        "DEADLINE_EXCEEDED",
        "UNAUTHENTICATED",
    ]


def test_calls_without_a_request_do_not_hold_up_others(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    # They are let go no sooner than the test is over, and are many more than there are threads.
    monkeypatch.setattr("accredit_service.pools.REQUEST_PATIENCE", 3600.0)
    server = start(threads=2, default_deadline=3600.0)
    with server.silent(32) as silent:
        for _ in range(10):
            server.call()
        assert not any(call.done() for call in silent)


def test_a_request_has_a_while_to_come_and_the_thread_is_free_again(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accredit_service.pools.REQUEST_PATIENCE", 0.1)
    server = start(threads=2)
    with server.silent(3) as silent:
        codes = [call.exception(PATIENCE).code() for call in silent]
    assert codes == [grpc.StatusCode.CANCELLED] * 3
    while not server.server.is_idle:
        pass
    assert [line["code"] for line in server.calls()] == ["DEADLINE_EXCEEDED"] * 3


def test_of_too_many_calls_without_a_request_the_first_go_and_others_are_answered(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accredit_service.pools.REQUEST_PATIENCE", 3600.0)
    monkeypatch.setattr("accredit_service.pools.SLOW_REQUESTS", 2)
    server = start(threads=1, default_deadline=3600.0)
    gone = threading.Semaphore(0)
    with server.silent(16) as silent:
        for call in silent:
            call.add_done_callback(lambda _: gone.release())
        for _ in range(10):
            server.call()
        # All but those for whom there is room.
        for _ in range(14):
            assert gone.acquire(timeout=PATIENCE)
        codes = {call.code() for call in silent if call.done()}
        assert codes == {grpc.StatusCode.CANCELLED}


def test_a_request_that_comes_too_late_is_not_carried_out(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that a token that was revoked in the meantime can do nothing with a call it has begun.
    monkeypatch.setattr("accredit_service.pools.REQUEST_PATIENCE", 0.1)
    server = start()
    carried_out: list[object] = []

    def script(request: object, call: Call) -> Any:
        carried_out.append(request)
        return auth_pb2.WhoAmIResponse()

    server.scripted.script = script
    let_go = threading.Event()

    def requests() -> Iterator[bytes]:
        let_go.wait(PATIENCE)
        yield b""

    metadata = [("authorization", f"Bearer {server.token}")]
    call = server.channel.stream_unary(WHO_AM_I).future(requests(), metadata=metadata)
    assert call.exception(PATIENCE).code() is grpc.StatusCode.CANCELLED
    let_go.set()
    server.server.stop(PATIENCE)
    assert carried_out == []
