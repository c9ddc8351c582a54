"""What every test may ask for: a migrated database on each engine, and a store on it."""

import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from accredit_storage import migrate
from accredit_storage.store import Store
from tests.databases import migrated
from tests.postgres import PostgresServer, running_postgres
from tests.server import Server, running_server

ROOT = Path(__file__).parents[1]
ENGINES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def grpcurl() -> str:
    """The program: a client that we did not write."""
    for found in (ROOT / "build/bin/grpcurl", shutil.which("grpcurl")):
        if found and Path(found).exists():
            return str(found)
    pytest.fail("grpcurl is missing: run `make grpcurl`, which needs Go, or install it")


@pytest.fixture(scope="session")
def postgres() -> Generator[PostgresServer]:
    """A PostgreSQL server for this process, started when it is first asked for."""
    with running_postgres() as database_server:
        yield database_server


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> str:
    """The name of a migrated database to make others from."""
    name = postgres.create_database()
    migrate.upgrade(postgres.url(name))
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file to make others from."""
    path = tmp_path_factory.mktemp("template") / "accredit.db"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(params=ENGINES, scope="session")
def engine_name(request: pytest.FixtureRequest) -> str:
    """Which database the test runs on; each test that leads here runs once on each."""
    name: str = request.param
    return name


@pytest.fixture
def empty_database_url(
    engine_name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Generator[str]:
    """A database of the test's own, without tables."""
    if engine_name == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    database_server: PostgresServer = request.getfixturevalue("postgres")
    name = database_server.create_database()
    yield database_server.url(name)
    database_server.drop_database(name)


@pytest.fixture
def database_url(
    engine_name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Generator[str]:
    """A database of the test's own, migrated and empty."""
    url = migrated(engine_name, request, tmp_path)
    yield url
    if engine_name == "postgresql":
        database_server: PostgresServer = request.getfixturevalue("postgres")
        database_server.drop_database(str(make_url(url).database))


@pytest.fixture
def store(database_url: str) -> Generator[Store]:
    """A store on ``database_url``."""
    opened = Store.open(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def shared_server(
    engine_name: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Server]:
    """One server on each engine for tests that come in nobody's way. Its clock only moves on."""
    folder = tmp_path_factory.mktemp("shared")
    with running_server(migrated(engine_name, request, folder), folder) as running:
        yield running


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Generator[Server]:
    """A server with an administrator, on each engine; users may own a hundred agents."""
    with running_server(database_url, tmp_path) as running:
        yield running


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what tests have measured: ``record_property("measured: longest start, s", 1.2)``."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name.startswith("measured: "):
                what = name.removeprefix("measured: ")
                terminalreporter.write_line(f"{report.nodeid}: {what}: {value}")
