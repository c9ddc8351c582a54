import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from accredit.v1 import auth_pb2
from accredit_service.abilities.calls.app import App
from accredit_service.interceptors.calls import Call
from accredit_service.server import StartError, build
from accredit_service.servicers import services
from accredit_service.setting_rules import Address
from accredit_storage.directory.directories import Directories
from accredit_storage.store import Store
from tests.minting import token_id_of
from tests.service.conftest import Start
from tests.service.running import PATIENCE, WHO_AM_I, Running, settings_for


def test_the_real_port_is_told(server: Running) -> None:
    host, port = server.server.address.split(":")
    assert host == "127.0.0.1"
    assert int(port) > 0


@pytest.mark.parametrize("taken_by", ["another program", "another server"])
def test_an_address_in_use_refuses_with_a_sentence(
    server: Running, sqlite_url: str, tmp_path: Path, taken_by: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        if taken_by == "another server":
            # By default gRPC would let both have it, and each get half of the calls.
            port = int(server.server.address.rpartition(":")[2])
        settings = settings_for(sqlite_url, tmp_path, listen=Address("127.0.0.1", port))
        with pytest.raises(StartError, match=f":{port}: address already in use"):
            build(settings, server.app, services(server.app))


def test_an_address_of_another_machine_refuses_with_a_sentence(
    server: Running, sqlite_url: str, tmp_path: Path
) -> None:
    settings = settings_for(sqlite_url, tmp_path, listen=Address("192.0.2.1", 1))
    with pytest.raises(StartError, match=r"cannot listen on 192\.0\.2\.1:1: "):
        build(settings, server.app, services(server.app))


def test_a_server_that_is_never_started_can_be_stopped(sqlite_url: str, tmp_path: Path) -> None:
    store = Store.open(sqlite_url)
    app = App(store=store, directories=Directories(store, tmp_path / "files"))
    build(settings_for(sqlite_url, tmp_path), app, services(app)).stop()
    store.close()


def test_a_call_that_runs_may_end_within_the_grace(start: Start) -> None:
    server = start()
    begun, go_on = threading.Event(), threading.Event()

    def script(request: object, context: object) -> Any:
        if not begun.is_set():
            begun.set()
            assert go_on.wait(PATIENCE)
        return auth_pb2.WhoAmIResponse()

    server.scripted.script = script
    metadata = [("authorization", f"Bearer {server.token}")]
    running = server.channel.unary_unary(WHO_AM_I).future(b"", metadata=metadata)
    assert begun.wait(PATIENCE)
    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(server.server.stop, PATIENCE)
        # New ones are not taken any more.
        while server.code() is not grpc.StatusCode.UNAVAILABLE:
            pass
        assert not stopping.done()
        go_on.set()
        assert running.result() == b""
        stopping.result()
    assert server.server.is_idle


def test_after_the_grace_it_is_cut_off(start: Start) -> None:
    server = start()
    begun, gone = threading.Event(), threading.Event()

    def script(request: object, call: Call) -> Any:
        call.context.add_callback(gone.set)
        begun.set()
        assert gone.wait(PATIENCE)
        return auth_pb2.WhoAmIResponse()

    server.scripted.script = script
    metadata = [("authorization", f"Bearer {server.token}")]
    running = server.channel.unary_unary(WHO_AM_I).future(b"", metadata=metadata)
    assert begun.wait(PATIENCE)
    server.server.stop(0.01)
    assert isinstance(running.exception(), grpc.RpcError)


def test_what_was_gathered_is_written_at_the_end(start: Start) -> None:
    server = start(last_used_flush=3600.0)
    server.call()
    token_id = token_id_of(server.token)

    def last_used() -> Any:
        with server.app.store.read() as tx:
            return tx.tokens.find(token_id).last_used_at  # type: ignore[union-attr]

    assert last_used() is None
    server.server.stop(0)
    assert last_used() is not None


def test_streams_do_not_starve_calls(start: Start) -> None:
    # More streams than there are threads for calls.
    server = start(threads=2)
    never = threading.Event()

    def requests() -> Any:
        never.wait(PATIENCE)
        yield from ()

    method = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    streams = [server.channel.stream_stream(method)(requests(), timeout=PATIENCE) for _ in range(8)]
    for _ in range(20):
        server.call()
    never.set()
    for stream in streams:
        assert list(stream) == []


def test_a_stream_too_many_is_refused_and_calls_go_on(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accredit_service.pools.STREAMS", 1)
    server = start()
    never = threading.Event()

    def requests() -> Any:
        never.wait(PATIENCE)
        yield from ()

    method = server.channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    )
    streams = [method(requests(), timeout=PATIENCE) for _ in range(3)]
    # Any of them may be the one that came first.
    refused = threading.Semaphore(0)
    for stream in streams:
        if not stream.add_callback(refused.release):
            refused.release()  # It is over already.
    assert refused.acquire(timeout=PATIENCE)
    assert refused.acquire(timeout=PATIENCE)
    others = [stream.code() for stream in streams if stream.done()]
    assert others == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 2
    server.call()
    never.set()
    (first,) = [stream for stream in streams if stream.code() is grpc.StatusCode.OK]
    assert list(first) == []
