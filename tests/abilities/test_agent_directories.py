"""Agents and their directories come and go together, and a slug never leads to another's files."""

import itertools
import shutil
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from accredit.v1 import directory_pb2
from tests.abilities.filing import Fields, get, of_agent, on_disk, paths, put
from tests.directory.agreeing import assert_agree
from tests.directory.making import PATIENCE, snapshot
from tests.faults.racing import answers, race, reasons, spread
from tests.registry import Person, RefusedError, Registry

STARTERS = ["MEMORY.md", "SOUL.md", "USER.md"]
CREATED = directory_pb2.SCAFFOLD_OUTCOME_CREATED


def ref(agent: Any) -> Fields:
    return {"agent": {"agent_id": agent.agent_id}}


def create(registry: Registry, owner: Person, slug: str, **fields: Any) -> Any:
    return registry.admin.call(
        "AgentService/CreateAgent", agent_slug=slug, owner={"user_id": owner.user_id}, **fields
    )


def rename(registry: Registry, agent: Any, new_slug: str, **fields: Any) -> Any:
    method = "AgentService/RenameAgent"
    return registry.admin.call(method, **ref(agent), new_slug=new_slug, **fields)


def delete(registry: Registry, agent: Any, **fields: Any) -> Any:
    return registry.admin.call("AgentService/DeleteAgent", **ref(agent), **fields)


def stray(registry: Registry, slug: str) -> None:
    """A directory that belongs to nobody."""
    home = on_disk(registry, "agents", slug)
    home.mkdir()
    (home / "secret.md").write_bytes(b"of nobody")


def test_an_agent_is_made_with_its_directory_and_shown_with_it(registry: Registry) -> None:
    owner, slug = registry.user(), registry.name("new")
    answer = create(registry, owner, slug)
    made = [file.path for file in answer.files if file.outcome == CREATED]
    assert made == ["SOUL.md", "USER.md", "MEMORY.md"]
    shown = owner.call("AgentService/GetAgent", **ref(answer.agent)).directory
    assert (shown.path, shown.exists, shown.has_files) == (f"agents/{slug}", True, True)
    for path in STARTERS:
        owner.call("DirectoryService/DeleteFile", directory=of_agent(answer.agent), path=path)
    shown = owner.call("AgentService/GetAgent", **ref(answer.agent)).directory
    assert (shown.exists, shown.has_files) == (True, False)


def test_a_directory_that_was_lost_is_not_made_anew(registry: Registry) -> None:
    owner, slug = registry.user(), registry.name("lost")
    agent = create(registry, owner, slug).agent
    home = on_disk(registry, "agents", slug).resolve()
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
    away.rename(home)
    assert paths(owner, of_agent(agent)) == STARTERS


def test_what_was_put_aside_is_given_back_to_its_row(registry: Registry) -> None:
    """As where a database is restored that is older than the tree."""
    owner = registry.user()
    for shelf in (".kept", ".trash"):
        agent = registry.agent(owner)
        put(owner, of_agent(agent), "notes.md", b"mine")
        home = on_disk(registry, "agents", agent.agent_slug).resolve()
        home.rename(on_disk(registry, "agents", shelf, home.name))
        assert get(owner, of_agent(agent), "notes.md") == b"mine"
        assert home.is_dir()


def test_one_that_is_there_is_answered_without_files(registry: Registry) -> None:
    owner, slug = registry.user(), registry.name("new")
    made = create(registry, owner, slug, create_if_missing=True)
    put(owner, of_agent(slug), "SOUL.md", b"mine")
    found = create(registry, owner, slug, create_if_missing=True)
    assert (made.created, found.created, list(found.files)) == (True, False, [])
    assert get(owner, of_agent(slug), "SOUL.md") == b"mine"


def test_a_batch_and_a_provision_make_directories_as_well(registry: Registry) -> None:
    owner = registry.user()
    there = registry.agent(owner)
    slugs = [registry.name("batch") for _ in range(3)]
    items = [
        {"agent_slug": slug, "owner": {"user_id": owner.user_id}}
        for slug in (slugs[0], slugs[1], there.agent_slug, slugs[2], slugs[2])
    ]
    before = snapshot(on_disk(registry, "agents"))
    for trial in (True, False):
        results = registry.admin.call(
            "AgentService/BatchCreateAgents", requests=items, validate_only=trial
        ).results
        assert [one.created for one in results] == [True, True, False, True, False]
        if trial:
            assert snapshot(on_disk(registry, "agents")) == before
    for slug in slugs:
        assert paths(owner, of_agent(slug)) == STARTERS
        assert slug in get(owner, of_agent(slug), "SOUL.md").decode()

    user = registry.user()
    provisioned = user.call("AgentService/ProvisionAgent")
    assert provisioned.created
    assert paths(user, of_agent(provisioned.agent)) == STARTERS
    assert not user.call("AgentService/ProvisionAgent").created


def test_of_many_who_create_it_if_missing_one_makes_one_directory(own_registry: Registry) -> None:
    registry = own_registry
    owner = registry.user()
    with spread(registry.admin, connections=8) as admins:
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
    assert_agree(registry.app.store, registry.app.directories)


def test_a_trial_touches_nothing_and_tells_what_would_be(own_registry: Registry) -> None:
    registry = own_registry
    owner = registry.user()
    agent = registry.agent(owner)
    before = snapshot(on_disk(registry))
    made = create(registry, owner, "tried", validate_only=True)
    assert [(file.path, file.outcome) for file in made.files] == [
        ("SOUL.md", CREATED),
        ("USER.md", CREATED),
        ("MEMORY.md", CREATED),
    ]
    renamed = rename(registry, agent, "tried", validate_only=True)
    assert renamed.new_path == "agents/tried"
    gone = delete(registry, agent, validate_only=True, delete_files=True)
    assert (gone.files_deleted, gone.kept_path) == (True, "")
    kept = delete(registry, agent, validate_only=True)
    assert (kept.files_deleted, kept.kept_path) == (False, "")
    assert snapshot(on_disk(registry)) == before


def test_files_follow_a_rename_and_are_found_by_the_new_slug_only(registry: Registry) -> None:
    owner, old, new = registry.user(), registry.name("old"), registry.name("new")
    agent = registry.agent(owner, old)
    put(owner, of_agent(agent), "a/notes.md", b"mine")
    home = on_disk(registry, "agents", old).resolve()
    before = snapshot(home)
    answer = rename(registry, agent, new)
    assert (answer.old_path, answer.new_path) == (f"agents/{old}", f"agents/{new}")
    assert snapshot(home) == before
    assert on_disk(registry, "agents", new).resolve() == home
    assert not on_disk(registry, "agents", old).is_symlink()
    for directory in (of_agent(agent), of_agent(new)):
        assert get(owner, directory, "a/notes.md") == b"mine"
    for method, more in (("ListFiles", {}), ("ReadFile", {"path": "a/notes.md"})):
        refusal = owner.refused(f"DirectoryService/{method}", directory=of_agent(old), **more)
        assert refusal.what == "PERMISSION_DENIED AGENT_ACCESS_DENIED"
    # The new name is not written into the files that are there.
    assert old in get(owner, of_agent(agent), "SOUL.md").decode()


@pytest.mark.parametrize("name", ["taken", "same", "not clean"])
def test_a_rename_that_is_refused_moves_nothing(registry: Registry, name: str) -> None:
    owner = registry.user()
    agent, other = registry.agent(owner), registry.agent(owner)
    new_slug = {"taken": other.agent_slug, "same": agent.agent_slug, "not clean": "!!"}[name]
    before = snapshot(on_disk(registry, "agents"))
    with pytest.raises(RefusedError):
        rename(registry, agent, new_slug)
    assert snapshot(on_disk(registry, "agents")) == before
    shown = owner.call("AgentService/GetAgent", **ref(agent))
    assert shown.agent == agent
    assert shown.directory.path == f"agents/{agent.agent_slug}"
    assert paths(owner, of_agent(agent)) == STARTERS


def test_who_may_not_rename_or_delete_moves_nothing(registry: Registry) -> None:
    agent, operator = registry.agent(registry.user()), registry.user()
    registry.grant(agent.agent_id, operator, "OPERATOR")
    before = snapshot(on_disk(registry, "agents"))
    for method, more in (
        ("RenameAgent", {"new_slug": registry.name("new")}),
        ("DeleteAgent", {"delete_files": True}),
    ):
        refusal = operator.refused(f"AgentService/{method}", **ref(agent), **more)
        assert refusal.what == "PERMISSION_DENIED ROLE_INSUFFICIENT"
    stale = registry.admin.refused("AgentService/DeleteAgent", **ref(agent), etag='"9"')
    assert stale.what == "ABORTED ETAG_MISMATCH"
    assert snapshot(on_disk(registry, "agents")) == before


@pytest.mark.parametrize("delete_files", [False, True])
def test_an_agent_made_again_never_sees_the_old_files(
    registry: Registry, delete_files: bool
) -> None:
    owner, slug = registry.user(), registry.name("again")
    first = registry.agent(owner, slug)
    secret = f"of the first {slug}, {delete_files}".encode()
    put(owner, of_agent(first), "secret.md", secret)
    home = on_disk(registry, "agents", slug).resolve()
    before = snapshot(home)
    answer = delete(registry, first, delete_files=delete_files)
    assert answer.files_deleted == delete_files
    assert not home.exists()
    assert not on_disk(registry, "agents", slug).is_symlink()
    if delete_files:
        assert answer.kept_path == ""
        assert secret not in snapshot(on_disk(registry)).values()
    else:
        assert answer.kept_path == f"agents/.kept/{home.name}"
        assert snapshot(on_disk(registry, answer.kept_path)) == before
    refusal = owner.refused("DirectoryService/ListFiles", directory=of_agent(first))
    assert refusal.what == "PERMISSION_DENIED AGENT_ACCESS_DENIED"
    second = registry.agent(owner, slug)
    assert second.agent_id != first.agent_id
    assert paths(owner, of_agent(slug)) == STARTERS
    missing = owner.refused("DirectoryService/ReadFile", directory=of_agent(slug), path="secret.md")
    assert missing.what == "NOT_FOUND FILE_NOT_FOUND"


def test_an_agent_without_a_directory_is_deleted_and_nothing_is_kept(registry: Registry) -> None:
    for delete_files in (False, True):
        agent = registry.agent(registry.user())
        shutil.rmtree(on_disk(registry, "agents", agent.agent_slug).resolve())
        answer = delete(registry, agent, delete_files=delete_files)
        assert (answer.files_deleted, answer.kept_path) == (False, "")


def test_a_stray_name_is_left_alone_and_followed_by_nobody(registry: Registry) -> None:
    owner, slug = registry.user(), registry.name("stray")
    stray(registry, slug)
    agent = create(registry, owner, slug).agent
    assert paths(owner, of_agent(agent)) == STARTERS
    put(owner, of_agent(slug), "notes.md", b"mine")
    rename(registry, agent, registry.name("new"))
    second = create(registry, owner, registry.name("other")).agent
    rename(registry, second, registry.name("new"))
    assert get(owner, of_agent(agent), "notes.md") == b"mine"
    assert snapshot(on_disk(registry, "agents", slug)) == {"secret.md": b"of nobody"}


@pytest.mark.parametrize("where", ["/etc", "../shared", ".id/../../shared", ".id"])
def test_a_link_that_is_not_ours_is_left_alone_and_followed_by_nobody(
    registry: Registry, where: str
) -> None:
    owner, slug = registry.user(), registry.name("linked")
    link = on_disk(registry, "agents", slug)
    link.symlink_to(where)
    agent = create(registry, owner, slug).agent
    assert paths(owner, of_agent(agent)) == STARTERS
    delete(registry, agent, delete_files=True)
    assert str(link.readlink()) == where


def test_a_slug_that_changes_hands_takes_no_files_along(own_registry: Registry) -> None:
    registry = own_registry
    ada, bob = registry.user(), registry.user()
    first, second = registry.agent(ada, "wanted"), registry.agent(bob, "other")
    put(ada, of_agent(first), "whose.md", b"ada's")
    put(bob, of_agent(second), "whose.md", b"bob's")
    # A released slug is kept for its former owner, so that one passes it on.
    rename(registry, first, "released")
    refusal = bob.refused("AgentService/RenameAgent", **ref(second), new_slug="wanted")
    assert refusal.what == "FAILED_PRECONDITION SLUG_RESERVED"
    registry.clock.advance(days=31)
    rename(registry, second, "wanted")
    assert get(bob, of_agent("wanted"), "whose.md") == b"bob's"
    assert get(ada, of_agent("released"), "whose.md") == b"ada's"
    assert get(ada, of_agent(first), "whose.md") == b"ada's"
    hidden = ada.refused("DirectoryService/ReadFile", directory=of_agent("wanted"), path="whose.md")
    assert hidden.what == "PERMISSION_DENIED AGENT_ACCESS_DENIED"
    assert_agree(registry.app.store, registry.app.directories)


def test_of_many_who_are_renamed_to_one_slug_one_gets_it(own_registry: Registry) -> None:
    registry = own_registry
    owner = registry.user()
    agents = [registry.agent(owner) for _ in range(6)]
    for agent in agents:
        put(owner, of_agent(agent), "whose.md", str(agent.agent_id).encode())
    with spread(registry.admin, connections=6) as admins:
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
    assert_agree(registry.app.store, registry.app.directories)


def test_whoever_writes_while_slugs_swap_writes_to_their_own(own_registry: Registry) -> None:
    registry = own_registry
    owner = registry.user()
    agents = [registry.agent(owner, slug) for slug in ("one", "two")]

    def swap() -> None:
        for turn in range(6):
            one, two = agents if turn % 2 == 0 else agents[::-1]
            rename(registry, one, "between")
            rename(registry, two, "one")
            rename(registry, one, "two")

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
    assert_agree(registry.app.store, registry.app.directories)


@pytest.mark.parametrize("delete_files", [False, True])
def test_what_was_acknowledged_while_the_agent_is_deleted_goes_with_it(
    registry: Registry, delete_files: bool
) -> None:
    owner = registry.user()
    agent = registry.agent(owner)
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
    assert not on_disk(registry, "agents", slug).is_symlink()
    if not delete_files:
        for number, (_, content) in enumerate(outcomes):
            assert on_disk(registry, answer.kept_path, f"{number}.md").read_text() == content
