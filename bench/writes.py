"""Durable writes of several clients, beside the same statements from the bare driver.

The statements are those that one UpdateAgent sends, taken down as it sends them, with their
parameters. Both sides have the server's core.
"""

import pickle
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import grpc
import psycopg
from sqlalchemy import event, make_url

from accredit.v1 import agent_pb2, agent_pb2_grpc, types_pb2
from accredit_service import server as servers
from accredit_service.abilities.calls.app import App
from accredit_service.servicers import services
from accredit_service.setting_rules import Address
from accredit_service.settings import Settings
from accredit_storage.directory.directories import Directories
from accredit_storage.store import Store
from bench import world
from bench.figures import Figure
from bench.load import SERVER_CORE, Served, run

#: Calls in flight, and connections of the bare driver.
CLIENTS = 16
#: Connections that the calls share.
CONNECTIONS = 8
Statement = tuple[str, Any]


def compare(server: Served, url: str, engine: str, seconds: float, pairs: int) -> Generator[Figure]:
    """Calls a second, and their ratio to the bare driver's transactions a second."""
    taken = _taken(server, url)
    ours, ratios = [], []
    for _ in range(pairs):
        mine = run(
            server, world.updates(), seconds=seconds, callers=CLIENTS, connections=CONNECTIONS
        )
        bare = _bare(url, taken, seconds)
        ours.append(mine.rate)
        ratios.append(mine.rate / bare)
    if engine == "postgresql":
        yield Figure("mutations_vs_psycopg", engine, ratios)
        yield Figure("mutations_per_second", engine, ours)
    else:
        yield Figure("mutations_vs_sqlite3", engine, ratios)
        yield Figure("mutations_per_second_sqlite", engine, ours)


def _taken(server: Served, url: str) -> Sequence[Statement]:
    """What one UpdateAgent sends, from a process of its own on the same database."""
    command = [sys.executable, "-m", "bench.writes", "take", url, server.secret]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    taken: Sequence[Statement] = pickle.loads(said)  # noqa: S301 - it is ours
    return taken


def _bare(url: str, taken: Sequence[Statement], seconds: float) -> float:
    """Transactions a second of so many connections."""
    command = ["taskset", "-c", SERVER_CORE, sys.executable, "-m", "bench.writes", "replay", url]
    given = pickle.dumps((taken, seconds))
    done = subprocess.run(command, check=True, input=given, stdout=subprocess.PIPE)
    return float(done.stdout)


def take(url: str, secret: str, folder: Path) -> Sequence[Statement]:
    """Update an agent through a servicer in this process, and note what it sends."""
    settings = Settings(listen=Address("127.0.0.1", 0), database_url=url, data_dir=folder)
    store = Store.open(url)
    app = App(store=store, directories=Directories(store, settings.files))
    seen: list[Statement] = []

    def note(_connection: Any, _cursor: Any, text: str, values: Any, *_rest: Any) -> None:
        if threading.current_thread().name.startswith("calls"):
            # The driver wraps what it is to send as bytes.
            seen.append((text, [getattr(value, "obj", value) for value in values or ()]))

    with servers.build(settings, app, services(app)) as running:
        metadata = Served(running.address, 0, secret).metadata
        with grpc.insecure_channel(running.address) as channel:
            agents = agent_pb2_grpc.AgentServiceStub(channel)

            def update(name: str) -> None:
                wish = agent_pb2.UpdateAgentRequest(
                    agent=types_pb2.AgentRef(agent_slug="agent-7"),
                    update=agent_pb2.AgentUpdate(agent_name=name),
                )
                agents.UpdateAgent(wish, metadata=metadata)

            update("Before")
            event.listen(store.engine, "before_cursor_execute", note)
            update("Taken down")
    return seen


def replay(url: str, taken: Sequence[Statement], seconds: float) -> float:
    """Send the statements again and again from so many threads: transactions a second."""
    counts = [0] * CLIENTS
    give_up = time.monotonic() + seconds
    send = _sqlite if make_url(url).get_backend_name() == "sqlite" else _postgres
    turn = threading.Lock()
    if send is _sqlite:
        # What they say again would not fit into the log of the server's own file.
        copied = f"{make_url(url).database}.copy"
        shutil.copyfile(str(make_url(url).database), copied)
        url = f"sqlite:///{copied}"

    def work(number: int) -> None:
        counts[number] = send(url, taken, give_up, turn)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - began)


def _postgres(url: str, taken: Sequence[Statement], give_up: float, _turn: Any) -> int:
    parts = make_url(url)
    done = 0
    with psycopg.connect(
        host=str(parts.query["host"]),
        user=parts.username,
        dbname=parts.database,
        cursor_factory=psycopg.RawCursor,
    ) as connection:
        while time.monotonic() < give_up:
            with connection.cursor() as cursor:
                for text, values in taken:
                    if not text.startswith(("BEGIN", "COMMIT")) or ";" in text:
                        cursor.execute(text.rpartition("; ")[2].encode(), values or None)
            connection.commit()
            done += 1
    return done


def _sqlite(url: str, taken: Sequence[Statement], give_up: float, turn: Any) -> int:
    connection = sqlite3.connect(str(make_url(url).database), isolation_level=None, timeout=5)
    connection.execute("PRAGMA synchronous = FULL")
    done = 0
    # What they insert has the same key again.
    texts = [
        (text.replace("INSERT INTO", "INSERT OR REPLACE INTO"), values)
        for text, values in taken
        if not text.startswith(("BEGIN", "COMMIT"))
    ]
    while time.monotonic() < give_up:
        # They would wait for each other by polling otherwise.
        with turn:
            connection.execute("BEGIN IMMEDIATE")
            for text, values in texts:
                if values and isinstance(values[0], tuple | list):
                    connection.executemany(text, values)
                else:
                    connection.execute(text, values)
            connection.execute("COMMIT")
        done += 1
    connection.close()
    return done


if __name__ == "__main__":
    if sys.argv[1] == "take":
        with tempfile.TemporaryDirectory() as place:
            taken = take(sys.argv[2], sys.argv[3], Path(place))
        sys.stdout.buffer.write(pickle.dumps(taken))
    else:
        taken, seconds = pickle.load(sys.stdin.buffer)  # noqa: S301 - it is ours
        print(replay(sys.argv[2], taken, seconds))
