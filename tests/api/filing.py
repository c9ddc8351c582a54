"""What the tests of files ask for again and again, and how they look at the disk itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.api.asking import pages
from tests.server import Person, Server

Fields = dict[str, Any]
SHARED: Fields = {"common": "COMMON_DIRECTORY_SHARED"}
NETWORK: Fields = {"common": "COMMON_DIRECTORY_NETWORK"}
LEGACY: Fields = {"common": "COMMON_DIRECTORY_LEGACY"}


def of_agent(agent: Any) -> Fields:
    """The directory of an agent: its id, its slug, or the agent as it was answered."""
    if isinstance(agent, str):
        return {"agent": {"agent_slug": agent}}
    return {"agent": {"agent_id": agent if isinstance(agent, int) else agent.agent_id}}


def of_user(person: Person) -> Fields:
    """A user's own directory."""
    return {"user": {"user_id": person.user_id}}


def put(person: Person, directory: Fields, path: str, content: bytes = b"", /, **more: Any) -> Any:
    """Write a file: what it is then."""
    method = "DirectoryService/WriteFile"
    return person.call(method, directory=directory, path=path, content=content, **more).file


def get(person: Person, directory: Fields, path: str) -> bytes:
    """A file's content."""
    pieces = person.call("DirectoryService/ReadFile", directory=directory, path=path)
    return b"".join(piece.content for piece in pieces)


def paths(person: Person, directory: Fields, folder: str = "", page_size: int = 500) -> list[str]:
    """The paths of a directory's files, page after page."""
    fields: Fields = {"directory": directory, "folder": folder, "page_size": page_size}
    return [
        file.path
        for page in pages(person, "DirectoryService/ListFiles", "files", **fields)
        for file in page
    ]


def on_disk(server: Server, *names: str) -> Path:
    """Where something is below the server's root."""
    return server.app.directories.tree.root.joinpath(*names)


def unmade_agent(server: Server, owner: Person) -> Any:
    """An agent whose directory could not be made yet."""
    with root_away(server):
        return server.agent(owner)


@contextmanager
def root_away(server: Server) -> Iterator[None]:
    """As if the file system of the root were not mounted."""
    root = on_disk(server)
    aside = root.with_name("aside")
    root.rename(aside)
    try:
        yield
    finally:
        aside.rename(root)
