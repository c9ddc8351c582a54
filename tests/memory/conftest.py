"""Servers whose memory follows the log only when the test says so."""

from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from accredit_service.memory import Room
from tests.server import Server, running_server

#: On PostgreSQL nobody looks at the log by itself: what is in memory may be a minute old.
UNPOLLED: dict[str, Any] = {
    "feed_interval": 10.0,
    "more": {"room": Room(bound=600.0)},
}


@pytest.fixture
def own_server(database_url: str, tmp_path: Path) -> Generator[Server]:
    """A server of the test's own, as it is delivered."""
    with running_server(database_url, tmp_path) as running:
        yield running


@pytest.fixture
def two(database_url: str, tmp_path: Path) -> Generator[tuple[Server, Server]]:
    """Two servers on one database."""
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(
                running_server(database_url, tmp_path / name, files=tmp_path / "files", **UNPOLLED)
            )
            for name in ("first", "second")
        )
        yield first, second


@pytest.fixture
def lone(database_url: str, tmp_path: Path) -> Generator[Server]:
    """A server of the test's own."""
    with running_server(database_url, tmp_path, **UNPOLLED) as running:
        yield running
