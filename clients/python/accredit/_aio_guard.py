"""The guard of a grpc.aio server. See _guard: the two differ in how handlers are written."""

# grpc's types have parameters only for type checkers.
from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc

from accredit._aio_client import Client
from accredit._caller import enter
from accredit._guard import GUARD_TIMEOUT, function_of, rewrapped
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


class Guard(grpc.aio.ServerInterceptor):
    """Lets only those calls through whose caller Accredit vouches for.

        server = grpc.aio.server(interceptors=[accredit.aio.Guard(client, rules={…})])

    See `accredit.Guard` for rules, refusals and what guarded code can ask. Handlers must
    be coroutine functions or asynchronous generators; grpc.aio would also run plain
    functions, on threads, and those are refused here with INTERNAL unless open to all.
    """

    def __init__(
        self,
        client: Client,
        rules: Mapping[str, Rule],
        *,
        default: Rule | None = None,
        timeout: float = GUARD_TIMEOUT,
    ) -> None:
        """Make a guard. See `accredit.Guard`; the client is an `accredit.aio.Client`."""
        self._auth = client.auth
        self._rules = RuleBook(rules, default)
        self._timeout = timeout

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler, wrapped."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        rule = self._rules.of(method)
        if handler is None or rule == open_to_all:
            return handler
        return rewrapped(handler, self._guarded(handler, method, rule))

    def _guarded(
        self, handler: grpc.RpcMethodHandler[Any, Any], method: str, rule: Rule
    ) -> Callable[..., Any]:
        """The handler's function, preceded by the question.

        A stream of responses is yielded or written to the context, and gRPC tells one from
        the other by the kind of function: the wrapper has to be of the same.
        """
        inner = function_of(handler)
        admitted = self._stream_admitted if handler.request_streaming else self._admitted

        async def respond(request: Any, context: Any) -> Any:
            async with _refusing(method, context):
                _require_async(inner)
                request, context = await admitted(method, rule, request, context)
            return await inner(request, context)

        async def respond_with_stream(request: Any, context: Any) -> AsyncIterator[Any]:
            async with _refusing(method, context):
                request, context = await admitted(method, rule, request, context)
            async for response in inner(request, context):
                yield response

        return respond_with_stream if inspect.isasyncgenfunction(inner) else respond

    async def _admitted(
        self, method: str, rule: Rule, request: Any, context: Any
    ) -> tuple[Any, Any]:
        """Request and context, once the caller is let in. Raises whatever keeps them out."""
        token = bearer(method, rule, context.invocation_metadata())
        await self._enter(rule, token, named_by(rule, request), context)
        return request, context

    async def _stream_admitted(
        self, method: str, rule: Rule, requests: AsyncIterator[Any], context: Any
    ) -> tuple[Any, Any]:
        """The same for a stream of requests, the first of which names the agent."""
        token = bearer(method, rule, context.invocation_metadata())
        if not isinstance(rule, AgentRule):
            await self._enter(rule, token, None, context)
            return requests, context
        first = await anext(requests, None)
        if first is None:
            raise agent_not_named()
        named = named_by(rule, first)
        await self._enter(rule, token, named, context)
        faithful = _faithful(method, rule, named, first, requests, context)
        return faithful, _Reading(context, faithful)

    async def _enter(self, rule: Rule, token: str, named: Named | None, context: Any) -> None:
        timeout = patience(self._timeout, context.time_remaining())
        enter(judge(await self._answer(question(rule, token, named), timeout), token))

    async def _answer(self, asked: Question, timeout: float) -> Answer:
        if isinstance(asked, auth_pb2.AuthorizeRequest):
            return await self._auth.authorize(asked, timeout=timeout)
        return await self._auth.authenticate(asked, timeout=timeout)


class _Reading:
    """A context whose `read` takes from the requests that were looked at.

    A handler may read from the context instead of iterating. From the original it would
    miss the first request, and get all others unseen by the guard.
    """

    def __init__(self, context: Any, requests: AsyncIterator[Any]) -> None:
        self._context = context
        self._requests = requests

    async def read(self) -> Any:
        """The next request, or grpc.aio.EOF."""
        return await anext(self._requests, grpc.aio.EOF)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


def _require_async(inner: Callable[..., Any]) -> None:
    if not inspect.iscoroutinefunction(inner):
        raise TypeError(f"{inner!r} is no coroutine function and cannot be guarded")


@asynccontextmanager
async def _refusing(method: str, context: Any) -> AsyncIterator[None]:
    """Whatever goes wrong inside ends the call: nothing but getting through lets it through."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - logged or answered by refusal_for
        refusal = refusal_for(method, error)
    else:
        return
    await context.abort(refusal.code, refusal.message, refusal.trailers())


async def _faithful(
    method: str,
    rule: AgentRule,
    named: Named,
    first: Any,
    requests: AsyncIterator[Any],
    context: Any,
) -> AsyncIterator[Any]:
    """The requests of a stream, as long as they keep to the agent asked about."""
    yield first
    async for request in requests:
        async with _refusing(method, context):
            if not keeps_to(rule, named, request):
                raise agent_changed()
        yield request
