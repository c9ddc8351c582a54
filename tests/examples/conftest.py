"""The notes service of examples/guarded_service, on a real Accredit."""

import shutil
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias

import grpc
import pytest

import accredit
from notes.service import make_server
from notes.store import Notes
from notes.v1 import notes_pb2_grpc
from tests.server import Server, running_server

EXAMPLE = Path(__file__).parents[2] / "examples" / "guarded_service"
Serve: TypeAlias = Callable[..., AbstractContextManager[notes_pb2_grpc.NoteServiceStub]]


@pytest.fixture
def running(sqlite_template: Path, tmp_path: Path) -> Callable[[], AbstractContextManager[Server]]:
    """``with running() as server``: a real Accredit until the block ends."""
    path = tmp_path / "accredit.db"
    shutil.copyfile(sqlite_template, path)
    return lambda: running_server(f"sqlite:///{path}", tmp_path)


@pytest.fixture
def accredited(running: Callable[[], AbstractContextManager[Server]]) -> Generator[Server]:
    """A real Accredit."""
    with running() as server:
        yield server


@pytest.fixture
def serve() -> Serve:
    """``with serve(address, token) as stub``: the notes, guarded by the Accredit at an address."""

    @contextmanager
    def serving(address: str, token: str) -> Generator[notes_pb2_grpc.NoteServiceStub]:
        notes = Notes()
        with accredit.Client(address, token=token) as client:
            notes_server = make_server(client, notes)
            port = notes_server.add_insecure_port("127.0.0.1:0")
            notes_server.start()
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield notes_pb2_grpc.NoteServiceStub(channel)
            notes_server.stop(None).wait()
        notes.close()

    return serving


@pytest.fixture
def notes(accredited: Server, serve: Serve) -> Generator[notes_pb2_grpc.NoteServiceStub]:
    """The notes, guarded by ``accredited``."""
    service = accredited.user("SERVICE", login="notes")
    with serve(accredited.address, service.token) as stub:
        yield stub
