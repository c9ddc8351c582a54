"""What the calls cost, beside a bare echo of the same stack in the same run.

``make bench`` writes ``bench/latest.json``, and the table and the plot of ``docs/performance.md``.
Each figure is the median of pairs, an echo and the call one after the other, with their range. Read
the ratios: the absolute figures are the machine's. A part that fails is told, and the others go on.
"""

import argparse
import json
import sys
import tempfile
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import beside_echo, memory, outage, peers, plots, revocation, world, writes
from bench.beside_echo import Extent, Pairs
from bench.figures import Figure, latest, row, table
from bench.load import ROOT, database, served

LATEST = ROOT / "bench/latest.json"
PAGE = ROOT / "docs/performance.md"
PLOT = ROOT / "docs/performance.svg"
_BEGIN, _END = "<!-- figures -->\n", "<!-- end of figures -->\n"
_PICTURE = "![The figures beside their bars](performance.svg)\n\n"
_ENGINES = ("sqlite", "postgresql")
_PARTS = ("hot", "batches", "calls", "cold", "peers", "writes", "revocation", "outage", "memory")


def main() -> int:
    """Measure, and write it down: how many parts have failed."""
    arguments = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="less of everything")
    arguments.add_argument("--engine", choices=_ENGINES, action="append")
    arguments.add_argument("--only", choices=_PARTS, action="append", help="a part")
    chosen = arguments.parse_args()
    extent = Extent(2, 1.0, True) if chosen.quick else Extent(9, 2.0, False)
    engines, only = chosen.engine or _ENGINES, chosen.only or _PARTS
    figures: list[Figure] = []
    failed = 0
    for part, measure in _parts(engines, only, extent):
        try:
            for figure in measure():
                print(row(figure), flush=True)
                figures.append(figure)
        except Exception:  # noqa: BLE001 - the others are measured all the same
            failed += 1
            print(f"{part} has failed:", file=sys.stderr)
            traceback.print_exc()
    if not chosen.only and not chosen.engine:
        LATEST.write_text(json.dumps(latest(figures), indent=2, ensure_ascii=False) + "\n")
        text = PAGE.read_text()
        head, tail = text.split(_BEGIN)[0], text.split(_END)[1]
        PAGE.write_text(f"{head}{_BEGIN}{_PICTURE}{extent.said}\n\n{table(figures)}{_END}{tail}")
        plots.draw(figures, PLOT)
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
    tries = extent.tries(10_000 if engine == "sqlite" else 1000)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(database(engine, folder))
        yield from revocation.count(url, folder, engine, tries)


def _outage() -> Generator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        yield from outage.killed(Path(folder))


if __name__ == "__main__":
    raise SystemExit(main())
