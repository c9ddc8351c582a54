"""Starter files: what they begin with, and that what is there is never touched."""

import uuid
from pathlib import Path
from typing import Any

import pytest

from accredit.v1 import directory_pb2
from accredit_service.abilities.extensions.generators import DEFAULT_GENERATORS, ContentGenerator
from accredit_storage.directory.limits import FileLimits
from tests.api.filing import (
    LEGACY,
    NETWORK,
    SHARED,
    Fields,
    get,
    of_agent,
    of_user,
    paths,
    put,
)
from tests.declared.declaring import reason, seeds
from tests.server import Person, Server, running_server

STARTERS = ["SOUL.md", "USER.md", "MEMORY.md"]


@pytest.fixture
def server(own_server: Server) -> Server:
    """A server of the test's own: which types there are is a matter of the whole server."""
    return own_server


def outcomes(files: Any) -> list[tuple[str, str]]:
    """Path and outcome of each."""
    names = directory_pb2.ScaffoldOutcome.Name
    return [(one.path, names(one.outcome).removeprefix("SCAFFOLD_OUTCOME_")) for one in files]


def scaffold(person: Person, directory: Fields, filename: str = "") -> list[tuple[str, str]]:
    """What became of each starter file."""
    method = "DirectoryService/ScaffoldFiles"
    return outcomes(person.call(method, directory=directory, filename=filename).files)


def created(server: Server, owner: Person, **fields: Any) -> Any:
    slug = server.name("agent")
    return server.admin.call(
        "AgentService/CreateAgent", agent_slug=slug, owner={"user_id": owner.user_id}, **fields
    )


def delete(person: Person, directory: Fields, *names: str) -> None:
    for name in names:
        person.call("DirectoryService/DeleteFile", directory=directory, path=name)


def test_a_new_agent_has_its_starter_files_with_its_name(server: Server) -> None:
    owner = server.user()
    answer = created(server, owner, agent_name="Ada {name} Lovelace")
    assert outcomes(answer.files) == [(name, "CREATED") for name in STARTERS]
    home = of_agent(answer.agent)
    assert paths(owner, home) == sorted(STARTERS)
    soul = get(owner, home, "SOUL.md").decode()
    assert soul.startswith("# Ada {name} Lovelace\n\nYou are Ada {name} Lovelace, ")
    for name in STARTERS:
        content = get(owner, home, name).decode()
        assert content == f"{content.strip()}\n"
    # Without a name it is called by its slug.
    unnamed = created(server, owner).agent
    assert unnamed.agent_slug in get(owner, of_agent(unnamed), "SOUL.md").decode()


def test_what_is_there_is_left_as_it_is_even_if_it_is_empty(server: Server) -> None:
    owner = server.user()
    home = of_agent(server.agent(owner))
    put(owner, home, "SOUL.md", b"")
    put(owner, home, "USER.md", b"\0 mine")
    delete(owner, home, "MEMORY.md")
    assert scaffold(owner, home) == [
        ("SOUL.md", "EXISTING"),
        ("USER.md", "EXISTING"),
        ("MEMORY.md", "CREATED"),
    ]
    assert get(owner, home, "SOUL.md") == b""
    assert get(owner, home, "USER.md") == b"\0 mine"
    assert get(owner, home, "MEMORY.md").startswith(b"# Memory\n")
    assert {outcome for _, outcome in scaffold(owner, home)} == {"EXISTING"}


def test_one_of_them_can_be_asked_for(server: Server) -> None:
    owner = server.user()
    home = of_agent(server.agent(owner))
    delete(owner, home, *STARTERS)
    assert scaffold(owner, home, "USER.md") == [("USER.md", "CREATED")]
    assert paths(owner, home) == ["USER.md"]
    # Not a type at all, one of another layer, and none by this spelling.
    for filename in ("OTHER.md", "SITE.md", "soul.md", "../SOUL.md"):
        refusal = owner.refused("DirectoryService/ScaffoldFiles", directory=home, filename=filename)
        assert refusal.what == "NOT_FOUND MEMORY_FILE_TYPE_NOT_FOUND"
    assert paths(owner, home) == ["USER.md"]


def test_each_directory_has_the_types_of_its_layer(server: Server) -> None:
    admin = server.admin
    for directory, expected in (
        (SHARED, ["SITE.md", "RULES.md"]),
        (NETWORK, ["NETWORK.md"]),
        (LEGACY, STARTERS),
        (of_user(admin), []),
    ):
        assert scaffold(admin, directory) == [(name, "CREATED") for name in expected]
        assert paths(admin, directory) == sorted(expected)
    # Also one that calls do not write.
    assert get(admin, SHARED, "SITE.md").startswith(b"# This site\n")
    assert get(admin, LEGACY, "SOUL.md").startswith(b"# Agent\n\nYou are Agent, ")


def test_a_type_for_which_nobody_has_anything_makes_no_file(server: Server) -> None:
    admin, owner = server.admin, server.user()
    home = of_agent(server.agent(owner))
    register = "RegistryService/RegisterMemoryFileType"
    admin.call(register, filename="first.md", layer="MEMORY_LAYER_AGENT", priority=1)
    admin.call(register, filename="USAGE.md", layer="MEMORY_LAYER_USER")
    assert scaffold(owner, home)[0] == ("first.md", "EMPTY")
    put(owner, home, "first.md")
    assert scaffold(owner, home)[0] == ("first.md", "EXISTING")
    delete(owner, home, "first.md")
    other = server.user()
    assert scaffold(other, of_user(other)) == [("USAGE.md", "EMPTY")]
    assert paths(owner, home) == sorted(STARTERS)
    answer = created(server, owner)
    assert outcomes(answer.files)[0] == ("first.md", "EMPTY")
    assert not answer.files[0].HasField("error")
    # A type that has gone is no starter of the next agent.
    admin.call("RegistryService/UnregisterMemoryFileType", filename="first.md")
    admin.call("RegistryService/UnregisterMemoryFileType", filename="USER.md")
    names = [path for path, _ in outcomes(created(server, owner).files)]
    assert names == ["SOUL.md", "MEMORY.md"]


def test_a_file_that_cannot_be_made_keeps_no_other_from_being_made(
    server: Server,
) -> None:
    owner = server.user()
    long_name = "Ada" * 60
    home = of_agent(server.agent(owner, agent_name=long_name))
    delete(owner, home, *STARTERS)
    put(owner, home, "USER.md/is a folder.md")
    server.app.directories.files.limits = FileLimits(file_bytes=300)
    answer = owner.call("DirectoryService/ScaffoldFiles", directory=home)
    assert outcomes(answer.files) == [
        ("SOUL.md", "FAILED"),
        ("USER.md", "FAILED"),
        ("MEMORY.md", "CREATED"),
    ]
    large, folder = answer.files[0].error, answer.files[1].error
    assert (reason(large), large.code) == ("FILE_TOO_LARGE", 8)
    assert "300 bytes" in large.message
    assert (reason(folder), folder.code) == ("PATH_INVALID", 3)
    assert "plain file" in folder.message
    assert not answer.files[2].HasField("error")
    assert paths(owner, home) == ["MEMORY.md", "USER.md/is a folder.md"]
    # An agent is made all the same.
    made = created(server, owner, agent_name=long_name)
    assert outcomes(made.files)[0] == ("SOUL.md", "FAILED")
    assert paths(owner, of_agent(made.agent)) == ["MEMORY.md", "USER.md"]


def test_an_agent_begins_with_what_its_definition_has(server: Server) -> None:
    slug = server.name("declared")
    texts = {"SOUL.md": "  I am declared.\r\n", "MEMORY.md": " \n", "OTHER.md": "no type"}
    owner = server.user()
    server.admin.call(
        "RegistryService/RegisterAgent",
        agent_slug=slug,
        memory_seeds=seeds(texts),
        owner=owner.ref["user"],
    )
    agent = server.agent(owner, slug)
    home = of_agent(agent)
    assert get(owner, home, "SOUL.md") == b"I am declared.\n"
    assert get(owner, home, "USER.md").startswith(b"# The people")
    # A blank one is none, and one without a type makes no file.
    assert get(owner, home, "MEMORY.md").startswith(b"# Memory\n")
    assert paths(owner, home) == sorted(STARTERS)
    put(owner, home, "SOUL.md", b"I was rewritten.")
    scaffold(owner, home)
    assert get(owner, home, "SOUL.md") == b"I was rewritten."
    delete(owner, home, "SOUL.md")
    assert scaffold(owner, home, "SOUL.md") == [("SOUL.md", "CREATED")]
    assert get(owner, home, "SOUL.md") == b"I am declared.\n"


def fails(context: Any, text: str) -> str:
    raise RuntimeError("a plugin has a bug")


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_plugin_may_override_and_one_with_a_bug_is_passed_over(
    database_url: str, tmp_path: Path, place: str
) -> None:
    generators = (
        ContentGenerator("appends", 30, lambda context, text: f"{text}by {context.filename}\n"),
        ContentGenerator("silences", 40, lambda c, text: "" if c.filename == "USER.md" else text),
        ContentGenerator("lies", 50, lambda context, text: None),  # type: ignore[arg-type, return-value]
        ContentGenerator("fails", 60 if place == "after" else 1, fails),
        *DEFAULT_GENERATORS,
    )
    with running_server(database_url, tmp_path, more={"generators": generators}) as server:
        owner = server.user()
        answer = created(server, owner)
        assert outcomes(answer.files) == [
            ("SOUL.md", "CREATED"),
            ("USER.md", "EMPTY"),
            ("MEMORY.md", "CREATED"),
        ]
        memory = get(owner, of_agent(answer.agent), "MEMORY.md").decode()
        assert memory.startswith("# Memory\n")
        assert memory.endswith("by MEMORY.md\n")


def test_generators_keep_no_writer_waiting(database_url: str, tmp_path: Path) -> None:
    """Other people's code, which may take long, or call us."""
    calling: list[Server] = []

    def calls_us(context: object, text: str) -> str:
        (server,) = calling
        server.admin.call("SiteService/CreateSite", site_slug=server.name("made"))
        return text + "And a line."

    generators = (*DEFAULT_GENERATORS, ContentGenerator("calls-us", 30, calls_us))
    with running_server(database_url, tmp_path, more={"generators": generators}) as server:
        calling.append(server)
        owner = server.user()
        agent = server.agent(owner)
        assert get(owner, of_agent(agent), "SOUL.md").endswith(b"And a line.\n")
        owner.call("DirectoryService/DeleteFile", directory=of_agent(agent), path="SOUL.md")
        owner.call(
            "DirectoryService/ScaffoldFiles",
            directory=of_agent(agent),
            filename="SOUL.md",
            request_id=str(uuid.uuid4()),
        )
        assert get(owner, of_agent(agent), "SOUL.md").endswith(b"And a line.\n")
        server.admin.call("RegistryService/RegisterAgent", agent_slug="declared")
        server.admin.call("RegistryService/ReconcileAgents")
        made = server.admin.call("SiteService/ListSites", page_size=500).sites
    # For each file of the two new agents, and for the one that was made again.
    assert len(made) == 2 * len(STARTERS) + 1
