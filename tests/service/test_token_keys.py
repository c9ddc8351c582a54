"""`accredit-server token-keys`, and what servers make of it while they run."""

import re
import shutil
import sqlite3
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from accredit.v1 import change_pb2, types_pb2
from accredit_service.abilities.tokens.keys import MAX_KEYS, MINTS_AFTER
from accredit_service.cli import main
from accredit_service.server import _probe
from tests.minting import key_of
from tests.server import Person, Server, running_server

Command = Callable[..., str]


@pytest.fixture
def command(database_url: str, tmp_path: Path) -> Command:
    """``command("rotate")``: what the program prints; ``code`` is what it is to exit with."""

    def run(*arguments: str, code: int = 0) -> str:
        options = ("--database-url", database_url, "--data-dir", str(tmp_path))
        result = CliRunner().invoke(main, ["token-keys", *arguments, *options])
        assert result.exit_code == code, result.output
        return result.output

    return run


@pytest.fixture
def two(database_url: str, tmp_path: Path) -> Generator[tuple[Server, Server]]:
    """Two servers on one store."""
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(
                running_server(
                    database_url,
                    tmp_path / name,
                    files=tmp_path / "files",
                )
            )
            for name in ("first", "second")
        )
        yield first, second


def _let_pass(server: Server) -> None:
    """Make every key as much older as a new one waits before it mints."""
    with server.app.store.write() as tx:
        keys = tx.token_keys()
        tx.set_token_keys(
            tuple(
                type(key)(key_id=key.key_id, key=key.key, created_at=key.created_at - MINTS_AFTER)
                for key in keys
            )
        )


def _look(server: Server) -> None:
    """What a server does every half second."""
    _probe(server.app.store, server.app)


def _minted(server: Server) -> Person:
    made = server.admin.call(
        "TokenService/CreateToken", user={"user_id": server.admin.user_id}, full_rights=True
    )
    return Person(server, made.secret, token_id=made.token.token_id)


def test_a_new_key_mints_later_and_what_the_old_one_minted_goes_on(
    two: tuple[Server, Server], command: Command
) -> None:
    first, second = two
    old = key_of(first.admin.token)
    second.admin.call("AuthService/WhoAmI")
    listed = re.compile(rf"{old}  \S+  (\d+) live tokens  mints\n")
    assert listed.fullmatch(command("list"))

    new = command("rotate").split()[0]
    assert [line.endswith("mints") for line in command("list").splitlines()] == [True, False]
    assert key_of(_minted(first).token) == old

    _let_pass(first)
    of_new = _minted(first)
    assert key_of(of_new.token) == new
    _look(second)
    Person(second, of_new.token).call("AuthService/WhoAmI")
    for server in two:
        server.admin.call("AuthService/WhoAmI")


def test_a_retired_key_takes_its_tokens_along_on_every_server_at_once(
    two: tuple[Server, Server], command: Command
) -> None:
    first, second = two
    of_old = _minted(first)
    old, service = key_of(of_old.token), second.user("SERVICE")
    command("rotate")
    _let_pass(first)
    of_new = _minted(first)
    _look(first)
    _look(second)
    asking = Person(second, _minted_for(first, service))
    for token in (of_old.token, of_new.token):
        assert asking.call("AuthService/Authenticate", token=token).HasField("principal")

    assert "tokens revoked" in command("retire", old, "--yes")

    # Dead or unknown, as the server has looked meanwhile or not; from its next look on, unknown.
    for server in two:
        refused = Person(server, of_old.token).refused("AuthService/WhoAmI")
        assert refused.code.name == "UNAUTHENTICATED"
        _look(server)
        refused = Person(server, of_old.token).refused("AuthService/WhoAmI")
        assert refused.reason == "TOKEN_MALFORMED"
    assert asking.call("AuthService/Authenticate", token=of_old.token).HasField("denial")
    assert asking.call("AuthService/Authenticate", token=of_new.token).HasField("principal")
    # Two letters may stand in any word.
    assert old not in [line.split()[0] for line in command("list").splitlines() if line]
    kinds = [
        one.kind for one in Person(first, of_new.token).call("ChangeService/ListChanges").changes
    ]
    retired = kinds.index(change_pb2.CHANGE_KIND_TOKEN_KEY_RETIRED)
    assert kinds.count(change_pb2.CHANGE_KIND_TOKEN_KEY_ROTATED) == 1
    (store,) = (
        Person(first, of_new.token).call("ChangeService/ListChanges").changes[retired].subjects
    )
    assert store.kind == types_pb2.SUBJECT_KIND_STORE, "more tokens may end than a change lists"


def _minted_for(server: Server, person: Person) -> str:
    made = server.admin.call(
        "TokenService/CreateToken", user={"user_id": person.user_id}, full_rights=True
    )
    return str(made.secret)


def test_the_key_that_mints_is_not_retired_and_no_other_word_is_a_key(
    two: tuple[Server, Server], command: Command
) -> None:
    minting = key_of(two[0].admin.token)
    assert "rotate first" in command("retire", minting, "--yes", code=1)
    assert "token-keys list" in command("retire", "no-key", "--yes", code=1)
    assert "--yes" in command("retire", minting, code=1), "there is no terminal to ask on"
    two[0].admin.call("AuthService/WhoAmI")


def test_there_are_only_so_many_keys(command: Command) -> None:
    for _ in range(MAX_KEYS - 1):
        command("rotate")
    assert "retire one first" in command("rotate", code=1)
    assert len(command("list").splitlines()) == MAX_KEYS


def test_no_command_prints_a_key(two: tuple[Server, Server], command: Command) -> None:
    printed = command("rotate") + command("list")
    with two[0].app.store.read() as tx:
        keys = tx.token_keys()
    for key in keys:
        assert key.key.hex() not in printed
        assert repr(key) == f"TokenKey(key_id={key.key_id!r})"


def test_a_backup_has_the_keys(sqlite_template: Path, tmp_path: Path) -> None:
    shutil.copyfile(sqlite_template, tmp_path / "one.db")
    with running_server(f"sqlite:///{tmp_path / 'one.db'}", tmp_path) as server:
        token = server.admin.token
        with closing(sqlite3.connect(tmp_path / "one.db")) as database:
            database.execute(f"VACUUM INTO '{tmp_path / 'two.db'}'")
    with running_server(f"sqlite:///{tmp_path / 'two.db'}", tmp_path) as restored:
        assert Person(restored, token).call("AuthService/WhoAmI").user.login == "admin"
