"""OpenFGA and SpiceDB, where ``make bench-peers`` has built them: the same questions, in memory."""

import contextlib
import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Generator
from typing import Any

from bench import world
from bench.beside_echo import Pairs
from bench.figures import Figure
from bench.load import ROOT, SERVER_CORE, Load, Served, run

OPENFGA, SPICEDB = ROOT / "build/bin/openfga", ROOT / "build/bin/spicedb"
_KEY = "bench"
_PATIENCE = 30.0


def compare(pairs: Pairs) -> Generator[Figure]:
    """Beside OpenFGA's Check and SpiceDB's bulk check, in the same run."""
    if OPENFGA.exists():
        yield from _openfga(pairs)
    if SPICEDB.exists():
        yield from _spicedb(pairs)


def _openfga(pairs: Pairs) -> Generator[Figure]:
    token = world.token(pairs.server)
    with _running_openfga() as (peer, http):
        beside = _openfga_world(http)
        repeated = world.repeated(token)
        run(pairs.server, repeated, number=len(repeated.requests) + 1000)
        ratios, rates = [], []
        for _ in range(pairs.extent.pairs):
            theirs = run(peer, beside, seconds=pairs.extent.seconds)
            ours = run(pairs.server, repeated, seconds=pairs.extent.seconds)
            ratios.append(ours.rate / theirs.rate)
            rates.append(theirs.rate)
    yield Figure("authorize_vs_openfga", pairs.engine, ratios)
    yield Figure("openfga_check_per_second", "memory", rates)


def _spicedb(pairs: Pairs) -> Generator[Figure]:
    with _running_spicedb() as peer:
        beside = _spicedb_world(peer)
        ours_load = world.batch()
        run(pairs.server, ours_load, number=10)
        ratios, rates = [], []
        for _ in range(pairs.extent.pairs):
            theirs = run(peer, beside, seconds=pairs.extent.seconds)
            ours = run(pairs.server, ours_load, seconds=pairs.extent.seconds)
            ratios.append(ours.rate / theirs.rate)
            rates.append(theirs.rate * world.CHECKS)
    yield Figure("batch_check_vs_spicedb", pairs.engine, ratios)
    yield Figure("spicedb_checks_per_second", "memory", rates)


@contextlib.contextmanager
def _running_openfga() -> Generator[tuple[Served, str]]:
    grpc_at, http_at = (f"127.0.0.1:{_free_port()}" for _ in range(2))
    command = [
        str(OPENFGA),
        "run",
        f"--grpc-addr={grpc_at}",
        f"--http-addr={http_at}",
        "--playground-enabled=false",
        "--metrics-enabled=false",
        "--log-level=error",
    ]
    with _process(command) as process:
        _await(http_at)
        yield Served(grpc_at, process.pid), f"http://{http_at}"


def _openfga_world(http: str) -> Load:
    """A store with as many agents as ours, which one user owns, and the question about each."""
    store_id = _post(f"{http}/stores", {"name": "bench"})["id"]
    direct = {
        "metadata": {"relations": {"owner": {"directly_related_user_types": [{"type": "user"}]}}}
    }
    viewer = {"union": {"child": [{"this": {}}, {"computedUserset": {"relation": "owner"}}]}}
    direct["metadata"]["relations"]["viewer"] = {"directly_related_user_types": [{"type": "user"}]}
    model = {
        "schema_version": "1.1",
        "type_definitions": [
            {"type": "user"},
            {"type": "agent", "relations": {"owner": {"this": {}}, "viewer": viewer}, **direct},
        ],
    }
    model_id = _post(f"{http}/stores/{store_id}/authorization-models", model)[
        "authorization_model_id"
    ]
    for start in range(0, world.AGENTS, 100):
        tuples = [
            {"user": "user:1", "relation": "owner", "object": f"agent:agent-{number}"}
            for number in range(start, start + 100)
        ]
        _post(f"{http}/stores/{store_id}/write", {"writes": {"tuple_keys": tuples}})
    requests = [
        {
            "store_id": store_id,
            "authorization_model_id": model_id,
            "tuple_key": {
                "user": "user:1",
                "relation": "viewer",
                "object": f"agent:agent-{number}",
            },
        }
        for number in range(world.AGENTS)
    ]
    return Load("openfga.v1.OpenFGAService.Check", requests, protos=None)


@contextlib.contextmanager
def _running_spicedb() -> Generator[Served]:
    at = f"127.0.0.1:{_free_port()}"
    command = [
        str(SPICEDB),
        "serve",
        f"--grpc-preshared-key={_KEY}",
        f"--grpc-addr={at}",
        "--datastore-engine=memory",
        "--metrics-enabled=false",
        "--telemetry-endpoint=",
        "--skip-release-check",
        "--log-level=error",
    ]
    with _process(command) as process:
        _await(at)
        yield Served(at, process.pid, _KEY)


def _spicedb_world(peer: Served) -> Load:
    schema = """definition user {}
    definition agent {
        relation owner: user
        relation viewer: user
        permission view = owner + viewer
    }"""
    writing = Load("authzed.api.v1.SchemaService.WriteSchema", [{"schema": schema}], None)
    run(peer, writing, number=1, callers=1, connections=1)
    for start in range(0, world.AGENTS, 500):
        updates = [
            {
                "operation": "OPERATION_TOUCH",
                "relationship": {**_on(number), "relation": "owner", **_by()},
            }
            for number in range(start, start + 500)
        ]
        writing = Load(
            "authzed.api.v1.PermissionsService.WriteRelationships", [{"updates": updates}], None
        )
        run(peer, writing, number=1, callers=1, connections=1)
    items = [{**_on(number), "permission": "view", **_by()} for number in range(world.AGENTS)]
    method = "authzed.api.v1.PermissionsService.CheckBulkPermissions"
    return Load(method, [{"items": items}], None)


def _on(number: int) -> dict[str, Any]:
    return {"resource": {"object_type": "agent", "object_id": f"agent-{number}"}}


def _by() -> dict[str, Any]:
    return {"subject": {"object": {"object_type": "user", "object_id": "1"}}}


@contextlib.contextmanager
def _process(command: list[str]) -> Generator[subprocess.Popen[bytes]]:
    pinned = ["taskset", "-c", SERVER_CORE, *command]
    # One core, and as many threads as a Go program takes for one.
    environment = {"GOMAXPROCS": "1", "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(
        pinned, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def _await(address: str) -> None:
    host, port = address.split(":")
    give_up = time.monotonic() + _PATIENCE
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > give_up:
                raise RuntimeError(f"nothing listens on {address}") from None
            time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _post(url: str, body: Any) -> Any:
    request = urllib.request.Request(  # noqa: S310 - it is ours, on this machine
        url, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310
        return json.load(answer)
