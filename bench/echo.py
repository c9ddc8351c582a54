"""The echo: a gRPC server with nothing in it, for the others to be measured beside."""

import sys
from concurrent import futures

import grpc

from accredit.v1 import auth_pb2, auth_pb2_grpc, types_pb2


class EchoServicer(auth_pb2_grpc.AuthServiceServicer):
    """Answers Authenticate with one fixed message."""

    def __init__(self) -> None:
        self._answer = auth_pb2.AuthenticateResponse(
            principal=types_pb2.Principal(
                user_id=1, login="admin", token_id="x" * 16, capabilities=["chat"]
            )
        )

    def Authenticate(
        self, request: auth_pb2.AuthenticateRequest, context: grpc.ServicerContext
    ) -> auth_pb2.AuthenticateResponse:
        """The same for everybody."""
        return self._answer


if __name__ == "__main__":
    server = grpc.server(futures.ThreadPoolExecutor(16))
    auth_pb2_grpc.add_AuthServiceServicer_to_server(
        EchoServicer(),  # type: ignore[abstract]  # one method is enough to measure beside
        server,
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    sys.stdin.read()
