"""Several server processes on one port, and the supervisor that starts, replaces and stops them.

Every process is started fresh and none is forked, which gRPC does not survive. The kernel deals the
connections out among those that listen (SO_REUSEPORT). The supervisor serves nothing itself and
knows nothing of gRPC.
"""

import contextlib
import errno
import logging
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from . import logs
from .setting_rules import Address

log = logging.getLogger(__name__)

#: Seconds after which a worker that has died is replaced at once.
STEADY = 10.0
#: Seconds before a worker that died sooner is replaced: after its first death, and at most.
FIRST_DELAY, LONGEST_DELAY = 0.1, 2.0
#: Seconds that a worker has beyond its grace before it is killed.
PATIENCE = 10.0

_READY = b"r"


class AddressTaken(Exception):
    """Somebody else listens there. The message says what to do."""


@contextmanager
def reserved(listen: Address) -> Generator[Address]:
    """Hold a port for as long as the block lasts, so that workers can share it: the real address.

    Nothing listens on it yet. Raises AddressTaken, or OSError.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        *listen, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as alone:
        alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            # By itself first: two servers must not share a port by accident.
            alone.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise AddressTaken(
                f"cannot listen on {listen}: another server runs there, or choose another with "
                "--listen"
            ) from None
        port = alone.getsockname()[1]
    with socket.socket(family, kind, protocol) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((address[0], port, *address[2:]))
        yield listen._replace(port=port)


class Link:
    """A worker's end of the line to its supervisor."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)

    def say_ready(self) -> None:
        """Say that it serves; and from now on stop when the supervisor is gone."""
        self._socket.sendall(_READY)
        threading.Thread(target=self._watch, name="supervisor", daemon=True).start()

    def _watch(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.recv(1)
        os.kill(os.getpid(), signal.SIGTERM)


@dataclass(eq=False)
class _Worker:
    """One process, and our end of the line to it."""

    process: "subprocess.Popen[bytes]"
    line: socket.socket
    begun_at: float
    #: How many before it in the same place died soon after their start.
    deaths: int
    is_ready: bool = False
    is_stopping: bool = False

    def hear(self) -> None:
        """Take what it says: that it is ready, or that it has ended."""
        with contextlib.suppress(OSError):
            self.is_ready = self.line.recv(1) == _READY
        if not self.is_ready:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.1)


class Supervisor:
    """Keeps ``count`` workers alive until it is told to stop."""

    def __init__(
        self,
        command: Callable[[int, bool], Sequence[str]],
        count: int,
        *,
        grace: float,
    ) -> None:
        """``command`` of a worker: given the descriptor of its line, and whether it is the first.

        ``grace``: the seconds that it takes to stop, at most.
        """
        self._command = command
        self._count = count
        self._grace = grace
        self._workers: list[_Worker] = []
        # When to start another one, and after how many early deaths in that place.
        self._due: list[tuple[float, int]] = []
        # Those that are to take the place of all others, while they start.
        self._fresh: list[_Worker] | None = None
        self._killed_at = float("inf")
        self._has_served = False
        self._code = 0

    def run(self, started: Callable[[], None]) -> int:
        """Serve until SIGTERM or SIGINT; SIGHUP replaces every worker. The exit code.

        ``started`` is called when all workers serve. The first one is alone until it does: it may
        have to make the database.
        """
        with _signals() as received:
            first = self._start(0, is_first=True)
            while not first.is_ready and first in self._workers:
                self._turn(received)
            if not first.is_ready:
                return self._code if first.is_stopping else first.process.returncode or 1
            self._has_served = True
            for _ in range(self._count - 1):
                self._start(0)
            is_told = False
            while self._workers or self._due:
                if not is_told and self._serving() == self._count:
                    is_told = True
                    started()
                self._turn(received)
        return self._code

    def _serving(self) -> int:
        return sum(worker.is_ready and not worker.is_stopping for worker in self._workers)

    def _turn(self, received: int) -> None:
        """Wait for whatever comes next, and do what follows from it."""
        lines = {worker.line.fileno(): worker for worker in self._workers if not worker.is_ready}
        moments = [at for at, _ in self._due] + [self._killed_at]
        wait = min(moments) - time.monotonic()
        ready, _, _ = select.select([received, *lines], [], [], max(0.0, min(wait, 1.0)))
        for one in ready:
            if one == received:
                self._heed(os.read(received, 64))
            else:
                lines[one].hear()
        self._bury()
        self._go_on()

    def _heed(self, numbers: bytes) -> None:
        for number in numbers:
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stop(number)
            elif number == signal.SIGHUP and self._may_reload():
                log.info("reloading", extra=logs.fields(workers=self._count))
                self._due.clear()
                self._fresh = [self._start(0) for _ in range(self._count)]

    def _may_reload(self) -> bool:
        return self._has_served and self._fresh is None and self._killed_at == float("inf")

    def _stop(self, number: int) -> None:
        name = signal.Signals(number).name
        self._due.clear()
        self._fresh = None
        if self._killed_at < float("inf"):
            log.warning("stopped at once", extra=logs.fields(signal=name))
            self._code = 128 + number
            self._killed_at = time.monotonic()
            return
        log.info("stopping", extra=logs.fields(signal=name, workers=len(self._workers)))
        self._killed_at = time.monotonic() + self._grace + PATIENCE
        self._end(self._workers)

    def _bury(self) -> None:
        """Take out the workers that have ended, and have those replaced that should not have."""
        for worker in list(self._workers):
            code = worker.process.poll()
            if code is None:
                continue
            self._workers.remove(worker)
            worker.line.close()
            if worker.is_stopping or not self._has_served:
                continue
            log.warning("a worker has ended", extra=logs.fields(pid=worker.process.pid, code=code))
            if self._fresh is not None and worker in self._fresh:
                # What they were started for is not to be had: those that serve go on.
                log.error("not reloaded", extra=logs.fields(code=code))
                self._end(self._fresh)
                self._fresh = None
                continue
            lived = time.monotonic() - worker.begun_at
            deaths = 0 if lived >= STEADY else worker.deaths + 1
            delay = min(FIRST_DELAY * 2.0 ** (deaths - 1), LONGEST_DELAY) if deaths else 0.0
            self._due.append((time.monotonic() + delay, deaths))

    def _go_on(self) -> None:
        now = time.monotonic()
        if now >= self._killed_at:
            for worker in self._workers:
                worker.process.kill()
        for due in [one for one in self._due if one[0] <= now]:
            self._due.remove(due)
            self._start(due[1])
        fresh = self._fresh
        if fresh is not None and all(worker.is_ready for worker in fresh):
            self._fresh = None
            self._end([worker for worker in self._workers if worker not in fresh])
            log.info("reloaded", extra=logs.fields(workers=len(fresh)))

    def _end(self, workers: Sequence[_Worker]) -> None:
        for worker in workers:
            worker.is_stopping = True
            with contextlib.suppress(ProcessLookupError):
                worker.process.terminate()

    def _start(self, deaths: int, *, is_first: bool = False) -> _Worker:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                self._command(theirs.fileno(), is_first),
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                # A terminal sends its signals to all; only the supervisor says when to stop.
                process_group=0,
            )
        worker = _Worker(process, ours, time.monotonic(), deaths)
        self._workers.append(worker)
        return worker


@contextmanager
def _signals() -> Generator[int]:
    """Where the numbers of signals can be read from, those of children that end among them."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer)
    handled = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    handlers = {number: signal.signal(number, lambda _number, _frame: None) for number in handled}
    try:
        yield reader
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)
