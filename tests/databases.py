"""Databases of the tests' own, on each engine."""

import shutil
from pathlib import Path

import pytest

from tests.postgres import PostgresServer


def migrated(engine_name: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """The URL of a new database, migrated and empty. One of SQLite is a file in the folder."""
    if engine_name == "sqlite":
        path = folder / "accredit.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    server: PostgresServer = request.getfixturevalue("postgres")
    template = request.getfixturevalue("postgres_template")
    return server.url(server.create_database(template=template))
