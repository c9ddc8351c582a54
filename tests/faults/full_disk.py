"""A program for test_full_disk: a server whose files are on a disk of their own, which fails.

The database is elsewhere. But for "limited", run in a mount namespace of its own.
"""

import resource
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accredit.v1 import directory_pb2
from tests.api.filing import Fields, get, of_agent, on_disk, paths, put
from tests.directory.making import snapshot
from tests.server import Person, Server, running_server

KEPT = b"x" * 10_000
#: More than there is room for.
LARGE = b"y" * 3_000_000


@contextmanager
def full(disk: Path) -> Generator[None]:
    """No room is left on the disk."""
    filling = disk / "filling"
    with filling.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    yield
    filling.unlink()


@contextmanager
def read_only(disk: Path) -> Generator[None]:
    """The disk takes no writes."""
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    yield
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)


@contextmanager
def limited(disk: Path) -> Generator[None]:
    """The server may make no file as large as that."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, most))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


def refused(person: Person, method: str, expected: str, **fields: Any) -> None:
    """The call ends so."""
    refusal = person.refused(method, **fields)
    assert refusal.what == expected, refusal


def works_meanwhile(server: Server, owner: Person, spare: Person) -> None:
    """What needs no file: who calls is still known, and a token can be taken away."""
    who = owner.call("AuthService/WhoAmI")
    assert who.user.user_id == owner.user_id
    answer = server.admin.call("AuthService/Authenticate", token=spare.token)
    assert answer.WhichOneof("outcome") != "denial"
    server.admin.call("TokenService/RevokeToken", token_id=spare.token_id)
    answer = server.admin.call("AuthService/Authenticate", token=spare.token)
    assert answer.WhichOneof("outcome") == "denial"


def run(
    server: Server,
    disk: Path,
    failing: Callable[[Path], Any],
    expected: str,
    *,
    takes_small_writes: bool,
) -> None:
    """Let the disk fail under the server, and recover."""
    owner = server.user()
    spare = server.user()
    agent = server.agent(owner, "scribe")
    home = of_agent(agent)
    ref: Fields = {"agent": {"agent_id": agent.agent_id}}
    put(owner, home, "notes.md", KEPT)
    file = {"directory": home, "path": "notes.md", "content": LARGE}
    request_id = str(uuid.uuid4())
    agents = on_disk(server, "agents")
    before = snapshot(agents)
    with failing(disk):
        for method in ("WriteFile", "AppendFile"):
            refused(owner, f"DirectoryService/{method}", expected, **file, request_id=request_id)
        new = {**file, "path": "a/b/new.md"}
        refused(owner, "DirectoryService/WriteFile", expected, **new)
        day = {**ref, "date": "2026-02-28", "content": LARGE}
        refused(owner, "DirectoryService/WriteDailyMemory", expected, **day)
        assert get(owner, home, "notes.md") == KEPT
        assert snapshot(agents) == before
        works_meanwhile(server, owner, spare)
        if failing is read_only:
            refused(owner, "DirectoryService/DeleteFile", expected, directory=home, path="SOUL.md")
            shown = owner.call("AgentService/GetAgent", **ref)
            assert shown.agent == agent
            assert shown.directory.has_files
        if not takes_small_writes:
            # Agents come all the same, and are told which files are missing.
            made = server.admin.call(
                "AgentService/CreateAgent", agent_slug="clerk", owner={"user_id": owner.user_id}
            )
            outcomes = {one.outcome for one in made.files}
            assert outcomes == {directory_pb2.SCAFFOLD_OUTCOME_FAILED}
    # Nothing was restarted, and an id whose request was refused is free.
    put(owner, home, "notes.md", b"small", request_id=request_id)
    if takes_small_writes:
        server.agent(owner, "clerk")
    put(owner, of_agent("clerk"), "notes.md", b"mine")
    assert len(paths(owner, of_agent("clerk"))) == 4
    owner.call("AgentService/RenameAgent", **ref, new_slug="writer")
    assert get(owner, of_agent("writer"), "notes.md") == b"small"


def main(what: str, database_url: str, folder: Path) -> None:
    """Do one of the above."""
    disk = folder / "data" / "files"
    disk.mkdir(parents=True)
    if what != "limited":
        small = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
        subprocess.run(small, check=True)
    failing = {"full": full, "read_only": read_only, "limited": limited}[what]
    expected = "RESOURCE_EXHAUSTED STORAGE_FULL"
    if what == "read_only":
        expected = "UNAVAILABLE FILES_UNAVAILABLE"
    with running_server(database_url, folder / "data") as server:
        run(server, disk, failing, expected, takes_small_writes=what == "limited")
    sys.stdout.write("done")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
