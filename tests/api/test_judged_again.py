"""A call is judged by the rights that its caller has when it is answered, not when it arrived."""

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from sqlalchemy import event

from tests.server import Person, RefusedError, Server
from tests.statements import THREADS


@contextmanager
def identified(server: Server) -> Generator[threading.Event]:
    """Set as soon as a call has read something, which is first of all its caller's credential."""
    read = threading.Event()

    def note(*_: Any) -> None:
        if threading.current_thread().name.startswith(THREADS):
            read.set()

    event.listen(server.app.store.engine, "after_cursor_execute", note)
    yield read
    event.remove(server.app.store.engine, "after_cursor_execute", note)


@contextmanager
def late(caller: Person, method: str, request: Message) -> Generator[Any]:
    """A call whose caller is identified, and whose request is sent when the block ends.

    Its answer is a future.
    """
    server = caller.server
    descriptor = server.methods[method]
    requests: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def sent() -> Iterator[Message]:
        yield requests.get()

    invoke: Any = server.channel.stream_unary(
        f"/{descriptor.containing_service.full_name}/{descriptor.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(descriptor.output_type).FromString,
    )
    with identified(server) as read:
        answer = invoke.future(
            sent(), metadata=[("authorization", f"Bearer {caller.token}")], timeout=30
        )
        try:
            assert read.wait(30)
            yield answer
        finally:
            requests.put(request)


@pytest.mark.parametrize(
    "method",
    ["AuthService/WhoAmI", "AccessService/ListUserAccess", "AgentService/ProvisionAgent"],
)
def test_who_loses_the_token_before_the_request_has_arrived_is_told_nothing(
    server: Server, method: str
) -> None:
    user = server.user()
    with late(user, method, server.request_of(method)()) as answer:
        server.admin.call("TokenService/RevokeToken", token_id=user.token_id)
    with pytest.raises(grpc.RpcError) as refused:
        answer.result()
    assert RefusedError(refused.value).what == "UNAUTHENTICATED TOKEN_INVALID"


def test_who_manages_users_no_more_when_the_request_arrives_is_shown_none(
    server: Server,
) -> None:
    former = server.user("ADMINISTRATOR")
    method = "UserService/ListUsers"
    with late(former, method, server.request_of(method)()) as answer:
        server.admin.call(
            "UserService/UpdateUser",
            user={"user_id": former.user_id},
            update={"role": "USER_ROLE_MEMBER"},
        )
    with pytest.raises(grpc.RpcError) as refused:
        answer.result()
    assert RefusedError(refused.value).what == "PERMISSION_DENIED ACTION_MISSING"
