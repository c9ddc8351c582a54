"""The adapter to gRPC: wraps each method once, whatever its shape, and runs the steps around it.

Unary requests are taken as streams of one. gRPC would otherwise wait for the message, on a worker
thread, before anything of ours runs: a stranger who sends headers and never a body would hold the
thread, and the message of one who has no token would be read and parsed. ``request_wait`` bounds
the wait of those who do have one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Self

import grpc
from google.protobuf.message import DecodeError

from .. import logs
from ..abilities.errors import (
    InvalidArgument,
    Reason,
    Refusal,
    ResourceExhausted,
    Unimplemented,
)
from .calls import Call, Screen, Step, is_ours, method_name
from .errors import answer_failure
from .limits import MESSAGE_LIMIT
from .replies import Replies
from .request_wait import RequestWait
from .worker_pools import WorkerPool

_SHED_RETRY = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Route:
    """How a method's calls are worked on: in which threads, within which steps.

    ``limit``: how large a request may be, in bytes. ``screen``: who is refused before their call
    takes any of those threads; None where everybody is let in. ``replies``: what was answered
    before.
    """

    request_waits: RequestWait
    steps: Sequence[Step]
    limit: int = MESSAGE_LIMIT
    screen: Screen | None = None
    replies: Replies | None = None

    @property
    def pool(self) -> WorkerPool:
        """The threads."""
        return self.request_waits.pool


class Pipeline(grpc.ServerInterceptor):
    """Every call of the server goes through here."""

    def __init__(
        self,
        route: Callable[[str, bool], Route],
        refusals: WorkerPool,
        refuse: Callable[[Call, Refusal], None],
    ) -> None:
        """``route`` is asked once a method: its name, and whether it streams either way.

        Calls that are only refused have threads of their own and take the shortest way: those of
        unknown methods, of pools that are full, and of callers who are nobody.
        """
        self._route = route
        self._refusals = refusals
        self._refusal = refuse
        # Only methods that exist get in, so strangers cannot make it grow.
        self._wrapped: dict[str, _Wrapped] = {}

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """See ServerInterceptor.

        gRPC calls this on its one polling thread, before a worker has the call: anything slow here
        would hold up every client. Only what it returns works.
        """
        path = handler_call_details.method
        known = self._wrapped.get(path)
        if known is None:
            handler = continuation(handler_call_details)
            if handler is None:
                return self._refuse(path, _unknown(path))
            known = self._wrapped[path] = self._wrap(path, handler)
        digest = b""
        if known.route.screen is not None:
            screened = known.route.screen(handler_call_details.invocation_metadata or ())
            if isinstance(screened, Refusal):
                return self._refuse(path, screened)
            digest = screened or b""
        if known.route.pool.is_full:
            return self._refuse(path, _overloaded())
        handled: Any = _Handler(known, digest)
        return handled

    def _wrap(self, path: str, inner: Any) -> "_Wrapped":
        route = self._route(method_name(path), inner.request_streaming or inner.response_streaming)
        return _Wrapped(
            method=method_name(path),
            route=route,
            takes_stream=inner.request_streaming,
            gives_stream=inner.response_streaming,
            decode=inner.request_deserializer or bytes,
            behave=inner.unary_unary
            or inner.unary_stream
            or inner.stream_unary
            or inner.stream_stream,
            second=_itself if is_ours(path) else _context_of,
            encode=inner.response_serializer or bytes,
        )

    def _refuse(self, path: str, refusal: Refusal) -> grpc.RpcMethodHandler:
        """A handler that reads nothing and only refuses; good for any shape."""

        def run(_requests: Iterator[bytes], context: grpc.ServicerContext) -> None:
            self._refusal(Call(method_name(path), context), refusal)

        behaviour: Any = partial(run)
        behaviour.experimental_thread_pool = self._refusals
        return grpc.stream_unary_rpc_method_handler(behaviour)


class _Handler:
    """What gRPC is given for one call: handler and behaviour in one, since it makes many.

    Requests are taken as streams whatever they are, see above.
    """

    __slots__ = ("_digest", "_wrapped", "response_streaming")

    request_streaming = True
    request_deserializer = None
    response_serializer = None

    def __init__(self, wrapped: "_Wrapped", digest: bytes) -> None:
        self._wrapped = wrapped
        self._digest = digest
        self.response_streaming = wrapped.gives_stream

    @property
    def stream_unary(self) -> Self:
        """Itself, as all that can be called."""
        return self

    @property
    def stream_stream(self) -> Self:
        """The same."""
        return self

    @property
    def experimental_thread_pool(self) -> WorkerPool:
        """Where gRPC is to run it."""
        return self._wrapped.route.pool

    def __call__(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Any:
        """Answer the call."""
        call = Call(self._wrapped.method, context, self._digest)
        if self.response_streaming:
            return self._wrapped.answer_many(call, requests)
        return self._wrapped.answer_once(call, requests)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wrapped:
    """A method: what its handler did, in parts, and what is around it."""

    method: str
    route: Route
    takes_stream: bool
    gives_stream: bool
    decode: Callable[[bytes], Any]
    behave: Callable[[Any, Any], Any]
    #: What the handler gets beside the request: ours the call, the libraries' the context.
    second: Callable[[Call], Any]
    encode: Callable[[Any], bytes]

    def answer_once(self, call: Call, requests: Iterator[bytes]) -> bytes:
        try:
            for step in self.route.steps:
                step(call)
            if self.takes_stream:
                # Encoded here, so that a failure to do so is a bug like any other.
                return self.encode(self.behave(self._all_of(requests), self.second(call)))
            return self._answer(call, self._one_of(call, requests))
        except Exception as error:  # noqa: BLE001 - each has its status
            answer_failure(call, error)
        finally:
            call.end()

    def answer_many(self, call: Call, requests: Iterator[bytes]) -> Iterator[bytes]:
        try:
            for step in self.route.steps:
                step(call)
            if self.takes_stream:
                request: Any = self._all_of(requests)
            else:
                request = self._decoded(self._one_of(call, requests))
            for answer in self.behave(request, self.second(call)):
                yield self.encode(answer)
        except Exception as error:  # noqa: BLE001 - each has its status
            answer_failure(call, error)
        finally:
            call.end()

    def _answer(self, call: Call, request: bytes) -> bytes:
        replies = self.route.replies
        if replies is None:
            return self.encode(self.behave(self._decoded(request), self.second(call)))
        key = replies.key(call, request)
        kept = replies.find(key)
        if kept is not None:
            return kept
        answer = self.behave(self._decoded(request), self.second(call))
        reply = self.encode(answer)
        if call.basis is not None:
            replies.keep(key, call, answer, reply)
        return reply

    def _one_of(self, call: Call, requests: Iterator[bytes]) -> bytes:
        message = self.route.request_waits.request(call, requests)
        if message is None:
            raise InvalidArgument(Reason.REQUEST_MALFORMED, "the call carries no request: send one")
        # Before it is parsed: small parts take many times their size then.
        if len(message) > self.route.limit:
            raise ResourceExhausted(
                Reason.REQUEST_TOO_LARGE,
                "the request has {size} bytes: at most {limit}",
                size=len(message),
                limit=self.route.limit,
            )
        return message

    def _all_of(self, requests: Iterator[bytes]) -> Iterator[Any]:
        return map(self._decoded, requests)

    def _decoded(self, message: bytes) -> Any:
        try:
            return self.decode(message)
        except DecodeError:
            # gRPC itself would call it INTERNAL, as if the fault were ours.
            raise InvalidArgument(
                Reason.REQUEST_MALFORMED,
                "the request is not a message of its type: is the client generated from this "
                "contract?",
            ) from None


def _itself(call: Call) -> Call:
    return call


def _context_of(call: Call) -> grpc.ServicerContext:
    return call.context


def _unknown(path: str) -> Refusal:
    return Unimplemented(
        Reason.METHOD_UNKNOWN,
        "this server has no such method: is it of an older release than the client?",
        method=logs.redacted(method_name(path)),
    )


def _overloaded() -> Refusal:
    return ResourceExhausted(
        Reason.OVERLOADED,
        "the server has more calls than it can answer in time: try again later",
        retry_after=_SHED_RETRY,
    )
