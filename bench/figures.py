"""The figures, the bars that they are held against, and how both are written down."""

import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Bar:
    """What a figure is to reach: at least, or at most; by engine where they differ."""

    at_least: bool
    values: Mapping[str, float]
    what: str

    def value(self, engine: str) -> float:
        """The bar of an engine."""
        return self.values.get(engine, self.values.get("", 0.0))

    def is_met(self, engine: str, figure: float) -> bool:
        """Whether a figure reaches it."""
        return figure >= self.value(engine) if self.at_least else figure <= self.value(engine)


def _at_least(what: str, least: float = 0, **values: float) -> Bar:
    return Bar(True, values or {"": least}, what)


def _at_most(what: str, most: float = 0, **values: float) -> Bar:
    return Bar(False, values or {"": most}, what)


BARS: Mapping[str, Bar] = {
    "authorize_repeated_vs_echo": _at_least(
        "10 000 questions again and again, calls a second", 0.9
    ),
    "authorize_new_vs_echo": _at_least("known records, each question new, calls a second", 0.65),
    "authorize_p99_vs_echo": _at_most("99th percentile, each at half of its own rate", 1.5),
    "authorize_vs_openfga": _at_least("repeated, calls a second of one core", 1.3),
    "batch_check_per_second": _at_least("checks a second, 1 000 a call, no basis", 400_000),
    "batch_check_vs_spicedb": _at_least("the same beside its bulk check", 10),
    "authorize_cold_vs_echo": _at_least(
        "nothing of it in memory, calls a second", sqlite=0.25, postgresql=0.15
    ),
    "get_agent_p50_vs_echo": _at_most("median", 3),
    "list_agents_50_p50_vs_echo": _at_most("median of a page of 50", 5),
    "read_file_4k_p50_vs_echo": _at_most("median of a file of 4 KiB", 3),
    "update_agent_p50_vs_echo": _at_most("median", sqlite=4, postgresql=5),
    "create_token_p50_vs_echo": _at_most("median", sqlite=4, postgresql=5),
    "create_agent_p50_vs_echo": _at_most("median, with its directory", 12),
    "mutations_vs_psycopg": _at_least("16 clients, durable, the same statements", 0.5),
    "mutations_per_second": _at_least("16 clients, durable", 400),
    "revocation_wrong_answers": _at_most("of those asked after the acknowledgement", 0),
    "revocation_p99_ms": _at_most("from the acknowledgement to the last wrong answer, ms", 100),
    "revocation_wrong_with_position": _at_most("asked with the position of the revocation", 0),
    "postgres_killed_10s_wrong": _at_most("answers while PostgreSQL is away and after", 0),
    "postgres_killed_10s_lost": _at_most("acknowledged writes", 0),
    "postgres_killed_10s_seconds": _at_most("until everything works again", 5),
}


@dataclass(frozen=True)
class Figure:
    """One figure of an engine, or of a constellation; the samples that it is the median of."""

    key: str
    engine: str
    samples: Sequence[float]
    note: str = ""

    @property
    def value(self) -> float:
        """The median."""
        return statistics.median(self.samples)


def latest(figures: Iterable[Figure]) -> dict[str, Any]:
    """By key and engine, with where and with what they were taken."""
    found: dict[str, Any] = {
        "machine": f"{platform.machine()}, {platform.system()}, {_processor()}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("grpcio", "protobuf", "SQLAlchemy", "psycopg")},
    }
    for one in figures:
        said: dict[str, Any] = {"median": _rounded(one.value)}
        if len(one.samples) > 1:
            said["range"] = [_rounded(min(one.samples)), _rounded(max(one.samples))]
            said["samples"] = len(one.samples)
        if one.note:
            said["note"] = one.note
        if one.key in BARS:
            said["bar"] = BARS[one.key].value(one.engine)
            said["met"] = BARS[one.key].is_met(one.engine, one.value)
        found.setdefault(one.key, {})[one.engine] = said
    return found


def table(figures: Iterable[Figure]) -> str:
    """As a table of Markdown."""
    head = "| figure | of | | range | bar | | what |\n| --- | --- | --: | --- | --: | --- | --- |\n"
    return head + "".join(f"{row(one)}\n" for one in figures)


def row(one: Figure) -> str:
    """One line of the table."""
    few = len(one.samples) < 2
    between = "" if few else f"{_shown(min(one.samples))} to {_shown(max(one.samples))}"
    bar = BARS.get(one.key)
    what = " ".join(part for part in ("" if bar is None else bar.what, one.note) if part)
    if bar is None:
        held, met = "", ""
    else:
        held = f"{'≥' if bar.at_least else '≤'} {_shown(bar.value(one.engine))}"
        met = "met" if bar.is_met(one.engine, one.value) else "missed"
    return (
        f"| {one.key} | {one.engine} | {_shown(one.value)} | {between} | {held} | {met} | {what} |"
    )


def _rounded(value: float) -> float:
    return round(value, 3) if abs(value) < 100 else round(value)


def _shown(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"
