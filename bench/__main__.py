"""What the calls cost, beside a bare echo of the same stack in the same run.

``make bench`` writes ``bench/latest.json`` and the table in ``docs/performance.md``. Each figure is
the median of pairs, an echo and the call one after the other, with the range of the pairs. The echo
is the same gRPC server with as many threads and without interceptors, answering Authenticate with a
fixed message. Read the ratios: the absolute figures are the machine's.
"""

import argparse
import json
import platform
import statistics
import tempfile
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.load import ROOT, Load, Measured, Served, database, run, served
from bench.world import loads

LATEST = ROOT / "bench/latest.json"
PAGE = ROOT / "docs/performance.md"
_BEGIN, _END = "<!-- figures -->\n", "<!-- end of figures -->\n"
_ENGINES = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Figure:
    """One call on one engine: medians, and the ratios of its pairs to the echo."""

    engine: str
    name: str
    rate: float
    p50: float
    cpu: float
    rate_ratios: Sequence[float]
    p50_ratios: Sequence[float]


def main() -> None:
    """Measure, and write it down."""
    arguments = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    arguments.add_argument("--pairs", type=int, default=9, help="pairs a figure")
    arguments.add_argument("--seconds", type=float, default=2.0, help="seconds a run")
    arguments.add_argument("--engine", choices=_ENGINES, action="append")
    arguments.add_argument("--only", action="append", help="a figure, such as authorize")
    chosen = arguments.parse_args()
    figures = []
    for engine in chosen.engine or _ENGINES:
        with tempfile.TemporaryDirectory() as folder, database(engine, Path(folder)) as url:
            for figure in _measure(engine, url, Path(folder), chosen):
                print(_row(figure), flush=True)
                figures.append(figure)
    if not chosen.only and not chosen.engine:
        LATEST.write_text(json.dumps(_latest(figures), indent=2) + "\n")
        text = PAGE.read_text()
        head, tail = text.split(_BEGIN)[0], text.split(_END)[1]
        PAGE.write_text(f"{head}{_BEGIN}{_table(figures)}{_END}{tail}")


def _measure(engine: str, url: str, folder: Path, chosen: Any) -> Generator[Figure]:
    with (
        served("bench.echo") as echo,
        served("bench.serve", url, str(folder / "secret")) as server,
    ):
        secret = (folder / "secret").read_text()
        beside = Load("AuthService/Authenticate", [{"token": "x" * 70}])
        for name, load in loads(server.address, secret).items():
            if chosen.only and name not in chosen.only:
                continue
            pairs = [
                _pair(echo, beside, server, load, secret, chosen.seconds)
                for _ in range(chosen.pairs)
            ]
            calls = [call for _, call in pairs]
            yield Figure(
                engine,
                name,
                rate=statistics.median(one.rate for one in calls),
                p50=statistics.median(one.p50 for one in calls),
                cpu=statistics.median(one.cpu for one in calls),
                rate_ratios=[call.rate / other.rate for other, call in pairs],
                p50_ratios=[call.p50 / other.p50 for other, call in pairs],
            )


def _pair(
    echo: Served, beside: Load, server: Served, load: Load, secret: str, seconds: float
) -> tuple[Measured, Measured]:
    return (
        run(echo, beside, secret, seconds=seconds),
        run(server, load, secret, seconds=seconds),
    )


def _latest(figures: Sequence[Figure]) -> dict[str, Any]:
    """By figure and engine; the keys say what is set beside the echo."""
    found: dict[str, Any] = {
        "machine": f"{platform.machine()}, {platform.system()}",
        "python": platform.python_version(),
        "grpcio": version("grpcio"),
    }
    for one in figures:
        for key, ratios in (("vs_echo", one.rate_ratios), ("p50_vs_echo", one.p50_ratios)):
            found.setdefault(f"{one.name}_{key}", {})[one.engine] = {
                "median": round(statistics.median(ratios), 3),
                "range": [round(min(ratios), 3), round(max(ratios), 3)],
            }
    return found


def _table(figures: Sequence[Figure]) -> str:
    head = (
        "| engine | call | calls a second | beside echo | median, µs | beside echo | CPU, µs |\n"
        "| --- | --- | --: | --: | --: | --: | --: |\n"
    )
    return head + "".join(f"{_row(one)}\n" for one in figures)


def _row(one: Figure) -> str:
    rate, p50 = statistics.median(one.rate_ratios), statistics.median(one.p50_ratios)
    return (
        f"| {one.engine} | {one.name} | {one.rate:.0f}"
        f" | {rate:.2f} ({min(one.rate_ratios):.2f} to {max(one.rate_ratios):.2f})"
        f" | {one.p50:.0f} | {p50:.1f} ({min(one.p50_ratios):.1f} to {max(one.p50_ratios):.1f})"
        f" | {one.cpu:.0f} |"
    )


if __name__ == "__main__":
    main()
