"""How much memory a process takes for tokens that it has answered for."""

import gc
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

from accredit_service.abilities import bootstrap
from accredit_service.abilities.calls.app import App
from accredit_service.abilities.credentials import bearer
from accredit_service.memory import Room
from accredit_storage import migrate
from accredit_storage.directory.directories import Directories
from accredit_storage.store import Store
from bench import world
from bench.figures import Figure

#: Tokens that are measured, and for how many the figures are.
TOKENS, SCALED_TO = 20_000, 100_000


def taken() -> Generator[Figure]:
    """Megabytes for 100 000 tokens with an agent each, measured and by the server's own account."""
    said = subprocess.run(
        [sys.executable, "-m", "bench.memory"], check=True, capture_output=True, text=True
    ).stdout.split()
    note = f"from {TOKENS}"
    yield Figure("memory_per_100000_tokens_mb", "sqlite", [float(said[0])], note)
    yield Figure("memory_per_100000_tokens_accounted_mb", "sqlite", [float(said[1])], note)


def _resident() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not say")


def _measure(folder: Path) -> tuple[float, float]:
    url = f"sqlite:///{folder / 'accredit.sqlite3'}"
    migrate.upgrade(url)
    store = Store.open(url)
    app = App(
        store=store,
        directories=Directories(store, folder / "files"),
        room=Room(records=1 << 40, replies=0),
    )
    bootstrap.bootstrap(app, lambda _: None)
    holders = [(bearer.digest(one.secret), one.agent_slug) for one in world.holders(store, TOKENS)]
    authority = app.memory.authority
    authority.judged(holders[0][0], app.now())
    gc.collect()
    before = _resident()
    for digest, slug in holders:
        authority.prepare(digest, slug, app.now())
        authority.judged(digest, app.now())
    gc.collect()
    scale = SCALED_TO / TOKENS / 1e6
    return (_resident() - before) * scale, authority.size * scale


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        print(*_measure(Path(place)))
