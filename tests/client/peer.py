"""A real gRPC server on a free port that answers as the test says."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass
from typing import Any, Self

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from accredit.v1 import (
    access_pb2_grpc,
    agent_pb2_grpc,
    auth_pb2_grpc,
    change_pb2_grpc,
    directory_pb2_grpc,
    registry_pb2_grpc,
    scope_pb2_grpc,
    site_pb2_grpc,
    token_pb2_grpc,
    user_pb2_grpc,
)

SERVICES: Sequence[tuple[type, Callable[[Any, grpc.Server], None]]] = (
    (access_pb2_grpc.AccessServiceServicer, access_pb2_grpc.add_AccessServiceServicer_to_server),
    (agent_pb2_grpc.AgentServiceServicer, agent_pb2_grpc.add_AgentServiceServicer_to_server),
    (auth_pb2_grpc.AuthServiceServicer, auth_pb2_grpc.add_AuthServiceServicer_to_server),
    (change_pb2_grpc.ChangeServiceServicer, change_pb2_grpc.add_ChangeServiceServicer_to_server),
    (
        directory_pb2_grpc.DirectoryServiceServicer,
        directory_pb2_grpc.add_DirectoryServiceServicer_to_server,
    ),
    (
        registry_pb2_grpc.RegistryServiceServicer,
        registry_pb2_grpc.add_RegistryServiceServicer_to_server,
    ),
    (scope_pb2_grpc.ScopeServiceServicer, scope_pb2_grpc.add_ScopeServiceServicer_to_server),
    (site_pb2_grpc.SiteServiceServicer, site_pb2_grpc.add_SiteServiceServicer_to_server),
    (token_pb2_grpc.TokenServiceServicer, token_pb2_grpc.add_TokenServiceServicer_to_server),
    (user_pb2_grpc.UserServiceServicer, user_pb2_grpc.add_UserServiceServicer_to_server),
)


@dataclass(frozen=True)
class Seen:
    """One attempt that arrived."""

    method: str
    request: Any
    metadata: Mapping[str, str | bytes]
    time_remaining: float


class Fail:
    """An answer that is a status with details."""

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str = "no",
        *details: Message,
        trailers: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.code = code
        self.message = message
        status = status_pb2.Status(code=code.value[0], message=message)
        for detail in details:
            status.details.add().Pack(detail)
        self.trailers = (*trailers, ("grpc-status-details-bin", status.SerializeToString()))


Answer = Message | Fail | Callable[[Any, grpc.ServicerContext], Message]


class Peer:
    """Accredit as far as a test has written it. Methods without a script are UNIMPLEMENTED."""

    def __init__(self, credentials: grpc.ServerCredentials | None = None) -> None:
        self.seen: list[Seen] = []
        self._scripts: dict[str, list[Answer]] = {}
        self._server = grpc.server(
            futures.ThreadPoolExecutor(max_workers=8), options=[("grpc.so_reuseport", 0)]
        )
        for servicer, add in SERVICES:
            methods = {name: self._method(name) for name in dir(servicer) if name[0].isupper()}
            add(type(servicer.__name__, (servicer,), methods)(), self._server)
        self.port = (
            self._server.add_secure_port("127.0.0.1:0", credentials)
            if credentials
            else self._server.add_insecure_port("127.0.0.1:0")
        )
        self.address = f"127.0.0.1:{self.port}"

    def script(self, method: str, *answers: Answer) -> None:
        """Answer these in turn; the last again and again."""
        self._scripts[method] = list(answers)

    def _method(self, name: str) -> Callable[..., Message]:
        def answer(_: object, request: Any, context: grpc.ServicerContext) -> Message:
            metadata = dict(context.invocation_metadata())
            self.seen.append(Seen(name, request, metadata, context.time_remaining()))
            script = self._scripts.get(name, [Fail(grpc.StatusCode.UNIMPLEMENTED)])
            said = script.pop(0) if len(script) > 1 else script[0]
            if isinstance(said, Fail):
                context.set_trailing_metadata(said.trailers)
                context.abort(said.code, said.message)
            if isinstance(said, Message):
                return said
            return said(request, context)

        return answer

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()


def until_gone(_: Any, context: grpc.ServicerContext) -> Message:
    """An answer that does not come: waits until the caller has given up."""
    gone = threading.Event()
    if context.add_callback(gone.set):
        gone.wait()
    raise AssertionError("the caller has gone")


def because(reason: str, **metadata: str) -> error_details_pb2.ErrorInfo:
    """A reason of Accredit's."""
    return error_details_pb2.ErrorInfo(reason=reason, domain="accredit", metadata=metadata)


def retry_after(seconds: int) -> error_details_pb2.RetryInfo:
    """Leave to try again."""
    info = error_details_pb2.RetryInfo()
    info.retry_delay.seconds = seconds
    return info
