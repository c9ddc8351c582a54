"""gRPC's health service: whether the process lives, and whether it can do its work.

The service "" is liveness and says SERVING for as long as the server does: a process must not be
restarted because its database is away. The named services are readiness.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence

import grpc
from grpc_health.v1 import health, health_pb2

from . import logs

log = logging.getLogger(__name__)

SERVICE = health.SERVICE_NAME
#: The named service that stands for all of ours.
READINESS = "accredit.v1"

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Health(health.HealthServicer):
    """gRPC's own servicer, whose watchers end when the server stops rather than hold it up."""

    def __init__(self) -> None:
        # Blocking: a client that does not read then holds one thread and not everybody's lock.
        super().__init__(experimental_non_blocking=False)
        self._stopping = threading.Event()

    # The parent's other way to answer, by a callback, is not used here.
    def Watch(  # type: ignore[override]
        self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext
    ) -> Iterator[health_pb2.HealthCheckResponse]:
        """See health.proto."""
        for answer in super().Watch(request, context):
            yield answer
            if self._stopping.is_set() and answer.status != _SERVING:
                return

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
