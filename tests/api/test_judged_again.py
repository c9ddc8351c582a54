"""A call is judged by the rights that its caller has when it is answered, not when it arrived."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from sqlalchemy import event

from tests.server import Person, RefusedError, Server
from tests.statements import is_of_a_call


@contextmanager
def late(caller: Person, method: str, request: Message) -> Generator[Any]:
    """A call whose caller is identified, and which goes on when the block ends: its future.

    Its first statement reads the caller's credential; it is held before the second.
    """
    server = caller.server
    descriptor = server.methods[method]
    identified, go_on = threading.Event(), threading.Event()
    statements: list[int] = []

    def hold(*_: Any) -> None:
        thread = threading.get_ident()
        if is_of_a_call() and thread == (statements or [thread])[0]:
            statements.append(thread)
            if len(statements) > 1:
                identified.set()
                assert go_on.wait(30)

    invoke: Any = server.channel.unary_unary(
        f"/{descriptor.containing_service.full_name}/{descriptor.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(descriptor.output_type).FromString,
    )
    metadata = [("authorization", f"Bearer {caller.token}")]
    event.listen(server.app.store.engine, "before_cursor_execute", hold)
    answer = invoke.future(request, metadata=metadata, timeout=30)
    try:
        assert identified.wait(30)
        yield answer
    finally:
        go_on.set()
        answer.exception()
        event.remove(server.app.store.engine, "before_cursor_execute", hold)


@pytest.mark.parametrize("method", ["TokenService/ListTokens", "AccessService/ListUserAccess"])
def test_who_loses_the_token_before_the_answer_is_told_nothing(server: Server, method: str) -> None:
    user = server.user()
    with late(user, method, server.request_of(method)()) as answer:
        server.admin.call("TokenService/RevokeToken", token_id=user.token_id)
    with pytest.raises(grpc.RpcError) as refused:
        answer.result()
    assert RefusedError(refused.value).what == "UNAUTHENTICATED TOKEN_INVALID"


def test_who_manages_users_no_more_when_it_is_answered_is_shown_none(
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
