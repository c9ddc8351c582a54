"""The synchronous client."""

import copy
import os
import time
from collections.abc import Callable, Iterator, Sequence
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
    from accredit._faces import Services
else:
    from accredit._services import Services


class Client(Services):
    """A connection to Accredit, safe to share between threads.

    Its attributes are the services: `agents`, `access`, `tokens`, `auth`, `users`, `sites`,
    `scope`, `changes`, `directories` and `registry`; their methods the calls, in Python's
    spelling. Each takes a request message or the fields of one, and raises AccreditError.

        client.agents.get_agent(agent={"agent_slug": "billing"})
        client.agents.get_agent(GetAgentRequest(agent=agent_ref("billing")), timeout=2)

    Calls that answer in pages have an iterator beside them, which fetches a page when its
    first item is asked for and not before:

        for agent in client.agents.iterate_agents(page_size=20): ...

    Every call has a deadline. Calls that the contract declares idempotent or free of side
    effects are repeated while the server is unavailable, and so are those whose request can
    carry a request_id: the client fills it in, and a repeat has one effect. Streams are not
    repeated.
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
        """Prepare a client; the connection is made by the first call.

        Raises ValueError for settings that contradict each other or cannot work, and
        OSError for a file that cannot be read.

        Args:
            address: A gRPC target, such as "registry.example.org:443", "localhost:50051"
                or "unix:/run/accredit.sock". Default: ACCREDIT_ADDRESS.
            token: The bearer token to call with. Default: ACCREDIT_TOKEN.
            token_file: A file with the token, read again when it changes. Default:
                ACCREDIT_TOKEN_FILE. Without any token every call needs one of its own.
            ca_file: PEM certificates to trust in place of the system's. Default:
                ACCREDIT_CA_FILE.
            credentials: Channel credentials in place of all that, for instance with a
                client certificate.
            insecure: True sends everything, the token too, in plaintext to any host.
                Otherwise only loopback addresses and Unix sockets get plaintext, and
                these only without `ca_file` and `credentials`.
            site: The site_id that calls relate to where their request names none.
                Default: ACCREDIT_SITE.
            timeout: Seconds that a call may take, all attempts together; math.inf for no
                bound.
            retries: How often and how patiently safe calls are repeated.
            channel_options: Further gRPC channel options.
        """
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
        self._stubs = Stubs(_opened(self._connection))
        super().__init__(Transport(self._stubs, self._options))

    def with_options(
        self,
        *,
        token: str | None = None,
        timeout: float | None = None,
        site: int | None = None,
        retries: Retries | None = None,
    ) -> Self:
        """The same client with other settings, over the same connection.

        Cheap enough to do for a single call, and closed when the original is:

            client.with_options(token=theirs).auth.who_am_i()
        """
        other = copy.copy(self)
        other._options = self._options.but(token=token, timeout=timeout, site=site, retries=retries)
        Services.__init__(other, Transport(self._stubs, other._options))
        return other

    @property
    def channel(self) -> grpc.Channel:
        """The bare channel, for stubs of other services at the same address.

        What is called over it carries no token, no deadline and is not repeated.
        """
        return self._stubs.channel

    def close(self) -> None:
        """Close the connection; calls under way end with Cancelled."""
        self._stubs.channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<accredit.Client of {self._connection.address}>"


def _opened(to: Connection) -> grpc.Channel:
    if to.credentials is None:
        return grpc.insecure_channel(to.address, to.options)
    return grpc.secure_channel(to.address, to.credentials, to.options)


class Stubs:
    """The channel and what sends over it; shared by a client and its variants."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self._prepared: dict[str, Callable[..., Any]] = {}

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
        send = self._stubs.of(method)
        request = method.named(request)
        attempts = self._options.attempts(method, timeout)
        while True:
            try:
                return send(request, timeout=attempts.timeout(), metadata=self._options.metadata())
            except grpc.RpcError as error:
                time.sleep(attempts.wait(error))

    def _stream(self, method: Method, request: Message, timeout: float | None) -> Iterator[Message]:
        limit = self._options.attempts(method, timeout).timeout()
        answers = self._stubs.of(method)(request, timeout=limit, metadata=self._options.metadata())
        try:
            yield from answers
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
        finally:
            # For whoever stops half way; of no effect on a stream that has ended.
            answers.cancel()

    def iterate(self, method: Method, request: Message, timeout: float | None) -> Iterator[Message]:
        """See Transport."""
        page: Message | None = method.first_page(request)
        while page is not None:
            response = self.call(method, page, timeout)
            yield from getattr(response, method.items)
            page = method.next_page(page, response)
