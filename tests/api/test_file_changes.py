"""What is logged of files, what repeats a call, and what becomes of many writers at once."""

import errno
import hashlib
import os
import sqlite3
import stat
import uuid
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from accredit.v1 import change_pb2
from accredit_storage.requests import RequestKey
from tests.api.asking import pages
from tests.api.filing import SHARED, Fields, get, of_agent, of_user, on_disk, paths, put
from tests.api.scene import contents
from tests.faults.racing import answers, race, reasons, refusals, spread
from tests.server import Person, Server

WRITERS, LINES = 16, 100
DAY = "2026-02-28"


@pytest.fixture
def owner(server: Server) -> Person:
    return server.user()


@pytest.fixture
def agent(server: Server, owner: Person) -> Any:
    return server.agent(owner)


def about(kind: str, subject_id: int) -> dict[str, Any]:
    """The filter of changes that touched something."""
    subject = {"kind": f"SUBJECT_KIND_{kind}", "subject_id": str(subject_id)}
    return {"filter": {"subjects": [subject]}}


def logged(person: Person, **query: Any) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Kind, before and after of each change of a file that is listed."""
    names = change_pb2.ChangeKind.Name
    found = person.call("ChangeService/ListChanges", page_size=500, **query).changes
    return [
        (kind, MessageToDict(one.before), MessageToDict(one.after))
        for one in found
        if (kind := names(one.kind).removeprefix("CHANGE_KIND_")).startswith("FILE")
    ]


def written(path: str, content: bytes, slug: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    after = {
        "directory": f"agents/{slug}",
        "path": path,
        "size": float(len(content)),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return "FILE_WRITTEN", {}, after


def deleted(path: str, slug: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    return "FILE_DELETED", {"directory": f"agents/{slug}", "path": path}, {}


def test_each_call_that_changes_a_file_is_one_change_and_never_tells_the_content(
    server: Server, owner: Person, agent: Any
) -> None:
    slug, home = agent.agent_slug, of_agent(agent)
    ref: Fields = {"agent": {"agent_id": agent.agent_id}}
    marker = f"marker {uuid.uuid4()}"
    text = marker.encode()
    day = f"# Daily Memory: {DAY}\n\n{marker}\n".encode()
    put(owner, home, "a.md", text, request_id=str(uuid.uuid4()))
    put(owner, home, "a.md", text)
    append = "DirectoryService/AppendFile"
    owner.call(append, directory=home, path="a.md", content=text)
    owner.call("DirectoryService/DeleteFile", directory=home, path="a.md")
    day_of: Fields = {**ref, "date": DAY, "request_id": str(uuid.uuid4())}
    owner.call("DirectoryService/AppendDailyMemory", **day_of, text=marker)
    owner.call("DirectoryService/WriteDailyMemory", **ref, date=DAY, content=text)
    owner.call("DirectoryService/DeleteDailyMemory", **ref, date=DAY)
    owner.call("DirectoryService/DeleteFile", directory=home, path="SOUL.md")
    owner.call("DirectoryService/DeleteFile", directory=home, path="USER.md")
    answer = owner.call("DirectoryService/ScaffoldFiles", directory=home)
    owner.call("DirectoryService/ScaffoldFiles", directory=home)
    assert logged(owner, **about("AGENT", agent.agent_id)) == [
        written("a.md", text, slug),
        written("a.md", text, slug),
        written("a.md", text * 2, slug),
        deleted("a.md", slug),
        written("daily/2026/02/28.md", day, slug),
        written("daily/2026/02/28.md", text, slug),
        deleted("daily/2026/02/28.md", slug),
        deleted("SOUL.md", slug),
        deleted("USER.md", slug),
        (
            "FILES_SCAFFOLDED",
            {},
            {"directory": f"agents/{slug}", "paths": ["SOUL.md", "USER.md"]},
        ),
    ]
    assert answer.consistency_token
    # The whole database, whatever it is written as.
    stored = repr(contents(server))
    for spelling in (marker, text.hex()):
        assert spelling not in stored
    assert hashlib.sha256(text).hexdigest() in stored


def test_who_did_it_is_logged_and_shown_to_those_whom_it_concerns(
    server: Server, owner: Person, agent: Any
) -> None:
    operator = server.user()
    server.grant(agent.agent_id, operator, "OPERATOR")
    request_id = str(uuid.uuid4())
    put(operator, of_agent(agent), "a.md", b"x", request_id=request_id)
    changes = owner.call(
        "ChangeService/ListChanges",
        **about("AGENT", agent.agent_id),
        newest_first=True,
        page_size=1,
    ).changes
    assert changes[0].actor.user_id == operator.user_id
    assert changes[0].actor.token_id == operator.token_id
    assert changes[0].request_id == request_id
    assert [(one.kind, one.subject_id) for one in changes[0].subjects] == [(1, str(agent.agent_id))]
    refusal = operator.refused("ChangeService/ListChanges", **about("AGENT", agent.agent_id))
    assert refusal.code.name == "PERMISSION_DENIED"
    # A user's files are about the user, the common ones about the directory.
    name = f"{server.name('notes')}.md"
    put(operator, of_user(operator), name)
    put(server.admin, SHARED, name)
    of_them = logged(server.admin, **about("USER", operator.user_id))
    assert [after["path"] for _, _, after in of_them] == [name]
    (newest,) = server.admin.call(
        "ChangeService/ListChanges", newest_first=True, page_size=1
    ).changes
    assert [(one.kind, one.subject_id) for one in newest.subjects] == [(6, "shared")]


def test_what_was_refused_or_changed_nothing_is_not_logged(
    server: Server, owner: Person, agent: Any
) -> None:
    home = of_agent(agent)
    put(owner, home, "a.md", b"x")
    before = len(logged(owner, **about("AGENT", agent.agent_id)))
    for method, more in (
        ("WriteFile", {"path": "a.md", "etag": '"x"'}),
        ("WriteFile", {"path": "../a.md"}),
        ("DeleteFile", {"path": "gone.md"}),
    ):
        owner.refused(f"DirectoryService/{method}", directory=home, **more)
    get(owner, home, "a.md")
    owner.call("DirectoryService/ScaffoldFiles", directory=home)
    assert len(logged(owner, **about("AGENT", agent.agent_id))) == before


def appends(home: Fields, agent: Any, content: str, **more: Any) -> list[tuple[str, Fields]]:
    """The two calls that would do twice what they are sent twice for."""
    ref = {"agent": {"agent_id": agent.agent_id}}
    return [
        (
            "DirectoryService/AppendFile",
            {"directory": home, "path": "log.md", "content": content.encode(), **more},
        ),
        ("DirectoryService/AppendDailyMemory", {**ref, "date": DAY, "text": content, **more}),
    ]


def test_an_append_that_is_sent_twice_is_made_once(
    server: Server, owner: Person, agent: Any
) -> None:
    home, request_id = of_agent(agent), str(uuid.uuid4())
    for method, fields in appends(home, agent, "once\n", request_id=request_id):
        first = owner.call(method, **fields)
        put(owner, home, "between.md")
        again = owner.call(method, **{**fields, "request_id": request_id.upper()})
        first.ClearField("consistency_token")
        again.ClearField("consistency_token")
        assert again == first
    for method, fields in appends(home, agent, "other\n", request_id=request_id):
        refusal = owner.refused(method, **fields)
        assert refusal.what == "INVALID_ARGUMENT REQUEST_ID_REUSED"
        assert list(refusal.fields) == ["request_id"]
    assert get(owner, home, "log.md") == b"once\n"
    assert get(owner, home, "daily/2026/02/28.md").count(b"once") == 1
    assert len(logged(owner, **about("AGENT", agent.agent_id))) == 4


def test_of_many_who_send_the_same_append_at_once_one_makes_it(
    server: Server, owner: Person, agent: Any
) -> None:
    home, request_id = of_agent(agent), str(uuid.uuid4())
    method, fields = appends(home, agent, "once\n", request_id=request_id)[0]
    with spread(owner, connections=8) as people:
        outcomes = race([partial(person.call, method, **fields) for person in people])
    assert get(owner, home, "log.md") == b"once\n"
    # Those that came while it was being made cannot know how it ends.
    assert set(reasons(outcomes)) <= {("ABORTED", "REQUEST_IN_DOUBT")}
    assert {one.file.size for one in answers(outcomes)} == {5}
    assert owner.call(method, **fields).file.size == 5


def test_an_attempt_that_was_broken_off_leaves_its_request_in_doubt(
    server: Server, owner: Person, agent: Any
) -> None:
    home, request_id = of_agent(agent), str(uuid.uuid4())
    method, fields = appends(home, agent, "once\n", request_id=request_id)[0]
    # An attempt that stopped right after its claim, which is committed with the judgement.
    digest = hashlib.sha256(
        server.request_of(method)(**{**fields, "request_id": ""}).SerializeToString(
            deterministic=True
        )
    ).digest()
    key = RequestKey(caller=owner.token_id, method=method, request_id=request_id)
    with server.app.store.write() as tx:
        assert tx.requests.claim(key, digest, server.clock()) is None
    refusal = owner.refused(method, **fields)
    assert refusal.what == "ABORTED REQUEST_IN_DOUBT"
    assert "log.md" not in paths(owner, home)
    other = owner.refused(method, **{**fields, "content": b"other"})
    assert other.what == "INVALID_ARGUMENT REQUEST_ID_REUSED"
    assert owner.call(method, **{**fields, "request_id": str(uuid.uuid4())}).file.size == 5


def test_a_disk_that_fails_in_the_last_step_leaves_the_request_in_doubt(
    server: Server, owner: Person, agent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = of_agent(agent)
    fields: Fields = {"directory": home, "path": "a.md", "content": b"x"}
    fields["request_id"] = str(uuid.uuid4())
    really = os.fsync

    def fails_for_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "")
        really(descriptor)

    with monkeypatch.context() as failing:
        failing.setattr(os, "fsync", fails_for_folders)
        refusal = owner.refused("DirectoryService/AppendFile", **fields)
    assert refusal.what == "UNAVAILABLE FILES_UNAVAILABLE"
    # It may be there, as it is here: to do it again could append it twice.
    assert refusal.retry_after is None
    assert owner.refused("DirectoryService/AppendFile", **fields).reason == "REQUEST_IN_DOUBT"
    assert get(owner, home, "a.md") == b"x"


def test_an_attempt_that_was_refused_gives_its_request_id_back(
    server: Server, owner: Person, agent: Any
) -> None:
    home, request_id = of_agent(agent), str(uuid.uuid4())
    fields: Fields = {"directory": home, "path": "a.md", "content": b"x"}
    fields["request_id"] = request_id
    missing = owner.refused("DirectoryService/AppendFile", **fields, etag="*")
    assert missing.what == "ABORTED ETAG_MISMATCH"
    read_only = {**fields, "directory": SHARED, "path": "SITE.md"}
    assert owner.refused("DirectoryService/AppendFile", **read_only).reason == "ACTION_MISSING"
    assert owner.call("DirectoryService/AppendFile", **fields).file.size == 1
    assert owner.call("DirectoryService/AppendFile", **fields).file.size == 1
    assert get(owner, home, "a.md") == b"x"


def test_a_repeated_call_is_judged_anew(server: Server, agent: Any) -> None:
    operator = server.user()
    server.grant(agent.agent_id, operator, "OPERATOR")
    fields: Fields = {"directory": of_agent(agent), "path": "a.md"}
    fields["request_id"] = str(uuid.uuid4())
    operator.call("DirectoryService/WriteFile", **fields)
    server.grant(agent.agent_id, operator, "VIEWER")
    refusal = operator.refused("DirectoryService/WriteFile", **fields)
    assert refusal.what == "PERMISSION_DENIED ROLE_INSUFFICIENT"


@pytest.mark.timeout(120)
def test_lines_of_many_writers_are_all_there_and_none_is_torn(
    server: Server, owner: Person, agent: Any
) -> None:
    home = of_agent(agent)
    (to_file, file), (to_day, day) = appends(home, agent, "")

    def line(writer: int, number: int) -> str:
        return f"{writer} {number} {'x' * (number * 7 % 200)}"

    def write(writer: int, person: Person) -> None:
        for number in range(LINES):
            text = line(writer, number)
            if number % 2:
                person.call(to_day, **{**day, "text": text})
            else:
                person.call(to_file, **{**file, "content": f"{text}\n".encode()})

    with spread(owner, connections=WRITERS) as people:
        outcomes = race([partial(write, number, one) for number, one in enumerate(people)])
    assert outcomes == [None] * WRITERS
    heading, blank, *of_day = get(owner, home, "daily/2026/02/28.md").decode().splitlines()
    assert (heading, blank) == (f"# Daily Memory: {DAY}", "")
    of_file = get(owner, home, "log.md").decode().splitlines()
    for first, found in ((0, of_file), (1, of_day)):
        assert len(found) == WRITERS * LINES // 2
        for writer in range(WRITERS):
            theirs = [one for one in found if one.startswith(f"{writer} ")]
            assert theirs == [line(writer, number) for number in range(first, LINES, 2)]
    # Each that was acknowledged is in the log.
    changes = pages(
        owner,
        "ChangeService/ListChanges",
        "changes",
        **about("AGENT", agent.agent_id),
        page_size=500,
    )
    assert sum(one.kind == 19 for page in changes for one in page) == WRITERS * LINES


def write_new(person: Person, home: Fields, content: bytes) -> Any:
    return put(person, home, "a.md", content, only_if_absent=True)


def write_over(etag: str, person: Person, home: Fields, content: bytes) -> Any:
    return put(person, home, "a.md", content, etag=etag)


@pytest.mark.parametrize("condition", ["only_if_absent", "etag"])
def test_of_those_who_have_seen_the_same_state_one_writes(
    server: Server, owner: Person, agent: Any, condition: str
) -> None:
    home = of_agent(agent)
    act: Callable[[Person, Fields, bytes], Any] = write_new
    if condition == "etag":
        act = partial(write_over, put(owner, home, "a.md", b"seen by all").etag)
    with spread(owner, connections=WRITERS) as people:
        outcomes = race([partial(act, one, home, f"{n}".encode()) for n, one in enumerate(people)])
    (winner,) = answers(outcomes)
    assert reasons(outcomes) == [("ABORTED", "ETAG_MISMATCH")] * (WRITERS - 1)
    assert {refusal.metadata["etag"] for refusal in refusals(outcomes)} == {winner.etag}
    place = outcomes.index(winner)
    assert get(owner, home, "a.md") == f"{place}".encode()
    home_on_disk = on_disk(server, "agents", agent.agent_slug)
    assert not list(home_on_disk.glob(".unfinished*"))


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_what_was_done_and_could_not_be_logged_is_not_to_be_sent_again(
    own_server: Server, tmp_path: Path
) -> None:
    server = own_server
    owner = server.user()
    home = of_agent(server.agent(owner))
    fields: Fields = {"directory": home, "path": "a.md", "content": b"x"}
    with closing(sqlite3.connect(tmp_path / "accredit.db", isolation_level=None)) as database:
        database.execute(
            "CREATE TRIGGER no_log BEFORE INSERT ON changes BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        refusal = owner.refused("DirectoryService/AppendFile", **fields)
        database.execute("DROP TRIGGER no_log")
    assert refusal.what == "ABORTED REQUEST_IN_DOUBT"
    assert refusal.retry_after is None
    assert get(owner, home, "a.md") == b"x"
