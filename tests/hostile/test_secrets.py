"""The text of a token stands in the reply that made it, and nowhere else."""

import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import grpc
import pytest
from sqlalchemy import make_url

from tests.hostile.scenes import BASELINES, Scene
from tests.hostile.wire import Wire, outcome_of
from tests.postgres import PostgresServer
from tests.processes import ServerProcess, launched

pytestmark = pytest.mark.timeout(300)

# What follows the public id: the random part and the checksum. The first of them is the secret.
RANDOM_LENGTH = 43
_PLAIN = re.compile(rb"[0-9A-Za-z]{%d,}" % RANDOM_LENGTH)
_HEX = re.compile(rb"[0-9a-f]{%d,}" % (2 * RANDOM_LENGTH))


@dataclass
class Secrets:
    """The texts of tokens, to be looked for."""

    texts: list[str] = field(default_factory=list)
    _parts: set[bytes] = field(default_factory=set)

    def add(self, text: str) -> None:
        self.texts.append(text)
        self._parts.add(text.encode()[21 : 21 + RANDOM_LENGTH])

    def are_in(self, data: bytes) -> bool:
        """Whether the random part of any of them stands in it, plain or as hexadecimal digits."""
        return any(
            run[place : place + RANDOM_LENGTH] in self._parts
            for run in _runs(data)
            for place in range(len(run) - RANDOM_LENGTH + 1)
        )


def _runs(data: bytes) -> Iterator[bytes]:
    for match in _PLAIN.finditer(data):
        yield match[0]
    for match in _HEX.finditer(data):
        # Digits in pairs, wherever the pairs begin.
        for digits in (match[0], match[0][1:]):
            decoded = bytes.fromhex(digits[: len(digits) // 2 * 2].decode())
            yield from (inner[0] for inner in _PLAIN.finditer(decoded))


def test_the_search_finds_what_it_looks_for() -> None:
    secrets = Secrets()
    random_part = "Ab3" * 14 + "x"
    secrets.add(f"acr_0123456789abcdef_{random_part}zzzzzz")
    for found in (
        random_part.encode(),
        f"\0\xff{random_part}".encode("latin-1"),
        f"0123456789{random_part}zzzzzz".encode(),
        random_part.encode().hex().encode(),
        f"a{random_part.encode().hex()}b".encode(),
    ):
        assert secrets.are_in(found)
    assert not secrets.are_in(random_part[1:].encode())


class Eavesdropper:
    """Calls with secrets everywhere that somebody may put one, and keeps all that is answered."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.wire = Wire(scene.server)
        self.secrets = Secrets()
        self.replies: list[tuple[str, bytes]] = []

    def mint(self, count: int) -> None:
        """So many secrets: half by CreateToken, half by RotateToken, of agents and of users."""
        admin = self.scene.server.admin
        holders: list[dict[str, Any]] = [
            self.scene.guest.ref,
            {"agent": self.scene.own_agent()},
        ]
        for _, holder in zip(range(count // 2), cycle(holders), strict=False):
            made = admin.call("TokenService/CreateToken", full_rights=True, **holder)
            rotated = admin.call("TokenService/RotateToken", token_id=made.token.token_id)
            for answer in (made, rotated):
                self.secrets.add(answer.secret)
                answer.ClearField("secret")
                self.replies.append(("minting", answer.SerializeToString()))

    def use(self) -> None:
        """Each as a credential and in the wrong places; each method with some of them."""
        methods = cycle(BASELINES)
        for place, secret in enumerate(list(self.secrets.texts)):
            method = next(methods)
            body = self.scene.request(method).SerializeToString()
            self._send(method, body, token=secret)
            self._send(method, b"\xff", token=secret)
            if place % 4 == 0:
                self._misplace(secret)
        for method in BASELINES:
            for misused in _with_text_in_every_field(self.scene, method, self.secrets.texts[0]):
                self._send(method, misused)

    def _misplace(self, secret: str) -> None:
        request_of = self.wire.server.request_of
        for method in ("AuthService/Authenticate", "AuthService/Authorize"):
            self._send(method, request_of(method)(token=secret).SerializeToString())
        for method in ("TokenService/GetToken", "TokenService/RevokeToken"):
            self._send(method, request_of(method)(token_id=secret).SerializeToString())
        for header in (f"Basic {secret}", f"Bearer {secret} {secret}", secret, f"Bearer {secret}x"):
            sent = [("authorization", header), ("x-request-id", secret), ("accredit-site", secret)]
            self._send("AuthService/WhoAmI", b"", token="", metadata=sent)

    def _send(self, method: str, body: bytes, **how: Any) -> None:
        outcome = self.wire.send(method, body, **how)
        if outcome.code != "OK":
            self.replies.append((method, repr(outcome).encode()))
            return
        replies = outcome.reply if isinstance(outcome.reply, list) else [outcome.reply]
        for reply in replies:
            if reply.DESCRIPTOR.fields_by_name.get("secret"):
                self.secrets.add(reply.secret)
                reply.ClearField("secret")
            self.replies.append((method, reply.SerializeToString()))
        self.wire.keep_in()

    def call_by_name_of_a_secret(self) -> None:
        """Somebody mistook where the token goes."""
        secret = self.secrets.texts[0]
        invoke: Any = self.wire.server.channel.unary_unary(f"/accredit.v1.AuthService/{secret}")
        with pytest.raises(grpc.RpcError) as refused:
            invoke(b"", timeout=30)
        outcome = outcome_of(refused.value)
        assert outcome.reason == "METHOD_UNKNOWN"
        self.replies.append(("unknown", repr(outcome).encode()))

    def methods_that_told(self) -> set[str]:
        return {method for method, reply in self.replies if self.secrets.are_in(reply)}


def _with_text_in_every_field(scene: Scene, method: str, text: str) -> Iterator[bytes]:
    """A request for each field that is about tokens, with the text of one in it."""
    for one in scene.server.methods[method].input_type.fields:
        if one.name in ("token_id", "page_token", "etag", "request_id"):
            request = scene.request(method)
            setattr(request, one.name, text)
            yield request.SerializeToString()


@pytest.mark.parametrize(
    "count", [200, pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]
)
def test_no_secret_is_anywhere_but_in_the_reply_that_made_it(
    database_url: str,
    engine_name: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    count: int,
) -> None:
    unlimited = ("--log-level=debug", "--agent-limit=1000")
    with launched(database_url, tmp_path / "data", *unlimited) as process:
        listener = Eavesdropper(Scene(process.ready().server))
        listener.mint(count)
        listener.use()
        listener.call_by_name_of_a_secret()
        stored = list(files_of(engine_name, database_url, request))
        assert len(listener.secrets.texts) >= count
        assert len(listener.replies) > 4 * count
        assert listener.methods_that_told() == set()
        assert found_in(listener.secrets, stored) == []
        process.stop()
        # The journal has been written back by now, and what was gathered is flushed.
        assert found_in(listener.secrets, stored) == []
        assert found_in(listener.secrets, tmp_path.rglob("*")) == []
        assert_the_log_was_worth_a_look(process, 3 * count)


def files_of(engine_name: str, database_url: str, request: pytest.FixtureRequest) -> Iterable[Path]:
    """Everything that the database keeps on the disk."""
    if engine_name == "sqlite":
        path = Path(str(make_url(database_url).database))
        assert path.with_name(f"{path.name}-wal").stat().st_size
        return path.parent.glob(f"{path.name}*")
    database_server: PostgresServer = request.getfixturevalue("postgres")
    assert shutil.disk_usage(database_server.socket_folder)
    return database_server.socket_folder.rglob("*")


def found_in(secrets: Secrets, paths: Iterable[Path]) -> list[str]:
    """The files that hold a secret."""
    found = []
    for path in paths:
        try:
            if path.is_file() and secrets.are_in(path.read_bytes()):
                found.append(str(path))
        except FileNotFoundError:
            # Temporary files come and go.
            continue
    return found


def assert_the_log_was_worth_a_look(process: ServerProcess, calls: int) -> None:
    lines: Sequence[dict[str, Any]] = process.log_lines()
    assert sum(line["event"] == "call" for line in lines) > calls
    assert any(line["level"] == "debug" for line in lines)
