"""Whether a hidden agent can be told from a missing one by the time that an answer takes.

``python -m bench.hidden`` asks about both by turns, in a random order within each pair, and prints
Welch's t for each call: beyond 4 or so the two differ. It runs each call's pairs in several rounds,
because a machine that is busy with something else for a while moves one figure and not all.
"""

import argparse
import contextlib
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from accredit.v1 import (
    access_pb2,
    access_pb2_grpc,
    agent_pb2,
    agent_pb2_grpc,
    directory_pb2,
    directory_pb2_grpc,
    scope_pb2,
    scope_pb2_grpc,
    token_pb2,
    token_pb2_grpc,
    types_pb2,
    user_pb2,
    user_pb2_grpc,
)
from bench.load import database, served

Ask = Callable[[types_pb2.AgentRef], object]


def main() -> None:
    """Measure, and print."""
    arguments = argparse.ArgumentParser(prog="python -m bench.hidden", description=__doc__)
    arguments.add_argument("--pairs", type=int, default=2000, help="pairs a round")
    arguments.add_argument("--rounds", type=int, default=3, help="rounds a call")
    arguments.add_argument("--engine", choices=("sqlite", "postgresql"), action="append")
    chosen = arguments.parse_args()
    for engine in chosen.engine or ("sqlite", "postgresql"):
        with (
            tempfile.TemporaryDirectory() as folder,
            database(engine, Path(folder)) as url,
            served("bench.serve", url, str(Path(folder) / "secret")) as server,
        ):
            print(f"\n{engine}: Welch's t of {chosen.pairs} pairs; median of a missing one")
            secret = (Path(folder) / "secret").read_text()
            for name, ask, hidden, missing in _calls(server.address, secret):
                found = [_welch(ask, hidden, missing, chosen.pairs) for _ in range(chosen.rounds)]
                values = "  ".join(f"{t:6.1f}" for t, _ in found)
                print(f"{name:28}{values}   {found[0][1] * 1e6:6.0f} us")


def _calls(
    address: str, secret: str
) -> list[tuple[str, Ask, types_pb2.AgentRef, types_pb2.AgentRef]]:
    channel = grpc.insecure_channel(address)
    admin: Any = (("authorization", f"Bearer {secret}"),)
    users = user_pb2_grpc.UserServiceStub(channel)
    agents = agent_pb2_grpc.AgentServiceStub(channel)
    made = users.CreateUser(
        user_pb2.CreateUserRequest(login="stranger", role=user_pb2.USER_ROLE_MEMBER), metadata=admin
    )
    token = token_pb2_grpc.TokenServiceStub(channel).CreateToken(
        token_pb2.CreateTokenRequest(
            user=types_pb2.UserRef(user_id=made.user.user_id), full_rights=True
        ),
        metadata=admin,
    )
    wish = agent_pb2.CreateAgentRequest(agent_slug="hidden-one", owner=types_pb2.UserRef(user_id=1))
    wish.config.update({f"key-{number}": "value" for number in range(500)})
    agent = agents.CreateAgent(wish, metadata=admin).agent
    stranger: Any = (("authorization", f"Bearer {token.secret}"),)
    access = access_pb2_grpc.AccessServiceStub(channel)
    scope = scope_pb2_grpc.ScopeServiceStub(channel)
    files = directory_pb2_grpc.DirectoryServiceStub(channel)

    def check(ref: types_pb2.AgentRef) -> object:
        asked = access_pb2.AccessCheck(caller=True, agent=ref, minimum_role=types_pb2.ROLE_VIEWER)
        return access.CheckAccess(access_pb2.CheckAccessRequest(check=asked), metadata=stranger)

    asks: list[tuple[str, Ask]] = [
        ("CheckAccess", check),
        (
            "GetAgent",
            lambda ref: agents.GetAgent(agent_pb2.GetAgentRequest(agent=ref), metadata=stranger),
        ),
        (
            "ResolveScope",
            lambda ref: scope.ResolveScope(
                scope_pb2.ResolveScopeRequest(agent=ref, minimum_role=types_pb2.ROLE_VIEWER),
                metadata=stranger,
            ),
        ),
        (
            "ReadFile",
            lambda ref: list(
                files.ReadFile(
                    directory_pb2.ReadFileRequest(
                        directory=directory_pb2.DirectoryRef(agent=ref), path="SOUL.md"
                    ),
                    metadata=stranger,
                )
            ),
        ),
    ]
    by_slug = (
        types_pb2.AgentRef(agent_slug="hidden-one"),
        types_pb2.AgentRef(agent_slug="missing-on"),
    )
    by_id = (types_pb2.AgentRef(agent_id=agent.agent_id), types_pb2.AgentRef(agent_id=99))
    return [
        (f"{name} by {how}", ask, *pair)
        for name, ask in asks
        for how, pair in (("slug", by_slug), ("id", by_id))
    ]


def _welch(
    ask: Ask, hidden: types_pb2.AgentRef, missing: types_pb2.AgentRef, pairs: int
) -> tuple[float, float]:
    """Welch's t of the times of both, and the median time of a missing one in seconds."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(pairs):
        for which in random.sample((0, 1), 2):
            start = time.perf_counter()
            with contextlib.suppress(grpc.RpcError):
                ask((hidden, missing)[which])
            times[which].append(time.perf_counter() - start)
    first, second = (_without_outliers(one) for one in times)
    spread = statistics.variance(first) / len(first) + statistics.variance(second) / len(second)
    difference = statistics.fmean(first) - statistics.fmean(second)
    return difference / spread**0.5, statistics.median(second)


def _without_outliers(times: list[float]) -> list[float]:
    """The fastest nine tenths: the rest is the machine's doing."""
    return sorted(times)[: len(times) * 9 // 10]


if __name__ == "__main__":
    main()
