"""An agent with files, and the question whether rows and directories agree."""

from collections.abc import Callable

from accredit_storage.directory.directories import Directories
from accredit_storage.directory.folders import Folder
from accredit_storage.directory.markers import read_marker
from accredit_storage.records import Agent
from accredit_storage.store import Store
from tests.directory.making import files_in
from tests.storage.making import NOW, agent, user

FILES = {"SOUL.md": b"I write.", "daily/2026/03/01.md": b"# A day\n"}


class Undone(Exception):
    """Rolls a transaction back."""


def nothing() -> None:
    """Do nothing."""


def undo() -> None:
    """Roll the transaction back."""
    raise Undone


def created(
    store: Store,
    directories: Directories,
    slug: str = "scribe",
    *,
    before: Callable[[], object] = nothing,
    after: Callable[[], object] = nothing,
) -> Agent:
    """Create an agent whose directory has FILES and the slug in it.

    ``before`` its transaction and ``after`` the move in it something else may happen.
    """
    with directories.moves.create(slug) as creation:
        for path, content in FILES.items():
            directories.files.write(creation.place, path, content)
        directories.files.write(creation.place, "name", slug.encode())
        before()
        with store.write() as tx:
            owner = tx.users.find_by_login("ada") or user(tx)
            made = agent(tx, owner, slug)
            creation.settle_as(tx, made.agent_id)
            after()
    return made


def renamed(
    store: Store,
    directories: Directories,
    who: Agent,
    slug: str,
    *,
    before: Callable[[], object] = nothing,
    after: Callable[[], object] = nothing,
) -> bool:
    """Rename an agent: whether there was a directory. See ``created``."""
    with directories.moves.rename(who.agent_id, who.agent_slug, slug) as move:
        before()
        with store.write() as tx:
            tx.agents.update(who.agent_id, at=NOW, agent_slug=slug)
            move.settle(tx)
            after()
    return move.moved


def deleted(
    store: Store,
    directories: Directories,
    who: Agent,
    *,
    with_files: bool,
    after: Callable[[], object] = nothing,
) -> bool:
    """Delete an agent: whether there was a directory. See ``created``."""
    moving = directories.moves.delete(who.agent_id, who.agent_slug, with_files=with_files)
    with moving as move, store.write() as tx:
        tx.agents.delete(who.agent_id)
        move.settle(tx)
        after()
    return move.moved


def agents(store: Store) -> dict[str, int]:
    """The ids of all agents by their slugs."""
    with store.read() as tx:
        found = tx.agents.find_many(range(1, 1000))
    return {each.agent_slug: each.agent_id for each in found}


def contents(directories: Directories, folder: str) -> dict[str, bytes]:
    """The files in a folder below ``agents/``."""
    return files_in(directories.tree.root / "agents" / folder)


def on_shelf(directories: Directories, shelf: str) -> list[str]:
    """What is on a shelf."""
    folder = directories.tree.root / "agents" / shelf
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def assert_agree(store: Store, directories: Directories, *strays: str) -> None:
    """Every agent has its directory, every directory its agent, and nothing is half done."""
    found = {}
    for path in (directories.tree.root / "agents").iterdir():
        if path.name.startswith(".") or path.name in strays:
            continue
        with Folder.at(path) as folder:
            marker = read_marker(folder)
        found[path.name] = marker and marker.agent_id
    assert found == agents(store)
    with store.read() as tx:
        assert tx.intents.all() == []
    assert on_shelf(directories, ".new") == []
    assert on_shelf(directories, ".trash") == []
    assert list((directories.tree.root / ".locks").iterdir()) == []
