"""A directory whose lock somebody keeps: its writers wait, and nobody else does."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from accredit_storage.directory.files import WRITERS
from accredit_storage.directory.locks import locked
from accredit_storage.directory.places import SHARED
from accredit_storage.schema import requests
from tests.server import RefusedError, Server, running_server

WAITING = 30
THREADS = 2


def begun(server: Server) -> int:
    """How many appends have been judged and not carried out."""
    statement = select(func.count()).where(
        requests.c.method == "DirectoryService/AppendFile", requests.c.result.is_(None)
    )
    with server.app.store.read() as tx:
        return tx._connection.execute(statement).scalar_one()


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_writers_that_wait_keep_no_token_from_being_judged(
    database_url: str, tmp_path: Path
) -> None:
    with running_server(database_url, tmp_path, threads=THREADS) as server:
        admin, directories = server.admin, server.app.directories
        guest = server.user("GUEST")
        write: dict[str, Any] = {
            "directory": {"common": "COMMON_DIRECTORY_SHARED"},
            "path": "NOTES.md",
            "content": b"A line.\n",
        }
        admin.call("DirectoryService/WriteFile", **write)
        ended = threading.Event()

        def append(_: int) -> str:
            try:
                admin.call("DirectoryService/AppendFile", **write, request_id=str(uuid.uuid4()))
            except RefusedError as refusal:
                return refusal.what
            finally:
                ended.set()
            return ""

        with ThreadPoolExecutor(WAITING) as pool:
            with directories.tree.opened(SHARED) as shared, locked(shared, WRITERS):
                waiting = [pool.submit(append, number) for number in range(WAITING)]
                # As many as there are threads wait for the lock, the others for a thread.
                while begun(server) < THREADS:
                    pass
                assert admin.call("AuthService/Authenticate", token=guest.token).principal.user_id
                admin.call("TokenService/RevokeToken", token_id=guest.token_id)
                denied = admin.call("AuthService/Authenticate", token=guest.token)
                assert denied.WhichOneof("outcome") == "denial"
                assert not ended.is_set()
            outcomes = {future.result() for future in waiting}
    # Some may have waited for as long as anybody does.
    assert outcomes <= {"", "RESOURCE_EXHAUSTED OVERLOADED"}
    assert "" in outcomes
