"""The folder of manifests: read when it changes, and reconciled."""

import os
import sys
from pathlib import Path

import pytest

from accredit_service.manifest_folder import ManifestFolder, Watch
from tests.api.filing import get, paths, put, root_away
from tests.declared.declaring import agent, agent_file, listed, outcomes, reconcile
from tests.server import Server

ROLE = """---
name: Code Reviewer
description: Reads changes.
model: opus
---
You review code.
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the manifests are."""
    made = tmp_path / "manifests"
    made.mkdir()
    return made


def is_read(manifests: ManifestFolder) -> bool:
    """Whether a change is read when it was seen twice, and not before."""
    return [manifests.refresh(), manifests.refresh()] == [False, True]


def folder_of(server: Server, folder: Path) -> ManifestFolder:
    return ManifestFolder(server.app.declarations, folder)


def test_manifests_are_declared_in_the_order_of_their_paths(server: Server, folder: Path) -> None:
    (folder / "roles").mkdir()
    (folder / "roles" / "reviewer.md").write_text(ROLE)
    (folder / "a.yaml").write_text(
        "agents:\n- slug: Wiki Gen\n  memory_seeds: {SOUL.md: souls/wiki.md}\n- slug: second\n"
    )
    (folder / "souls").mkdir()
    (folder / "souls" / "wiki.txt").write_text("")
    assert folder_of(server, folder).refresh()
    found = listed(server)
    assert [(one.agent_slug, one.source, one.origin) for one in found] == [
        ("wiki-gen", "a.yaml", 3),
        ("second", "a.yaml", 3),
        ("code-reviewer", "roles/reviewer.md", 3),
    ]
    assert outcomes(reconcile(server.admin)) == [
        ("wiki-gen", "CREATED"),
        ("second", "CREATED"),
        ("code-reviewer", "CREATED"),
    ]
    made = agent(server, "code-reviewer")
    assert (made.agent_name, made.config["model"]) == ("Code Reviewer", "opus")
    soul = agent_file(server, "code-reviewer", "SOUL.md")
    assert soul.read_text() == "You review code.\n"


def test_what_is_wrong_is_left_out_and_noticed(server: Server, folder: Path) -> None:
    (folder / "bad.yaml").write_text("slug: [")
    (folder / "numeric.yaml").write_text("slug: '42'\n")
    (folder / "good.yaml").write_text("slug: good\nmemory_seeds: {.hidden: {text: x}}\n")
    folder_of(server, folder).refresh()
    answer = server.admin.call("RegistryService/ListAgentDefinitions")
    assert [one.agent_slug for one in answer.definitions] == ["good"]
    assert sorted(notice.split(":")[0] for notice in answer.notices) == [
        "bad.yaml",
        "good.yaml",
        "numeric.yaml",
    ]


def test_a_name_that_is_not_unicode_is_told_of_and_harms_nothing(
    server: Server, folder: Path
) -> None:
    (folder / os.fsdecode(b"\xff.yaml")).write_text("slug: scribe\n")
    folder_of(server, folder).refresh()
    answer = server.admin.call("RegistryService/ListAgentDefinitions")
    assert list(answer.definitions) == []
    assert len(answer.notices) == 1


def test_nothing_is_read_again_until_something_changes(server: Server, folder: Path) -> None:
    one = folder / "one.yaml"
    one.write_text("slug: one\n")
    manifests = folder_of(server, folder)
    assert [manifests.refresh(), manifests.refresh()] == [True, False]
    # A seed beside it, a folder below it, another file, and one that goes.
    (folder / "below").mkdir()
    assert is_read(manifests)
    (folder / "below" / "seed.txt").write_text("x")
    assert is_read(manifests)
    (folder / "two.yaml").write_text("slug: two\n")
    assert is_read(manifests)
    assert [each.agent_slug for each in listed(server)] == ["one", "two"]
    # By an editor that writes a new file and puts it in the place of the old one.
    new = folder / "new"
    new.write_text("slug: eno\n")
    new.rename(one)
    assert is_read(manifests)
    assert not manifests.refresh()
    assert [each.agent_slug for each in listed(server)] == ["eno", "two"]
    one.unlink()
    assert is_read(manifests)
    assert [each.agent_slug for each in listed(server)] == ["two"]


def test_what_is_still_being_written_is_not_read(server: Server, folder: Path) -> None:
    manifests = folder_of(server, folder)
    assert manifests.refresh()
    half = folder / "half.md"
    half.write_text(ROLE)
    assert not manifests.refresh()
    with half.open("a") as file:
        file.write("And you are kind.\n")
    assert not manifests.refresh()
    assert listed(server) == []
    assert manifests.refresh()
    reconcile(server.admin)
    soul = agent_file(server, "code-reviewer", "SOUL.md")
    assert soul.read_text() == "You review code.\nAnd you are kind.\n"


def test_a_folder_that_is_not_there_is_a_notice_until_it_is(server: Server, folder: Path) -> None:
    folder.rmdir()
    manifests = folder_of(server, folder)
    assert manifests.refresh()
    answer = server.admin.call("RegistryService/ListAgentDefinitions")
    (notice,) = answer.notices
    assert notice == "the folder of manifests cannot be read: No such file or directory"
    folder.mkdir()
    (folder / "one.yaml").write_text("slug: one\n")
    assert is_read(manifests)
    assert [each.agent_slug for each in listed(server)] == ["one"]


def test_the_watch_reconciles_at_first_and_whenever_manifests_change(
    server: Server, folder: Path
) -> None:
    watch = Watch(server.app, folder_of(server, folder))
    server.admin.call("RegistryService/RegisterAgent", agent_slug="registered")
    watch.check()
    assert agent(server, "registered")

    # To declare alone makes nothing, whoever looks.
    server.admin.call("RegistryService/RegisterAgent", agent_slug="later")
    watch.check()
    missing = server.admin.refused("AgentService/GetAgent", agent={"agent_slug": "later"})
    assert missing.what == "NOT_FOUND AGENT_NOT_FOUND"

    (folder / "one.yaml").write_text("slug: one\n")
    watch.check()
    watch.check()
    assert agent(server, "one")
    assert agent(server, "later")
    # The manifest goes; the agent stays.
    (folder / "one.yaml").unlink()
    watch.check()
    watch.check()
    assert agent(server, "one")
    assert [each.agent_slug for each in listed(server)] == ["registered", "later"]


def test_without_a_folder_the_watch_reconciles_once(server: Server) -> None:
    watch = Watch(server.app, None)
    for slug in ("first", "second"):
        server.admin.call("RegistryService/RegisterAgent", agent_slug=slug)
        watch.check()
    assert agent(server, "first")
    missing = server.admin.refused("AgentService/GetAgent", agent={"agent_slug": "second"})
    assert missing.what == "NOT_FOUND AGENT_NOT_FOUND"


def test_an_agent_is_created_whatever_the_disk_says_and_gets_its_files_later(
    server: Server, folder: Path
) -> None:
    (folder / "one.yaml").write_text("slug: one\nmemory_seeds: {SOUL.md: {text: Be one.}}\n")
    watch = Watch(server.app, folder_of(server, folder))
    with root_away(server):
        watch.check()
    assert agent(server, "one")
    home = {"agent": {"agent_slug": "one"}}
    assert paths(server.admin, home) == []
    put(server.admin, home, "notes.md", b"begun")
    assert get(server.admin, home, "SOUL.md") == b"Be one.\n"


def test_a_package_that_ends_the_interpreter_costs_its_own_agent(
    server: Server, folder: Path
) -> None:
    (folder / "bad.yaml").write_text("slug: bad\nowner_resolver: broken\n")
    (folder / "good.yaml").write_text("slug: good\n")
    server.app.declarations.owner_resolvers = {"broken": sys.exit}
    Watch(server.app, folder_of(server, folder)).check()
    assert agent(server, "good")
    assert outcomes(reconcile(server.admin, "bad")) == [("bad", "SKIPPED AGENT_OWNER_NOT_FOUND")]
