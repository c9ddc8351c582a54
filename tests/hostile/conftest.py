"""What the tests of hostile input share: one server an engine for all of them."""

import shutil
from collections.abc import Generator

import pytest

from tests.hostile.scenes import Scene
from tests.hostile.wire import Wire
from tests.postgres import PostgresServer
from tests.server import Server, running_server


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def besieged(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Server]:
    """A server on each engine, for a whole module: what is sent to it may not harm it."""
    folder = tmp_path_factory.mktemp("besieged")
    if request.param == "sqlite":
        url = f"sqlite:///{folder / 'accredit.db'}"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), folder / "accredit.db")
    else:
        postgres: PostgresServer = request.getfixturevalue("postgres")
        template = request.getfixturevalue("postgres_template")
        url = postgres.url(postgres.create_database(template=template))
    with running_server(url, folder) as server:
        yield server


@pytest.fixture(scope="module")
def scene(besieged: Server) -> Scene:
    """What the requests are about."""
    return Scene(besieged)


@pytest.fixture(scope="module")
def wire(besieged: Server) -> Wire:
    """The administrator's connection."""
    return Wire(besieged)


@pytest.fixture(autouse=True)
def _whole_scene(request: pytest.FixtureRequest) -> None:
    if "scene" in request.fixturenames:
        request.getfixturevalue("wire").keep_in()
        request.getfixturevalue("scene").mend()
