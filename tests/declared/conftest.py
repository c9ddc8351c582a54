"""A server of the test's own on each engine: what is declared is a matter of the whole server."""

import shutil
from collections.abc import Generator

import pytest

from tests.postgres import PostgresServer
from tests.server import Server, running_server


@pytest.fixture(scope="session")
def shared_server(
    engine_name: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Server]:
    """One server for what is refused, and so leaves nothing."""
    folder = tmp_path_factory.mktemp("shared")
    if engine_name == "sqlite":
        url = f"sqlite:///{folder / 'accredit.db'}"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), folder / "accredit.db")
    else:
        database_server: PostgresServer = request.getfixturevalue("postgres")
        template = request.getfixturevalue("postgres_template")
        url = database_server.url(database_server.create_database(template=template))
    with running_server(url, folder) as running:
        yield running
