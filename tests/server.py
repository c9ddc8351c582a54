"""A whole server on a port of its own, and the people who call it.

``Server`` is what tests of behaviour talk to: the generated stubs, over the wire. Its clock can
be moved, so that expiry is tested without waiting.
"""

import itertools
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc_status import rpc_status

from accredit.v1 import (
    access_pb2,
    agent_pb2,
    auth_pb2,
    change_pb2,
    directory_pb2,
    registry_pb2,
    scope_pb2,
    site_pb2,
    token_pb2,
    user_pb2,
)
from accredit_service.abilities import bootstrap
from accredit_service.abilities.calls.app import App, Limits
from accredit_service.server import build
from accredit_service.servicers import services
from accredit_service.setting_rules import Address
from accredit_service.settings import Settings
from accredit_storage.directory.directories import Directories
from accredit_storage.store import Store

MODULES = (
    agent_pb2,
    access_pb2,
    token_pb2,
    auth_pb2,
    user_pb2,
    site_pb2,
    scope_pb2,
    change_pb2,
    directory_pb2,
    registry_pb2,
)


class Clock:
    """The server's clock: the real one, moved on by as much as a test says."""

    def __init__(self) -> None:
        self._shift = timedelta()
        self._stopped: datetime | None = None

    def __call__(self) -> datetime:
        """The moment."""
        return (self._stopped or datetime.now(UTC)) + self._shift

    def stop(self) -> datetime:
        """Stand still from now on, so that only ``advance`` moves it: the moment."""
        self._stopped = datetime.now(UTC)
        return self()

    def advance(self, **shift: float) -> None:
        """Move on; the arguments are timedelta's."""
        self._shift += timedelta(**shift)


class RefusedError(Exception):
    """A call that was refused, with what its details say."""

    def __init__(self, error: grpc.RpcError) -> None:
        call: Any = error  # It is one as well, which types-grpcio does not know.
        self.code: grpc.StatusCode = call.code()
        self.message: str = call.details() or ""
        self.reason = ""
        self.metadata: Mapping[str, str] = {}
        self.fields: Sequence[str] = ()
        self.retry_after: float | None = None
        status = rpc_status.from_call(call)
        for detail in () if status is None else status.details:
            info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
            if detail.Unpack(info):
                self.reason, self.metadata = info.reason, dict(info.metadata)
            elif detail.Unpack(bad):
                self.fields = [violation.field for violation in bad.field_violations]
            elif detail.Unpack(retry):
                self.retry_after = retry.retry_delay.ToTimedelta().total_seconds()
        super().__init__(f"{self.code.name} {self.reason}: {self.message}")

    @property
    def what(self) -> str:
        """Code and reason: "NOT_FOUND USER_NOT_FOUND"."""
        return f"{self.code.name} {self.reason}"


@dataclass(frozen=True)
class Person:
    """Somebody who calls: a user with a token, or an agent's token."""

    server: "Server"
    token: str
    token_id: str = ""
    user_id: int = 0
    agent_id: int = 0
    login: str = ""

    @property
    def ref(self) -> dict[str, Any]:
        """The field that names this user in a request."""
        return {"user": {"user_id": self.user_id}}

    def call(self, method: str, /, _metadata: Sequence[tuple[str, str]] = (), **fields: Any) -> Any:
        """Call "AgentService/GetAgent" with these fields. Raises RefusedError."""
        return self.server.call(method, self.token, _metadata, **fields)

    def refused(self, method: str, /, **fields: Any) -> RefusedError:
        """The refusal of such a call; an AssertionError if it is not refused."""
        try:
            answer = self.call(method, **fields)
        except RefusedError as refusal:
            return refusal
        raise AssertionError(f"{method} was answered: {answer}")


class Server:
    """A running server and its administrator."""

    def __init__(self, address: str, app: App, clock: Clock, secret: str, user_id: int) -> None:
        self.address = address
        self.app = app
        self.clock = clock
        # A connection of its own: gRPC would otherwise share one among all channels to an address.
        self.channel = grpc.insecure_channel(
            address, options=[("grpc.use_local_subchannel_pool", 1)]
        )
        # Of each call, in seconds.
        self.timeout: float | None = 30.0
        self._numbers = itertools.count(1)
        self._methods = {
            f"{service.name}/{method.name}": method
            for module in MODULES
            for service in module.DESCRIPTOR.services_by_name.values()
            for method in service.methods
        }
        self.admin = Person(self, secret, user_id=user_id, login="admin")

    def again(self) -> "Server":
        """The same server over another connection, which the caller closes."""
        admin = self.admin
        return Server(self.address, self.app, self.clock, admin.token, admin.user_id)

    def close(self) -> None:
        """End the connection."""
        self.channel.close()

    @property
    def methods(self) -> Mapping[str, Any]:
        """The descriptors of all methods, by "AgentService/GetAgent"."""
        return self._methods

    def request_of(self, method: str) -> Any:
        """The message class that a method takes."""
        return GetMessageClass(self._methods[method].input_type)

    def call(
        self,
        method: str,
        token: str | None,
        /,
        metadata: Sequence[tuple[str, str]] = (),
        request: Any = None,
        **fields: Any,
    ) -> Any:
        """One call, as a stranger if there is no token: a stream's answers as a list.

        Raises RefusedError.
        """
        descriptor = self._methods[method]
        streams = descriptor.server_streaming
        invoke: Any = (self.channel.unary_stream if streams else self.channel.unary_unary)(
            f"/{descriptor.containing_service.full_name}/{descriptor.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(descriptor.output_type).FromString,
        )
        sent = list(metadata)
        if token is not None:
            sent.append(("authorization", f"Bearer {token}"))
        message = self.request_of(method)(**fields) if request is None else request
        try:
            answer = invoke(message, metadata=sent, timeout=self.timeout)
            return list(answer) if streams else answer
        except grpc.RpcError as error:
            raise RefusedError(error) from None

    def name(self, stem: str) -> str:
        """A name that this server has not heard yet, clean as a slug and as a login."""
        return f"{stem}-{next(self._numbers)}"

    def user(self, role: str = "MEMBER", login: str = "", **fields: Any) -> Person:
        """A new user with a token of full rights, minted by the administrator."""
        login = login or f"{role.lower()}{next(self._numbers)}"
        made = self.admin.call(
            "UserService/CreateUser", login=login, role=f"USER_ROLE_{role}", **fields
        )
        user_id = made.user.user_id
        minted = self.admin.call(
            "TokenService/CreateToken", user={"user_id": user_id}, full_rights=True
        )
        return Person(
            self, minted.secret, token_id=minted.token.token_id, user_id=user_id, login=login
        )

    def site(self) -> int:
        """The id of a new site."""
        made = self.admin.call("SiteService/CreateSite", site_slug=self.name("site"))
        site_id: int = made.site.site_id
        return site_id

    def agent(self, owner: Person, slug: str = "", **fields: Any) -> Any:
        """A new agent, made by the administrator for its owner."""
        slug = slug or f"agent-{next(self._numbers)}"
        answer = self.admin.call(
            "AgentService/CreateAgent", agent_slug=slug, owner={"user_id": owner.user_id}, **fields
        )
        return answer.agent

    def user_token(self, user: Person, **fields: Any) -> Person:
        """Another token of a user, minted by themselves; full rights unless a ceiling is given."""
        if "ceiling" not in fields:
            fields["full_rights"] = True
        minted = user.call("TokenService/CreateToken", **user.ref, **fields)
        return replace(user, token=minted.secret, token_id=minted.token.token_id)

    def agent_token(self, minter: Person, agent_id: int, **fields: Any) -> Person:
        """An agent's token as somebody who calls; full rights unless a ceiling is given."""
        if "ceiling" not in fields:
            fields["full_rights"] = True
        minted = minter.call("TokenService/CreateToken", agent={"agent_id": agent_id}, **fields)
        return Person(self, minted.secret, token_id=minted.token.token_id, agent_id=agent_id)

    def grant(self, agent_id: int, to: Person, role: str = "VIEWER", **fields: Any) -> Any:
        """A grant, made by the administrator."""
        return self.admin.call(
            "AccessService/GrantAccess",
            agent={"agent_id": agent_id},
            principal={"user_id": to.user_id},
            role=f"ROLE_{role}",
            **fields,
        ).grant


@contextmanager
def running_server(
    database_url: str,
    data_dir: Path,
    *,
    limits: Limits | None = None,
    files: Path | None = None,
    more: Mapping[str, Any] = MappingProxyType({}),
    clock: Clock | None = None,
    **settings: Any,
) -> Generator[Server]:
    """A server on a migrated database, with its first administrator.

    ``files`` is the root of its files where several share it, ``more`` are fields of its App.
    """
    clock = clock or Clock()
    store = Store.open(database_url)
    app = App(
        store=store,
        directories=Directories(store, files or data_dir / "files", now=clock),
        limits=limits or Limits(agents_per_user=100),
        now=clock,
        **more,
    )
    app.directories.start()
    made = bootstrap.bootstrap(app, lambda _: None)
    if made is None:
        made = bootstrap.new_token(app, lambda _: None)
    configured = Settings(
        listen=Address("127.0.0.1", 0), database_url=database_url, data_dir=data_dir, **settings
    )
    with build(configured, app, services(app)) as running:
        server = Server(running.address, app, clock, made.secret, made.user.user_id)
        try:
            yield server
        finally:
            server.close()
    store.close()
