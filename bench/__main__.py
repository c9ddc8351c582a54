"""What the calls cost, beside a bare echo of the same stack in the same run.

``make bench`` writes ``bench/latest.json`` and makes ``docs/performance.md`` and its picture of it.
The page says how each kind of figure is taken. A part that fails is told, and the others go on.
"""

import argparse
import json
import sys
import tempfile
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench import (
    beside_echo,
    memory,
    outage,
    page,
    peers,
    processes,
    revocation,
    world,
    writes,
)
from bench.beside_echo import QUICK, WHOLE, Extent, Pairs
from bench.figures import Figure, latest
from bench.load import database, served

_ENGINES = ("sqlite", "postgresql")
_PARTS = (
    *("hot", "batches", "calls", "cold", "peers", "writes"),
    *("revocation", "outage", "memory", "processes"),
)


def main() -> int:
    """Measure, and write it down: how many parts have failed."""
    arguments = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="less of everything")
    arguments.add_argument("--engine", choices=_ENGINES, action="append")
    arguments.add_argument("--only", choices=_PARTS, action="append", help="a part")
    chosen = arguments.parse_args()
    extent = QUICK if chosen.quick else WHOLE
    engines, only = chosen.engine or _ENGINES, chosen.only or _PARTS
    figures: list[Figure] = []
    failed = 0
    for part, measure in _parts(engines, only, extent):
        try:
            for figure in measure():
                figures.append(figure)
                print(page.row(latest([figure]), figure.key, figure.engine), flush=True)
        except Exception:  # noqa: BLE001 - the others are measured all the same
            failed += 1
            print(f"{part} has failed:", file=sys.stderr)
            traceback.print_exc()
    if not chosen.only and not chosen.engine:
        found = {"run": extent.name, **latest(figures)}
        page.LATEST.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
        page.write(found)
    return failed


def _parts(
    engines: Sequence[str], only: Sequence[str], extent: Extent
) -> Iterator[tuple[str, Callable[[], Generator[Figure]]]]:
    """The parts that are asked for; those with one server first."""
    for engine in engines:
        for part in ("hot", "batches", "calls", "cold", "peers", "writes"):
            of_one = part in ("batches", "peers")
            if part in only and not (of_one and engine != engines[0]):
                yield f"{part} on {engine}", lambda e=engine, p=part: _beside(e, p, extent)  # type: ignore[misc]
        if "revocation" in only:
            yield f"revocation on {engine}", lambda e=engine: _revocation(e, extent)  # type: ignore[misc]
    if "outage" in only and "postgresql" in engines:
        yield "outage", _outage
    if "memory" in only:
        yield "memory", memory.taken
    if "processes" in only:
        yield "processes", partial(processes.compare, extent)


def _beside(engine: str, part: str, extent: Extent) -> Generator[Figure]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(database(engine, folder))
        echo = stack.enter_context(served("bench.echo"))
        server = stack.enter_context(served("bench.serve", url, str(folder / "data")))
        if part != "cold":
            world.make(server)
        pairs = Pairs(echo, server, extent, engine)
        if part == "cold":
            yield from beside_echo.cold(pairs, url)
        elif part == "writes":
            yield from writes.compare(server, url, engine, extent.seconds, extent.pairs)
        elif part == "peers":
            yield from peers.compare(pairs)
        else:
            yield from getattr(beside_echo, part)(pairs)


def _revocation(engine: str, extent: Extent) -> Generator[Figure]:
    tries = extent.tries(revocation.TRIES[engine])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(database(engine, folder))
        yield from revocation.count(url, folder, engine, tries)


def _outage() -> Generator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        yield from outage.killed(Path(folder))


if __name__ == "__main__":
    raise SystemExit(main())
