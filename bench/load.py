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
_SERVER_CORE, _LOAD_CORE = "0", "1"
_CALLERS, _CONNECTIONS = 8, 4
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Load:
    """Calls of one method: these requests, again and again, in their order."""

    method: str
    requests: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Measured:
    """Calls a second, microseconds of the median and the 99th percentile, and of CPU a call."""

    rate: float
    p50: float
    p99: float
    cpu: float


@dataclass(frozen=True)
class Served:
    """A server that runs: where, and its process."""

    address: str
    pid: int

    def cpu_seconds(self) -> float:
        """How long its threads have worked."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS


@contextlib.contextmanager
def served(module: str, *arguments: str) -> Generator[Served]:
    """A server in a process of its own, which prints its address and ends with its input."""
    command = ["taskset", "-c", _SERVER_CORE, sys.executable, "-m", module, *arguments]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            raise SystemExit(f"{module} did not start")
        try:
            yield Served(address, process.pid)
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


def run(server: Served, load: Load, secret: str, *, seconds: float = 2, rate: int = 0) -> Measured:
    """Load the server, with ``rate`` calls a second if one is given; SystemExit if a call fails."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as data:
        json.dump(list(load.requests), data)
        data.flush()
        before = server.cpu_seconds()
        answer = subprocess.run(
            [
                *("taskset", "-c", _LOAD_CORE, str(GHZ), "--insecure"),
                *("--protoset", str(DESCRIPTORS), "--call", f"accredit.v1.{load.method}"),
                *("-D", data.name, "-m", json.dumps({"authorization": f"Bearer {secret}"})),
                *("-c", str(_CALLERS), "--connections", str(_CONNECTIONS), "--cpus", "1"),
                *("-z", f"{seconds}s", "--duration-stop", "wait", "-O", "json"),
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
        raise SystemExit(f"{load.method}: {report['statusCodeDistribution']}")
    at = {one["percentage"]: one["latency"] / 1000 for one in report["latencyDistribution"]}
    return Measured(report["rps"], at[50], at[99], cpu / report["count"] * 1e6)
