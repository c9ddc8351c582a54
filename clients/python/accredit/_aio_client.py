"""The asynchronous client. See _client: the two differ in nothing but await."""

import asyncio
import copy
import os
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import grpc
from google.protobuf.message import Message

from accredit._connection import Connection, connection
from accredit._errors import from_rpc_error
from accredit._methods import Method
from accredit._options import DEFAULT_TIMEOUT, CallOptions, checked_timeout, site_or_default
from accredit._retries import Retries
from accredit._tokens import token_source

if TYPE_CHECKING:
    from accredit._faces import AsyncServices as Services
else:
    from accredit._services import Services


class Client(Services):
    """A connection to Accredit for asyncio. See `accredit.Client` for what it offers.

        async with accredit.aio.Client() as client:
            await client.agents.get_agent(agent={"agent_slug": "billing"})
            async for agent in client.agents.iterate_agents(): ...

    It may be made before a loop runs; it belongs to the loop that it is first used on.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        ca_file: str | os.PathLike[str] | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        insecure: bool = False,
        site: int | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        retries: Retries = Retries(),  # noqa: B008 - immutable
        channel_options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        """Prepare a client. See `accredit.Client`."""
        self._options = CallOptions(
            timeout=checked_timeout(timeout),
            token=token_source(token, token_file),
            site=site_or_default(site),
            retries=retries,
        )
        self._connection = connection(
            address,
            ca_file=ca_file,
            credentials=credentials,
            insecure=insecure,
            options=channel_options,
        )
        self._stubs = Stubs(self._connection)
        super().__init__(Transport(self._stubs, self._options))

    def with_options(
        self,
        *,
        token: str | None = None,
        timeout: float | None = None,
        site: int | None = None,
        retries: Retries | None = None,
    ) -> Self:
        """The same client with other settings. See `accredit.Client.with_options`."""
        other = copy.copy(self)
        other._options = self._options.but(token=token, timeout=timeout, site=site, retries=retries)
        Services.__init__(other, Transport(self._stubs, other._options))
        return other

    @property
    def channel(self) -> grpc.aio.Channel:
        """The bare channel. See `accredit.Client.channel`."""
        return self._stubs.channel

    async def close(self) -> None:
        """Close the connection; calls under way end with Cancelled."""
        await self._stubs.channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<accredit.aio.Client of {self._connection.address}>"


class Stubs:
    """The channel and what sends over it; shared by a client and its variants."""

    def __init__(self, to: Connection) -> None:
        self._to = to
        self._prepared: dict[str, Callable[..., Any]] = {}

    @cached_property
    def channel(self) -> grpc.aio.Channel:
        """Opened at first use, because it is bound to the loop that then runs."""
        if self._to.credentials is None:
            return grpc.aio.insecure_channel(self._to.address, self._to.options)
        return grpc.aio.secure_channel(self._to.address, self._to.credentials, self._to.options)

    def of(self, method: Method) -> Callable[..., Any]:
        """What sends one attempt at the call."""
        if method.path not in self._prepared:
            prepare = self.channel.unary_stream if method.streams else self.channel.unary_unary
            self._prepared[method.path] = prepare(
                method.path, method.request.SerializeToString, method.response.FromString
            )
        return self._prepared[method.path]


class Transport:
    """Carries out calls with one set of options. See _services.Transport."""

    def __init__(self, stubs: Stubs, options: CallOptions) -> None:
        self._stubs = stubs
        self._options = options

    def call(self, method: Method, request: Message, timeout: float | None) -> Any:
        """See Transport."""
        if method.streams:
            return self._stream(method, request, timeout)
        return self._call(method, request, timeout)

    async def _call(self, method: Method, request: Message, timeout: float | None) -> Any:
        send = self._stubs.of(method)
        request = method.named(request)
        attempts = self._options.attempts(method, timeout)
        while True:
            try:
                return await send(
                    request, timeout=attempts.timeout(), metadata=self._options.metadata()
                )
            except grpc.RpcError as error:
                await asyncio.sleep(attempts.wait(error))

    async def _stream(
        self, method: Method, request: Message, timeout: float | None
    ) -> AsyncIterator[Message]:
        limit = self._options.attempts(method, timeout).timeout()
        answers = self._stubs.of(method)(request, timeout=limit, metadata=self._options.metadata())
        try:
            async for answer in answers:
                yield answer
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
        finally:
            # For whoever stops half way; of no effect on a stream that has ended.
            answers.cancel()

    async def iterate(
        self, method: Method, request: Message, timeout: float | None
    ) -> AsyncIterator[Message]:
        """See Transport."""
        page: Message | None = method.first_page(request)
        while page is not None:
            response = await self._call(method, page, timeout)
            for item in getattr(response, method.items):
                yield item
            page = method.next_page(page, response)
