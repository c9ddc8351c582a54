"""Whole servers in processes of their own: several on one database, or one that is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from accredit_service.abilities.calls.app import App
from accredit_service.health import READINESS
from accredit_storage.directory.directories import Directories
from accredit_storage.store import Store
from tests.server import Clock, Server

#: Nothing here takes as long as this, in seconds; what would hang fails instead.
PATIENCE = 50.0

_LISTENING = "listening on "
# What the processes are given says it all.
_ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith("ACCREDIT_")
}


class StartFailed(Exception):
    """The process ended instead of listening. The message is what it said."""


class ServerProcess:
    """A server that has been started; ``ready`` waits until it serves."""

    def __init__(
        self,
        database_url: str,
        data_dir: Path,
        *flags: str,
    ) -> None:
        self.database_url = database_url
        self.data_dir = data_dir
        self._log = data_dir.with_name(f"{data_dir.name}-{time.monotonic_ns()}.log")
        self.began = time.monotonic()
        with self._log.open("wb") as log:
            self.popen = subprocess.Popen(
                [
                    *(sys.executable, "-m", "accredit_service.cli", "serve"),
                    *("--listen", "127.0.0.1:0", "--data-dir", str(data_dir)),
                    *("--database-url", database_url, "--log-format", "json", *flags),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=_ENVIRONMENT,
            )

    @cached_property
    def address(self) -> str:
        """Where it listens, once it does."""
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            if line.startswith(_LISTENING):
                return line.removeprefix(_LISTENING).strip()
        self.popen.wait(PATIENCE)
        raise StartFailed(self.log_text())

    @cached_property
    def server(self) -> Server:
        """A caller of it, as the administrator whose token is in the data folder.

        Its ``app`` is one of ours on the same database; its clock moves nothing in the process.
        """
        clock = Clock()
        store = Store.open(self.database_url, pool_size=2)
        app = App(store=store, directories=Directories(store, self.data_dir / "files"), now=clock)
        app.directories.start()
        secret = (self.data_dir / "administrator.token").read_text().strip()
        server = Server(self.address, app, clock, secret, 0)
        user_id = server.admin.call("AuthService/WhoAmI").user.user_id
        server.close()
        return Server(self.address, app, clock, secret, user_id)

    def ready(self) -> "ServerProcess":
        """Wait until its health says that it serves. Raises StartFailed."""
        await_health(self.address, serving=True)
        return self

    def kill(self) -> None:
        """End it without a chance to tidy up."""
        self.popen.kill()
        self.popen.wait(PATIENCE)

    def stop(self) -> int:
        """Ask it to end, and wait: its exit code."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(PATIENCE)

    def log_text(self) -> str:
        """All that it has logged."""
        return self._log.read_text(errors="replace")

    def log_lines(self) -> Sequence[dict[str, Any]]:
        """The same, parsed: every line must be an object of JSON."""
        return [json.loads(line) for line in self.log_text().splitlines()]

    def close(self) -> None:
        """Kill it if it runs, and close what hangs on it."""
        if "server" in self.__dict__:
            self.server.close()
            self.server.app.store.close()
        self.kill()
        assert self.popen.stdout is not None
        self.popen.stdout.close()


@contextmanager
def launched(
    database_url: str,
    data_dir: Path,
    *flags: str,
) -> Generator[ServerProcess]:
    """A process that may not be ready yet."""
    process = ServerProcess(database_url, data_dir, *flags)
    try:
        yield process
    finally:
        process.close()


def await_health(address: str, *, serving: bool, service: str = READINESS) -> None:
    """Wait until the server's health is that; it is told, not polled for."""
    wanted = (
        health_pb2.HealthCheckResponse.SERVING
        if serving
        else health_pb2.HealthCheckResponse.NOT_SERVING
    )
    request = health_pb2.HealthCheckRequest(service=service)
    with grpc.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)  # Its types know no methods.
        watch = stub.Watch(request, timeout=PATIENCE, wait_for_ready=True)
        for answer in watch:
            if answer.status == wanted:
                watch.cancel()
                return
    raise AssertionError(f"the health of {service!r} was never serving={serving}")


def health_of(address: str, service: str = READINESS) -> int:
    """What the server's health is now."""
    with grpc.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE)
    return int(answer.status)
