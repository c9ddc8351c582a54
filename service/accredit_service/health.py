"""gRPC's health service: whether the process lives, and whether it can do its work.

The service "" is liveness and says SERVING for as long as the server does: a process must not be
restarted because its database is away. The named services are readiness.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

from . import logs

log = logging.getLogger(__name__)

SERVICE = health.SERVICE_NAME
#: The named service that stands for all of ours.
READINESS = "accredit.v1"

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN

# How soon a watcher of nothing notices that the server stops.
_LOOK_SECONDS = 0.5


class Health(health.HealthServicer):
    """gRPC's own servicer, whose watchers end when the server stops rather than hold it up."""

    def __init__(self) -> None:
        # Blocking: a client that does not read then holds one thread and not everybody's lock.
        super().__init__(experimental_non_blocking=False)
        # Replaced and never changed, so that it is read without a lock.
        self._statuses: Mapping[str, Any] = {"": _SERVING}
        self._stopping = threading.Event()

    # The parent's other way to answer, by a callback, is not used here.
    def Watch(  # type: ignore[override]
        self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext
    ) -> Iterator[health_pb2.HealthCheckResponse]:
        """See health.proto.

        A name that there is not will never be there, and is not kept: anybody can make names up.
        """
        if request.service not in self._statuses:
            yield health_pb2.HealthCheckResponse(status=_UNKNOWN)
            self._wait_for_the_end(context)
            return
        for answer in super().Watch(request, context):
            yield answer
            if self._stopping.is_set() and answer.status != _SERVING:
                return

    # The stubs of the library are older than this call.
    def List(self, _request: Any, _context: grpc.ServicerContext) -> Any:
        """See health.proto."""
        messages: Any = health_pb2
        statuses = {
            name: messages.HealthCheckResponse(status=status)
            for name, status in self._statuses.items()
        }
        return messages.HealthListResponse(statuses=statuses)

    def set(self, service: str, status: Any) -> None:
        """Say how a service does, to whoever asks or watches."""
        super().set(service, status)
        self._statuses = {**self._statuses, service: status}

    def _wait_for_the_end(self, context: grpc.ServicerContext) -> None:
        """Of the call, or of the server."""
        over = threading.Event()
        # False: it has ended already.
        if context.add_callback(over.set):
            while not over.wait(_LOOK_SECONDS) and not self._stopping.is_set():
                pass

    def stop(self) -> None:
        """NOT_SERVING for good, to everybody who asks or watches."""
        self._stopping.set()
        self.enter_graceful_shutdown()


class Readiness:
    """Keeps the health of named services equal to whether the database answers in time."""

    def __init__(
        self,
        servicer: health.HealthServicer,
        names: Sequence[str],
        probe: Callable[[], object],
        *,
        patience: float = 1.0,
    ) -> None:
        """``probe`` raises where the database cannot be used; taking too long is as bad."""
        self._servicer = servicer
        self._names = names
        self._probe = probe
        self._patience = patience
        self._asked: _Asked | None = None
        self._ready: bool | None = None

    def check(self) -> bool:
        """Ask once and say it; whether it is ready. Takes ``patience`` at most."""
        if self._asked is None:
            self._asked = _Asked(self._probe)
            self._asked.start()
        self._asked.join(self._patience)
        if self._asked.is_alive():
            # Asked again only once this one has ended: a hanging database gets one probe.
            return self._say("the database does not answer in time")
        asked, self._asked = self._asked, None
        return self._say(asked.problem)

    def _say(self, problem: str) -> bool:
        ready = not problem
        # Only a change: watchers are told each time.
        if ready is not self._ready:
            self._ready = ready
            log.log(
                logging.INFO if ready else logging.WARNING,
                "ready" if ready else "not ready",
                extra=logs.fields(why=problem or None),
            )
            for name in self._names:
                self._servicer.set(name, _SERVING if ready else _NOT_SERVING)
        return ready


class _Asked(threading.Thread):
    """One probe. It may hang with the database, and hangs neither its caller nor the process."""

    def __init__(self, probe: Callable[[], object]) -> None:
        super().__init__(name="probe", daemon=True)
        self._probe = probe
        self.problem = ""

    def run(self) -> None:
        """Ask."""
        try:
            self._probe()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not ready
            self.problem = repr(error)
