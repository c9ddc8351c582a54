"""Where everything is put together: settings in, a running server out."""

import errno
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self, cast

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc

from accredit_storage import migrate
from accredit_storage.store import Store

from . import channelz, logs, reflection
from .abilities.calls import introspection
from .abilities.calls.app import App
from .abilities.policy.methods import METHODS, Method, Pool
from .abilities.policy.permissions import Action
from .abilities.policy.rights import Principal
from .background import Housekeeping, Ticker, attempt_within, stop_all
from .feed import Feed
from .health import READINESS, SERVICE, Health, Readiness
from .interceptors.access import check_access, check_rows
from .interceptors.authentication import authenticate, screen
from .interceptors.calls import Screen, Step
from .interceptors.limits import (
    BESIDE_FILE,
    CHANNEL_OPTIONS,
    KEEPALIVE_OPTIONS,
    MESSAGE_LIMIT,
    Deadlines,
    limit_metadata,
    receive_limit,
    share_among_sources,
    share_among_users,
)
from .interceptors.pipeline import Pipeline, Route
from .interceptors.replies import Replies
from .interceptors.telemetry import log_calls, refuse
from .interceptors.worker_pools import WorkerPool
from .pools import DOWNLOADS_OF_ONE, WATCHERS_OF_ONE, Pools
from .servicers import Service
from .setting_rules import Reflection
from .settings import Settings
from .tls import Certificates

log = logging.getLogger(__name__)

# The database is asked this often, and for this long at most: together they are within the two
# seconds in which readiness promises to follow it.
_PROBE_SECONDS = 0.5
_PROBE_PATIENCE = 1.0
_SWEEP_SECONDS = 3600.0
_UPKEEP_SECONDS = 2.0
# Beyond the grace, for each of two things: a database that hangs must not hold up the end.
_TIDY_PATIENCE = 1.0
_OVERDUE_SECONDS = 1.0
# How often it is looked which requests are slow, or too slow.
_ARRIVALS_SECONDS = 0.02

# Their stubs name another type, which is the same at run time.
_HEALTH = cast("ServiceDescriptor", health_pb2.DESCRIPTOR.services_by_name["Health"])


class StartError(Exception):
    """The server cannot start. The message says why, for whoever starts it."""


class Server:
    """A server that listens on ``address`` once it is started."""

    def __init__(
        self,
        *,
        inner: grpc.Server,
        address: str,
        grace: float,
        health: Health,
        readiness: Readiness,
        housekeeping: Housekeeping,
        tickers: Sequence[Ticker],
        pools: Sequence[WorkerPool],
        probed: Store,
        feed: Feed,
    ) -> None:
        self.address = address
        self._inner = inner
        self._grace = grace
        self._health = health
        self._readiness = readiness
        self._housekeeping = housekeeping
        self._tickers = tickers
        self._pools = pools
        self._probed = probed
        self._feed = feed

    def start(self) -> None:
        """Serve. Readiness has been found out before the first call can come."""
        self._readiness.check()
        self._inner.start()
        for ticker in self._tickers:
            ticker.start()

    def stop(self, grace: float | None = None) -> None:
        """Take no more calls, give those that run ``grace`` seconds, and tidy up.

        By default the setting's. Whoever asks for the health hears NOT_SERVING first.
        """
        self._health.stop()
        self._inner.stop(self._grace if grace is None else grace).wait()
        stop_all(self._tickers, _TIDY_PATIENCE)
        attempt_within("usage", _TIDY_PATIENCE, self._housekeeping.flush_usage)
        self._probed.close()
        self._feed.close()
        for pool in self._pools:
            pool.shutdown(wait=False)

    @property
    def is_idle(self) -> bool:
        """Whether no thread works on a call. One may after the stop, if the database hangs."""
        return not any(pool.load for pool in self._pools)

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop at once."""
        self.stop(0)


def build(
    settings: Settings,
    app: App,
    services: Sequence[Service],
    *,
    rows: Mapping[str, Method] = METHODS,
    clock: Callable[[], float] = time.monotonic,
    upkeep: Callable[[], object] = lambda: None,
    shares_port: bool = False,
) -> Server:
    """A server that has its port and does not serve yet. ``upkeep`` is called every two seconds.

    ``shares_port``: other processes may listen there too.

    Raises SettingsError, StartError, or RuntimeError where ``rows`` and the methods of
    ``services`` do not match.
    """
    check_rows(
        rows,
        {
            f"{service.descriptor.name}/{method.name}": method.server_streaming
            for service in services
            for method in service.descriptor.methods
        },
    )
    pools = Pools.make(settings.threads, _largest_request(settings), clock)
    deadlines = Deadlines(settings.default_deadline, clock)
    steps = _Steps.make(settings, app, rows, deadlines, clock)
    inner = grpc.server(
        pools.calls.pool,
        interceptors=[
            Pipeline(
                partial(
                    _route,
                    {**rows, **_COMPANIONS},
                    pools,
                    steps,
                    _largest_request(settings),
                    Replies(app) if app.memory.replies.is_on else None,
                ),
                pools.refusals,
                refuse(clock),
            )
        ],
        options=_options(settings, shares_port),
        # The pools are the limit; this only keeps the refusals from piling up.
        maximum_concurrent_rpcs=pools.capacity,
    )
    for service in services:
        service.add(inner)
    health = Health()
    _add_companions(settings, inner, health, services)
    port = _listen(settings, inner)
    names = [READINESS, *(service.descriptor.full_name for service in services)]
    # Over a connection of its own: a pool that is busy is not a database that is away.
    probed = Store.open(settings.database, pool_size=1)
    readiness = Readiness(health, names, partial(_probe, probed, app), patience=_PROBE_PATIENCE)
    housekeeping = Housekeeping(app)
    return Server(
        inner=inner,
        address=str(settings.listen._replace(port=port)),
        grace=settings.grace,
        health=health,
        readiness=readiness,
        housekeeping=housekeeping,
        tickers=[
            *_followers(settings, app.memory.feed),
            Ticker("readiness", _PROBE_SECONDS, readiness.check),
            Ticker("arrivals", _ARRIVALS_SECONDS, pools.check),
            Ticker("deadlines", _OVERDUE_SECONDS, deadlines.release_overdue),
            Ticker("usage", settings.last_used_flush, housekeeping.flush_usage),
            Ticker("upkeep", _UPKEEP_SECONDS, upkeep),
            Ticker("sweep", _SWEEP_SECONDS, housekeeping.sweep, at_once=True),
        ],
        pools=pools.all(),
        probed=probed,
        feed=app.memory.feed,
    )


def _followers(settings: Settings, feed: Feed) -> Sequence[Ticker]:
    """What keeps memory true where nobody asks before each answer."""
    if not feed.is_polled:
        return ()
    return (Ticker("feed", settings.feed_interval, feed.poll, at_once=True),)


@dataclass(frozen=True, slots=True)
class _Steps:
    """What each call goes through, by kind of call, outermost first.

    ``first`` come before the steps of everybody who has to say who they are. An answer at once
    does what they do: see ``pipeline``.
    """

    first: Sequence[Step]
    calls: Sequence[Step]
    downloads: Sequence[Step]
    health: Sequence[Step]
    watchers: Sequence[Step]
    #: Beside health, what answers without a token.
    open: frozenset[str]
    #: What is seen of everybody else before their call begins.
    screen: Screen

    @classmethod
    def make(
        cls,
        settings: Settings,
        app: App,
        rows: Mapping[str, Method],
        deadlines: Deadlines,
        clock: Callable[[], float],
    ) -> Self:
        """The order is what keeps it safe.

        Everything is logged. Nobody's request is parsed before they are known and allowed.
        """
        is_open = frozenset[str]()
        if settings.reflection_mode is Reflection.OPEN:
            is_open = frozenset(reflection.METHODS)
        calls = (
            authenticate(
                lambda text, method: introspection.identify(app, text, rows.get(method)),
                remembered=partial(_remembered, app, rows),
                is_open=is_open.__contains__,
            ),
            check_access({**rows, **_COMPANIONS}),
        )
        return cls(
            first=(log_calls(clock), limit_metadata, deadlines.limit),
            calls=calls,
            downloads=(*calls, share_among_users(DOWNLOADS_OF_ONE)),
            # Not logged, open to everybody; a watcher stays for as long as it likes.
            health=(deadlines.limit,),
            watchers=(share_among_sources(WATCHERS_OF_ONE, settings.trusted_proxies),),
            open=is_open,
            screen=screen(partial(introspection.screen, app)),
        )


def _methods(descriptor: ServiceDescriptor) -> Sequence[str]:
    return [f"{descriptor.full_name}/{method.name}" for method in descriptor.methods]


#: Health is not here: it answers everybody.
_COMPANIONS: Mapping[str, Method] = {
    **dict.fromkeys(reflection.METHODS, Method(pool=Pool.STREAMS)),
    **dict.fromkeys(
        _methods(channelz.SERVICE), Method(any_action=frozenset({Action.MANAGE_SETTINGS}))
    ),
}


def _largest_request(settings: Settings) -> int:
    return max(MESSAGE_LIMIT, settings.max_file_bytes + BESIDE_FILE)


def _remembered(
    app: App, rows: Mapping[str, Method], digest: bytes, method: str
) -> Principal | None:
    # The companions do not judge their callers again.
    row = rows.get(method)
    return None if row is None else introspection.remembered(app, digest, row)


def _route(
    rows: Mapping[str, Method],
    pools: Pools,
    steps: _Steps,
    largest: int,
    replies: Replies | None,
    method: str,
    streams: bool,
) -> Route:
    """Which threads, steps and size a method gets. Health must answer when nothing else does."""
    if method.startswith(f"{SERVICE}/"):
        if streams:
            return Route(pools.watchers, steps.watchers)
        return Route(pools.health, steps.health)
    row = rows[method]
    return Route(
        pools.of(row.pool),
        steps.downloads if row.pool is Pool.DOWNLOADS else steps.calls,
        first_steps=steps.first,
        max_bytes=largest if row.brings_file else MESSAGE_LIMIT,
        screen=None if method in steps.open else steps.screen,
        replies=replies if row.kept else None,
    )


def _options(settings: Settings, shares_port: bool) -> Sequence[tuple[str, object]]:
    return (
        *CHANNEL_OPTIONS,
        *KEEPALIVE_OPTIONS,
        receive_limit(_largest_request(settings)),
        # By default two servers could share a port without noticing, each with half of the calls.
        ("grpc.so_reuseport", int(shares_port)),
        ("grpc.max_connection_age_ms", round(settings.max_connection_age * 1000)),
        # Calls that are under way then may end as they would have.
        ("grpc.max_connection_age_grace_ms", round(settings.default_deadline * 1000) + 5000),
        ("grpc.enable_channelz", int(settings.channelz)),
    )


def _add_companions(
    settings: Settings, inner: grpc.Server, health: Health, services: Sequence[Service]
) -> None:
    health_pb2_grpc.add_HealthServicer_to_server(health, inner)
    companions = [_HEALTH.file]
    if settings.channelz:
        channelz.add_channelz(inner)
        companions.append(channelz.SERVICE.file)
    if settings.reflection_mode is not Reflection.OFF:
        names = [service.descriptor.full_name for service in services]
        reflection.add_reflection(inner, names, companions)


def _listen(settings: Settings, inner: grpc.Server) -> int:
    """Take the address: the real port."""
    address = str(settings.listen)
    try:
        if settings.tls_certificate is None or settings.tls_key is None:
            return inner.add_insecure_port(address)
        certificates = Certificates(
            settings.tls_certificate, settings.tls_key, settings.tls_client_ca
        )
        return inner.add_secure_port(address, certificates.credentials())
    except RuntimeError:
        raise StartError(_why_not(settings)) from None


def _why_not(settings: Settings) -> str:
    """Why gRPC could not listen, which it keeps to itself."""
    host, port = settings.listen
    why = "the address cannot be listened on"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
            tried.listen(1)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        if error.errno == errno.EADDRINUSE:
            why += ": another server runs there, or choose another with --listen"
    return f"cannot listen on {settings.listen}: {why}"


def _probe(store: Store, app: App) -> object:
    with store.read() as tx:
        # While this server runs, a later version may upgrade the database.
        migrate.check_generation(tx)
        head, keys = tx.head(), tx.token_keys()
    # Also where nobody asks: what is refused without a look-up would notice neither a restore nor
    # that a key was added or retired.
    app.notice(head)
    app.keyring.hold(keys)
    return head


def serve_until_signalled(server: Server, started: Callable[[], None]) -> int:
    """Serve until SIGTERM or SIGINT, then stop: 0. A second signal does not wait: its number."""
    # Python runs its handlers between two steps of the main thread, so one that comes just before
    # that thread begins to wait would not be noticed. What is written into a pipe is.
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    server.start()
    log.info("listening", extra=logs.fields(address=server.address))
    started()
    received = os.read(reader, 1)[0]
    log.info("stopping", extra=logs.fields(signal=signal.Signals(received).name))

    def stop() -> None:
        server.stop()
        os.write(writer, b"\0")

    threading.Thread(target=stop, name="stop", daemon=True).start()
    if again := os.read(reader, 1)[0]:
        log.warning("stopped at once", extra=logs.fields(signal=signal.Signals(again).name))
    else:
        log.info("stopped")
    return again
