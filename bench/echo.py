"""The echo: a gRPC server with nothing in it, for the others to be measured beside.

The same server class as ours, with as many threads and messages of the same size, and without
interceptors.
"""

import sys
from concurrent import futures

import grpc

from accredit.v1 import auth_pb2, auth_pb2_grpc, types_pb2


class EchoServicer(auth_pb2_grpc.AuthServiceServicer):
    """Answers Authorize with one fixed message, as large as an answer of ours."""

    def __init__(self) -> None:
        subjects = [
            types_pb2.Subject(kind=types_pb2.SUBJECT_KIND_AGENT, subject_id=f"{number}")
            for number in range(5)
        ]
        basis = types_pb2.Basis(
            cacheable=True,
            depends_on=subjects,
            position=types_pb2.Position(epoch="0" * 32, revision=1000, hash_prefix=b"12345678"),
            consistency_token="x" * 43,
        )
        basis.judged_at.GetCurrentTime()
        self._answer = auth_pb2.AuthorizeResponse(
            principal=types_pb2.Principal(
                user_id=1,
                login="admin",
                token_id="x" * 16,
                capabilities=[f"capability_{number}" for number in range(13)],
            ),
            role=types_pb2.ROLE_ADMIN,
            agent_id=500,
            agent_slug="agent-500",
            basis=basis,
        )

    def Authorize(
        self, request: auth_pb2.AuthorizeRequest, context: grpc.ServicerContext
    ) -> auth_pb2.AuthorizeResponse:
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
