"""Servers that die, come and go while agents and their directories come and go as well."""

import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accredit_storage.directory.directories import Directories
from tests.api.filing import get, of_agent, put
from tests.directory.agreeing import assert_agree
from tests.faults.conftest import Launch
from tests.faults.movers import LOG, Mover, check_lines
from tests.faults.racing import spread, until_killed
from tests.processes import PATIENCE, ServerProcess
from tests.server import Person

MOVERS = 4


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
    owner = process.server.user()
    movers = [Mover(number, owner.user_id) for number in range(MOVERS)]
    for _ in range(kills):
        until_killed(process, movers, Mover.go_on, after=random.randint(3, 25))
        process.close()
        process = launch().ready()
        # The start has put in order what there was; nobody has called yet.
        app = process.server.app
        assert_agree(app.store, app.directories, crashed=True)
    admin = process.server.admin
    for mover in movers:
        mover.settle(admin)
        mover.check(admin)
    # What a crash has left is put aside within the hour.
    later = datetime.now(UTC) + timedelta(hours=2)
    Directories(app.store, app.directories.tree.root, now=lambda: later).start()
    for mover in movers:
        for path, known in mover.kept.items():
            home = app.directories.tree.root / path
            assert home.is_dir()
            check_lines(known, (home / LOG).read_bytes() if (home / LOG).exists() else b"")
    assert_agree(app.store, app.directories)
    record_property("measured: calls", sum(mover.calls for mover in movers))


@pytest.mark.timeout(120)
def test_a_server_that_comes_and_goes_undoes_nothing_of_another(launch: Launch) -> None:
    first = launch().ready()
    owner = first.server.user()
    # So many that whoever starts meanwhile comes upon moves that are under way.
    agents = [first.server.agent(owner) for _ in range(2 * MOVERS)]
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
        spread(first.server.admin, connections=len(agents)) as admins,
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
        finally:
            ended.set()
        slugs = [one.result(PATIENCE) for one in renaming]
    for agent, slug in zip(agents, slugs, strict=True):
        ref = {"agent_id": agent.agent_id}
        shown = first.server.admin.call("AgentService/GetAgent", agent=ref)
        assert (shown.agent.agent_slug, shown.directory.path) == (slug, f"agents/{slug}")
        assert get(owner, of_agent(slug), "notes.md") == b"mine"
    assert_agree(first.server.app.store, first.server.app.directories)


def test_what_one_server_moves_another_finds_at_once(
    two: tuple[ServerProcess, ServerProcess],
) -> None:
    first, second = (each.server for each in two)
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


def test_writers_never_notice_that_their_agent_is_renamed_a_hundred_times(
    two: tuple[ServerProcess, ServerProcess],
) -> None:
    first, second = (each.server for each in two)
    owner = first.user()
    agent, other = first.agent(owner, "busy"), first.agent(owner, "quiet")
    put(owner, of_agent(other), "whose.md", b"quiet")
    ended = threading.Event()

    def append(number: int, person: Person) -> int:
        for line in itertools.count():
            if ended.is_set():
                return line
            person.call(
                "DirectoryService/AppendFile",
                directory=of_agent(agent),
                path="log.md",
                content=f"{number} {line}\n".encode(),
            )
        raise AssertionError

    with (
        spread(owner, first, second, connections=16) as people,
        ThreadPoolExecutor(len(people)) as threads,
    ):
        writing = [threads.submit(append, *numbered) for numbered in enumerate(people)]
        try:
            for number in range(100):
                # The slug that it gives up goes to the other one, and back.
                for ref, slug in (
                    (agent, f"busy-{number}"),
                    (other, "busy" if number == 0 else f"busy-{number - 1}"),
                ):
                    first.admin.call(
                        "AgentService/RenameAgent",
                        agent={"agent_id": ref.agent_id},
                        new_slug=slug,
                    )
        finally:
            ended.set()
        counts = [one.result(PATIENCE) for one in writing]
    found = get(owner, of_agent(agent), "log.md").decode().splitlines()
    for number, count in enumerate(counts):
        mine = [line for line in found if line.startswith(f"{number} ")]
        assert mine == [f"{number} {line}" for line in range(count)]
    assert len(found) == sum(counts)
    assert get(owner, of_agent("busy-98"), "whose.md") == b"quiet"
    assert_agree(first.app.store, first.app.directories)
