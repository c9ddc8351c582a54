"""The adapter to gRPC: wraps each method once, whatever its shape, and runs the steps around it.

Callers who are refused by their metadata alone have no request read. ``arrivals`` waits for the
request of everybody else; it is parsed when they are known and allowed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import grpc
from google.protobuf.message import DecodeError

from accredit_storage.waiting import without_waiting

from .. import logs
from ..abilities.errors import (
    InvalidArgument,
    Reason,
    Refusal,
    ResourceExhausted,
    Unimplemented,
)
from .arrivals import Arrivals, overloaded
from .calls import Call, Headers, Screen, Step, is_ours, method_name
from .errors import answer_failure
from .limits import LEAST_TIME, MESSAGE_LIMIT, fits
from .replies import Replies
from .telemetry import logs_successes, name_call
from .worker_pools import WorkerPool

# Bytes of a request, at most, that is answered on the polling thread: others wait meanwhile.
_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Route:
    """How a method's calls are worked on: in which threads, within which steps.

    ``first_steps`` come before it is asked who calls; an answer at once does by itself what they
    would. ``steps`` are all others. ``max_bytes``: how large a request may be. ``screen``: who is
    refused before their call takes any of those threads; None where everybody is let in.
    ``replies``: what was answered before.
    """

    arrivals: Arrivals
    steps: Sequence[Step]
    first_steps: Sequence[Step] = ()
    max_bytes: int = MESSAGE_LIMIT
    screen: Screen | None = None
    replies: Replies | None = None


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
        headers = Headers.of(handler_call_details.invocation_metadata or ())
        digest = b""
        if known.route.screen is not None:
            screened = known.route.screen(headers)
            if isinstance(screened, Refusal):
                return self._refuse(path, screened)
            digest = screened or b""
        arrivals = known.route.arrivals
        # What memory may answer needs no thread, and is looked at before one is missed.
        if arrivals.is_crowded if known.route.replies is not None else arrivals.is_full:
            return self._refuse(path, overloaded())
        handled: Any = _Handler(known, headers, digest, self._refusal)
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
    """What gRPC is given for one call: handler and behaviour in one, since it makes many."""

    request_deserializer = None
    response_serializer = None

    def __init__(
        self,
        wrapped: "_Wrapped",
        headers: Headers,
        digest: bytes,
        refuse: Callable[[Call, Refusal], None],
    ) -> None:
        self._refuse = refuse
        self._wrapped = wrapped
        self._headers = headers
        self._digest = digest
        self.request_streaming = wrapped.takes_stream
        self.response_streaming = wrapped.gives_stream

    @property
    def unary_unary(self) -> Self:
        """Itself, as all that can be called."""
        return self

    unary_stream = stream_unary = stream_stream = unary_unary

    @property
    def experimental_thread_pool(self) -> Arrivals | WorkerPool:
        """Where gRPC is to run it."""
        arrivals = self._wrapped.route.arrivals
        return arrivals.pool if self.request_streaming else arrivals

    def at_once(self, request: bytes, context: grpc.ServicerContext) -> bytes | None:
        """See Behaviour: what memory has the answer to."""
        wrapped, headers = self._wrapped, self._headers
        replies = wrapped.route.replies
        if (
            replies is None
            or not self._digest
            or len(request) > _AT_ONCE
            or not fits(headers)
            or context.time_remaining() < LEAST_TIME
            or logs_successes()
        ):
            return None
        call = Call(wrapped.method, context, headers, self._digest)
        name_call(call)
        with without_waiting:
            return wrapped.answer_at_once(call, request, replies)

    def __call__(self, arrived: Any, context: grpc.ServicerContext) -> Any:
        """Answer the call: ``arrived`` has its requests, or what there is instead of the one."""
        call = Call(self._wrapped.method, context, self._headers, self._digest)
        if isinstance(arrived, Refusal):
            # Nobody is asked who they are where there is nothing to answer, or no room.
            self._refuse(call, arrived)
        if self.response_streaming:
            return self._wrapped.answer_many(call, arrived)
        return self._wrapped.answer_once(call, arrived)


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

    def answer_once(self, call: Call, arrived: Any) -> bytes:
        try:
            self._begin(call)
            if self.takes_stream:
                return self.encode(self.behave(self._all_of(arrived), self.second(call)))
            request, replies = self._within_limit(arrived), self.route.replies
            key = b"" if replies is None else replies.key(call, request)
            kept = None if replies is None else replies.find(key)
            return self._answer(call, request, key) if kept is None else kept
        except Exception as error:  # noqa: BLE001 - each has its status
            answer_failure(call, error)
        finally:
            call.end()

    def answer_at_once(self, call: Call, request: bytes, replies: Replies) -> bytes:
        key = replies.key(call, request)
        reply = replies.find(key)
        # Whom a reply was given to, its key says: nobody has to ask again who that is.
        if reply is None:
            try:
                for step in self.route.steps:
                    step(call)
                reply = self._answer(call, request, key)
            finally:
                call.end()
        return reply

    def answer_many(self, call: Call, arrived: Any) -> Iterator[bytes]:
        try:
            self._begin(call)
            if self.takes_stream:
                request: Any = self._all_of(arrived)
            else:
                request = self._decoded(self._within_limit(arrived))
            for answer in self.behave(request, self.second(call)):
                yield self.encode(answer)
        except Exception as error:  # noqa: BLE001 - each has its status
            answer_failure(call, error)
        finally:
            call.end()

    def _begin(self, call: Call) -> None:
        for step in self.route.first_steps:
            step(call)
        for step in self.route.steps:
            step(call)

    def _answer(self, call: Call, request: bytes, key: bytes) -> bytes:
        answer = self.behave(self._decoded(request), self.second(call))
        # Encoded here, so that a failure to do so is a bug like any other.
        reply = self.encode(answer)
        if self.route.replies is not None and call.basis is not None:
            self.route.replies.keep(key, call, answer, reply)
        return reply

    def _within_limit(self, request: bytes) -> bytes:
        # Before it is parsed: small parts take many times their size then.
        if len(request) > self.route.max_bytes:
            raise ResourceExhausted(
                Reason.REQUEST_TOO_LARGE,
                "the request has {size} bytes: at most {limit}",
                size=len(request),
                limit=self.route.max_bytes,
            )
        return request

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
