"""What the tests of faults share."""

from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.databases import migrated
from tests.processes import ServerProcess, launched

Launch: TypeAlias = Callable[..., ServerProcess]


@pytest.fixture
def launch(database_url: str, tmp_path: Path) -> Generator[Launch]:
    """``launch("--threads=2")``: a server process on the test's database, until the test ends.

    It may not be ready yet. All of them share one data folder.
    """
    with ExitStack() as stack:
        yield lambda *flags: stack.enter_context(launched(database_url, tmp_path / "data", *flags))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[tuple[ServerProcess, ServerProcess]]:
    """Two servers on one database, on each engine; for tests that leave both as they are."""
    folder = tmp_path_factory.mktemp("pair")
    url = migrated(request.param, request, folder)
    with launched(url, folder / "data") as first, launched(url, folder / "data") as second:
        yield first.ready(), second.ready()


@pytest.fixture
def two(launch: Launch) -> tuple[ServerProcess, ServerProcess]:
    """The same for one test, which may kill them."""
    first, second = launch(), launch()
    return first.ready(), second.ready()
