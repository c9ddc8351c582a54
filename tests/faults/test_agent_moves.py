"""Servers that die, come and go while agents and their directories are made, moved and removed."""

import itertools
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from tests.abilities.filing import get, of_agent, put
from tests.directory.agreeing import assert_agree
from tests.faults.conftest import Launch
from tests.faults.movers import LOG, Mover, check_lines
from tests.faults.racing import spread
from tests.processes import PATIENCE, ServerProcess
from tests.registry import Person

MOVERS = 4
UNDONE = '"move undone"'


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(10, id="10-kills"),
        pytest.param(200, id="200-kills", marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
    ],
)
def test_row_and_directory_agree_after_every_kill(
    launch: Launch, kills: int, record_property: Any
) -> None:
    process = launch().ready()
    owner = process.registry.user()
    movers = [Mover(number, owner.user_id) for number in range(MOVERS)]
    interrupted = 0
    for kill in itertools.count():
        # A kill that met no move proves nothing.
        if kill >= kills and interrupted:
            break
        move_until_killed(process, movers, after=random.randint(3, 25))
        with process.registry.app.store.read() as tx:
            interrupted += bool(tx.intents.all())
        process.close()
        process = launch().ready()
        # The start has put in order what there was; nobody has called yet.
        app = process.registry.app
        assert_agree(app.store, app.directories)
    admin = process.registry.admin
    for mover in movers:
        mover.settle(admin)
        mover.check(admin)
        for path, known in mover.kept.items():
            home = app.directories.tree.root / path
            assert (home / "SOUL.md").is_file()
            check_lines(known, (home / LOG).read_bytes() if (home / LOG).exists() else b"")
    assert_agree(app.store, app.directories)
    record_property("measured: calls", sum(mover.calls for mover in movers))
    record_property("measured: kills in a move", interrupted)


def move_until_killed(process: ServerProcess, movers: Sequence[Mover], *, after: int) -> None:
    """Let them call, and kill the server once so many calls were answered."""
    acknowledged = threading.Semaphore(0)
    with (
        spread(process.registry.admin, connections=len(movers)) as admins,
        ThreadPoolExecutor(len(movers)) as threads,
    ):
        moving = [
            threads.submit(mover.go_on, admin, acknowledged.release)
            for mover, admin in zip(movers, admins, strict=True)
        ]
        for _ in range(after):
            assert acknowledged.acquire(timeout=PATIENCE), [one.result(0) for one in moving]
        process.kill()
        failures = [one.result(PATIENCE) for one in moving]
    assert {failure.code for failure in failures} == {grpc.StatusCode.UNAVAILABLE}, failures


@pytest.mark.timeout(120)
def test_a_server_that_comes_and_goes_undoes_nothing_of_another(launch: Launch) -> None:
    first = launch().ready()
    owner = first.registry.user()
    # So many that whoever starts meanwhile comes upon moves that are under way.
    agents = [first.registry.agent(owner) for _ in range(2 * MOVERS)]
    for agent in agents:
        put(owner, of_agent(agent), "notes.md", b"mine")
    ended = threading.Event()

    def rename_until_ended(admin: Person, agent: Any) -> str:
        for number in itertools.count(1):
            slug = f"renamed-{agent.agent_id}-{number}"
            answer = admin.call(
                "AgentService/RenameAgent", agent={"agent_id": agent.agent_id}, new_slug=slug
            )
            assert answer.agent.agent_slug == slug
            if ended.is_set():
                return slug
        raise AssertionError

    with (
        spread(first.registry.admin, connections=len(agents)) as admins,
        ThreadPoolExecutor(len(agents)) as threads,
    ):
        renaming = [
            threads.submit(rename_until_ended, admin, agent)
            for admin, agent in zip(admins, agents, strict=True)
        ]
        try:
            for end in ("stop", "kill", "stop"):
                other = launch().ready()
                other.stop() if end == "stop" else other.kill()
                assert UNDONE not in other.log_text()
        finally:
            ended.set()
        slugs = [one.result(PATIENCE) for one in renaming]
    for agent, slug in zip(agents, slugs, strict=True):
        ref = {"agent_id": agent.agent_id}
        shown = first.registry.admin.call("AgentService/GetAgent", agent=ref)
        assert (shown.agent.agent_slug, shown.directory.path) == (slug, f"agents/{slug}")
        assert get(owner, of_agent(slug), "notes.md") == b"mine"
    assert UNDONE not in first.log_text()
    assert_agree(first.registry.app.store, first.registry.app.directories)


def test_what_one_server_moves_another_finds_at_once(
    two: tuple[ServerProcess, ServerProcess],
) -> None:
    first, second = (server.registry for server in two)
    owner = first.user()
    agent = first.agent(owner)
    there = Person(second, owner.token, user_id=owner.user_id)
    put(owner, of_agent(agent), "0.md", b"0")
    for number in range(1, 6):
        slug = f"moved-{number}"
        first.admin.call(
            "AgentService/RenameAgent", agent={"agent_id": agent.agent_id}, new_slug=slug
        )
        assert get(there, of_agent(slug), f"{number - 1}.md") == str(number - 1).encode()
        put(there, of_agent(slug), f"{number}.md", str(number).encode())
        assert get(owner, of_agent(slug), f"{number}.md") == str(number).encode()
