"""The guard of a synchronous gRPC server, and what both guards share."""

# grpc's types have parameters only for type checkers.
from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any

import grpc

from accredit._caller import enter
from accredit._client import Client
from accredit._rules import AgentRule, Named, Rule, RuleBook, open_to_all
from accredit._verdicts import (
    Answer,
    Question,
    agent_changed,
    agent_not_named,
    bearer,
    judge,
    keeps_to,
    named_by,
    patience,
    question,
    refusal_for,
)
from accredit.v1 import auth_pb2

GUARD_TIMEOUT = 3.0
"""Seconds that a guarded call waits for Accredit at most, where nobody says otherwise."""

_SHAPES: Mapping[tuple[bool, bool], tuple[str, Callable[..., Any]]] = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
}
"""Where a handler keeps its function, and how it is made, by what is streamed: the
requests, the responses."""


class Guard(grpc.ServerInterceptor):
    """Lets only those calls through whose caller Accredit vouches for.

        guard = accredit.Guard(
            client,
            rules={
                "/notes.v1.NoteService/ListNotes": accredit.authenticated,
                "/notes.v1.NoteService/WriteNote": accredit.require(
                    accredit.Role.OPERATOR, agent="agent", site="site_id"
                ),
                "/grpc.health.v1.Health/*": accredit.open_to_all,
            },
        )
        server = grpc.server(executor, interceptors=[guard])

    Inside a guarded method `accredit.principal()` and `accredit.caller()` say who calls.

    A method without a rule is refused. A call that Accredit does not answer for is refused
    with UNAVAILABLE, never let through. Refusals carry a google.rpc.ErrorInfo of domain
    "accredit": UNAUTHENTICATED if the token does not work, PERMISSION_DENIED if it works
    but not for this, INVALID_ARGUMENT if the request names no agent or an impossible one.
    """

    def __init__(
        self,
        client: Client,
        rules: Mapping[str, Rule],
        *,
        default: Rule | None = None,
        timeout: float = GUARD_TIMEOUT,
    ) -> None:
        """Make a guard. Raises ValueError for rules that cannot be meant.

        Args:
            client: Asks Accredit, with a token whose user has the action authenticate.
            rules: By method, "/package.Service/Method", or "/package.Service/*" for those
                methods of a service that have no rule of their own.
            default: The rule of all other methods. None: they are refused.
            timeout: Seconds to wait for Accredit at most, retries included; less if the
                call's own deadline comes first.
        """
        self._auth = client.auth
        self._rules = RuleBook(rules, default)
        self._timeout = timeout

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler, wrapped. gRPC calls this on its one polling thread: nothing slow here."""
        handler = continuation(handler_call_details)
        method = handler_call_details.method
        rule = self._rules.of(method)
        if handler is None or rule == open_to_all:
            return handler
        return rewrapped(handler, self._guarded(handler, method, rule))

    def _guarded(
        self, handler: grpc.RpcMethodHandler[Any, Any], method: str, rule: Rule
    ) -> Callable[..., Any]:
        """The handler's function, preceded by the question.

        What it is given is a request or an iterator of requests; what it returns for a
        stream of responses must be an iterator from the first moment, hence the two forms.
        """
        inner = function_of(handler)
        admitted = self._stream_admitted if handler.request_streaming else self._admitted

        def respond(request: Any, context: grpc.ServicerContext) -> Any:
            with _refusing(method, context):
                request = admitted(method, rule, request, context)
            return inner(request, context)

        def respond_with_stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            with _refusing(method, context):
                request = admitted(method, rule, request, context)
            yield from inner(request, context)

        return respond_with_stream if handler.response_streaming else respond

    def _admitted(
        self, method: str, rule: Rule, request: Any, context: grpc.ServicerContext
    ) -> Any:
        """The request, once its caller is let in. Raises whatever keeps them out."""
        token = bearer(method, rule, context.invocation_metadata())
        self._enter(rule, token, named_by(rule, request), context)
        return request

    def _stream_admitted(
        self, method: str, rule: Rule, requests: Iterator[Any], context: grpc.ServicerContext
    ) -> Iterator[Any]:
        """The same for a stream of requests, the first of which names the agent."""
        token = bearer(method, rule, context.invocation_metadata())
        if not isinstance(rule, AgentRule):
            self._enter(rule, token, None, context)
            return requests
        first = next(requests, None)
        if first is None:
            raise agent_not_named()
        named = named_by(rule, first)
        self._enter(rule, token, named, context)
        return chain([first], _faithful(method, rule, named, requests, context))

    def _enter(
        self, rule: Rule, token: str, named: Named | None, context: grpc.ServicerContext
    ) -> None:
        timeout = patience(self._timeout, context.time_remaining())
        enter(judge(self._answer(question(rule, token, named), timeout), token))

    def _answer(self, asked: Question, timeout: float) -> Answer:
        if isinstance(asked, auth_pb2.AuthorizeRequest):
            return self._auth.authorize(asked, timeout=timeout)
        return self._auth.authenticate(asked, timeout=timeout)


def function_of(handler: grpc.RpcMethodHandler[Any, Any]) -> Callable[..., Any]:
    """The function that carries out the handler's calls."""
    attribute, _ = _SHAPES[bool(handler.request_streaming), bool(handler.response_streaming)]
    function: Callable[..., Any] = getattr(handler, attribute)
    return function


def rewrapped(
    handler: grpc.RpcMethodHandler[Any, Any], function: Callable[..., Any]
) -> grpc.RpcMethodHandler[Any, Any]:
    """The handler with another function."""
    # How a handler asks for threads of its own; without it a guarded stream would take
    # those that unary calls need.
    pool = getattr(function_of(handler), "experimental_thread_pool", None)
    if pool is not None:
        setattr(function, "experimental_thread_pool", pool)  # noqa: B010
    _, make = _SHAPES[bool(handler.request_streaming), bool(handler.response_streaming)]
    made: grpc.RpcMethodHandler[Any, Any] = make(
        function, handler.request_deserializer, handler.response_serializer
    )
    return made


@contextmanager
def _refusing(method: str, context: grpc.ServicerContext) -> Generator[None]:
    """Whatever goes wrong inside ends the call: nothing but getting through lets it through."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - logged or answered by refusal_for
        refusal = refusal_for(method, error)
    else:
        return
    context.set_trailing_metadata(refusal.trailers())
    context.abort(refusal.code, refusal.message)


def _faithful(
    method: str,
    rule: AgentRule,
    named: Named,
    requests: Iterator[Any],
    context: grpc.ServicerContext,
) -> Iterator[Any]:
    """The further requests of a stream, as long as they keep to the agent asked about."""
    for request in requests:
        with _refusing(method, context):
            if not keeps_to(rule, named, request):
                raise agent_changed()
        yield request
