"""How much more two processes on a port answer than one, on cores that they share with the load."""

import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import world
from bench.beside_echo import Extent
from bench.figures import Figure
from bench.load import LOAD_CORE, SERVER_CORE, Served, run

#: More connections than elsewhere, since the kernel deals them out among the processes.
CALLERS, CONNECTIONS = 32, 32
_CORES = f"{SERVER_CORE},{LOAD_CORE}"
_LISTENING = "listening on "


def compare(extent: Extent) -> Generator[Figure]:
    """Questions a second of two workers, to those of one."""
    with ExitStack() as stack:
        groups = []
        for workers in (1, 2):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            group = stack.enter_context(_group(workers, folder))
            world.make(group)
            groups.append((group, world.new(world.token(group))))
        ratios = []
        for _ in range(extent.pairs):
            one, two = (
                run(
                    group,
                    load,
                    seconds=extent.seconds,
                    callers=CALLERS,
                    connections=CONNECTIONS,
                    cores=_CORES,
                )
                for group, load in groups
            )
            ratios.append(two.rate / one.rate)
    yield Figure("workers_2_vs_1", "sqlite", ratios)


@contextmanager
def _group(workers: int, folder: Path) -> Generator[Served]:
    command = [
        *("taskset", "-c", _CORES, sys.executable, "-m", "accredit_service.cli", "serve"),
        *("--workers", str(workers), "--listen", "127.0.0.1:0", "--data-dir", str(folder)),
        *("--log-level", "warning"),
    ]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(_LISTENING):
                break
        else:
            raise RuntimeError(f"{workers} workers did not start")
        secret = (folder / "administrator.token").read_text().strip()
        try:
            yield Served(line.removeprefix(_LISTENING).strip(), process.pid, secret)
        finally:
            process.terminate()
