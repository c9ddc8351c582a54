"""How long a revoked token still works anywhere, once its revocation was acknowledged."""

import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc

from accredit.v1 import auth_pb2, auth_pb2_grpc, token_pb2, token_pb2_grpc, types_pb2
from accredit_storage.store import Store
from bench import world
from bench.figures import Figure
from bench.load import LOAD_CORE, Served, served
from bench.world import Holder

#: Tokens that are revoked in a whole run, by engine.
TRIES = {"sqlite": 10_000, "postgresql": 1000}
#: No token is asked about for longer than that, in seconds.
_PATIENCE = 5.0


class Client:
    """What asks a server and revokes at it."""

    def __init__(self, server: Served, stack: ExitStack) -> None:
        channel = stack.enter_context(grpc.insecure_channel(server.address))
        self._auth = auth_pb2_grpc.AuthServiceStub(channel)
        self._tokens = token_pb2_grpc.TokenServiceStub(channel)
        self._metadata = server.metadata

    def works(self, secret: str, position: str = "") -> bool:
        """Whether the token is good, as the server says."""
        wish = auth_pb2.AuthenticateRequest(token=secret)
        if position:
            wish.consistency.CopyFrom(types_pb2.Consistency(at_least_as_fresh=position))
        answer = self._auth.Authenticate(wish, metadata=self._metadata)
        return bool(answer.HasField("principal"))

    def revoke(self, secret: str) -> str:
        """Revoke the token: the position of that."""
        token_id = secret.split("_")[1]
        wish = token_pb2.RevokeTokenRequest(token_id=token_id)
        answer: Any = self._tokens.RevokeToken(wish, metadata=self._metadata)
        return str(answer.consistency_token)


def count(url: str, folder: Path, engine: str, tries: int) -> Generator[Figure]:
    """On SQLite: wrong answers, of one process and of two. On PostgreSQL: how long, of two."""
    with ExitStack() as stack:
        one = stack.enter_context(served("bench.serve", url, str(folder / "data")))
        other = stack.enter_context(
            served("bench.serve", url, str(folder / "data"), core=LOAD_CORE)
        )
        store = Store.open(url)
        stack.callback(store.close)
        holders = world.holders(store, 2 * tries)
        here, there = Client(one, stack), Client(other, stack)
        halves = holders[:tries], holders[tries:]
        note = f"of {tries}"
        if engine == "sqlite":
            for name, at, half in (
                ("one process", here, halves[0]),
                ("two on SQLite", there, halves[1]),
            ):
                wrong = _wrong(here, at, half)
                yield Figure("revocation_wrong_answers", name, [wrong], note)
            return
        late = sorted(_until_known(here, there, holder.secret) for holder in halves[0])
        worst = late[int(len(late) * 0.99)] * 1000
        yield Figure("revocation_p99_ms", "two on PostgreSQL", [worst], note)
        wrong = _wrong(here, there, halves[1], with_position=True)
        yield Figure("revocation_wrong_with_position", "two on PostgreSQL", [wrong], note)


def _wrong(
    here: Client, there: Client, holders: Sequence[Holder], *, with_position: bool = False
) -> int:
    wrong = 0
    for holder in holders:
        if not there.works(holder.secret):
            raise RuntimeError("a token that nobody has revoked does not work")
        position = here.revoke(holder.secret)
        wrong += there.works(holder.secret, position if with_position else "")
    return wrong


def _until_known(here: Client, there: Client, secret: str) -> float:
    """Seconds from the acknowledgement to the last wrong answer."""
    if not there.works(secret):
        raise RuntimeError("a token that nobody has revoked does not work")
    here.revoke(secret)
    began = last = time.monotonic()
    while there.works(secret):
        last = time.monotonic()
        if last - began > _PATIENCE:
            raise RuntimeError("a revoked token works for good")
    return last - began
