"""A tree of the time when directories were named by slug: each is found, and nothing is lost.

Wherever a crash had left a directory, and whenever the renaming itself is broken off.
"""

import itertools
import random
import secrets
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from accredit_storage import migrate
from accredit_storage.directory.directories import Directories
from accredit_storage.directory.folders import Folder
from accredit_storage.directory.places import place_of
from accredit_storage.directory.sweeping import every_row
from accredit_storage.records import Agent, User
from accredit_storage.schema import agents, store_state, users
from accredit_storage.store import Store
from tests.directory.agreeing import assert_agree
from tests.directory.making import PATIENCE, die, pipe, snapshot, started
from tests.storage.making import agent, downgrade, user

#: Where a move that was broken off can have left the directory of a living agent.
LEFT = (
    "agents/{slug}",
    "agents/elsewhere-{slug}",
    "agents/.trash/{hex}",
    "agents/.kept/{slug}.{id}.x",
)


def old_home(root: Path, where: str, row: Agent, *, of: int | None = None) -> Path:
    """A directory as it was then, with a marker and the slug in a file."""
    name = where.format(slug=row.agent_slug, id=row.agent_id, hex=secrets.token_hex(16))
    home = root / name
    home.mkdir(parents=True)
    marker = f"{row.agent_id if of is None else of} {secrets.token_hex(16)}\n"
    (home / ".agent").write_text(marker)
    (home / "daily").mkdir()
    (home / "daily" / "1.md").write_text(row.agent_slug)
    return home


@pytest.fixture
def old(store: Store, root: Path) -> list[Agent]:
    """A tree with agents' and users' directories in all the places that they were left in."""
    for shelf in ("agents/.new", "agents/.kept", "agents/.trash", "users", ".locks"):
        (root / shelf).mkdir(parents=True)
    (root / ".locks" / "0123").write_text("")
    with store.write() as tx:
        ada = user(tx)
        rows = [agent(tx, ada, f"agent-{number}") for number in range(8)]
        tx._connection.execute(
            update(store_state).values(last_old_agent=rows[-1].agent_id, last_old_user=ada.user_id)
        )
    for row, where in zip(rows, itertools.cycle(LEFT), strict=False):
        old_home(root, where, row)
    (root / "users" / str(ada.user_id)).mkdir()
    (root / "users" / str(ada.user_id) / "USER.md").write_text("ada")
    (root / ".store").write_text("a" * 32)
    with store.write() as tx:
        tx.claim_files("a" * 32)
    return rows


def begin(store: Store, root: Path) -> Directories:
    directories = Directories(store, root)
    directories.start()
    return directories


def assert_renamed(store: Store, directories: Directories) -> None:
    """Each agent has its own files, each user theirs."""
    for row in [*every_row(store, "agents"), *every_row(store, "users")]:
        name = "daily/1.md" if isinstance(row, Agent) else "USER.md"
        wanted = row.agent_slug if isinstance(row, Agent) else row.login
        found = directories.reach(row, partial(directories.files.read, path=name))
        assert found.content.decode() == wanted
        assert row.files_made
    assert_agree(store, directories)


def test_each_directory_gets_its_name_wherever_it_was_left(
    store: Store, root: Path, old: list[Agent]
) -> None:
    directories = begin(store, root)
    assert_renamed(store, directories)
    assert {path.name for path in root.iterdir()} >= {".layout-lock", ".store"}
    assert not (root / ".locks").exists()
    assert not (root / "agents" / ".new").exists()
    before = snapshot(root)
    begin(store, root)
    assert snapshot(root) == before


def test_what_is_nobodys_stays_nobodys(store: Store, root: Path, old: list[Agent]) -> None:
    """Directories that people made, of agents that are gone or never came to be."""
    by_hand = root / "agents" / "by-hand"
    by_hand.mkdir()
    (by_hand / "notes.md").write_text("theirs")
    gone = old_home(root, "agents/gone", old[0], of=999)
    kept = old_home(root, "agents/.kept/long.999.then", old[0], of=999)
    unborn = old_home(root, "agents/.new/{hex}", old[0], of=0)
    trash = old_home(root, "agents/.trash/{hex}", old[0], of=999)
    # Of the same id as an agent that was rolled back before: its slug tells which is its own.
    twin = old_home(root, "agents/twin", old[0])
    directories = begin(store, root)
    assert_agree_but(store, directories, {"by-hand", "gone", "twin"})
    assert (by_hand / "notes.md").read_text() == "theirs"
    assert gone.is_dir()
    assert kept.is_dir()
    assert twin.is_dir()
    assert not unborn.exists()
    assert (root / "agents" / ".trash" / unborn.name).is_dir()
    assert trash.is_dir()


def assert_agree_but(store: Store, directories: Directories, strays: set[str]) -> None:
    agents = directories.tree.root / "agents"
    for name in strays:
        (agents / name).rename(agents / f".{name}")
    assert_renamed(store, directories)
    for name in strays:
        (agents / f".{name}").rename(agents / name)


def test_an_agent_of_today_never_gets_an_old_directory(
    store: Store, root: Path, old: list[Agent]
) -> None:
    """As where an id was given again that a creation had before it was undone."""
    with store.write() as tx:
        owner = tx.users.find_by_login("ada")
        assert owner
        young = agent(tx, owner, "young")
    old_home(root, "agents/old", young)
    directories = begin(store, root)
    with store.read() as tx:
        found = tx.agents.find(young.agent_id)
    assert found
    assert not found.files_made
    assert not directories.tree.root.joinpath(*place_of(young).names).exists()


def test_a_directory_of_today_is_made_when_its_server_says_so(
    store: Store, root: Path, old: list[Agent]
) -> None:
    """Another server that starts meanwhile leaves it alone: starter files may be missing still."""
    directories = begin(store, root)
    with store.write() as tx:
        young = agent(tx, tx.users.find_by_login("ada") or user(tx), "young")
    directories.make(young)
    begin(store, root)
    with store.read() as tx:
        assert tx.agents.find(young.agent_id) == young


def test_a_part_of_the_old_tree_that_comes_back_later_is_renamed_then(
    store: Store, root: Path, old: list[Agent]
) -> None:
    """It was not restored yet, or nobody might enter it."""
    aside = root.with_name("aside")
    (root / "agents" / old[0].agent_slug).rename(aside)
    begin(store, root)
    with store.read() as tx:
        found = tx.agents.find(old[0].agent_id)
    assert found
    assert not found.files_made
    aside.rename(root / "agents" / "restored")
    assert_renamed(store, begin(store, root))


@pytest.mark.parametrize("seconds", [-2, 2])
def test_what_a_former_agent_of_the_id_has_left_is_not_given_to_todays(
    store: Store, root: Path, old: list[Agent], seconds: int
) -> None:
    """An older database has given the id again: what was put aside before is not its own."""
    shutil.rmtree(root / "agents" / old[0].agent_slug)
    at = f"{old[0].created_at + timedelta(seconds=seconds):%Y%m%dT%H%M%SZ}"
    kept = old_home(root, f"agents/.kept/{{slug}}.{{id}}.{at}", old[0])
    begin(store, root)
    assert kept.exists() is (seconds < 0)


def test_names_that_no_database_gives_are_left_alone(
    store: Store, root: Path, old: list[Agent]
) -> None:
    beyond = "9999999999999999999"
    (root / "users" / beyond).mkdir()
    old_home(root, "agents/.kept/x.{id}.99999999T999999Z", old[0])
    old_home(root, f"agents/{beyond}", old[0], of=int(beyond))
    (root / "agents" / ".id").mkdir()
    (root / "agents" / ".id" / f"{beyond}.abcdefghijklmnop").mkdir()
    # The sweep touches nothing younger than an hour.
    later = datetime.now(UTC) + timedelta(hours=2)
    Directories(store, root, now=lambda: later).start()
    assert (root / "users" / beyond).is_dir()
    assert (root / "agents" / ".id" / f"{beyond}.abcdefghijklmnop").is_dir()


def test_an_old_tree_that_is_put_back_is_renamed_again(
    store: Store, root: Path, old: list[Agent]
) -> None:
    backup = root.with_name("backup")
    shutil.copytree(root, backup)
    begin(store, root)
    shutil.rmtree(root)
    backup.rename(root)
    assert_renamed(store, begin(store, root))


def put_back_an_older_database(url: str) -> None:
    """As a backup from before the directories had their names, which is migrated then."""
    store = Store.open(url)
    with store.write() as tx:
        for table in (agents, users):
            tx._connection.execute(update(table).values(files_made=False))
    store.close()
    downgrade(url, "0007")
    migrate.upgrade(url)


@pytest.mark.parametrize("shelf", [".id", ".kept", ".trash"])
def test_a_database_from_before_finds_its_directories_by_their_new_names(
    store: Store, database_url: str, root: Path, old: list[Agent], shelf: str
) -> None:
    """Beside a tree that has them already, where its directories were put aside since as well."""
    put_back_an_older_database(database_url)
    assert_renamed(store, begin(store, root))
    for home in [*root.glob("agents/.id/*"), *root.glob("users/.id/*")]:
        home.rename(home.parent.with_name(shelf) / home.name)
    put_back_an_older_database(database_url)
    assert_renamed(store, begin(store, root))


def test_a_server_that_runs_while_a_database_from_before_is_put_back_finds_what_was_put_aside(
    store: Store, database_url: str, root: Path, old: list[Agent]
) -> None:
    put_back_an_older_database(database_url)
    directories = begin(store, root)
    for home in [*root.glob("agents/.id/*"), *root.glob("users/.id/*")]:
        home.rename(home.parent.with_name(".kept") / home.name)
    put_back_an_older_database(database_url)
    rows = [*every_row(store, "agents"), *every_row(store, "users")]
    for number, row in enumerate(rows):
        assert not row.files_made
        if number % 2:
            directories.make(row)
        name = "daily/1.md" if isinstance(row, Agent) else "USER.md"
        found = directories.reach(row, partial(directories.files.read, path=name))
        assert found.content.decode() in (getattr(row, "agent_slug", ""), "ada")


def renew_and_die(url: str, root: Path, step: int, after: bool) -> None:
    """Begin, and be killed at the so-manieth change of the tree or of the database."""
    counter = itertools.count(1)

    def dying(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*arguments: Any, **named: Any) -> Any:
            is_last = next(counter) == step
            if is_last and not after:
                die()
            result = change(*arguments, **named)
            if is_last:
                die()
            return result

        return changed

    for name in ("move", "replace", "create_file", "remove", "remove_folder", "link", "make"):
        setattr(Folder, name, dying(getattr(Folder, name)))
    store = Store.open(url)
    Directories(store, root).start()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_it_can_be_broken_off_at_every_step(
    store: Store, database_url: str, root: Path, old: list[Agent], after: bool
) -> None:
    for step in itertools.count(1):
        process = started(renew_and_die, database_url, root, step, after)
        process.join(PATIENCE)
        assert process.exitcode in (0, -9)
        if process.exitcode == 0:
            break
        # Each dies one step later than the one before in what is left to do.
    assert step > len(LEFT)
    assert_renamed(store, begin(store, root))


def start_again(url: str, root: Path, began: Any) -> None:
    began.send(None)
    Directories(Store.open(url), root).start()
    began.send(None)


@pytest.mark.parametrize("kills", [10, pytest.param(300, marks=pytest.mark.soak)])
def test_servers_that_are_killed_while_they_rename_lose_nothing(
    store: Store, database_url: str, root: Path, old: list[Agent], kills: int
) -> None:
    chance = random.Random(kills)
    for _ in range(kills):
        pairs = [pipe() for _ in range(2)]
        servers = [started(start_again, database_url, root, sender) for _, sender in pairs]
        for receiver, _ in pairs:
            assert receiver.poll(PATIENCE)
            receiver.recv()
        # Somewhere in its work, or past it.
        pairs[0][0].poll(chance.uniform(0, 0.05))
        for server in servers:
            server.kill()
            server.join(PATIENCE)
        # Somebody brings another part of the old tree.
        row = chance.choice(old)
        place = root.joinpath(*place_of(row).names)
        if place.is_dir() and chance.random() < 0.5:
            place.rename(root / "agents" / f"back-{row.agent_slug}")
    assert_renamed(store, begin(store, root))


def test_users_that_are_gone_leave_their_directories_alone(
    store: Store, root: Path, old: list[Agent]
) -> None:
    (root / "users" / "999").mkdir()
    begin(store, root)
    assert (root / "users" / "999").is_dir()
    assert isinstance(next(every_row(store, "users")), User)
