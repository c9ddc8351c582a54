"""Load from a compiled client (ghz), and servers on a core of their own.

The server has core 0 and the load core 1: a load generator beside the server on one core would
measure itself. CPU is the server's, from the kernel's account of its process.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.postgres import running_postgres

ROOT = Path(__file__).parents[1]
GHZ = ROOT / "build/bin/ghz"
DESCRIPTORS = ROOT / "service/accredit_service/contract.binpb"
SERVER_CORE, LOAD_CORE = "0", "1"
#: Calls in flight, and connections that they share.
CALLERS, CONNECTIONS = 8, 4
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Load:
    """Calls of one method: these requests, again and again, in their order.

    ``method`` with its package if it is not ours. Without ``protos`` the server is asked for its
    descriptors.
    """

    method: str
    requests: Sequence[Mapping[str, Any]]
    protos: Path | None = DESCRIPTORS


@dataclass(frozen=True)
class Measured:
    """Calls a second, microseconds of the median and the 99th percentile, and of CPU a call."""

    rate: float
    p50: float
    p99: float
    cpu: float


@dataclass(frozen=True)
class Served:
    """A server that runs: where, its process, and the token that opens it."""

    address: str
    pid: int
    secret: str = ""

    @property
    def metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """What opens it."""
        return (("authorization", f"Bearer {self.secret}"),)

    def cpu_seconds(self) -> float:
        """How long its threads have worked."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS


@contextlib.contextmanager
def served(module: str, *arguments: str, core: str = SERVER_CORE) -> Generator[Served]:
    """A server in a process of its own, which prints its address and ends with its input."""
    command = ["taskset", "-c", core, sys.executable, "-m", module, *arguments]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline().split()
        if not said:
            raise RuntimeError(f"{module} did not start")
        try:
            yield Served(said[0], process.pid, said[1] if len(said) > 1 else "")
        finally:
            process.terminate()


@contextlib.contextmanager
def database(engine: str, folder: Path) -> Generator[str]:
    """A new database: a file in the folder, or one of a PostgreSQL server that commits to disk."""
    if engine == "sqlite":
        yield f"sqlite:///{folder / 'accredit.sqlite3'}"
        return
    with running_postgres(durable=True) as server:
        yield server.url(server.create_database())


def run(
    server: Served,
    load: Load,
    *,
    seconds: float = 2,
    number: int = 0,
    rate: int = 0,
    callers: int = CALLERS,
    connections: int = CONNECTIONS,
    cores: str = LOAD_CORE,
) -> Measured:
    """Load the server for a time, or with so many calls; RuntimeError if a call fails.

    ``rate``: how many calls a second at most.
    """
    method = load.method if load.method.count(".") else f"accredit.v1.{load.method}"
    with tempfile.NamedTemporaryFile("w", suffix=".json") as data:
        json.dump(list(load.requests), data)
        data.flush()
        before = server.cpu_seconds()
        answer = subprocess.run(
            [
                *("taskset", "-c", cores, str(GHZ), "--insecure"),
                *(() if load.protos is None else ("--protoset", str(load.protos))),
                *("--call", method, "-D", data.name),
                *("-m", json.dumps({"authorization": f"Bearer {server.secret}"})),
                *("-c", str(callers), "--connections", str(connections), "--cpus", "1"),
                *(("-n", str(number)) if number else ("-z", f"{seconds}s")),
                *("--duration-stop", "wait", "-O", "json"),
                *(("-r", str(rate)) if rate else ()),
                server.address,
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        cpu = server.cpu_seconds() - before
    report = json.loads(answer)
    if set(report["statusCodeDistribution"]) != {"OK"}:
        raise RuntimeError(f"{method}: {report['errorDistribution']}")
    at = {one["percentage"]: one["latency"] / 1000 for one in report["latencyDistribution"]}
    return Measured(report["rps"], at[50], at[99], cpu / report["count"] * 1e6)
