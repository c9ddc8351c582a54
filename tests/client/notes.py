"""A gRPC service of somebody else's, to be guarded: one method of each shape.

Its messages are made here at run time, so that there is nothing to generate for it.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

import accredit
from accredit.v1 import types_pb2
from tests.client.conftest import AT_ONCE

SERVICE = "guarded.test.v1.NoteService"

FIELD = descriptor_pb2.FieldDescriptorProto
REF = f".{types_pb2.AgentRef.DESCRIPTOR.full_name}"


def _described() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="guarded/test/v1/notes.proto", package="guarded.test.v1", syntax="proto3"
    )
    file.dependency.append(types_pb2.DESCRIPTOR.name)
    own = file.message_type.add(name="OwnRef")
    own.field.add(name="agent_id", number=1, type=FIELD.TYPE_INT64, label=FIELD.LABEL_OPTIONAL)
    own.field.add(name="agent_slug", number=2, type=FIELD.TYPE_STRING, label=FIELD.LABEL_OPTIONAL)
    nested = file.message_type.add(name="Nested")
    nested.field.add(
        name="agent", number=1, type=FIELD.TYPE_MESSAGE, type_name=REF, label=FIELD.LABEL_OPTIONAL
    )
    request = file.message_type.add(name="NoteRequest")
    for number, (name, kind, type_name) in enumerate(
        (
            ("agent", FIELD.TYPE_MESSAGE, REF),
            ("site_id", FIELD.TYPE_INT64, ""),
            ("slug", FIELD.TYPE_STRING, ""),
            ("id", FIELD.TYPE_INT64, ""),
            ("nested", FIELD.TYPE_MESSAGE, ".guarded.test.v1.Nested"),
            ("own", FIELD.TYPE_MESSAGE, ".guarded.test.v1.OwnRef"),
            ("text", FIELD.TYPE_STRING, ""),
            ("flag", FIELD.TYPE_BOOL, ""),
        ),
        start=1,
    ):
        request.field.add(
            name=name,
            number=number,
            type=kind,
            type_name=type_name or None,
            label=FIELD.LABEL_OPTIONAL,
        )
    request.field.add(name="ids", number=9, type=FIELD.TYPE_INT64, label=FIELD.LABEL_REPEATED)
    response = file.message_type.add(name="NoteResponse")
    response.field.add(name="said", number=1, type=FIELD.TYPE_STRING, label=FIELD.LABEL_OPTIONAL)
    service = file.service.add(name="NoteService")
    for name, asks, answers in (
        ("Write", False, False),
        ("Watch", False, True),
        ("Upload", True, False),
        ("Chat", True, True),
    ):
        service.method.add(
            name=name,
            input_type=".guarded.test.v1.NoteRequest",
            output_type=".guarded.test.v1.NoteResponse",
            client_streaming=asks,
            server_streaming=answers,
        )
    return file


_pool = descriptor_pool.Default()
_pool.AddSerializedFile(_described().SerializeToString())
NoteRequest: Any = message_factory.GetMessageClass(
    _pool.FindMessageTypeByName("guarded.test.v1.NoteRequest")
)
NoteResponse: Any = message_factory.GetMessageClass(
    _pool.FindMessageTypeByName("guarded.test.v1.NoteResponse")
)

SHAPES = ("Write", "Watch", "Upload", "Chat")


def path(method: str) -> str:
    return f"/{SERVICE}/{method}"


def said(request: Any) -> Any:
    """What every method answers to a request: who called, for which agent, what."""
    try:
        caller = accredit.caller()
    except LookupError:
        return NoteResponse(said=f"nobody wrote {request.text}")
    assert accredit.principal() is caller.principal
    return NoteResponse(said=f"{caller.principal.login} on {caller.agent_id} wrote {request.text}")


def joined(answers: Sequence[Any]) -> Any:
    return NoteResponse(said="; ".join(answer.said for answer in answers))


def write(request: Any, _: Any) -> Any:
    return said(request)


def watch(request: Any, _: Any) -> Iterator[Any]:
    yield said(request)
    yield said(request)


def upload(requests: Iterator[Any], _: Any) -> Any:
    return joined([said(request) for request in requests])


def chat(requests: Iterator[Any], _: Any) -> Iterator[Any]:
    for request in requests:
        yield said(request)


async def aio_write(request: Any, _: Any) -> Any:
    return said(request)


async def aio_watch(request: Any, _: Any) -> AsyncIterator[Any]:
    yield said(request)
    yield said(request)


async def aio_upload(requests: AsyncIterator[Any], _: Any) -> Any:
    return joined([said(request) async for request in requests])


async def aio_chat(requests: AsyncIterator[Any], _: Any) -> AsyncIterator[Any]:
    async for request in requests:
        yield said(request)


async def aio_watch_by_writing(request: Any, context: Any) -> None:
    await context.write(said(request))
    await context.write(said(request))


async def aio_upload_by_reading(_: Any, context: Any) -> Any:
    answers = []
    while (request := await context.read()) is not grpc.aio.EOF:
        answers.append(said(request))
    return joined(answers)


async def aio_chat_by_reading(_: Any, context: Any) -> None:
    while (request := await context.read()) is not grpc.aio.EOF:
        await context.write(said(request))


Functions = tuple[Callable[..., Any], ...]

FUNCTIONS: Functions = (write, watch, upload, chat)
AIO_FUNCTIONS: Functions = (aio_write, aio_watch, aio_upload, aio_chat)
AIO_FUNCTIONS_ON_THE_CONTEXT: Functions = (
    aio_write,
    aio_watch_by_writing,
    aio_upload_by_reading,
    aio_chat_by_reading,
)


PATIENT = {"timeout": 30.0}
"""A guard's timeout that a busy machine does not run into."""


def handlers(functions: Functions) -> grpc.GenericRpcHandler:
    kinds: tuple[Callable[..., Any], ...] = (
        grpc.unary_unary_rpc_method_handler,
        grpc.unary_stream_rpc_method_handler,
        grpc.stream_unary_rpc_method_handler,
        grpc.stream_stream_rpc_method_handler,
    )
    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            name: kind(function, NoteRequest.FromString, NoteResponse.SerializeToString)
            for name, kind, function in zip(SHAPES, kinds, functions, strict=True)
        },
    )


@contextmanager
def serving(
    accredit_address: str, *guard: Any, functions: Functions = FUNCTIONS, **options: Any
) -> Generator["Notes"]:
    """The service on a grpc.server, guarded by `accredit.Guard(client, *guard)`."""
    with accredit.Client(accredit_address, token="acr_svc_own", retries=AT_ONCE) as client:
        server = grpc.server(
            # One thread, so that a caller left behind on it would be found by the next call.
            futures.ThreadPoolExecutor(max_workers=1),
            interceptors=[accredit.Guard(client, *guard, **PATIENT | options)],
            options=[("grpc.so_reuseport", 0)],
        )
        server.add_generic_rpc_handlers((handlers(functions),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            with Notes(port) as notes:
                yield notes
        finally:
            server.stop(None).wait()


@contextmanager
def aio_serving(
    accredit_address: str, *guard: Any, functions: Functions = AIO_FUNCTIONS, **options: Any
) -> Generator["Notes"]:
    """The service on a grpc.aio.server with a loop and a thread of its own."""
    started: futures.Future[tuple[int, Callable[[], object]]] = futures.Future()

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        async with accredit.aio.Client(
            accredit_address, token="acr_svc_own", retries=AT_ONCE
        ) as client:
            server = grpc.aio.server(
                interceptors=[accredit.aio.Guard(client, *guard, **PATIENT | options)],
                options=[("grpc.so_reuseport", 0)],
            )
            server.add_generic_rpc_handlers((handlers(functions),))
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            started.set_result((port, lambda: loop.call_soon_threadsafe(stop.set)))
            await stop.wait()
            await server.stop(None)

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    port, stop = started.result()
    try:
        with Notes(port) as notes:
            yield notes
    finally:
        stop()
        thread.join()


class Notes:
    """Calls the service as one of its callers does, with nothing of Accredit's."""

    def __init__(self, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self._channel = grpc.insecure_channel(self.address)

    def __enter__(self) -> "Notes":
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def call(
        self, method: str, *requests: Any, headers: Sequence[tuple[str, str]] = (), **options: Any
    ) -> list[str]:
        """What a method says to the requests, of which two of the four take only one."""
        asks, answers = method in ("Upload", "Chat"), method in ("Watch", "Chat")
        shape = f"{'stream' if asks else 'unary'}_{'stream' if answers else 'unary'}"
        send = getattr(self._channel, shape)(
            path(method), NoteRequest.SerializeToString, NoteResponse.FromString
        )
        sent = iter(requests) if asks else requests[0]
        answered = send(sent, metadata=tuple(headers), **{"timeout": 30} | options)
        found = list(answered) if answers else [answered]
        return "; ".join(each.said for each in found).split("; ")
