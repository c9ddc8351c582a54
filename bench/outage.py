"""PostgreSQL is killed and stays away for a while, in which clients read and write."""

import os
import signal
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc

from accredit.v1 import (
    auth_pb2,
    auth_pb2_grpc,
    token_pb2,
    token_pb2_grpc,
    user_pb2,
    user_pb2_grpc,
)
from bench import world
from bench.figures import Figure
from bench.load import Served, served
from tests.postgres import PostgresServer, running_postgres

#: Seconds: before PostgreSQL is killed, and until it is started again.
BEFORE, AWAY = 2.0, 10.0
READERS, WRITERS = 4, 4
_PATIENCE = 60.0


class _Clients:
    """Readers who know what is right, and writers who remember what was acknowledged."""

    def __init__(self, server: Served, live: str, dead: str) -> None:
        self.server = server
        self.live, self.dead = live, dead
        self.wrong = 0
        self.acknowledged: list[str] = []
        #: When each kind of call last began to succeed without a failure in between.
        self.good_since: dict[str, float] = {}
        self.ended = threading.Event()
        self._metadata = server.metadata

    def note(self, who: str, *, succeeded: bool) -> None:
        """A call of one client's has ended."""
        if succeeded:
            self.good_since.setdefault(who, time.monotonic())
        else:
            self.good_since.pop(who, None)

    def read(self, number: int) -> None:
        """Ask about a token that works and one that does not."""
        with grpc.insecure_channel(self.server.address) as channel:
            auth = auth_pb2_grpc.AuthServiceStub(channel)
            while not self.ended.is_set():
                for secret, right in ((self.live, True), (self.dead, False)):
                    wish = auth_pb2.AuthenticateRequest(token=secret)
                    try:
                        answer = auth.Authenticate(wish, metadata=self._metadata, timeout=5)
                    except grpc.RpcError:
                        self.note(f"reader {number}", succeeded=False)
                        continue
                    self.wrong += answer.HasField("principal") is not right
                    self.note(f"reader {number}", succeeded=True)

    def write(self, number: int) -> None:
        """Make users, each once."""
        with grpc.insecure_channel(self.server.address) as channel:
            users = user_pb2_grpc.UserServiceStub(channel)
            count = 0
            while not self.ended.is_set():
                count += 1
                login = f"writer-{number}-{count}"
                wish = user_pb2.CreateUserRequest(login=login, role=user_pb2.USER_ROLE_GUEST)
                try:
                    users.CreateUser(wish, metadata=self._metadata, timeout=5)
                except grpc.RpcError:
                    self.note(f"writer {number}", succeeded=False)
                    time.sleep(0.05)
                    continue
                self.acknowledged.append(login)
                self.note(f"writer {number}", succeeded=True)

    def lost(self) -> int:
        """How many acknowledged users are not there."""
        there = set()
        with grpc.insecure_channel(self.server.address) as channel:
            users, page = user_pb2_grpc.UserServiceStub(channel), ""
            while True:
                wish = user_pb2.ListUsersRequest(page_size=1000, page_token=page)
                answer: Any = users.ListUsers(wish, metadata=self._metadata)
                there |= {user.login for user in answer.users}
                page = answer.next_page_token
                if not page:
                    return len(set(self.acknowledged) - there)


def killed(folder: Path) -> Generator[Figure]:
    """Wrong answers, lost writes, and the seconds until all clients succeed again."""
    with ExitStack() as stack:
        postgres = stack.enter_context(running_postgres(durable=True))
        url = postgres.url(postgres.create_database())
        server = stack.enter_context(served("bench.serve", url, str(folder / "data")))
        live, dead = world.token(server), world.token(server)
        _revoke(server, dead)
        clients = _Clients(server, live, dead)
        threads = [
            threading.Thread(target=clients.read, args=(number,)) for number in range(READERS)
        ]
        threads += [
            threading.Thread(target=clients.write, args=(number,)) for number in range(WRITERS)
        ]
        for thread in threads:
            thread.start()
        try:
            seconds = _outage(postgres, clients)
        finally:
            clients.ended.set()
            for thread in threads:
                thread.join()
        note = f"{len(clients.acknowledged)} writes were acknowledged"
        yield Figure("postgres_killed_10s_wrong", "postgresql", [clients.wrong])
        yield Figure("postgres_killed_10s_lost", "postgresql", [clients.lost()], note)
        yield Figure("postgres_killed_10s_seconds", "postgresql", [seconds])


def _outage(postgres: PostgresServer, clients: _Clients) -> float:
    time.sleep(BEFORE)
    group = postgres.pid
    os.kill(group, signal.SIGKILL)
    time.sleep(AWAY)
    postgres.start()
    back = time.monotonic()
    # Calls that have failed meanwhile count from their next success on.
    while time.monotonic() - back < _PATIENCE:
        good = dict(clients.good_since)
        if len(good) == READERS + WRITERS and time.monotonic() - max(good.values()) > 1.0:
            return max(0.0, max(good.values()) - back)
        time.sleep(0.05)
    raise RuntimeError("it did not work again")


def _revoke(server: Served, secret: str) -> None:
    with grpc.insecure_channel(server.address) as channel:
        wish = token_pb2.RevokeTokenRequest(token_id=secret.split("_")[1])
        metadata = server.metadata
        token_pb2_grpc.TokenServiceStub(channel).RevokeToken(wish, metadata=metadata)
