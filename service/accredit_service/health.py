"""gRPC's health service: whether the process lives, and whether it can do its work.

The service "" is liveness and says SERVING for as long as the server does: a process must not be
restarted because its database is away. The named services are readiness.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2

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
        # The probe may hang with the database, and must not hang whoever waits for it.
        self._prober = ThreadPoolExecutor(max_workers=1, thread_name_prefix="probe")
        self._pending: Future[object] | None = None
        self._ready: bool | None = None

    def check(self) -> bool:
        """Ask once and say it; whether it is ready. Takes ``patience`` at most."""
        if self._pending is None:
            self._pending = self._prober.submit(self._probe)
        try:
            self._pending.result(self._patience)
        except TimeoutError:
            # Asked again only once this one has ended: a hanging database gets one probe.
            if self._pending.done():
                self._pending = None
            return self._say(False)
        except Exception:  # noqa: BLE001 - whatever is wrong, it is not ready; calls say what it is
            self._pending = None
            return self._say(False)
        self._pending = None
        return self._say(True)

    def close(self) -> None:
        """Ask no more."""
        self._prober.shutdown(wait=False, cancel_futures=True)

    def _say(self, ready: bool) -> bool:
        # Only a change: watchers are told each time.
        if ready is not self._ready:
            self._ready = ready
            for name in self._names:
                self._servicer.set(name, _SERVING if ready else _NOT_SERVING)
        return ready
