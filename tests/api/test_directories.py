"""Which directory is meant, who may read there, who may write there, and what else is refused."""

from typing import Any

import pytest

from accredit.v1 import directory_pb2
from tests.api.filing import (
    LEGACY,
    NETWORK,
    SHARED,
    Fields,
    get,
    of_agent,
    of_user,
    on_disk,
    paths,
    put,
    root_away,
    unmade_agent,
)
from tests.declared.declaring import reason
from tests.directory.making import snapshot
from tests.server import Person, Server

NEVER_GIVEN = 2**40


def resolved(person: Person, **fields: Any) -> tuple[Any, str, bool, bool]:
    """What the directory is named by, where it is, whether it is there and has files."""
    answer = person.call("DirectoryService/ResolveDirectory", **fields)
    return answer.directory, answer.info.path, answer.info.exists, answer.info.has_files


def test_an_agent_that_is_named_goes_first_by_id_or_slug(server: Server) -> None:
    owner = server.user()
    server.agent(owner)
    second = server.agent(owner)
    for ref in ({"agent_id": second.agent_id}, {"agent_slug": f" {second.agent_slug.upper()} "}):
        for user in (None, {"user_id": owner.user_id}, {"user_id": NEVER_GIVEN}):
            directory, path, exists, has_files = resolved(owner, agent=ref, user=user)
            assert directory.agent.agent_id == second.agent_id
            assert (path, exists, has_files) == (f"agents/{second.agent_slug}", True, True)


def test_of_a_users_agents_it_is_the_one_with_the_lowest_id(server: Server) -> None:
    owner, other = server.user(), server.user()
    # One that was given to them goes before those of their own making, and one granted never does.
    granted, given = server.agent(other), server.agent(other)
    server.grant(granted.agent_id, owner, "ADMIN")
    own = server.agent(owner)
    assert resolved(owner, user={"login": owner.login})[1] == f"agents/{own.agent_slug}"
    server.admin.call(
        "AgentService/TransferAgent",
        agent={"agent_id": given.agent_id},
        new_owner={"user_id": owner.user_id},
    )
    directory, path, *_ = resolved(owner, user={"user_id": owner.user_id})
    assert (directory.agent.agent_id, path) == (given.agent_id, f"agents/{given.agent_slug}")


def test_a_user_without_an_agent_has_a_directory_of_their_own(server: Server) -> None:
    user = server.user()
    directory, path, exists, has_files = resolved(user, user={"user_id": user.user_id})
    assert (directory.user.user_id, directory.user.login) == (user.user_id, "")
    assert (path, exists, has_files) == (f"users/{user.user_id}", False, False)
    put(user, of_user(user), "notes.md", b"mine")
    assert resolved(user, user={"user_id": user.user_id})[2:] == (True, True)
    # With an agent they mean the agent's, in every call; without it their own is as it was.
    agent = server.agent(user)
    assert resolved(user, user={"user_id": user.user_id})[1] == f"agents/{agent.agent_slug}"
    assert "notes.md" not in paths(user, of_user(user))
    put(user, of_user(user), "notes.md", b"the agent's")
    assert get(user, of_agent(agent), "notes.md") == b"the agent's"
    user.call("AgentService/DeleteAgent", agent={"agent_id": agent.agent_id})
    assert get(user, of_user(user), "notes.md") == b"mine"


def test_a_common_one_is_resolved_and_belongs_to_nobody(server: Server) -> None:
    guest = server.user("GUEST")
    for common, path in (("SHARED", "shared"), ("NETWORK", "network"), ("LEGACY", "agent")):
        name = f"COMMON_DIRECTORY_{common}"
        assert resolved(guest, common=name)[1] == path
        refusal = guest.refused(
            "DirectoryService/ResolveDirectory", user={"user_id": guest.user_id}, common=name
        )
        assert (refusal.what, list(refusal.fields)) == (
            "INVALID_ARGUMENT FIELD_INVALID",
            ["common"],
        )


def test_where_nobody_is_named_it_is_the_legacy_one(server: Server) -> None:
    guest = server.user("GUEST")
    directory, path, exists, _ = resolved(guest)
    assert (directory.common, path, exists) == (3, "agent", True)


def test_to_resolve_makes_nothing(server: Server) -> None:
    user = server.user()
    agent = unmade_agent(server, user)
    before = snapshot(on_disk(server))
    assert resolved(user, agent={"agent_id": agent.agent_id})[2:] == (False, False)
    assert resolved(user, user={"user_id": user.user_id})[2:] == (False, False)
    assert resolved(server.admin, user={"login": server.user().login})[2:] == (False, False)
    resolved(user)
    assert snapshot(on_disk(server)) == before


def test_to_read_where_there_is_no_directory_makes_none(server: Server) -> None:
    owner = server.user()
    agent = unmade_agent(server, owner)
    ref: Fields = {"agent": {"agent_id": agent.agent_id}}
    before = snapshot(on_disk(server))
    for directory in (of_agent(agent), of_user(owner)):
        assert paths(owner, directory) == []
        refusal = owner.refused("DirectoryService/ReadFile", directory=directory, path="SOUL.md")
        assert refusal.what == "NOT_FOUND FILE_NOT_FOUND"
    assert not owner.call("DirectoryService/ListDailyMemory", **ref).months
    assert not owner.call("DirectoryService/SearchDailyMemory", **ref, text="x").match_count
    refusal = owner.refused("DirectoryService/ReadDailyMemory", **ref)
    assert refusal.what == "NOT_FOUND FILE_NOT_FOUND"
    assert snapshot(on_disk(server)) == before


def test_a_directory_with_folders_only_has_no_files(server: Server) -> None:
    user = server.user()
    put(user, of_user(user), "a/b.md")
    on_disk(server, "users", str(user.user_id), "a", "b.md").unlink()
    assert resolved(user, user={"user_id": user.user_id})[2:] == (True, False)


@pytest.mark.parametrize(
    ("directory", "field"),
    [
        ({}, "directory"),
        ({"agent": {}}, "directory.agent"),
        ({"agent": {"agent_id": -1}}, "directory.agent.agent_id"),
        ({"user": {}}, "directory.user"),
        ({"user": {"user_id": -1}}, "directory.user.user_id"),
        ({"user": {"login": ""}}, "directory.user.login"),
        ({"common": 0}, "directory"),
        ({"common": 4}, "directory.common"),
    ],
)
def test_a_directory_that_nobody_can_mean_is_refused(
    server: Server, directory: Any, field: str
) -> None:
    for method in ("ListFiles", "ReadFile", "WriteFile", "DeleteFile", "ScaffoldFiles"):
        more = {} if method in ("ListFiles", "ScaffoldFiles") else {"path": "a.md"}
        refusal = server.admin.refused(f"DirectoryService/{method}", directory=directory, **more)
        assert (refusal.what, list(refusal.fields)) == ("INVALID_ARGUMENT FIELD_INVALID", [field])


def test_an_agents_directory_is_read_with_viewer_and_written_with_operator(
    server: Server,
) -> None:
    owner, viewer, operator, other = (server.user() for _ in range(4))
    agent = server.agent(owner)
    server.grant(agent.agent_id, viewer, "VIEWER")
    server.grant(agent.agent_id, operator, "OPERATOR")
    put(operator, of_agent(agent), "notes.md", b"read this")
    for reader in (owner, viewer, operator, server.admin):
        assert get(reader, of_agent(agent), "notes.md") == b"read this"
        assert "notes.md" in paths(reader, of_agent(agent))
    file = {"directory": of_agent(agent), "path": "notes.md"}
    for method, more in (
        ("WriteFile", {}),
        ("AppendFile", {"content": b"x"}),
        ("DeleteFile", {}),
    ):
        refusal = viewer.refused(f"DirectoryService/{method}", **file, **more)
        assert refusal.what == "PERMISSION_DENIED ROLE_INSUFFICIENT"
        asked = {"required_role": "OPERATOR", "role": "VIEWER", "agent_slug": agent.agent_slug}
        assert refusal.metadata == asked
    scaffolding = viewer.refused("DirectoryService/ScaffoldFiles", directory=of_agent(agent))
    assert scaffolding.what == "PERMISSION_DENIED ROLE_INSUFFICIENT"
    for method in ("ReadFile", "WriteFile", "DeleteFile"):
        hidden = other.refused(f"DirectoryService/{method}", **file)
        assert hidden.what == "PERMISSION_DENIED AGENT_ACCESS_DENIED"
        # In the same words whether the agent exists or not.
        missing = other.refused(
            f"DirectoryService/{method}", directory=of_agent(NEVER_GIVEN), path="notes.md"
        )
        assert missing.message.replace(str(NEVER_GIVEN), str(agent.agent_id)) == hidden.message
    unknown = server.admin.refused("DirectoryService/ListFiles", directory=of_agent(NEVER_GIVEN))
    assert unknown.what == "NOT_FOUND AGENT_NOT_FOUND"


def test_a_users_directory_is_their_own(server: Server) -> None:
    user, other = server.user("GUEST"), server.user()
    put(user, of_user(user), "notes.md", b"mine")
    assert paths(user, of_user(user)) == ["notes.md"]
    # Nor does an agent's token get at it.
    token = server.agent_token(server.admin, server.agent(other).agent_id)
    for stranger in (other, token):
        for method in ("ListFiles", "ReadFile", "WriteFile", "DeleteFile"):
            more = {} if method == "ListFiles" else {"path": "notes.md"}
            refusal = stranger.refused(
                f"DirectoryService/{method}", directory=of_user(user), **more
            )
            assert refusal.what == "PERMISSION_DENIED DIRECTORY_ACCESS_DENIED"
            assert refusal.metadata == {"actions": "manage_users"}
        # Which agent is theirs is not everybody's to know, nor whether there is such a user.
        for named in (
            {"user_id": user.user_id},
            {"login": user.login},
            {"user_id": NEVER_GIVEN},
            {"login": "nobody"},
        ):
            refusal = stranger.refused("DirectoryService/ResolveDirectory", user=named)
            assert refusal.what == "PERMISSION_DENIED DIRECTORY_ACCESS_DENIED"
    assert get(server.admin, of_user(user), "notes.md") == b"mine"
    for method in ("ResolveDirectory", "ListFiles", "WriteFile"):
        unknown: dict[str, Any] = {"user": {"user_id": NEVER_GIVEN}}
        fields = unknown if method == "ResolveDirectory" else {"directory": unknown}
        more = {"path": "notes.md"} if method == "WriteFile" else {}
        refusal = server.admin.refused(f"DirectoryService/{method}", **fields, **more)
        assert refusal.what == "NOT_FOUND USER_NOT_FOUND"
    assert not on_disk(server, "users", str(NEVER_GIVEN)).exists()


def test_a_token_that_may_view_only_writes_to_no_directory_of_its_user(server: Server) -> None:
    user = server.user()
    put(user, of_user(user), "notes.md", b"mine")
    minted = server.admin.call(
        "TokenService/CreateToken",
        user={"user_id": user.user_id},
        ceiling={"max_role": "ROLE_VIEWER"},
    )
    weak = Person(server, minted.secret, user_id=user.user_id)
    assert get(weak, of_user(user), "notes.md") == b"mine"
    refusal = weak.refused("DirectoryService/WriteFile", directory=of_user(user), path="notes.md")
    assert refusal.what == "PERMISSION_DENIED ROLE_INSUFFICIENT"
    assert refusal.metadata == {"required_role": "OPERATOR", "role": "VIEWER"}


@pytest.mark.parametrize(
    ("directory", "path"), [(SHARED, "shared"), (NETWORK, "network"), (LEGACY, "agent")]
)
def test_a_common_directory_is_everybodys_to_read_and_the_operators_to_write(
    server: Server, directory: Any, path: str
) -> None:
    name = f"{server.name('notes')}.md"
    put(server.admin, directory, name, b"for all")
    assert on_disk(server, path, name).read_bytes() == b"for all"
    guest = server.user("GUEST")
    agent = server.agent(guest)
    for reader in (guest, server.agent_token(server.admin, agent.agent_id)):
        assert get(reader, directory, name) == b"for all"
        assert name in paths(reader, directory)
        for method, more in (
            ("WriteFile", {"path": name}),
            ("AppendFile", {"path": name, "content": b"x"}),
            ("DeleteFile", {"path": name}),
            ("ScaffoldFiles", {}),
        ):
            refusal = reader.refused(f"DirectoryService/{method}", directory=directory, **more)
            assert refusal.what == "PERMISSION_DENIED ACTION_MISSING"
            assert refusal.metadata == {"actions": "manage_settings"}


def test_while_the_root_is_away_files_are_unavailable_and_the_rest_answers(
    own_server: Server,
) -> None:
    server = own_server
    owner = server.user()
    agent = server.agent(owner)
    ref: Fields = {"agent": {"agent_id": agent.agent_id}}
    put(owner, of_agent(agent), "notes.md", b"still here")
    with root_away(server):
        for method, fields in (
            ("ResolveDirectory", ref),
            ("ListFiles", {"directory": ref}),
            ("ReadFile", {"directory": ref, "path": "notes.md"}),
            ("WriteFile", {"directory": ref, "path": "notes.md"}),
            ("DeleteFile", {"directory": ref, "path": "notes.md"}),
            ("ScaffoldFiles", {"directory": ref}),
            ("AppendDailyMemory", {**ref, "text": "A day."}),
            ("ListDailyMemory", ref),
        ):
            refusal = owner.refused(f"DirectoryService/{method}", **fields)
            assert refusal.what == "UNAVAILABLE FILES_UNAVAILABLE", method
            assert refusal.retry_after
        shown = owner.call("AgentService/GetAgent", **ref)
        assert (shown.agent.agent_id, shown.HasField("directory")) == (agent.agent_id, False)
        slug = server.name("new")
        # Agents come and go all the same.
        slug = server.name("new")
        made = server.admin.call(
            "AgentService/CreateAgent", agent_slug=slug, owner={"user_id": owner.user_id}
        )
        failed = directory_pb2.SCAFFOLD_OUTCOME_FAILED
        assert [(one.outcome, reason(one.error)) for one in made.files] == [
            (failed, "FILES_UNAVAILABLE")
        ] * 3
        server.admin.call("AgentService/RenameAgent", **ref, new_slug=server.name("new"))
        gone = server.agent(owner)
        server.admin.call("AgentService/DeleteAgent", agent={"agent_id": gone.agent_id})
        # Nothing was made in its place, where it would hide what comes back.
        assert not on_disk(server).exists()
    assert get(owner, of_agent(agent), "notes.md") == b"still here"
    assert owner.call("AgentService/GetAgent", **ref).directory.has_files
    # The first who writes there has the files made that could not be.
    put(owner, of_agent(slug), "notes.md", b"mine")
    assert paths(owner, of_agent(slug)) == ["MEMORY.md", "SOUL.md", "USER.md", "notes.md"]


def test_a_token_that_is_held_to_viewer_writes_nowhere(server: Server) -> None:
    heir = server.user()
    minted = server.admin.call(
        "TokenService/CreateToken",
        user={"user_id": server.admin.user_id},
        ceiling={
            "max_role": "ROLE_VIEWER",
            "capabilities": ["manage_settings", "manage_users", "manage_agents"],
        },
    )
    held = Person(server, minted.secret, user_id=server.admin.user_id)
    agent = server.agent(heir)
    for directory in (SHARED, of_user(heir), of_user(held), of_agent(agent)):
        refusal = held.refused("DirectoryService/WriteFile", directory=directory, path="a.md")
        assert refusal.what == "PERMISSION_DENIED ROLE_INSUFFICIENT"
        assert paths(held, directory) == paths(server.admin, directory)
