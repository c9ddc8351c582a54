"""docs/performance.md and its picture, made from ``bench/latest.json``; ``make figures`` does it.

Every number in the page comes from that file or from what the benchmarks measure with.
"""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import beside_echo, load, memory, outage, plots, processes, revocation, world, writes
from bench.beside_echo import QUICK, WHOLE, Extent
from bench.figures import BARS, shown, shown_bar, spaced

LATEST = load.ROOT / "bench/latest.json"
PAGE = load.ROOT / "docs/performance.md"
PLOT = load.ROOT / "docs/performance.svg"

#: What was measured by key, engine and word, as the file has it.
Found = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """Figures that are taken in one way: how, and what each of them is.

    ``{pairs}`` and ``{seconds}`` are those of the run, ``{note}`` is the figure's own.
    """

    heading: str
    taken: str
    figures: Mapping[str, str]


_PAIR = (
    "A pair is one run of the echo, {seconds} s long, and then one run of the call, as long. There "
    "are {pairs} pairs."
)
_RATES = "median of the ratios of throughput, ours to the {peer}'s"
_RATES_TO_ECHO = _RATES.format(peer="echo")
_LATENCIES = "median of the ratios of median latency, the call's to the echo's"
_CPU = "median of the server's CPU for a call, in µs"
_TRIED = {engine: spaced(QUICK.tries(tries)) for engine, tries in revocation.TRIES.items()}

KINDS = (
    Kind(
        "Questions about access, beside the echo",
        f"{_PAIR} Each pair gives one ratio.\n\n"
        f"- `authorize_repeated`: {spaced(world.QUESTIONS)} questions about "
        f"{spaced(world.AGENTS)} agents, again and again. Each was asked once before the "
        "measurement. So each request is byte for byte one that the same caller has sent before, "
        "and the server sends the reply that it kept, with the position and the time of now.\n"
        "- `authorize_new`: the same agents, but no two questions are the same. The records are in "
        "memory, and the server judges each question.\n"
        f"- `authorize_p99`: one pair of {beside_echo.FULL_SECONDS:g} s first tells how many calls "
        "a second each server answers. In the {pairs} pairs after it each server gets half of its "
        "own rate.",
        {
            "authorize_repeated_vs_echo": _RATES_TO_ECHO,
            "authorize_repeated_cpu_us": _CPU,
            "authorize_new_vs_echo": _RATES_TO_ECHO,
            "authorize_new_cpu_us": _CPU,
            "echo_cpu_us": "median of the echo's CPU for a call, in µs, in the runs beside "
            "`authorize_new`",
            "authorize_p99_vs_echo": "median of the ratios of the 99th percentile of latency, ours "
            "to the echo's",
        },
    ),
    Kind(
        "Other calls, beside the echo",
        f"{_PAIR} Each pair gives one ratio: the median latency of the call, divided by the median "
        "latency of the echo.",
        {
            "get_agent_p50_vs_echo": _LATENCIES,
            "get_agent_cpu_us": _CPU,
            "list_agents_50_p50_vs_echo": f"{_LATENCIES}; a page of {world.PAGE} agents",
            "list_agents_50_cpu_us": _CPU,
            "read_file_4k_p50_vs_echo": f"{_LATENCIES}; a file of {world.FILE_BYTES >> 10} KiB",
            "read_file_4k_cpu_us": _CPU,
            "update_agent_p50_vs_echo": _LATENCIES,
            "update_agent_cpu_us": _CPU,
            "create_token_p50_vs_echo": _LATENCIES,
            "create_token_cpu_us": _CPU,
            "create_agent_p50_vs_echo": f"{_LATENCIES}; an agent with its directory",
            "create_agent_cpu_us": _CPU,
        },
    ),
    Kind(
        "Questions with nothing in memory",
        "There are {pairs} pairs. A pair is one run of the echo, {seconds} s long, and then "
        f"{spaced(beside_echo.COLD)} calls of Authorize, however long they take. Each call brings "
        "a token and an agent that nobody has asked about before. The benchmark writes both "
        "straight into the database.",
        {"authorize_cold_vs_echo": _RATES_TO_ECHO, "authorize_cold_cpu_us": _CPU},
    ),
    Kind(
        "Batches",
        "There are {pairs} runs of BatchCheckAccess, {seconds} s each, and no echo. "
        f"Each call has {spaced(world.CHECKS)} checks about the caller, and does not ask for "
        "their basis.",
        {"batch_check_per_second": "median of the checks a second"},
    ),
    Kind(
        "Beside OpenFGA and SpiceDB",
        "There are {pairs} pairs. A pair is one run of the other program, {seconds} s long, and "
        "then one run of ours, as long. The other program keeps its data in memory, ours in "
        "SQLite. Both are on the same core, and one is idle while the other is measured. OpenFGA "
        f"and SpiceDB are asked whether a user may view each of {spaced(world.AGENTS)} agents that "
        "the user owns. OpenFGA's Check stands beside `authorize_repeated`, SpiceDB's "
        "CheckBulkPermissions beside the batches.",
        {
            "authorize_vs_openfga": _RATES.format(peer="other program"),
            "openfga_check_per_second": "median of OpenFGA's checks a second",
            "batch_check_vs_spicedb": _RATES.format(peer="other program"),
            "spicedb_checks_per_second": "median of SpiceDB's checks a second",
        },
    ),
    Kind(
        "Durable writes, beside the bare driver",
        "There are {pairs} pairs. A pair is one run of UpdateAgent, {seconds} s long, with "
        f"{writes.CLIENTS} calls in flight over {writes.CONNECTIONS} connections, and then a "
        f"process that sends the statements of one UpdateAgent over {writes.CLIENTS} connections "
        "of the database's driver, as long and on the same core.\n\n"
        "- The two do not do quite the same. The bare driver always updates one agent, so that on "
        "PostgreSQL its transactions wait for each other's lock on that row. Accredit updates "
        f"{spaced(world.AGENTS)} agents by turns. A ratio above 1 therefore does not mean that "
        "Accredit is faster than its driver.\n"
        "- On SQLite the bare driver works on a copy of the database, and its connections take "
        "turns under one lock. Its inserts replace the row that they inserted before, where "
        "Accredit adds one each time. `mutations_vs_sqlite3` has no bar.",
        {
            "mutations_vs_sqlite3": "median of the ratios of updates a second, ours to the bare "
            "driver's",
            "mutations_per_second_sqlite": "median of our updates a second",
            "mutations_vs_psycopg": "median of the ratios of updates a second, ours to the bare "
            "driver's",
            "mutations_per_second": "median of our updates a second",
        },
    ),
    Kind(
        "Revocation",
        "There are no pairs here and no echo. Each token is revoked once, and each value is of all "
        "the tokens together. A single client makes sure that the token works at the second "
        "server, revokes it at the first, and asks the second one again as soon as the revocation "
        "is acknowledged. The second server is the first one itself (“one process”), or another "
        "one on the core of the load.\n\n"
        "- `revocation_p99_ms`: on PostgreSQL the second server hears of the revocation a moment "
        "later. The client asks again and again, and notes when the token last worked. With "
        f"{_TRIED['postgresql']} tokens, as in a quick run, the 99th percentile is the longest "
        "time.\n"
        "- `revocation_wrong_with_position`: the question carries the `consistency_token` of the "
        "revocation.",
        {
            "revocation_wrong_answers": "how many {note} revoked tokens still worked",
            "revocation_p99_ms": "milliseconds from the acknowledgement to the last answer that "
            "the token works: the 99th percentile {note} tokens",
            "revocation_wrong_with_position": "how many {note} revoked tokens still worked",
        },
    ),
    Kind(
        "PostgreSQL is killed",
        f"This is done once, without an echo. {outage.READERS} readers ask about a token that "
        f"works and one that does not, and {outage.WRITERS} writers create users. After "
        f"{outage.BEFORE:g} s PostgreSQL is killed, and {outage.AWAY:g} s later it is started "
        "again.\n\n"
        "- `postgres_killed_10s_seconds` counts from the moment when PostgreSQL says that it takes "
        "connections again, until the last client has begun to succeed without a further failure. "
        "It is 0 if all of them succeed by that moment.",
        {
            "postgres_killed_10s_wrong": "answers to readers that were wrong, before, during or "
            "after the outage",
            "postgres_killed_10s_lost": "users that were acknowledged and are not there "
            "afterwards; {note}",
            "postgres_killed_10s_seconds": "seconds until all clients succeed again",
        },
    ),
    Kind(
        "Several processes",
        "There are {pairs} pairs. A pair is one run of `authorize_new` against one process, "
        "{seconds} s long, and then one against two on one port, as long, with "
        f"{processes.CALLERS} calls in flight over {processes.CONNECTIONS} connections. The "
        "processes and the load share two cores, so that 2 cannot be reached.",
        {"workers_2_vs_1": "median of the ratios of throughput, two processes to one"},
    ),
    Kind(
        "Memory",
        "One measurement, in a process that fills the memory of a server and serves nobody. The "
        f"figures are for {spaced(memory.SCALED_TO)} tokens with an agent each.\n\n"
        "- `…_mb` is by how much the resident memory of the process grows.\n"
        "- `…_accounted_mb` is what the server itself believes that they take, and what it holds "
        "against `--authority-bytes`. It adds up a fixed number of bytes for each record, which "
        "was measured and then set with some room to spare. So it is meant to be the larger of the "
        "two.",
        {
            "memory_per_100000_tokens_mb": "MB, scaled up {note} tokens",
            "memory_per_100000_tokens_accounted_mb": "MB, scaled up {note} tokens",
        },
    ),
)

_PAGE = """\
# Performance

<!-- Made by bench/page.py from bench/latest.json: `make figures` writes it again. -->

What calls of Accredit cost, beside a bare echo that was measured in the same run.

- **Read the ratios.** The absolute figures are the machine's.
- **A bar** is the value that a figure is to reach: at least (≥) or at most (≤). A figure that
  misses its bar fails no build; the page says "missed". Some figures have no bar.
- **A figure of several pairs or runs** is the median of their values, and the range says the
  lowest and the highest. The median of two values is their mean. A figure without a range was
  measured once.
{where}
- **How much**: a {name} run. {others}

![The figures beside their bars](performance.svg)

## How it is measured

- Unless a section says otherwise, the load comes from ghz, a compiled program, with {callers} calls
  in flight over {connections} connections. It has one core, the server another one.
- The echo is a gRPC server of the same class as ours, with as many threads and without
  interceptors. It answers Authorize with a fixed message as large as an answer of ours.
- CPU is the time that the server's process has used, by the kernel's account, divided by the
  calls.
- PostgreSQL commits to disk, as SQLite does. The access log for successes is off
  (`--log-level warning`).
{kinds}
## How the server answers

The server answers questions about access from records in memory. When a request is byte for byte
the same as an earlier one of the same caller, and nothing has changed that the answer rests on,
it sends the reply that it kept. [architecture.md](architecture.md) says what keeps both true. What
is not in memory takes one statement of SQL. No statement is compiled while a call waits.

## Where the time goes

Most bars that are missed are missed for one reason: the echo does nothing, and what these calls do
is done in Python. So a call divides its time inside the server, on SQLite, in per cent, by
`cProfile` on 28 November 2026:

| call | SQLite | rows, SQL | SQLAlchemy | abilities | messages | steps | files | hashes | rest |
| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |
| GetAgent | 11 | 17 | 11 | 10 | 13 | 11 | 10 | 1 | 16 |
| ListAgents | 20 | 29 | 4 | 6 | 18 | 6 | 0 | 4 | 14 |
| UpdateAgent | 44 | 15 | 4 | 10 | 3 | 3 | 0 | 8 | 14 |
| CreateToken | 34 | 18 | 6 | 12 | 3 | 4 | 0 | 7 | 16 |

- A read sends three statements, a write seven or eight. More than half of what SQLite has of a
  write is the commit, which waits for the disk.
- Of Authorize with new questions, sampled by `py-spy` on the thread that answers: gRPC has 52 per
  cent, judging 20, reading the request and making the reply 14, recognising the token 5, keeping
  the reply 5. The echo has only the first.

## To measure again

`make bench` measures, and writes `bench/latest.json`, this page and its picture, in about 45
minutes. `make bench-quick` does less of everything, in about five. Both need Linux with two cores,
`taskset`, and Go for the load generator. Beside peers: `make bench-peers` once, which builds
OpenFGA and SpiceDB, then `make bench`; without them their section is left out. A part alone is
measured and printed, and nothing is written: `make bench ARGS='--only hot --engine sqlite'`. A part
that fails is told, and is missing on the page.
"""
_LIBRARIES = ("grpcio", "protobuf", "SQLAlchemy", "psycopg")


def write(found: Found) -> None:
    """Write the page and the picture."""
    PAGE.write_text(page(found))
    PLOT.write_text(plots.picture(found))


def page(found: Found) -> str:
    """The page of what was measured."""
    extent = _extent(found)
    libraries = ", ".join(f"{name} {found[name]}" for name in _LIBRARIES)
    other = WHOLE if extent is QUICK else QUICK
    return _PAGE.format(
        where=_wrapped(f"- **Where**: {found['machine']}. Python {found['python']}, {libraries}."),
        name=extent.name,
        others=f"A {other.name} one has {other.pairs} pairs, and runs of {other.seconds:g} s.",
        callers=load.CALLERS,
        connections=load.CONNECTIONS,
        kinds="".join(_kinds(found, extent)),
    )


def row(found: Found, key: str, engine: str) -> str:
    """One line of a table."""
    (what,) = (kind.figures[key] for kind in KINDS if key in kind.figures)
    one = found[key][engine]
    between = " to ".join(shown(value) for value in one.get("range", ()))
    bar = met = ""
    if "bar" in one:
        bar = f"{BARS[key].sign} {shown_bar(one['bar'])}"
        met = "met" if one["met"] else "missed"
    cells = key, engine, shown(one["median"]), between, bar, met, what.format(**_note(one))
    return f"| {' | '.join(cells)} |"


def _kinds(found: Found, extent: Extent) -> Iterator[str]:
    for kind in KINDS:
        rows = [row(found, key, on) for key in kind.figures if key in found for on in found[key]]
        if rows:
            taken = kind.taken.format(pairs=extent.pairs, seconds=f"{extent.seconds:g}")
            lines = "\n".join(map(_wrapped, taken.split("\n")))
            yield "\n".join((f"\n## {kind.heading}\n", f"{lines}\n", *_HEAD, *rows, ""))


_HEAD = (
    "| figure | on | | range | bar | | what it is |",
    "| --- | --- | --: | --- | --: | --- | --- |",
)


def _wrapped(paragraph: str) -> str:
    indent = "  " if paragraph.startswith("- ") else ""
    # A number stays on one line.
    bound = re.sub(r"(?<=\d) (?=\d{3}\b)", "\N{NO-BREAK SPACE}", paragraph)
    filled = textwrap.fill(
        bound, 100, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return filled.replace("\N{NO-BREAK SPACE}", " ")


def _extent(found: Found) -> Extent:
    return QUICK if found["run"] == QUICK.name else WHOLE


def _note(one: Mapping[str, Any]) -> Mapping[str, str]:
    words = (spaced(int(word)) if word.isdigit() else word for word in one.get("note", "").split())
    return {"note": " ".join(words)}


def read(path: Path = LATEST) -> Found:
    """What was measured last."""
    found: Found = json.loads(path.read_text())
    return found


if __name__ == "__main__":
    write(read())
