"""One server on each engine for all of these tests: each test makes users and agents of its own."""

from collections.abc import Generator
from pathlib import Path

import pytest

from accredit_service.abilities.calls.app import Limits
from tests.server import Server, running_server


@pytest.fixture
def server(shared_server: Server) -> Server:
    """The shared server; users may own a hundred agents."""
    return shared_server


@pytest.fixture
def own_server(database_url: str, tmp_path: Path) -> Generator[Server]:
    """A server of the test's own, for what is said about all that a server has."""
    with running_server(database_url, tmp_path) as running:
        yield running


@pytest.fixture
def strict_server(database_url: str, tmp_path: Path) -> Generator[Server]:
    """A server with the limits it is delivered with: a user may own one agent."""
    with running_server(database_url, tmp_path, limits=Limits()) as running:
        yield running
