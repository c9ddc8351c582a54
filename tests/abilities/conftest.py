"""One server on each engine for all of these tests: each test makes users and agents of its own."""

import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from accredit_service.abilities.calls.app import Limits
from tests.postgres import PostgresServer
from tests.registry import Registry, running_registry


@pytest.fixture(scope="session")
def shared_registry(
    engine_name: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Registry]:
    """The server that ``registry`` hands out. Its clock only ever moves on."""
    folder = tmp_path_factory.mktemp("shared")
    if engine_name == "sqlite":
        url = f"sqlite:///{folder / 'accredit.db'}"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), folder / "accredit.db")
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        template = request.getfixturevalue("postgres_template")
        url = server.url(server.create_database(template=template))
    # Wrong credentials are what many of these tests are about.
    with running_registry(url, folder) as running:
        yield running


@pytest.fixture
def registry(shared_registry: Registry) -> Registry:
    """The shared server; users may own a hundred agents."""
    return shared_registry


@pytest.fixture
def own_registry(database_url: str, tmp_path: Path) -> Generator[Registry]:
    """A server of the test's own, for what is said about all that a server has."""
    with running_registry(database_url, tmp_path) as running:
        yield running


@pytest.fixture
def strict_registry(database_url: str, tmp_path: Path) -> Generator[Registry]:
    """A server with the limits it is delivered with: a user may own one agent."""
    with running_registry(database_url, tmp_path, limits=Limits()) as running:
        yield running
