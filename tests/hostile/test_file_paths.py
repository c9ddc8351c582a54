"""Thousands of paths that mean to lead out of the directory, over the wire as any bytes."""

import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from google.protobuf.message import Message

from accredit.v1 import directory_pb2 as pb
from accredit.v1.types_pb2 import AgentRef
from tests.api.filing import of_agent, on_disk, paths
from tests.directory.making import files_in, snapshot
from tests.directory.test_traversal import ALONE, BETWEEN, CORPUS, ENDS, SECRET, STARTS, UPS
from tests.hostile.wire import CODE_OF_REASON, INSIDES, Outcome, Wire
from tests.server import Server, running_server

WRITE, READ = "DirectoryService/WriteFile", "DirectoryService/ReadFile"
LIST, DELETE = "DirectoryService/ListFiles", "DirectoryService/DeleteFile"
OURS = b"ours"
# A call takes longer than what it asks for. Each second one is a path three times over, and this
# has both.
SENT = list(dict.fromkeys([*ALONE, *CORPUS[::5]]))


@pytest.fixture(scope="module")
def besieged(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """A server on one engine: which one it is, no path gets to know."""
    database = tmp_path_factory.mktemp("database") / "accredit.db"
    shutil.copyfile(sqlite_template, database)
    folder = tmp_path_factory.mktemp("files")
    with running_server(f"sqlite:///{database}", folder) as server:
        yield server


@pytest.fixture(scope="module")
def slug(besieged: Server) -> str:
    """An agent, without files, beside another one; a file to get at wherever a path may lead."""
    made = [besieged.agent(besieged.admin, name) for name in ("other", "scribe")]
    for path in paths(besieged.admin, of_agent(made[1])):
        besieged.admin.call(DELETE, directory=of_agent(made[1]), path=path)
    root = on_disk(besieged)
    for folder in (root.parent, root, root / "agents", root / "agents" / "other"):
        (folder / "secret.txt").write_bytes(SECRET)
    return "scribe"


def elsewhere(server: Server, slug: str) -> dict[str, bytes | str]:
    """All that there is outside of the agent's directory."""
    return {
        name: content
        for name, content in snapshot(on_disk(server).parent).items()
        if not name.startswith(f"files/agents/{slug}/")
    }


def with_text(message: Message, number: int, text: bytes) -> bytes:
    """The message with any bytes in its field of text, which no client of ours could send."""
    length = len(text)
    head = bytearray([number << 3 | 2])
    while length >= 0x80:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return message.SerializeToString() + bytes(head) + text


def on_the_wire(path: str) -> bytes:
    """The corpus writes bytes that are no UTF-8 as surrogates."""
    return path.encode("utf-8", "surrogateescape")


def is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def assert_refused(outcome: Outcome, path: str, field: str) -> None:
    """Refused as what it is, without a word of what is inside."""
    assert outcome.code == "INVALID_ARGUMENT", (path, outcome)
    if is_utf8(path):
        assert (outcome.reason, list(outcome.fields)) == ("PATH_INVALID", [field]), (path, outcome)
    else:
        assert CODE_OF_REASON[outcome.reason] == "INVALID_ARGUMENT", (path, outcome)
    assert not INSIDES.search(outcome.message), outcome.message
    assert SECRET.decode() not in outcome.message


def directory_of(slug: str) -> pb.DirectoryRef:
    return pb.DirectoryRef(agent=AgentRef(agent_slug=slug))


def test_each_way_out_is_among_those_that_are_sent() -> None:
    assert len(SENT) >= 1900
    for parts in (STARTS, UPS, BETWEEN, ENDS):
        assert all(any(part in path for path in SENT) for part in parts)


@pytest.mark.timeout(120)
def test_no_path_leads_out_of_the_directory(besieged: Server, slug: str) -> None:
    wire, ref = Wire(besieged), directory_of(slug)
    home = on_disk(besieged, "agents", slug)
    before = elsewhere(besieged, slug)
    taken = 0
    for path in SENT:
        raw = on_the_wire(path)
        write = pb.WriteFileRequest(directory=ref, content=OURS)
        written = wire.send(WRITE, with_text(write, 2, raw))
        read = wire.send(READ, with_text(pb.ReadFileRequest(directory=ref), 2, raw))
        listed = wire.send(LIST, with_text(pb.ListFilesRequest(directory=ref), 2, raw))
        if written.code == "OK":
            taken += 1
            # Whatever it looks like, it is the name of that one file, here.
            assert files_in(home) == {path: OURS}
            assert read.code == "OK"
            assert b"".join(piece.content for piece in read.reply) == OURS
            besieged.admin.call(DELETE, directory={"agent": {"agent_slug": slug}}, path=path)
            assert files_in(home) == {}
            continue
        assert_refused(written, path, "path")
        assert_refused(read, path, "path")
        if path:
            assert_refused(listed, path, "folder")
        else:
            assert (listed.code, list(listed.reply.files)) == ("OK", [])
    assert elsewhere(besieged, slug) == before
    assert files_in(home) == {}
    # Neither all nor none.
    assert 20 < taken < len(SENT) / 4


def some(every: int) -> Iterator[str]:
    """A part of them."""
    return iter(SENT[::every])


def test_no_slug_leads_out_of_the_agents(besieged: Server, slug: str) -> None:
    wire = Wire(besieged)
    before = snapshot(on_disk(besieged).parent)
    for path in some(3):
        # The slug inside of the agent inside of the reference, each with its length.
        ref = with_text(AgentRef(), 2, on_the_wire(path)[:900])
        agent_bytes = with_text(pb.DirectoryRef(), 1, ref)
        body = with_text(pb.ListFilesRequest(), 1, agent_bytes)
        outcome = wire.send(LIST, body)
        assert outcome.code in ("INVALID_ARGUMENT", "NOT_FOUND"), (path, outcome)
        assert not INSIDES.search(outcome.message), outcome.message
    assert snapshot(on_disk(besieged).parent) == before


def test_no_day_and_no_type_leads_out_of_the_directory(besieged: Server, slug: str) -> None:
    admin, agent = besieged.admin, {"agent_slug": slug}
    before = snapshot(on_disk(besieged).parent)
    for path in filter(is_utf8, some(3)):
        if path:
            refusal = admin.refused(
                "DirectoryService/AppendDailyMemory", agent=agent, date=path, text="x"
            )
            assert refusal.what == "INVALID_ARGUMENT INVALID_MEMORY_DATE", path
            refusal = admin.refused(
                "DirectoryService/ScaffoldFiles", directory={"agent": agent}, filename=path
            )
            assert refusal.what == "NOT_FOUND MEMORY_FILE_TYPE_NOT_FOUND", path
    assert snapshot(on_disk(besieged).parent) == before
