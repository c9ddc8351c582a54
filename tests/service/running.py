"""A real server on a port of its own, with a servicer that does what the test says."""

import io
import json
import logging
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from accredit.v1 import auth_pb2, auth_pb2_grpc
from accredit_service import logs
from accredit_service.abilities.bootstrap import bootstrap
from accredit_service.abilities.calls.app import App
from accredit_service.abilities.policy.methods import METHODS, Method
from accredit_service.interceptors.calls import Call
from accredit_service.server import Server, build
from accredit_service.servicers import Service
from accredit_service.setting_rules import Address, LogLevel
from accredit_service.settings import Settings
from accredit_storage.directory.directories import Directories
from accredit_storage.store import Store

WHO_AM_I = "/accredit.v1.AuthService/WhoAmI"
# Nothing here takes as long as this; a test that would hang fails instead.
PATIENCE = 20.0


class Scripted:
    """AuthService, of which WhoAmI does what ``script`` does."""

    def __init__(self) -> None:
        self.script: Callable[[Any, Call], Any] = lambda request, call: auth_pb2.WhoAmIResponse()

    def WhoAmI(self, request: Any, call: Call) -> Any:
        return self.script(request, call)

    def Authenticate(self, request: Any, call: Call) -> Any:
        raise NotImplementedError

    Authorize = BatchAuthorize = Authenticate


@dataclass
class Failed:
    """What a client sees of a call that failed."""

    code: grpc.StatusCode
    message: str
    details: dict[str, Any]
    trailers: dict[str, Any]

    @property
    def reason(self) -> str:
        info = self.details.get("ErrorInfo")
        return "" if info is None else info.reason


@dataclass
class Running:
    """A server, and a client on it."""

    server: Server
    app: App
    # types-grpcio makes every call of bytes an error.
    channel: Any
    token: str
    scripted: Scripted
    log: io.StringIO = field(default_factory=io.StringIO)

    def call(
        self,
        body: bytes = b"",
        *,
        method: str = WHO_AM_I,
        token: str | None = None,
        metadata: Sequence[tuple[str, str]] = (),
        timeout: float | None = PATIENCE,
    ) -> dict[str, Any]:
        """Call, and return the trailers. ``token`` "": none; None: the administrator's."""
        if text := self.token if token is None else token:
            metadata = [*metadata, ("authorization", f"Bearer {text}")]
        _, call = self.channel.unary_unary(method).with_call(
            body, metadata=metadata, timeout=timeout
        )
        return dict(call.trailing_metadata() or ())

    @contextmanager
    def silent(
        self, count: int, *, method: str = WHO_AM_I, token: str | None = None
    ) -> Generator[list[Any]]:
        """So many calls that never send a request, and have an hour."""
        text = self.token if token is None else token
        metadata = [("authorization", f"Bearer {text}")] if text else []
        over = threading.Event()

        def requests() -> Iterator[bytes]:
            over.wait()
            yield from ()

        calls = [
            self.channel.stream_unary(method).future(requests(), metadata=metadata, timeout=3600)
            for _ in range(count)
        ]
        try:
            yield calls
        finally:
            for call in calls:
                call.cancel()
            over.set()

    def fails(self, body: bytes = b"", **kwargs: Any) -> Failed:
        """Call, and return how it failed."""
        try:
            self.call(body, **kwargs)
        except grpc.RpcError as error:
            return failed(error)
        raise AssertionError("the call worked")

    def code(self, **kwargs: Any) -> grpc.StatusCode:
        """Call, and return how it ended."""
        try:
            self.call(**kwargs)
        except grpc.RpcError as error:
            return failed(error).code
        return grpc.StatusCode.OK

    def lines(self) -> list[dict[str, Any]]:
        """All that was logged so far."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def calls(self) -> list[dict[str, Any]]:
        """The lines of the calls that are over."""
        return [line for line in self.lines() if line["event"] == "call"]


def failed(error: Any) -> Failed:
    """What a client sees of a failed call, the details by their names."""
    kinds: Sequence[type[Message]] = (
        error_details_pb2.ErrorInfo,
        error_details_pb2.BadRequest,
        error_details_pb2.RetryInfo,
    )
    details: dict[str, Any] = {}
    status = rpc_status.from_call(error)
    for packed in () if status is None else status.details:
        for kind in kinds:
            if packed.Is(kind.DESCRIPTOR):
                assert kind.DESCRIPTOR.name not in details, "a kind of detail came twice"
                details[kind.DESCRIPTOR.name] = kind()
                packed.Unpack(details[kind.DESCRIPTOR.name])
    return Failed(error.code(), error.details(), details, dict(error.trailing_metadata() or ()))


def auth_service(servicer: Any) -> Service:
    """AuthService by that servicer."""
    descriptor = auth_pb2.DESCRIPTOR.services_by_name["AuthService"]
    add: Any = auth_pb2_grpc.add_AuthServiceServicer_to_server
    return Service(descriptor, partial(add, servicer))


def auth_rows() -> dict[str, Method]:
    """The rows of AuthService."""
    return {name: row for name, row in METHODS.items() if name.startswith("AuthService/")}


def settings_for(url: str, folder: Path, **changed: Any) -> Settings:
    """Settings for a server on a free port."""
    return Settings(
        **{
            "listen": Address("127.0.0.1", 0),
            "database_url": url,
            "data_dir": folder,
            "grace": 5.0,
            **changed,
        }
    )


@contextmanager
def running(
    url: str,
    folder: Path,
    *,
    services: Callable[[App], Sequence[Service]] | None = None,
    rows: dict[str, Method] | None = None,
    app: Callable[[Store, Directories], App] = lambda store, directories: App(
        store=store, directories=directories
    ),
    build_with: dict[str, Any] | None = None,
    log_level: LogLevel = LogLevel.DEBUG,
    **changed: Any,
) -> Generator[Running]:
    """A server with an administrator; ``changed`` are settings."""
    scripted = Scripted()
    store = Store.open(url)
    made_app = app(store, Directories(store, folder / "files"))
    made = bootstrap(made_app, lambda made: None)
    assert made is not None
    server = build(
        settings_for(url, folder, **changed),
        made_app,
        [auth_service(scripted)] if services is None else services(made_app),
        rows=rows or (auth_rows() if services is None else METHODS),
        **build_with or {},
    )
    stream = io.StringIO()
    with captured(stream, log_level), server, grpc.insecure_channel(server.address) as channel:
        yield Running(server, made_app, channel, made.secret, scripted, stream)
    store.close()


@contextmanager
def captured(stream: io.StringIO, level: LogLevel) -> Generator[None]:
    """Log into a stream meanwhile, as the server would onto stderr."""
    root, handlers, root_level = logging.root, logging.root.handlers[:], logging.root.level
    logs.configure(level, None, stream)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(root_level)
        for name in logs.OURS:
            logging.getLogger(name).setLevel(logging.NOTSET)
