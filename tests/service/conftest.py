"""What the tests of the server share."""

import shutil
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.service.running import Running, running

Start: TypeAlias = Callable[..., Running]


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated and empty database; for what does not depend on which one it is."""
    path = tmp_path / "accredit.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def run(sqlite_url: str, tmp_path: Path) -> Callable[..., AbstractContextManager[Running]]:
    """``with run(threads=2) as running``: a server with these settings; see running()."""
    return partial(running, sqlite_url, tmp_path)


@pytest.fixture
def start(run: Callable[..., AbstractContextManager[Running]]) -> Generator[Start]:
    """``start(threads=2)``: the same, until the test ends."""
    with ExitStack() as stack:
        yield lambda **kwargs: stack.enter_context(run(**kwargs))


@pytest.fixture
def server(start: Start) -> Running:
    """A server as it is by default."""
    return start()


def pytest_make_parametrize_id(val: Any) -> str | None:
    """The case's own words, where it has any."""
    because = getattr(val, "because", None)
    return None if because is None else str(because).replace(" ", "-")
