"""A small world for the tests that go through the whole contract, each time as it was made."""

import shutil
import sqlite3
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.api.scene import Scene
from tests.server import Server, running_server


@dataclass(frozen=True)
class World:
    """A scene on a server of its own, and a copy of the database as it was then."""

    server: Server
    scene: Scene
    database: Path
    copy: Path

    def keep(self) -> None:
        """Come back here from now on."""
        _copy(self.database, self.copy)

    def restore(self) -> None:
        """Undo whatever was done since, which is faster than to make it all anew."""
        _copy(self.copy, self.database)


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as origin, closing(sqlite3.connect(target)) as goal:
        origin.backup(goal)


@pytest.fixture(scope="session")
def world(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[World]:
    """One for all of these tests. Who may call what is the same on every engine."""
    folder = tmp_path_factory.mktemp("contract")
    database = folder / "accredit.db"
    shutil.copyfile(sqlite_template, database)
    with running_server(f"sqlite:///{database}", folder) as server:
        made = World(server, Scene.make(server), database, folder / "copy.db")
        made.keep()
        yield made
