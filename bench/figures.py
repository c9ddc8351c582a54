"""The figures, the bars that they are held against, and what ``bench/latest.json`` has of both."""

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

    @property
    def sign(self) -> str:
        """At least, or at most."""
        return "≥" if self.at_least else "≤"

    def value(self, engine: str) -> float:
        """The bar of an engine."""
        return self.values.get(engine, self.values.get("", 0.0))

    def is_met(self, engine: str, figure: float) -> bool:
        """Whether a figure reaches it."""
        return figure >= self.value(engine) if self.at_least else figure <= self.value(engine)


def _at_least(least: float = 0, **values: float) -> Bar:
    return Bar(True, values or {"": least})


def _at_most(most: float = 0, **values: float) -> Bar:
    return Bar(False, values or {"": most})


BARS: Mapping[str, Bar] = {
    "authorize_repeated_vs_echo": _at_least(0.9),
    "authorize_new_vs_echo": _at_least(0.65),
    "authorize_p99_vs_echo": _at_most(1.5),
    "authorize_vs_openfga": _at_least(1.3),
    "batch_check_per_second": _at_least(400_000),
    "batch_check_vs_spicedb": _at_least(10),
    "authorize_cold_vs_echo": _at_least(sqlite=0.25, postgresql=0.15),
    "get_agent_p50_vs_echo": _at_most(3),
    "list_agents_50_p50_vs_echo": _at_most(5),
    "read_file_4k_p50_vs_echo": _at_most(3),
    "update_agent_p50_vs_echo": _at_most(sqlite=4, postgresql=5),
    "create_token_p50_vs_echo": _at_most(sqlite=4, postgresql=5),
    "create_agent_p50_vs_echo": _at_most(12),
    "mutations_vs_psycopg": _at_least(0.5),
    "mutations_per_second": _at_least(400),
    "revocation_wrong_answers": _at_most(0),
    "revocation_p99_ms": _at_most(100),
    "revocation_wrong_with_position": _at_most(0),
    "postgres_killed_10s_wrong": _at_most(0),
    "postgres_killed_10s_lost": _at_most(0),
    "postgres_killed_10s_seconds": _at_most(5),
    "workers_2_vs_1": _at_least(1.5),
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


def spaced(number: float) -> str:
    """A large number for people."""
    return f"{number:,.0f}".replace(",", " ")


def shown(value: float) -> str:
    """A figure for people: what is counted as it is, anything else in about three digits."""
    return spaced(value) if isinstance(value, int) or abs(value) >= 100 else f"{value:.2f}"


def shown_bar(value: float) -> str:
    """A bar for people."""
    return spaced(value) if value >= 1000 else f"{value:g}"


def _rounded(value: float) -> float:
    return round(value, 3) if abs(value) < 100 else round(value)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"
