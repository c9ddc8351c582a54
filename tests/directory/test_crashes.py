"""A process that dies at each step of a move: row and directory agree, and nothing is lost."""

import itertools
import random
import time
from pathlib import Path

import pytest

from accredit_storage.directory.directories import Directories
from accredit_storage.records import Agent
from accredit_storage.store import Store
from tests.directory.agreeing import FILES, agents, assert_agree, contents, created, on_shelf
from tests.directory.crashing import BACK, STEPS, move_and_die, move_forever, recover_and_die
from tests.directory.making import PATIENCE, pipe, started
from tests.storage.making import agent

#: From here on the move has been made.
DONE = ("committed", "finished")

EVERYTHING = {**FILES, "name": b"scribe"}


@pytest.fixture
def scribe(store: Store, directories: Directories) -> Agent:
    """The agent to move, with files. There is another one, which has no directory yet."""
    made = created(store, directories)
    with store.write() as tx:
        owner = tx.users.find(made.owner_id)
        assert owner
        agent(tx, owner, "bare")
    return made


def crash(target: object, *arguments: object) -> None:
    assert callable(target)
    process = started(target, *arguments)
    process.join(PATIENCE)
    # Killed, and not because it had come to its end.
    assert process.exitcode == -9


def recover(directories: Directories) -> None:
    """As servers do when they start. PostgreSQL notices a moment later that a process has died."""
    while (recovered := directories.start()).under_way:
        assert not recovered.failed
    assert not recovered.failed


def check(store: Store, directories: Directories, scribe: Agent, kind: str, done: bool) -> None:
    """The rows are those of before the move or those of after it, the directories agree with them.

    And nothing is lost.
    """
    # The agent without a directory gets one now, if that was not the move.
    known = agents(store)
    with store.read() as tx:
        bare = tx.agents.find(known["bare"])
    assert bare
    assert directories.reach(bare, directories.files.list) == []
    expected = {"scribe": scribe.agent_id, "bare": bare.agent_id}
    files = EVERYTHING
    match kind, done:
        case "create", True:
            expected["clerk"] = known["clerk"]
            assert contents(directories, "clerk") == FILES
        case "rename", True:
            expected["clerk"] = expected.pop("scribe")
            assert contents(directories, "clerk") == EVERYTHING
        case (("delete" | "keep"), True):
            del expected["scribe"]
    assert known == expected
    if "scribe" in known:
        assert contents(directories, "scribe") == files
    kept = [contents(directories, f".kept/{name}") for name in on_shelf(directories, ".kept")]
    assert kept == ([EVERYTHING] if (kind, done) == ("keep", True) else [])
    assert_agree(store, directories)


@pytest.mark.parametrize(
    ("kind", "step"), [(kind, step) for kind, steps in STEPS.items() for step in steps]
)
def test_a_crash_in_a_move_is_recovered_from(
    store: Store,
    database_url: str,
    directories: Directories,
    root: Path,
    scribe: Agent,
    kind: str,
    step: str,
) -> None:
    moved = agents(store)["bare"] if kind == "ensure" else scribe.agent_id
    crash(move_and_die, database_url, root, kind, moved, step, False)
    recover(directories)
    check(store, directories, scribe, kind, done=step in DONE)


@pytest.mark.parametrize("kind", ["create", "rename", "delete", "keep"])
@pytest.mark.parametrize("step", BACK)
def test_a_crash_while_a_move_is_taken_back_is_recovered_from(
    store: Store,
    database_url: str,
    directories: Directories,
    root: Path,
    scribe: Agent,
    kind: str,
    step: str,
) -> None:
    crash(move_and_die, database_url, root, kind, scribe.agent_id, step, True)
    recover(directories)
    check(store, directories, scribe, kind, done=False)


@pytest.mark.parametrize("kind", ["create", "rename", "delete"])
@pytest.mark.parametrize("step", ["moved back", "withdrawn"])
def test_a_crash_in_a_recovery_is_recovered_from(
    store: Store,
    database_url: str,
    directories: Directories,
    root: Path,
    scribe: Agent,
    kind: str,
    step: str,
) -> None:
    crash(move_and_die, database_url, root, kind, scribe.agent_id, "moved", False)
    crash(recover_and_die, database_url, root, step)
    recover(directories)
    check(store, directories, scribe, kind, done=False)


@pytest.mark.parametrize("kind", ["rename", "delete", "keep"])
@pytest.mark.parametrize("step", ["recorded", "moved"])
def test_a_call_that_meets_what_a_crash_has_left_needs_no_restart(
    store: Store,
    database_url: str,
    directories: Directories,
    root: Path,
    scribe: Agent,
    kind: str,
    step: str,
) -> None:
    crash(move_and_die, database_url, root, kind, scribe.agent_id, step, False)
    found = directories.reach(scribe, lambda place: directories.files.read(place, "SOUL.md"))
    assert found.content == FILES["SOUL.md"]
    with directories.moves.rename(scribe.agent_id, "scribe", "poet") as move, store.write() as tx:
        tx.agents.update(scribe.agent_id, at=scribe.created_at, agent_slug="poet")
        move.settle(tx)
    assert contents(directories, "poet") == EVERYTHING


@pytest.mark.parametrize("step", ["recorded", "staged", "moved"])
def test_so_does_one_that_wants_the_slug_which_a_crash_has_left(
    store: Store, database_url: str, directories: Directories, root: Path, scribe: Agent, step: str
) -> None:
    crash(move_and_die, database_url, root, "create", 0, step, False)
    clerk = created(store, directories, "clerk")
    assert agents(store)["clerk"] == clerk.agent_id
    assert contents(directories, "clerk") == {**FILES, "name": b"clerk"}


def test_what_was_written_into_a_directory_that_was_just_made_is_kept(
    store: Store, database_url: str, directories: Directories, root: Path, scribe: Agent
) -> None:
    with store.read() as tx:
        bare = tx.agents.find_by_slug("bare")
    assert bare
    crash(move_and_die, database_url, root, "ensure", bare.agent_id, "moved", False)
    # Nothing tells this call of the crash: it finds the directory where it looks for it.
    directories.reach(bare, lambda place: directories.files.write(place, "SOUL.md", b"mine"))
    recover(directories)
    assert contents(directories, "bare") == {"SOUL.md": b"mine"}
    assert_agree(store, directories)


@pytest.mark.parametrize("kills", [4, pytest.param(500, marks=pytest.mark.soak)])
def test_a_process_that_is_killed_at_any_moment_loses_nothing(
    store: Store, database_url: str, directories: Directories, root: Path, kills: int
) -> None:
    chance = random.Random(kills)
    created(store, directories)
    interrupted = 0
    for seed in itertools.count():
        # A kill that came too early or too late proves nothing.
        if seed >= kills and interrupted:
            break
        receiver, sender = pipe()
        mover = started(move_forever, database_url, root, seed, sender)
        assert receiver.poll(PATIENCE)
        receiver.recv()
        # Nothing more is sent: this waits, and then the mover is somewhere in its work.
        assert not receiver.poll(chance.uniform(0, 0.1))
        mover.kill()
        mover.join(PATIENCE)
        with store.read() as tx:
            interrupted += bool(tx.intents.all())
        began = time.monotonic()
        recover(directories)
        assert time.monotonic() - began < 5
        assert_agree(store, directories)
        for slug in agents(store):
            found = contents(directories, slug)
            assert found.items() >= FILES.items()
            assert set(found) == {*FILES, "name"}
        for name in on_shelf(directories, ".kept"):
            assert contents(directories, f".kept/{name}").items() >= FILES.items()
