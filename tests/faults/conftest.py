"""What the tests of faults share."""

from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.processes import ServerProcess, launched

Launch: TypeAlias = Callable[..., ServerProcess]


@pytest.fixture
def launch(database_url: str, tmp_path: Path) -> Generator[Launch]:
    """``launch("--threads=2")``: a server process on the test's database, until the test ends.

    It may not be ready yet. All of them share one data folder.
    """
    with ExitStack() as stack:
        yield lambda *flags: stack.enter_context(launched(database_url, tmp_path / "data", *flags))


@pytest.fixture
def two(launch: Launch) -> tuple[ServerProcess, ServerProcess]:
    """Two servers on one database, which are ready."""
    first, second = launch(), launch()
    return first.ready(), second.ready()
