import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from accredit_service.abilities.errors import Refusal
from accredit_service.interceptors.arrivals import SLOW, Arrivals, Arrived
from accredit_service.interceptors.worker_pools import WorkerPool
from tests.service.running import PATIENCE, failed

METHOD = "/test.Desk/Answer"
#: Calls, at most, that gRPC takes at a time: one that did not end would be missed soon.
AT_A_TIME = 4


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so; an AssertionError if that takes too long."""
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end


class Client:
    """A call that sends its request when it is told to."""

    def __init__(self, channel: Any, request: bytes) -> None:
        self._send = threading.Event()
        self._request = request
        self.answer: Any = channel.stream_unary(METHOD).future(self._requests(), timeout=3600.0)

    def _requests(self) -> Iterator[bytes]:
        self._send.wait()
        yield self._request

    def send(self) -> Any:
        self._send.set()
        return self.answer

    def code(self) -> grpc.StatusCode:
        code: grpc.StatusCode = self.answer.exception(PATIENCE).code()
        return code


class Desk:
    """A gRPC server whose one method echoes, and the calls that wait at it for their request."""

    request_streaming = response_streaming = False
    request_deserializer = response_serializer = None

    def __init__(self, arrivals: Arrivals, clock: Clock) -> None:
        self.experimental_thread_pool = arrivals
        self.arrivals = arrivals
        self.clock = clock
        self.channel: Any = None
        self.received: list[Arrived] = []
        self.script: Callable[[bytes], bytes] = lambda request: request
        self.at_once: Callable[[bytes, Any], bytes | None] = lambda request, context: None

    @property
    def unary_unary(self) -> "Desk":
        return self

    def __call__(self, arrived: Arrived, context: grpc.ServicerContext) -> bytes:
        self.received.append(arrived)
        if isinstance(arrived, Refusal):
            context.abort(grpc.StatusCode.ABORTED, arrived.reason)
        return self.script(arrived)

    def service(self, details: grpc.HandlerCallDetails) -> "Desk":
        return self

    def call(self, request: bytes) -> bytes:
        answer: bytes = self.channel.unary_unary(METHOD)(request, timeout=PATIENCE)
        return answer

    def begin(self, request: bytes = b"x") -> Client:
        """A call that the server knows of, and whose request it has not got."""
        known = len(self.arrivals._awaited)
        client = Client(self.channel, request)
        until(lambda: len(self.arrivals._awaited) > known)
        return client

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.arrivals.check()


@contextmanager
def desk(
    *, threads: int = 1, waiting: int = 0, most: int = 0, patience: float = 5.0, held: int = 99
) -> Generator[Desk]:
    clock = Clock()
    pool = WorkerPool("test", threads=threads, waiting=waiting)
    refusals = WorkerPool("refusals", threads=1, waiting=9)
    arrivals = Arrivals(pool, patience, most=most, refusals=refusals, held=held, clock=clock)
    here: Any = Desk(arrivals, clock)
    inner = grpc.server(pool, maximum_concurrent_rpcs=AT_A_TIME)
    inner.add_generic_rpc_handlers([here])
    port = inner.add_insecure_port("127.0.0.1:0")
    inner.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            here.channel = channel
            yield here
    finally:
        inner.stop(0).wait()
        pool.shutdown()
        refusals.shutdown()


def test_a_call_that_waits_for_its_request_has_no_thread() -> None:
    with desk(threads=1, most=2) as here:
        slow = [here.begin(b"1"), here.begin(b"2")]
        assert here.arrivals.pool.load == 0
        assert here.call(b"3") == b"3"
        assert [client.send().result(PATIENCE) for client in slow] == [b"1", b"2"]


def test_calls_end_for_grpc_whichever_way_they_go() -> None:
    with desk(most=AT_A_TIME) as here:
        for _ in range(2 * AT_A_TIME):
            assert here.call(b"thread") == b"thread"
        for _ in range(2 * AT_A_TIME):
            here.begin().answer.cancel()
            until(lambda: not here.arrivals._awaited and not here.arrivals.pool.load)
        here.at_once = lambda request, context: b"at once"
        for _ in range(2 * AT_A_TIME):
            assert here.call(b"x") == b"at once"


def test_a_call_that_ends_without_a_request_is_told_of() -> None:
    with desk() as here, held_up(here) as (_, go_on):
        with pytest.raises(grpc.RpcError) as none:
            here.channel.stream_unary(METHOD)(iter(()), timeout=PATIENCE)
        assert failed(none.value).message == "REQUEST_MALFORMED"
        go_on.set()


def test_what_is_known_at_once_takes_no_thread() -> None:
    with desk() as here:
        asked = []

        def at_once(request: bytes, context: Any) -> bytes:
            asked.append((request, here.arrivals.pool.load))
            context.set_trailing_metadata((("x-test", "said"),))
            return b"known"

        here.at_once = at_once
        answer, call = here.channel.unary_unary(METHOD).with_call(b"x", timeout=PATIENCE)
        assert (answer, dict(call.trailing_metadata())) == (b"known", {"x-test": "said"})
        assert (asked, here.received) == ([(b"x", 0)], [])


def test_a_failure_in_that_ends_neither_the_call_nor_the_server() -> None:
    with desk() as here:

        def at_once(request: bytes, context: Any) -> bytes:
            raise ZeroDivisionError

        here.at_once = at_once
        assert [here.call(b"1"), here.call(b"2")] == [b"1", b"2"]


def test_a_request_has_so_long_to_come_and_then_its_client_is_let_go() -> None:
    with desk(most=9, patience=5.0) as here:
        client = here.begin()
        here.pass_time(4.9)
        assert not client.answer.done()
        here.pass_time(0.1)
        assert client.code() is grpc.StatusCode.CANCELLED


def test_of_too_many_those_go_that_have_waited_longest() -> None:
    with desk(most=2) as here:
        waiting = []
        for request in (b"1", b"2", b"3", b"4"):
            waiting.append(here.begin(request))
            here.clock.now += 0.001
        here.pass_time(SLOW - 0.0035)
        # One of them is slow, which is not too many.
        assert not any(client.answer.done() for client in waiting)
        here.pass_time(0.01)
        assert [client.code() for client in waiting[:2]] == [grpc.StatusCode.CANCELLED] * 2
        answers = [waiting[index].send().result(PATIENCE) for index in (2, 3)]
        assert answers == [b"3", b"4"]


def test_a_request_that_comes_when_its_client_has_been_let_go_is_not_carried_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The request was there before gRPC noticed that the call was over.
    monkeypatch.setattr("accredit_service.interceptors.arrivals._Arrival.let_go", lambda _: None)
    with desk(most=9) as here:
        client = here.begin()
        here.pass_time(5.0)
        client.send()
        assert client.code() is grpc.StatusCode.ABORTED
        assert isinstance(here.received[0], Refusal)


def test_it_is_full_by_what_it_waits_for_as_by_what_it_works_on() -> None:
    with desk(threads=1, waiting=0, most=1) as here:
        full = [here.arrivals.is_full]
        clients = []
        for _ in range(2):
            clients.append(here.begin())
            full.append(here.arrivals.is_full)
        assert full == [False, False, True]
        for client in clients:
            client.send().result(PATIENCE)
            until(lambda: not here.arrivals.is_full)


def test_requests_that_have_come_take_only_so_much_memory() -> None:
    with desk(threads=1, waiting=9, held=10) as here, held_up(here) as (first, go_on):
        refused = here.channel.unary_unary(METHOD).future(b"123")
        # Told at once, by a thread of another pool.
        assert refused.exception(PATIENCE).details() == "OVERLOADED"
        fits = here.channel.unary_unary(METHOD).future(b"12")
        until(lambda: len(here.arrivals.pool._backlog) == 1)
        go_on.set()
        assert (first.result(PATIENCE), fits.result(PATIENCE)) == (b"12345678", b"12")
        assert here.call(b"1234567890") == b"1234567890"


def test_who_finds_the_pool_full_when_the_request_comes_is_told_so() -> None:
    with desk(threads=1, waiting=0, most=9) as here:
        late = here.begin()
        with held_up(here) as (first, go_on):
            late.send()
            assert late.answer.exception(PATIENCE).details() == "OVERLOADED"
            go_on.set()
            assert first.result(PATIENCE) == b"12345678"


@contextmanager
def held_up(here: Desk) -> Generator[tuple[Future[bytes], threading.Event]]:
    """A call that is worked on until its event is set."""
    begun, go_on = threading.Event(), threading.Event()

    def script(request: bytes) -> bytes:
        begun.set()
        assert go_on.wait(PATIENCE)
        return request

    here.script = script
    call: Future[bytes] = here.channel.unary_unary(METHOD).future(b"12345678")
    assert begun.wait(PATIENCE)
    yield call, go_on
