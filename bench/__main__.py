"""How long the calls take, beside a bare echo of the same stack in the same run.

``make bench`` prints a table for each engine: the median and the 99th percentile of one call at a
time, the calls a second of eight callers at once, and each as a ratio to the echo. The echo is the
same gRPC server without interceptors, answering Authenticate with a fixed message, in a process
of its own; so is the server. Read the ratios: the absolute figures are the machine's.
"""

import argparse
import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from accredit.v1 import (
    access_pb2,
    access_pb2_grpc,
    agent_pb2,
    agent_pb2_grpc,
    auth_pb2,
    auth_pb2_grpc,
    directory_pb2,
    directory_pb2_grpc,
    token_pb2,
    token_pb2_grpc,
    types_pb2,
)
from tests.postgres import running_postgres

_CALLERS = 8
_AGENTS = 1000
_FILE_BYTES = 4096
# A fifth of the calls is enough for them.
_SLOW = {
    "UpdateAgent",
    "CreateToken",
    "CreateAgent",
    "WriteFile of 4 KiB",
    "BatchCheckAccess of 100",
}


@dataclass(frozen=True)
class Figures:
    """What was measured of one call; times in microseconds."""

    name: str
    median: float
    p99: float
    rate: float


def main() -> None:
    """Measure, and print."""
    arguments = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    arguments.add_argument("--calls", type=int, default=2000, help="calls a figure")
    arguments.add_argument("--engine", choices=("sqlite", "postgresql"), action="append")
    chosen = arguments.parse_args()
    for engine in chosen.engine or ("sqlite", "postgresql"):
        with tempfile.TemporaryDirectory() as folder, _database(engine, Path(folder)) as url:
            _print(engine, _measure(url, Path(folder), chosen.calls))


def _measure(url: str, folder: Path, calls: int) -> list[Figures]:
    with (
        _process("bench.echo") as echo,
        _process("bench.serve", url, str(folder / "secret")) as address,
    ):
        secret = (folder / "secret").read_text()
        metadata = [("authorization", f"Bearer {secret}")]
        figures = [_figures("echo", _echo(echo, metadata), calls)]
        for name, call in _calls(address, metadata):
            slow = name in _SLOW
            figures.append(_figures(name, call, calls // 5 if slow else calls))
    return figures


def _echo(address: str, metadata: Any) -> Callable[[], object]:
    stub = auth_pb2_grpc.AuthServiceStub(grpc.insecure_channel(address))
    request = auth_pb2.AuthenticateRequest(token="x" * 70)
    return lambda: stub.Authenticate(request, metadata=metadata)


def _calls(address: str, metadata: Any) -> Iterator[tuple[str, Callable[[], object]]]:
    channel = grpc.insecure_channel(address)
    auth = auth_pb2_grpc.AuthServiceStub(channel)
    agents = agent_pb2_grpc.AgentServiceStub(channel)
    tokens = token_pb2_grpc.TokenServiceStub(channel)
    access = access_pb2_grpc.AccessServiceStub(channel)
    one = types_pb2.AgentRef(agent_slug="agent-500")
    admin = types_pb2.UserRef(user_id=1)
    for start in range(0, _AGENTS, 100):
        agents.BatchCreateAgents(
            agent_pb2.BatchCreateAgentsRequest(
                requests=[
                    agent_pb2.CreateAgentRequest(agent_slug=f"agent-{number}", owner=admin)
                    for number in range(start, start + 100)
                ]
            ),
            metadata=metadata,
        )
    secret = tokens.CreateToken(
        token_pb2.CreateTokenRequest(agent=one, full_rights=True), metadata=metadata
    ).secret
    introspect = auth_pb2.AuthenticateRequest(token=secret)
    demand = auth_pb2.Demand(agent=one, minimum_role=types_pb2.ROLE_OPERATOR)
    authorize = auth_pb2.AuthorizeRequest(token=secret, demand=demand)
    check = access_pb2.AccessCheck(
        principal=types_pb2.PrincipalRef(user_id=1), agent=one, minimum_role=types_pb2.ROLE_VIEWER
    )
    batch = access_pb2.BatchCheckAccessRequest(
        checks=[
            access_pb2.AccessCheck(
                caller=True,
                agent=types_pb2.AgentRef(agent_slug=f"agent-{number}"),
                minimum_role=types_pb2.ROLE_VIEWER,
            )
            for number in range(100)
        ]
    )
    listing = agent_pb2.ListAgentsRequest(page_size=50, include_role=True)
    renaming = agent_pb2.AgentUpdate(agent_name="Another name")
    update = agent_pb2.UpdateAgentRequest(agent=one, update=renaming)
    mint = token_pb2.CreateTokenRequest(agent=one, full_rights=True)
    yield "Authenticate", lambda: auth.Authenticate(introspect, metadata=metadata)
    yield "Authorize", lambda: auth.Authorize(authorize, metadata=metadata)
    single = access_pb2.CheckAccessRequest(check=check)
    yield "CheckAccess", lambda: access.CheckAccess(single, metadata=metadata)
    yield "BatchCheckAccess of 100", lambda: access.BatchCheckAccess(batch, metadata=metadata)
    yield "ListAgents of 50", lambda: agents.ListAgents(listing, metadata=metadata)
    directories = directory_pb2_grpc.DirectoryServiceStub(channel)
    place = directory_pb2.DirectoryRef(agent=one)
    write = directory_pb2.WriteFileRequest(
        directory=place, path="MEMORY.md", content=b"x" * _FILE_BYTES
    )
    read = directory_pb2.ReadFileRequest(directory=place, path="MEMORY.md")
    get = agent_pb2.GetAgentRequest(agent=one)
    numbers = itertools.count()
    yield "GetAgent", lambda: agents.GetAgent(get, metadata=metadata)
    yield "WriteFile of 4 KiB", lambda: directories.WriteFile(write, metadata=metadata)
    yield "ReadFile of 4 KiB", lambda: list(directories.ReadFile(read, metadata=metadata))
    yield (
        "CreateAgent",
        lambda: agents.CreateAgent(
            agent_pb2.CreateAgentRequest(agent_slug=f"new-{next(numbers)}", owner=admin),
            metadata=metadata,
        ),
    )
    yield "UpdateAgent", lambda: agents.UpdateAgent(update, metadata=metadata)
    yield "CreateToken", lambda: tokens.CreateToken(mint, metadata=metadata)


def _figures(name: str, call: Callable[[], object], calls: int) -> Figures:
    for _ in range(min(100, calls)):
        call()
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e6)
    times.sort()
    return Figures(name, times[calls // 2], times[calls * 99 // 100], _rate(call, calls))


def _rate(call: Callable[[], object], calls: int) -> float:
    def work() -> None:
        for _ in range(calls // _CALLERS):
            call()

    callers = [threading.Thread(target=work) for _ in range(_CALLERS)]
    start = time.perf_counter()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return calls // _CALLERS * _CALLERS / (time.perf_counter() - start)


@contextlib.contextmanager
def _database(engine: str, folder: Path) -> Generator[str]:
    if engine == "sqlite":
        yield f"sqlite:///{folder / 'accredit.sqlite3'}"
        return
    with running_postgres() as server:
        yield server.url(server.create_database())


@contextlib.contextmanager
def _process(module: str, *arguments: str) -> Generator[str]:
    """A server in a process of its own, which prints its address and ends with its input."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ,
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            raise SystemExit(f"{module} did not start")
        yield address
        process.terminate()


def _print(engine: str, figures: list[Figures]) -> None:
    echo = figures[0]
    print(f"\n{engine}: microseconds one call at a time, calls a second of {_CALLERS} callers")
    print(f"{'':24}{'p50':>8}{'p99':>8}{'rate':>8}   beside echo: p50, p99, rate")
    for one in figures:
        ratios = (one.median / echo.median, one.p99 / echo.p99, one.rate / echo.rate)
        print(
            f"{one.name:24}{one.median:8.0f}{one.p99:8.0f}{one.rate:8.0f}"
            f"   {ratios[0]:12.1f}x{ratios[1]:5.1f}x{ratios[2]:6.2f}"
        )


if __name__ == "__main__":
    main()
