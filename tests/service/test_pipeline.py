import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from accredit_service.abilities.errors import Reason, Refusal, Unauthenticated
from accredit_service.interceptors.arrivals import Arrivals
from accredit_service.interceptors.calls import Call, Headers, Step
from accredit_service.interceptors.errors import abort
from accredit_service.interceptors.pipeline import Pipeline, Route
from accredit_service.interceptors.worker_pools import WorkerPool
from tests.service.running import PATIENCE, Failed, Running, failed

METHODS = ("OneOne", "OneMany", "ManyOne", "ManyMany")


@dataclass
class Shapes:
    """A server with a method of each shape; each answers with what it was given."""

    channel: Any = None
    lookups: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def call(self, method: str, *requests: bytes) -> list[str]:
        answers = self.channel.stream_stream(f"/accredit.v1.Shapes/{method}")(
            iter(requests), timeout=PATIENCE
        )
        return [StringValue.FromString(answer).value for answer in answers]

    def fails(self, method: str, *requests: bytes) -> Failed:
        try:
            self.call(method, *requests)
        except grpc.RpcError as error:
            return failed(error)
        raise AssertionError("the call worked")


def message(text: str) -> bytes:
    return StringValue(value=text).SerializeToString()


def handlers(shapes: Shapes) -> dict[str, grpc.RpcMethodHandler]:
    coding: Any = {
        "request_deserializer": StringValue.FromString,
        "response_serializer": StringValue.SerializeToString,
    }

    def one_one(request: Any, call: Call) -> Any:
        shapes.calls.append(call)
        return request

    def one_many(request: Any, call: Call) -> Iterator[Any]:
        for letter in request.value:
            yield StringValue(value=f"{letter}{call.method[-1]}")

    def many_one(requests: Iterator[Any], call: Call) -> Any:
        return StringValue(value="".join(request.value for request in requests))

    def many_many(requests: Iterator[Any], call: Call) -> Iterator[Any]:
        yield from requests

    return {
        "OneOne": grpc.unary_unary_rpc_method_handler(one_one, **coding),
        "OneMany": grpc.unary_stream_rpc_method_handler(one_many, **coding),
        "ManyOne": grpc.stream_unary_rpc_method_handler(many_one, **coding),
        "ManyMany": grpc.stream_stream_rpc_method_handler(many_many, **coding),
    }


@contextmanager
def serving(shapes: Shapes, pipeline: Pipeline, pool: WorkerPool) -> Generator[Shapes]:
    inner = grpc.server(pool, interceptors=[pipeline])
    found = handlers(shapes)

    class Counting(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
            shapes.lookups.append(details.method)
            return found.get(details.method.rpartition("/")[2])

    inner.add_generic_rpc_handlers([Counting()])
    port = inner.add_insecure_port("127.0.0.1:0")
    inner.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        shapes.channel = channel
        yield shapes
    inner.stop(0).wait()


def noting(name: str, seen: list[str]) -> Step:
    def step(call: Call) -> None:
        seen.append(f"{name} before")
        call.at_end(lambda: seen.append(f"{name} after"))

    return step


@pytest.fixture
def shapes() -> Generator[Shapes]:
    shapes = Shapes()
    pool = WorkerPool("test", threads=4, waiting=8)
    steps: Sequence[Step] = [noting("a", shapes.seen), noting("b", shapes.seen)]
    route = Route(Arrivals(pool, PATIENCE, most=9, refusals=pool), steps)
    with serving(shapes, Pipeline(lambda method, streams: route, pool, abort), pool) as served:
        yield served
    pool.shutdown()


@pytest.mark.parametrize(
    ("method", "requests", "answers"),
    [
        ("OneOne", ["x"], ["x"]),
        ("OneMany", ["xy"], ["xy"[0] + "y", "yy"]),
        ("ManyOne", ["x", "y"], ["xy"]),
        ("ManyOne", [], [""]),
        ("ManyMany", ["x", "y"], ["x", "y"]),
    ],
)
def test_every_shape_of_call_goes_through(
    shapes: Shapes, method: str, requests: list[str], answers: list[str]
) -> None:
    assert shapes.call(method, *map(message, requests)) == answers
    assert shapes.seen == ["a before", "b before", "b after", "a after"]


@pytest.mark.parametrize("method", METHODS)
def test_bytes_that_are_not_a_message_are_the_callers_fault(shapes: Shapes, method: str) -> None:
    failed = shapes.fails(method, b"\xff\xff")
    assert (failed.code, failed.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "REQUEST_MALFORMED",
    )
    assert shapes.seen == ["a before", "b before", "b after", "a after"]


@pytest.mark.parametrize("method", ["OneOne", "OneMany"])
def test_so_is_a_call_without_the_one_request_that_it_needs(shapes: Shapes, method: str) -> None:
    failed = shapes.fails(method)
    assert (failed.code, failed.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "REQUEST_MALFORMED",
    )


@pytest.mark.parametrize("requests", [[], [b"x"], [b"x", b"y"]], ids=len)
def test_an_unknown_method_says_so_to_any_shape_of_call(
    shapes: Shapes, requests: list[bytes]
) -> None:
    failed = shapes.fails("Forty" * 100, *requests)
    assert (failed.code, failed.reason) == (grpc.StatusCode.UNIMPLEMENTED, "METHOD_UNKNOWN")
    assert len(failed.details["ErrorInfo"].metadata["method"]) <= 120


def test_a_method_is_wrapped_once_and_an_unknown_one_not_remembered(shapes: Shapes) -> None:
    for _ in range(3):
        shapes.call("OneOne", message("x"))
        shapes.fails("Unknown")
    assert shapes.lookups.count("/accredit.v1.Shapes/OneOne") == 1
    assert shapes.lookups.count("/accredit.v1.Shapes/Unknown") == 3


def test_each_call_has_a_call_of_its_own(shapes: Shapes) -> None:
    shapes.call("OneOne", message("x"))
    shapes.call("OneOne", message("x"))
    first, second = shapes.calls
    assert first is not second
    assert first.method == "Shapes/OneOne"


def test_a_call_without_a_principal_has_no_caller(shapes: Shapes) -> None:
    shapes.call("OneOne", message("x"))
    with pytest.raises(RuntimeError):
        _ = shapes.calls[0].caller


def test_steps_are_left_when_the_client_goes_away(shapes: Shapes) -> None:
    left = threading.Event()

    def step(call: Call) -> None:
        call.at_end(left.set)

    pool = WorkerPool("test", threads=1, waiting=0)
    route = Route(Arrivals(pool, PATIENCE, most=0, refusals=pool), [step])
    with serving(Shapes(), Pipeline(lambda *_: route, pool, abort), pool) as served:
        sent = threading.Event()

        def requests() -> Iterator[bytes]:
            yield message("x")
            sent.wait(PATIENCE)

        answers = served.channel.stream_stream("/accredit.v1.Shapes/ManyMany")(requests())
        next(answers)
        answers.cancel()
        assert left.wait(PATIENCE)
        sent.set()
    pool.shutdown()


def test_who_is_refused_by_their_metadata_takes_no_place_from_anybody() -> None:
    pool, refusals = (
        WorkerPool("test", threads=1, waiting=0),
        WorkerPool("refusals", threads=1, waiting=9),
    )
    begun, go_on = threading.Semaphore(0), threading.Event()

    def slow(call: Call) -> None:
        begun.release()
        go_on.wait(PATIENCE)

    def screen(headers: Headers) -> Refusal | None:
        if headers.credentials == ["nobody"]:
            return Unauthenticated(Reason.TOKEN_MALFORMED, "you are nobody")
        return None

    route = Route(Arrivals(pool, PATIENCE, most=0, refusals=refusals), [slow], screen=screen)
    with serving(Shapes(), Pipeline(lambda *_: route, refusals, abort), pool) as served:
        method = served.channel.unary_unary("/accredit.v1.Shapes/OneOne")
        running = method.future(message("1"), timeout=PATIENCE)
        assert begun.acquire(timeout=PATIENCE)
        assert served.fails("OneOne", message("2")).reason == "OVERLOADED"
        for _ in range(20):
            with pytest.raises(grpc.RpcError) as refused:
                method(message("3"), metadata=[("authorization", "nobody")], timeout=PATIENCE)
            assert failed(refused.value).reason == "TOKEN_MALFORMED"
        go_on.set()
        assert running.result() == message("1")
    pool.shutdown()
    refusals.shutdown()


def test_calls_that_would_wait_too_long_are_refused_with_a_time_to_come_back() -> None:
    pool, refusals = (
        WorkerPool("test", threads=1, waiting=1),
        WorkerPool("refusals", threads=1, waiting=9),
    )
    begun, go_on = threading.Semaphore(0), threading.Event()

    def slow(call: Call) -> None:
        begun.release()
        go_on.wait(PATIENCE)

    route = Route(Arrivals(pool, PATIENCE, most=0, refusals=refusals), [slow])
    pipeline = Pipeline(lambda *_: route, refusals, abort)
    with serving(Shapes(), pipeline, pool) as served:
        method = served.channel.unary_unary("/accredit.v1.Shapes/OneOne")
        running = method.future(message("1"), timeout=PATIENCE)
        assert begun.acquire(timeout=PATIENCE)
        waiting = method.future(message("2"), timeout=PATIENCE)
        while not pool.is_full:
            pass
        refused = served.fails("OneOne", message("3"))
        assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert refused.reason == "OVERLOADED"
        assert "RetryInfo" in refused.details
        go_on.set()
        assert [running.result(), waiting.result()] == [message("1"), message("2")]
        assert served.call("OneOne", message("4")) == ["4"]
    pool.shutdown()
    refusals.shutdown()


def test_a_stranger_who_never_sends_a_request_holds_no_thread(server: Running) -> None:
    never = threading.Event()

    def requests() -> Iterator[bytes]:
        never.wait(PATIENCE)
        yield b""

    # Answered although nothing was sent: authentication comes before the request is read.
    with pytest.raises(grpc.RpcError) as refused:
        server.channel.stream_unary("/accredit.v1.AuthService/WhoAmI")(requests(), timeout=PATIENCE)
    assert failed(refused.value).reason == "TOKEN_MISSING"
    never.set()


def test_a_strangers_request_is_not_even_parsed(server: Running) -> None:
    assert server.fails(b"\xff\xff", token="").reason == "TOKEN_MISSING"
    assert server.fails(b"\xff\xff").reason == "REQUEST_MALFORMED"
