"""Agents and their directories come and go together, and a slug never leads to another's files."""

import errno
import itertools
import os
import shutil
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from accredit.v1 import directory_pb2
from accredit_service.abilities.extensions.generators import (
    DEFAULT_GENERATORS,
    ContentGenerator,
)
from tests.api.filing import Fields, get, of_agent, on_disk, paths, put
from tests.directory.agreeing import assert_agree
from tests.directory.making import PATIENCE, snapshot
from tests.faults.racing import answers, race, reasons, spread
from tests.server import Person, RefusedError, Server, running_server

STARTERS = ["MEMORY.md", "SOUL.md", "USER.md"]
CREATED = directory_pb2.SCAFFOLD_OUTCOME_CREATED


def ref(agent: Any) -> Fields:
    return {"agent": {"agent_id": agent.agent_id}}


def create(server: Server, owner: Person, slug: str, **fields: Any) -> Any:
    return server.admin.call(
        "AgentService/CreateAgent", agent_slug=slug, owner={"user_id": owner.user_id}, **fields
    )


def rename(server: Server, agent: Any, new_slug: str, **fields: Any) -> Any:
    method = "AgentService/RenameAgent"
    return server.admin.call(method, **ref(agent), new_slug=new_slug, **fields)


def delete(server: Server, agent: Any, **fields: Any) -> Any:
    return server.admin.call("AgentService/DeleteAgent", **ref(agent), **fields)


def stray(server: Server, slug: str) -> None:
    """A directory that belongs to nobody."""
    home = on_disk(server, "agents", slug)
    home.mkdir()
    (home / "secret.md").write_bytes(b"of nobody")


def test_an_agent_is_made_with_its_directory_and_shown_with_it(server: Server) -> None:
    owner, slug = server.user(), server.name("new")
    answer = create(server, owner, slug)
    made = [file.path for file in answer.files if file.outcome == CREATED]
    assert made == ["SOUL.md", "USER.md", "MEMORY.md"]
    shown = owner.call("AgentService/GetAgent", **ref(answer.agent)).directory
    assert (shown.path, shown.exists, shown.has_files) == (f"agents/{slug}", True, True)
    for path in STARTERS:
        owner.call("DirectoryService/DeleteFile", directory=of_agent(answer.agent), path=path)
    shown = owner.call("AgentService/GetAgent", **ref(answer.agent)).directory
    assert (shown.exists, shown.has_files) == (True, False)


def test_a_directory_that_was_lost_is_not_made_anew(server: Server) -> None:
    owner, slug = server.user(), server.name("lost")
    agent = create(server, owner, slug).agent
    home = on_disk(server, "agents", slug).resolve()
    away = home.with_name("away")
    home.rename(away)
    file: Fields = {"directory": of_agent(agent), "path": "SOUL.md"}
    for method in ("ReadFile", "WriteFile", "DeleteFile", "AppendFile"):
        more: Fields = {"content": b"x"} if method == "AppendFile" else {}
        refusal = owner.refused(f"DirectoryService/{method}", **file, **more)
        assert refusal.what == "UNAVAILABLE FILES_UNAVAILABLE", method
    for method in ("ListFiles", "ScaffoldFiles"):
        refusal = owner.refused(f"DirectoryService/{method}", directory=of_agent(agent))
        assert refusal.what == "UNAVAILABLE FILES_UNAVAILABLE", method
    assert not owner.call("AgentService/GetAgent", **ref(agent)).HasField("directory")
    assert not home.exists()
    # It can be deleted all the same.
    assert not delete(server, agent, validate_only=True, delete_files=True).files_deleted
    away.rename(home)
    assert paths(owner, of_agent(agent)) == STARTERS


def refusing_folders(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Have the system refuse every new directory of a row."""
    mkdir = os.mkdir

    def refuse(path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        if dir_fd is not None and "." in str(path):
            raise OSError(code, os.strerror(code))
        mkdir(path, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", refuse)


@pytest.mark.parametrize(
    "code",
    [errno.EMFILE, errno.ENOSPC, errno.EIO, errno.ENAMETOOLONG],
    ids=lambda code: errno.errorcode[code],
)
def test_a_directory_that_the_system_refused_is_made_by_the_first_write(
    server: Server, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    owner = server.user()
    with monkeypatch.context() as patch:
        refusing_folders(patch, code)
        agent = server.agent(owner)
        made = server.admin.call("AgentService/GetAgent", agent={"agent_id": agent.agent_id})
        assert not made.directory.exists
    assert paths(owner, of_agent(agent)) == []
    put(owner, of_agent(agent), "notes.md", b"mine")
    assert paths(owner, of_agent(agent)) == [*STARTERS, "notes.md"]


def test_a_first_write_that_meets_the_deletion_is_not_acknowledged(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes between the look at the row and the note that its directory was made."""
    doomed: list[Any] = []

    def delete_it(_context: Any, text: str) -> str:
        while doomed:
            delete(server, doomed.pop())
        return text

    more = {"generators": (*DEFAULT_GENERATORS, ContentGenerator("last", 99, delete_it))}
    with running_server(database_url, tmp_path, more=more) as server:
        owner = server.user()
        with monkeypatch.context() as patch:
            refusing_folders(patch, errno.EIO)
            agent = server.agent(owner)
        doomed.append(agent)
        refusal = server.admin.refused(
            "DirectoryService/WriteFile", directory=ref(agent), path="notes.md", content=b"lost"
        )
        assert refusal.what == "NOT_FOUND AGENT_NOT_FOUND"


def test_without_starter_files_a_refused_directory_is_not_taken_for_one_that_was_made(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_server.app.store.write() as tx:
        for one in tx.memory_file_types.all():
            tx.memory_file_types.remove(one.filename)
    owner = own_server.user()
    with monkeypatch.context() as patch:
        refusing_folders(patch, errno.EIO)
        agent = own_server.agent(owner)
    put(owner, of_agent(agent), "notes.md", b"mine")
    assert paths(owner, of_agent(agent)) == ["notes.md"]


def test_what_was_put_aside_is_given_back_to_its_row(server: Server) -> None:
    """As where a database is restored that is older than the tree."""
    owner = server.user()
    for shelf in (".kept", ".trash"):
        agent = server.agent(owner)
        put(owner, of_agent(agent), "notes.md", b"mine")
        home = on_disk(server, "agents", agent.agent_slug).resolve()
        home.rename(on_disk(server, "agents", shelf, home.name))
        assert get(owner, of_agent(agent), "notes.md") == b"mine"
        assert home.is_dir()


def test_one_that_is_there_is_answered_without_files(server: Server) -> None:
    owner, slug = server.user(), server.name("new")
    made = create(server, owner, slug, create_if_missing=True)
    put(owner, of_agent(slug), "SOUL.md", b"mine")
    found = create(server, owner, slug, create_if_missing=True)
    assert (made.created, found.created, list(found.files)) == (True, False, [])
    assert get(owner, of_agent(slug), "SOUL.md") == b"mine"


def test_a_batch_and_a_provision_make_directories_as_well(server: Server) -> None:
    owner = server.user()
    there = server.agent(owner)
    slugs = [server.name("batch") for _ in range(3)]
    items = [
        {"agent_slug": slug, "owner": {"user_id": owner.user_id}}
        for slug in (slugs[0], slugs[1], there.agent_slug, slugs[2], slugs[2])
    ]
    before = snapshot(on_disk(server, "agents"))
    for trial in (True, False):
        results = server.admin.call(
            "AgentService/BatchCreateAgents", requests=items, validate_only=trial
        ).results
        assert [one.created for one in results] == [True, True, False, True, False]
        if trial:
            assert snapshot(on_disk(server, "agents")) == before
    for slug in slugs:
        assert paths(owner, of_agent(slug)) == STARTERS
        assert slug in get(owner, of_agent(slug), "SOUL.md").decode()

    user = server.user()
    provisioned = user.call("AgentService/ProvisionAgent")
    assert provisioned.created
    assert paths(user, of_agent(provisioned.agent)) == STARTERS
    assert not user.call("AgentService/ProvisionAgent").created


def test_of_many_who_create_it_if_missing_one_makes_one_directory(own_server: Server) -> None:
    server = own_server
    owner = server.user()
    with spread(server.admin, connections=8) as admins:
        for turn in range(3):
            outcomes = race(
                [
                    partial(
                        admin.call,
                        "AgentService/CreateAgent",
                        agent_slug=f"contested-{turn}",
                        owner={"user_id": owner.user_id},
                        create_if_missing=True,
                    )
                    for admin in admins
                ]
            )
            assert len(answers(outcomes)) == 8, outcomes
            assert len({one.agent.agent_id for one in answers(outcomes)}) == 1
            assert [len(one.files) for one in answers(outcomes) if one.created] == [3]
            assert paths(owner, of_agent(f"contested-{turn}")) == STARTERS
    assert_agree(server.app.store, server.app.directories)


def test_a_trial_touches_nothing_and_tells_what_would_be(own_server: Server) -> None:
    server = own_server
    owner = server.user()
    agent = server.agent(owner)
    before = snapshot(on_disk(server))
    made = create(server, owner, "tried", validate_only=True)
    assert [(file.path, file.outcome) for file in made.files] == [
        ("SOUL.md", CREATED),
        ("USER.md", CREATED),
        ("MEMORY.md", CREATED),
    ]
    renamed = rename(server, agent, "tried", validate_only=True)
    assert renamed.new_path == "agents/tried"
    gone = delete(server, agent, validate_only=True, delete_files=True)
    assert (gone.files_deleted, gone.kept_path) == (True, "")
    kept = delete(server, agent, validate_only=True)
    assert (kept.files_deleted, kept.kept_path) == (False, "")
    assert snapshot(on_disk(server)) == before


def test_files_follow_a_rename_and_are_found_by_the_new_slug_only(server: Server) -> None:
    owner, old, new = server.user(), server.name("old"), server.name("new")
    agent = server.agent(owner, old)
    put(owner, of_agent(agent), "a/notes.md", b"mine")
    home = on_disk(server, "agents", old).resolve()
    before = snapshot(home)
    answer = rename(server, agent, new)
    assert (answer.old_path, answer.new_path) == (f"agents/{old}", f"agents/{new}")
    assert snapshot(home) == before
    assert on_disk(server, "agents", new).resolve() == home
    assert not on_disk(server, "agents", old).is_symlink()
    for directory in (of_agent(agent), of_agent(new)):
        assert get(owner, directory, "a/notes.md") == b"mine"
    for method, more in (("ListFiles", {}), ("ReadFile", {"path": "a/notes.md"})):
        refusal = owner.refused(f"DirectoryService/{method}", directory=of_agent(old), **more)
        assert refusal.what == "PERMISSION_DENIED AGENT_ACCESS_DENIED"
    # The new name is not written into the files that are there.
    assert old in get(owner, of_agent(agent), "SOUL.md").decode()


@pytest.mark.parametrize("name", ["taken", "same", "not clean"])
def test_a_rename_that_is_refused_moves_nothing(server: Server, name: str) -> None:
    owner = server.user()
    agent, other = server.agent(owner), server.agent(owner)
    new_slug = {"taken": other.agent_slug, "same": agent.agent_slug, "not clean": "!!"}[name]
    before = snapshot(on_disk(server, "agents"))
    with pytest.raises(RefusedError):
        rename(server, agent, new_slug)
    assert snapshot(on_disk(server, "agents")) == before
    shown = owner.call("AgentService/GetAgent", **ref(agent))
    assert shown.agent == agent
    assert shown.directory.path == f"agents/{agent.agent_slug}"
    assert paths(owner, of_agent(agent)) == STARTERS


def test_who_may_not_rename_or_delete_moves_nothing(server: Server) -> None:
    agent, operator = server.agent(server.user()), server.user()
    server.grant(agent.agent_id, operator, "OPERATOR")
    before = snapshot(on_disk(server, "agents"))
    for method, more in (
        ("RenameAgent", {"new_slug": server.name("new")}),
        ("DeleteAgent", {"delete_files": True}),
    ):
        refusal = operator.refused(f"AgentService/{method}", **ref(agent), **more)
        assert refusal.what == "PERMISSION_DENIED ROLE_INSUFFICIENT"
    stale = server.admin.refused("AgentService/DeleteAgent", **ref(agent), etag='"9"')
    assert stale.what == "ABORTED ETAG_MISMATCH"
    assert snapshot(on_disk(server, "agents")) == before


@pytest.mark.parametrize("delete_files", [False, True])
def test_an_agent_made_again_never_sees_the_old_files(server: Server, delete_files: bool) -> None:
    owner, slug = server.user(), server.name("again")
    first = server.agent(owner, slug)
    secret = f"of the first {slug}, {delete_files}".encode()
    put(owner, of_agent(first), "secret.md", secret)
    home = on_disk(server, "agents", slug).resolve()
    before = snapshot(home)
    answer = delete(server, first, delete_files=delete_files)
    assert answer.files_deleted == delete_files
    assert not home.exists()
    assert not on_disk(server, "agents", slug).is_symlink()
    if delete_files:
        assert answer.kept_path == ""
        assert secret not in snapshot(on_disk(server)).values()
    else:
        assert answer.kept_path == f"agents/.kept/{home.name}"
        assert snapshot(on_disk(server, answer.kept_path)) == before
    refusal = owner.refused("DirectoryService/ListFiles", directory=of_agent(first))
    assert refusal.what == "PERMISSION_DENIED AGENT_ACCESS_DENIED"
    second = server.agent(owner, slug)
    assert second.agent_id != first.agent_id
    assert paths(owner, of_agent(slug)) == STARTERS
    missing = owner.refused("DirectoryService/ReadFile", directory=of_agent(slug), path="secret.md")
    assert missing.what == "NOT_FOUND FILE_NOT_FOUND"


def test_an_agent_without_a_directory_is_deleted_and_nothing_is_kept(server: Server) -> None:
    for delete_files in (False, True):
        agent = server.agent(server.user())
        shutil.rmtree(on_disk(server, "agents", agent.agent_slug).resolve())
        answer = delete(server, agent, delete_files=delete_files)
        assert (answer.files_deleted, answer.kept_path) == (False, "")


def test_a_stray_name_is_left_alone_and_followed_by_nobody(server: Server) -> None:
    owner, slug = server.user(), server.name("stray")
    stray(server, slug)
    agent = create(server, owner, slug).agent
    assert paths(owner, of_agent(agent)) == STARTERS
    put(owner, of_agent(slug), "notes.md", b"mine")
    rename(server, agent, server.name("new"))
    second = create(server, owner, server.name("other")).agent
    rename(server, second, server.name("new"))
    assert get(owner, of_agent(agent), "notes.md") == b"mine"
    assert snapshot(on_disk(server, "agents", slug)) == {"secret.md": b"of nobody"}


@pytest.mark.parametrize("where", ["/etc", "../shared", ".id/../../shared", ".id"])
def test_a_link_that_is_not_ours_is_left_alone_and_followed_by_nobody(
    server: Server, where: str
) -> None:
    owner, slug = server.user(), server.name("linked")
    link = on_disk(server, "agents", slug)
    link.symlink_to(where)
    agent = create(server, owner, slug).agent
    assert paths(owner, of_agent(agent)) == STARTERS
    delete(server, agent, delete_files=True)
    assert str(link.readlink()) == where


def test_a_slug_that_changes_hands_takes_no_files_along(own_server: Server) -> None:
    server = own_server
    ada, bob = server.user(), server.user()
    first, second = server.agent(ada, "wanted"), server.agent(bob, "other")
    put(ada, of_agent(first), "whose.md", b"ada's")
    put(bob, of_agent(second), "whose.md", b"bob's")
    # A released slug is kept for its former owner, so that one passes it on.
    rename(server, first, "released")
    refusal = bob.refused("AgentService/RenameAgent", **ref(second), new_slug="wanted")
    assert refusal.what == "FAILED_PRECONDITION SLUG_RESERVED"
    server.clock.advance(days=31)
    rename(server, second, "wanted")
    assert get(bob, of_agent("wanted"), "whose.md") == b"bob's"
    assert get(ada, of_agent("released"), "whose.md") == b"ada's"
    assert get(ada, of_agent(first), "whose.md") == b"ada's"
    hidden = ada.refused("DirectoryService/ReadFile", directory=of_agent("wanted"), path="whose.md")
    assert hidden.what == "PERMISSION_DENIED AGENT_ACCESS_DENIED"
    assert_agree(server.app.store, server.app.directories)


def test_of_many_who_are_renamed_to_one_slug_one_gets_it(own_server: Server) -> None:
    server = own_server
    owner = server.user()
    agents = [server.agent(owner) for _ in range(6)]
    for agent in agents:
        put(owner, of_agent(agent), "whose.md", str(agent.agent_id).encode())
    with spread(server.admin, connections=6) as admins:
        for turn in range(3):
            slug = f"wanted-{turn}"
            outcomes = race(
                [
                    partial(admin.call, "AgentService/RenameAgent", **ref(agent), new_slug=slug)
                    for admin, agent in zip(admins, agents, strict=True)
                ]
            )
            (winner,) = answers(outcomes)
            assert reasons(outcomes) == [("ALREADY_EXISTS", "AGENT_SLUG_CONFLICT")] * 5
            whose = get(owner, of_agent(slug), "whose.md")
            assert whose == str(winner.agent.agent_id).encode()
    assert_agree(server.app.store, server.app.directories)


def test_whoever_writes_while_slugs_swap_writes_to_their_own(own_server: Server) -> None:
    server = own_server
    owner = server.user()
    agents = [server.agent(owner, slug) for slug in ("one", "two")]

    def swap() -> None:
        for turn in range(6):
            one, two = agents if turn % 2 == 0 else agents[::-1]
            rename(server, one, "between")
            rename(server, two, "one")
            rename(server, one, "two")

    def write(person: Person, agent: Any) -> None:
        for turn in range(30):
            put(person, of_agent(agent), f"{turn % 3}.md", str(agent.agent_id).encode())

    with spread(owner, connections=4) as people:
        calls: list[Callable[[], None]] = [
            partial(write, person, agents[n % 2]) for n, person in enumerate(people)
        ]
        outcomes = race([*calls, swap])
    assert outcomes == [None] * 5
    for agent in agents:
        for turn in range(3):
            assert get(owner, of_agent(agent), f"{turn}.md") == str(agent.agent_id).encode()
    assert_agree(server.app.store, server.app.directories)


@pytest.mark.parametrize("delete_files", [False, True])
def test_what_was_acknowledged_while_the_agent_is_deleted_goes_with_it(
    server: Server, delete_files: bool
) -> None:
    owner = server.user()
    agent = server.agent(owner)
    home = of_agent(agent)
    put(owner, home, "0.md", b"begun")
    begun = threading.Barrier(5)

    def write(number: int, person: Person) -> tuple[str, str]:
        content = ""
        for turn in itertools.count():
            if turn == 3:
                begun.wait(PATIENCE)
            try:
                put(person, home, f"{number}.md", f"{content}{turn} ".encode())
            except RefusedError as refusal:
                return refusal.what, content
            content += f"{turn} "
        raise AssertionError

    def end(person: Person) -> Any:
        begun.wait(PATIENCE)
        return person.call("AgentService/DeleteAgent", **ref(agent), delete_files=delete_files)

    with spread(owner, connections=5) as (deleter, *people):
        calls: list[Callable[[], Any]] = [partial(write, n, one) for n, one in enumerate(people)]
        *outcomes, answer = answers(race([*calls, partial(end, deleter)]))
    ends = {"PERMISSION_DENIED AGENT_ACCESS_DENIED", "NOT_FOUND AGENT_NOT_FOUND"}
    assert {how for how, _ in outcomes} <= ends
    slug = agent.agent_slug
    assert not on_disk(server, "agents", slug).is_symlink()
    if not delete_files:
        for number, (_, content) in enumerate(outcomes):
            assert on_disk(server, answer.kept_path, f"{number}.md").read_text() == content
