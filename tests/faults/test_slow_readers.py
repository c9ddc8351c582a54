"""Somebody opens files and does not read them: others still can."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from accredit.v1 import directory_pb2
from accredit_service.pools import DOWNLOADS_OF_ONE
from accredit_storage.directory.limits import FileLimits
from accredit_storage.directory.places import SHARED
from tests.server import RefusedError, running_server

# More than a connection takes ahead of its reader.
LARGE = b"x" * 32 * 2**20


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_one_user_can_hold_so_many_files_open_and_others_read_theirs(
    database_url: str, tmp_path: Path
) -> None:
    with running_server(database_url, tmp_path) as server:
        server.app.directories.files.limits = FileLimits(file_bytes=len(LARGE))
        server.app.directories.files.write(SHARED, "LARGE.md", LARGE)
        slow, other = server.user("GUEST"), server.user("GUEST")
        file: dict[str, Any] = {
            "directory": {"common": "COMMON_DIRECTORY_SHARED"},
            "path": "LARGE.md",
        }
        read: Any = server.channel.unary_stream(
            "/accredit.v1.DirectoryService/ReadFile",
            request_serializer=directory_pb2.ReadFileRequest.SerializeToString,
            response_deserializer=directory_pb2.ReadFileResponse.FromString,
        )
        request = directory_pb2.ReadFileRequest(**file)
        held = []
        for _ in range(DOWNLOADS_OF_ONE):
            stream = read(request, metadata=[("authorization", f"Bearer {slow.token}")], timeout=60)
            # Its first piece has come: it holds its place.
            assert next(stream).file.size == len(LARGE)
            held.append(stream)
        refusal = slow.refused("DirectoryService/ReadFile", **file)
        assert refusal.what == "RESOURCE_EXHAUSTED OVERLOADED"
        pieces = other.call("DirectoryService/ReadFile", **file)
        assert b"".join(piece.content for piece in pieces) == LARGE
        # Whoever ends one gets another.
        for stream in held:
            stream.cancel()
            with pytest.raises(grpc.RpcError):
                list(stream)
        again: list[Any] = []
        while not again:
            # The server takes a moment to notice.
            with suppress(RefusedError):
                again = slow.call("DirectoryService/ReadFile", **file)
        assert sum(len(piece.content) for piece in again) == len(LARGE)
