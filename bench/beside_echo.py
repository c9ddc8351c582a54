"""Calls beside the echo, in pairs: one run of the echo and one of the call, in turns."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

from accredit_storage.store import Store
from bench import world
from bench.figures import Figure
from bench.load import Load, Measured, Served, run

#: Questions of each cold run: each is asked once, so that a run cannot last for a time.
COLD = 1000
#: Seconds of the two runs that tell at what rate the 99th percentile is taken.
FULL_SECONDS = 2.0


@dataclass(frozen=True)
class Extent:
    """How much is measured: pairs a figure, seconds a run, and which part of what is counted."""

    name: str
    pairs: int
    seconds: float
    part: int

    def tries(self, of: int) -> int:
        """How many of so many tries."""
        return of // self.part


QUICK = Extent("quick", pairs=2, seconds=1.0, part=10)
WHOLE = Extent("whole", pairs=9, seconds=2.0, part=1)


@dataclass(frozen=True)
class Pairs:
    """An echo and a server of ours, and how they are measured beside each other."""

    echo: Served
    server: Served
    extent: Extent
    engine: str

    def measure(
        self, load: Load | Callable[[int], Load], *, number: int = 0
    ) -> Sequence[tuple[Measured, Measured]]:
        """The pairs: the echo's run and the call's. ``load`` may be another one each time."""
        beside = world.repeated("x" * 77)
        found = []
        for pair in range(self.extent.pairs):
            mine = load(pair) if callable(load) else load
            seconds = self.extent.seconds
            found.append(
                (
                    run(self.echo, beside, seconds=seconds),
                    run(self.server, mine, seconds=seconds, number=number),
                )
            )
        return found


def hot(pairs: Pairs) -> Generator[Figure]:
    """Authorize, repeated and new."""
    token = world.token(pairs.server)
    repeated = world.repeated(token)
    # Until every question was asked once.
    run(pairs.server, repeated, number=len(repeated.requests) + 1000)
    for key, load in (("repeated", repeated), ("new", world.new(token))):
        found = pairs.measure(load)
        yield Figure(f"authorize_{key}_vs_echo", pairs.engine, _rates(found))
        yield Figure(f"authorize_{key}_cpu_us", pairs.engine, [mine.cpu for _, mine in found])
    yield Figure("echo_cpu_us", pairs.engine, [echo.cpu for echo, _ in found])
    yield from _at_half_load(pairs, repeated)


def _at_half_load(pairs: Pairs, repeated: Load) -> Generator[Figure]:
    beside, ratios = world.repeated("x" * 77), []
    once = replace(pairs.extent, pairs=1, seconds=FULL_SECONDS)
    (full,) = replace(pairs, extent=once).measure(repeated)
    for _ in range(pairs.extent.pairs):
        echo, mine = (
            run(server, load, seconds=pairs.extent.seconds, rate=int(at_full_load.rate / 2))
            for server, load, at_full_load in (
                (pairs.echo, beside, full[0]),
                (pairs.server, repeated, full[1]),
            )
        )
        ratios.append(mine.p99 / echo.p99)
    yield Figure("authorize_p99_vs_echo", pairs.engine, ratios)


def batches(pairs: Pairs) -> Generator[Figure]:
    """Checks a second."""
    load = world.batch()
    run(pairs.server, load, number=10)
    found = [
        run(pairs.server, load, seconds=pairs.extent.seconds) for _ in range(pairs.extent.pairs)
    ]
    yield Figure("batch_check_per_second", pairs.engine, [one.rate * world.CHECKS for one in found])


def calls(pairs: Pairs) -> Generator[Figure]:
    """The medians of the other calls."""
    for name, load in world.calls().items():
        found = pairs.measure(load)
        yield Figure(
            f"{name}_p50_vs_echo", pairs.engine, [mine.p50 / echo.p50 for echo, mine in found]
        )
        yield Figure(f"{name}_cpu_us", pairs.engine, [mine.cpu for _, mine in found])


def cold(pairs: Pairs, url: str) -> Generator[Figure]:
    """Authorize of tokens and agents that were never asked about."""
    store = Store.open(url)
    try:
        holders = world.holders(store, COLD * pairs.extent.pairs)
    finally:
        store.close()
    found = pairs.measure(
        lambda pair: world.cold(holders[pair * COLD : (pair + 1) * COLD]), number=COLD
    )
    yield Figure("authorize_cold_vs_echo", pairs.engine, _rates(found))
    yield Figure("authorize_cold_cpu_us", pairs.engine, [mine.cpu for _, mine in found])


def _rates(found: Sequence[tuple[Measured, Measured]]) -> Sequence[float]:
    return [mine.rate / echo.rate for echo, mine in found]
