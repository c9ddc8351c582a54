import ipaddress
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from sqlalchemy import update

from accredit_service.health import Health, Readiness
from accredit_storage import migrate
from accredit_storage.errors import StoreUnavailable
from accredit_storage.schema import store_state
from tests.postgres import PostgresServer
from tests.service.conftest import Start
from tests.service.running import PATIENCE, Running, failed, running

SERVING = HealthCheckResponse.SERVING
NOT_SERVING = HealthCheckResponse.NOT_SERVING
NAMED = ["accredit.v1", "accredit.v1.AuthService"]


def check(server: Running, name: str) -> int:
    answer = server.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=HealthCheckRequest.SerializeToString,
        response_deserializer=HealthCheckResponse.FromString,
    )(HealthCheckRequest(service=name), timeout=PATIENCE)
    return int(answer.status)


def watch(server: Running, name: str, address: str = "") -> Any:
    return server.channel.unary_stream(
        "/grpc.health.v1.Health/Watch",
        request_serializer=HealthCheckRequest.SerializeToString,
        response_deserializer=HealthCheckResponse.FromString,
    )(
        HealthCheckRequest(service=name),
        metadata=[("x-forwarded-for", address)] if address else [],
        timeout=PATIENCE,
    )


def test_every_service_is_ready_from_the_first_call_on(server: Running) -> None:
    assert [check(server, name) for name in ["", *NAMED]] == [SERVING] * 3


def test_an_unknown_service_is_not_found(server: Running) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        check(server, "accredit.v1.Nonsense")
    assert failed(refused.value).code is grpc.StatusCode.NOT_FOUND


def test_readiness_follows_the_database_and_liveness_does_not(
    postgres: PostgresServer, postgres_template: str, tmp_path: Path
) -> None:
    name = postgres.create_database(template=postgres_template)
    with running(postgres.url(name), tmp_path) as server:
        assert [check(server, one) for one in NAMED] == [SERVING] * 2
        heard = watch(server, "accredit.v1")
        assert next(heard).status == SERVING
        postgres.drop_database(name)
        assert next(heard).status == NOT_SERVING
        assert [check(server, one) for one in ["", *NAMED]] == [SERVING, NOT_SERVING, NOT_SERVING]
        failed = server.fails()
        assert failed.code is grpc.StatusCode.UNAVAILABLE
        assert failed.reason == "DATABASE_UNAVAILABLE"
        assert "RetryInfo" in failed.details


def test_a_server_that_a_later_version_shuts_out_is_not_ready(server: Running) -> None:
    generation = migrate.SERVER
    for oldest, ready in ((generation + 1, False), (generation, True)):
        with server.app.store.write() as tx:
            tx._connection.execute(update(store_state).values(oldest_server=oldest))
        assert server.server._readiness.check() is ready
        assert check(server, "accredit.v1") == (SERVING if ready else NOT_SERVING)


def test_health_answers_when_no_thread_is_left_for_calls(start: Start) -> None:
    server = start(threads=1)
    begun, go_on = threading.Event(), threading.Event()

    def script(request: object, context: object) -> object:
        begun.set()
        go_on.wait(PATIENCE)
        raise StoreUnavailable

    server.scripted.script = script
    metadata = [("authorization", f"Bearer {server.token}")]
    method = server.channel.unary_unary("/accredit.v1.AuthService/WhoAmI")
    stuck = [method.future(b"", metadata=metadata, timeout=PATIENCE) for _ in range(9)]
    assert begun.wait(PATIENCE)
    assert check(server, "") == SERVING
    go_on.set()
    assert all(isinstance(one.exception(), grpc.RpcError) for one in stuck)


def test_health_answers_whoever_asks_it_without_a_request(start: Start) -> None:
    server = start()
    with server.silent(80, method="/grpc.health.v1.Health/Check", token=""):
        assert [check(server, "") for _ in range(10)] == [SERVING] * 10


def test_they_are_let_go_soon(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accredit_service.pools.HEALTH_PATIENCE", 0.1)
    server = start()
    for method in ("Check", "Watch"):
        with server.silent(9, method=f"/grpc.health.v1.Health/{method}", token="") as silent:
            codes = [call.exception(PATIENCE).code() for call in silent]
        assert codes == [grpc.StatusCode.CANCELLED] * 9


class Probed:
    """A database that answers, fails or hangs, as it is told."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.answers.set()
        self.fails = False
        self.asked = 0

    def __call__(self) -> None:
        self.asked += 1
        self.answers.wait(PATIENCE)
        if self.fails:
            raise StoreUnavailable("away")


class Told(Health):
    """Remembers what it was told, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[int] = []

    def set(self, service: str, status: int) -> None:
        self.told.append(status)


def test_only_a_change_is_told() -> None:
    probed, told = Probed(), Told()
    readiness = Readiness(told, ["one"], probed)
    assert [readiness.check() for _ in range(3)] == [True] * 3
    probed.fails = True
    assert [readiness.check() for _ in range(3)] == [False] * 3
    probed.fails = False
    assert readiness.check()
    assert told.told == [SERVING, NOT_SERVING, SERVING]


def test_a_database_that_hangs_is_not_ready_and_is_asked_once() -> None:
    probed, told = Probed(), Told()
    readiness = Readiness(told, ["one"], probed, patience=0.01)
    probed.answers.clear()
    assert [readiness.check() for _ in range(5)] == [False] * 5
    assert probed.asked == 1
    probed.answers.set()
    # What hung has an answer now; whichever check sees it first, the service is ready again.
    while not readiness.check():
        pass
    assert told.told == [NOT_SERVING, SERVING]


def test_watchers_hear_not_serving_and_do_not_hold_up_the_stop(start: Start) -> None:
    server = start(grace=PATIENCE)
    heard = [watch(server, name) for name in ["", *NAMED] * 5]
    assert {next(one).status for one in heard} == {SERVING}
    server.server.stop()
    # All of them ended by themselves: the grace is as long as their deadlines.
    assert [[answer.status for answer in one] for one in heard] == [[NOT_SERVING]] * 15


def test_a_watcher_too_many_is_refused_and_the_others_stay(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accredit_service.pools.HEALTH_WATCHERS", 2)
    server = start()
    heard = [watch(server, "") for _ in range(2)]
    assert [next(one).status for one in heard] == [SERVING] * 2
    with pytest.raises(grpc.RpcError) as refused:
        next(watch(server, ""))
    assert failed(refused.value).code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert check(server, "") == SERVING


def test_the_watchers_of_one_address_leave_room_for_others(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accredit_service.pools.HEALTH_WATCHERS", 20)
    server = start(trusted_proxies=(ipaddress.ip_network("127.0.0.0/8"),))
    stranger = [watch(server, "", "192.0.2.1") for _ in range(16)]
    assert [next(one).status for one in stranger] == [SERVING] * 16
    for _ in range(9):
        with pytest.raises(grpc.RpcError) as refused:
            next(watch(server, "", "192.0.2.1"))
        assert failed(refused.value).reason == "OVERLOADED"
        assert "RetryInfo" in failed(refused.value).details
    others = [watch(server, "", f"198.51.100.{number}") for number in range(4)]
    assert [next(one).status for one in others] == [SERVING] * 4


def test_an_address_may_watch_again_when_a_watch_has_ended(start: Start) -> None:
    server = start()
    heard = [watch(server, "") for _ in range(16)]
    assert [next(one).status for one in heard] == [SERVING] * 16
    heard[0].cancel()

    def is_let_in() -> bool:
        try:
            return bool(next(watch(server, "")).status == SERVING)
        except grpc.RpcError:
            return False

    # The server hears of the end a moment later.
    while not is_let_in():
        pass


def test_everybody_may_list_and_the_log_has_nothing_of_it(server: Running) -> None:
    # The stubs of the library are older than this call.
    messages: Any = health_pb2
    call = server.channel.unary_unary("/grpc.health.v1.Health/List")
    for body in (b"", b"\x0a\x03abc", b"\x08\x01"):
        listed = messages.HealthListResponse.FromString(call(body, timeout=PATIENCE))
        assert listed.statuses[""].status == HealthCheckResponse.SERVING
        assert listed.statuses["accredit.v1"].status == HealthCheckResponse.SERVING
        assert len(listed.statuses) == 3
    assert "Health" not in server.log.getvalue()
    assert "rror" not in server.log.getvalue()


def test_names_that_strangers_make_up_are_not_kept(server: Running) -> None:
    health: Any = server.server._health
    before = dict(health._send_response_callbacks)
    watch = server.channel.unary_stream("/grpc.health.v1.Health/Watch")
    for number in range(5):
        request = HealthCheckRequest(service=f"made.up.{number}").SerializeToString()
        watching = watch(request, timeout=PATIENCE)
        first = HealthCheckResponse.FromString(next(watching))
        assert first.status == HealthCheckResponse.SERVICE_UNKNOWN
        watching.cancel()
    assert health._send_response_callbacks == before
