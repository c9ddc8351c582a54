"""A tree of the test's own, and the directories of a migrated store."""

from pathlib import Path

import pytest

from accredit_storage.directory.directories import Directories
from accredit_storage.directory.files import Files
from accredit_storage.directory.places import OwnPlace
from accredit_storage.directory.tree import DirectoryTree
from accredit_storage.store import Store
from tests.directory.making import home


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the tree is."""
    return tmp_path / "root"


@pytest.fixture
def tree(root: Path) -> DirectoryTree:
    """An empty tree."""
    made = DirectoryTree(root)
    made.prepare()
    return made


@pytest.fixture
def files(tree: DirectoryTree) -> Files:
    """Its files."""
    return Files(tree)


@pytest.fixture
def place(tree: DirectoryTree) -> OwnPlace:
    """The directory of agent 7, ``scribe``."""
    return home(tree)


@pytest.fixture
def directories(store: Store, root: Path) -> Directories:
    """A tree beside a store, on each engine."""
    made = Directories(store, root)
    made.start()
    return made
