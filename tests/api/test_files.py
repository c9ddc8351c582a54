"""Files through the wire: content, conditions, listing, types of files, and every refusal."""

import hashlib
from typing import Any

import pytest

from accredit_storage.directory.limits import FileLimits
from tests.api.filing import SHARED, Fields, get, of_agent, of_user, on_disk, paths, put
from tests.server import Person, RefusedError, Server

CHUNK = 64 * 1024
LARGEST = 4 * 2**20


@pytest.fixture
def owner(server: Server) -> Person:
    return server.user()


@pytest.fixture
def home(server: Server, owner: Person) -> Fields:
    return of_agent(server.agent(owner))


def etag_of(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()}"'


def what(refusal: RefusedError) -> tuple[str, list[str]]:
    return refusal.what, list(refusal.fields)


def refused(person: Person, directory: Fields, path: str, method: str, **more: Any) -> RefusedError:
    return person.refused(f"DirectoryService/{method}", directory=directory, path=path, **more)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"a\r\nb\n\rc\n",
        b"\xff\xfe\xc3(\x80 no UTF-8",
        b"\xef\xbb\xbfa mark at its beginning",
        bytes(range(256)) * 256,
        bytes(range(256)) * 256 + b"!",
        b"\x93" * LARGEST,
    ],
    ids=lambda content: f"{len(content)} of {content[:3]!r}",
)
def test_content_is_kept_to_the_byte_and_streamed_in_pieces(
    server: Server, owner: Person, home: Fields, content: bytes
) -> None:
    file = put(owner, home, "a/notes.bin", content)
    assert (file.path, file.size, file.etag) == ("a/notes.bin", len(content), etag_of(content))
    shown = server.admin.call("AgentService/GetAgent", **home)
    on_it = on_disk(server, shown.directory.path, "a", "notes.bin").stat()
    assert file.update_time.ToMicroseconds() == on_it.st_mtime_ns // 1000
    pieces = owner.call("DirectoryService/ReadFile", directory=home, path="a/notes.bin")
    assert b"".join(piece.content for piece in pieces) == content
    assert len(pieces) == max(1, -(-len(content) // CHUNK))
    assert all(len(piece.content) <= CHUNK for piece in pieces)
    # Described once, and with what the write has answered.
    assert [piece.HasField("file") for piece in pieces] == [True] + [False] * (len(pieces) - 1)
    assert pieces[0].file == file
    listed = owner.call("DirectoryService/ListFiles", directory=home, folder="a").files
    assert list(listed) == [file]


def test_an_append_adds_bytes_and_makes_what_is_missing(owner: Person, home: Fields) -> None:
    fields: Fields = {"directory": home, "path": "a/log.md"}
    first = owner.call("DirectoryService/AppendFile", content=b"\0one", **fields).file
    assert (first.size, first.etag) == (4, etag_of(b"\0one"))
    second = owner.call(
        "DirectoryService/AppendFile", content=b"\r\n\xff", etag=first.etag, **fields
    ).file
    assert second.etag == etag_of(b"\0one\r\n\xff")
    assert get(owner, home, "a/log.md") == b"\0one\r\n\xff"
    nothing = owner.refused("DirectoryService/AppendFile", **fields)
    assert what(nothing) == ("INVALID_ARGUMENT FIELD_INVALID", ["content"])


def test_a_file_that_is_not_there_is_not_found(server: Server, owner: Person, home: Fields) -> None:
    put(owner, home, "a/b.md")
    nobodys = server.user()
    for directory, asking in ((home, owner), (of_user(nobodys), nobodys)):
        for path in ("gone.md", "a/gone.md", "gone/gone.md"):
            for method in ("ReadFile", "DeleteFile"):
                refusal = refused(asking, directory, path, method)
                assert refusal.what == "NOT_FOUND FILE_NOT_FOUND"
    owner.call("DirectoryService/DeleteFile", directory=home, path="a/b.md")
    assert refused(owner, home, "a/b.md", "ReadFile").what == "NOT_FOUND FILE_NOT_FOUND"
    assert "a/b.md" not in paths(owner, home)
    # To ask for what is not there makes nothing.
    assert not on_disk(server, "users", str(nobodys.user_id)).exists()
    assert paths(nobodys, of_user(nobodys)) == []


@pytest.mark.parametrize(
    "path", ["", "../a", "/a", "a//b", ".a", "a\\b", "a\0", "nul", "a/" * 8 + "a", "x" * 256]
)
def test_a_path_that_is_none_is_refused(owner: Person, home: Fields, path: str) -> None:
    expected = ("INVALID_ARGUMENT PATH_INVALID", ["path"])
    for method, more in (
        ("ReadFile", {}),
        ("WriteFile", {}),
        ("AppendFile", {"content": b"x"}),
        ("DeleteFile", {}),
    ):
        assert what(refused(owner, home, path, method, **more)) == expected
    if path:
        listing = owner.refused("DirectoryService/ListFiles", directory=home, folder=path)
        assert what(listing) == ("INVALID_ARGUMENT PATH_INVALID", ["folder"])


def test_a_folder_is_no_file_and_a_file_no_folder(owner: Person, home: Fields) -> None:
    put(owner, home, "a/b.md")
    for method in ("ReadFile", "WriteFile", "DeleteFile"):
        for path in ("a", "a/b.md/c.md"):
            refusal = refused(owner, home, path, method)
            assert what(refusal) == ("INVALID_ARGUMENT PATH_INVALID", ["path"]), (method, path)


def test_a_write_that_names_an_etag_meets_it_or_does_nothing(owner: Person, home: Fields) -> None:
    missing = refused(owner, home, "a.md", "WriteFile", etag='"x"')
    assert (missing.what, missing.metadata) == ("ABORTED ETAG_MISMATCH", {})
    assert refused(owner, home, "a.md", "WriteFile", etag="*").what == "ABORTED ETAG_MISMATCH"
    first = put(owner, home, "a.md", b"first", only_if_absent=True)
    for method, more in (
        ("WriteFile", {"content": b"other", "only_if_absent": True}),
        ("WriteFile", {"content": b"other", "etag": '"x"'}),
        ("WriteFile", {"content": b"other", "etag": first.etag.strip('"')}),
        ("AppendFile", {"content": b"other", "etag": etag_of(b"older")}),
        ("DeleteFile", {"etag": etag_of(b"older")}),
    ):
        refusal = refused(owner, home, "a.md", method, **more)
        assert refusal.what == "ABORTED ETAG_MISMATCH"
        assert refusal.metadata == {"etag": first.etag}
        assert get(owner, home, "a.md") == b"first"
    second = put(owner, home, "a.md", b"second", etag=first.etag)
    third = put(owner, home, "a.md", b"third", etag="*")
    assert len({first.etag, second.etag, third.etag}) == 3
    fields: Fields = {"directory": home, "path": "a.md"}
    owner.call("DirectoryService/DeleteFile", etag=third.etag, **fields)
    assert "a.md" not in paths(owner, home)


def test_only_if_absent_and_an_etag_exclude_each_other(owner: Person, home: Fields) -> None:
    refusal = refused(owner, home, "a.md", "WriteFile", etag="*", only_if_absent=True)
    assert what(refusal) == ("INVALID_ARGUMENT FIELD_INVALID", ["only_if_absent"])


def test_files_are_listed_by_path_in_the_order_of_code_points(owner: Person, home: Fields) -> None:
    # Not as UTF-16 would have it, nor folder by folder, nor as somebody's alphabet says.
    made = ["Z.md", "a", "a-b.md", "a/c.md", "aa", "b/a/c", "é.md", "ﬀ.md", "\U0001f916.md"]
    made = ["a.d" if path == "a" else path for path in made]
    for path in reversed(made):
        put(owner, home, path, path.encode())
    everything = sorted([*made, "SOUL.md", "USER.md", "MEMORY.md"])
    for size in (1, 2, 3, 500):
        assert paths(owner, home, page_size=size) == everything
    assert paths(owner, home, "b") == ["b/a/c"]
    assert paths(owner, home, "b/a", page_size=1) == ["b/a/c"]
    assert paths(owner, home, "a") == ["a/c.md"]
    assert paths(owner, home, "gone") == paths(owner, home, "a/gone") == []
    for folder in ("aa", "aa/gone"):
        refusal = owner.refused("DirectoryService/ListFiles", directory=home, folder=folder)
        assert what(refusal) == ("INVALID_ARGUMENT PATH_INVALID", ["folder"])


def test_a_list_goes_on_where_it_ended_while_files_come_and_go(
    server: Server, owner: Person, home: Fields
) -> None:
    for number in range(10):
        put(owner, home, f"n/{number}.md")

    def page(token: str = "", **more: Any) -> tuple[list[str], str]:
        answer = owner.call(
            "DirectoryService/ListFiles",
            **{"directory": home, "folder": "n", "page_size": 3, "page_token": token, **more},
        )
        return [file.path for file in answer.files], answer.next_page_token

    first, token = page()
    assert first == ["n/0.md", "n/1.md", "n/2.md"]
    # The last of the page goes, one comes before it and one after it.
    for path in ("n/2.md", "n/4.md"):
        owner.call("DirectoryService/DeleteFile", directory=home, path=path)
    put(owner, home, "n/1a.md")
    put(owner, home, "n/2a.md")
    second, next_token = page(token)
    assert second == ["n/2a.md", "n/3.md", "n/5.md"]
    # The same token again is the same place; an agent that was renamed is the same agent.
    agent_id = home["agent"]["agent_id"]
    server.admin.call(
        "AgentService/RenameAgent",
        agent={"agent_id": agent_id},
        new_slug=server.name("renamed"),
    )
    assert page(token)[0] == second
    assert page(next_token) == (["n/6.md", "n/7.md", "n/8.md"], page(next_token)[1])
    assert page(page(next_token)[1]) == (["n/9.md"], "")
    for other in ({"folder": ""}, {"directory": of_user(owner)}):
        with pytest.raises(RefusedError, match="PAGE_TOKEN_INVALID"):
            page(token, **other)


def test_a_page_token_by_slug_does_not_go_on_with_the_next_agent_of_that_slug(
    server: Server,
) -> None:
    owner, slug = server.user(), server.name("slug")
    first = server.agent(owner, slug)
    fields: Fields = {"directory": of_agent(slug), "page_size": 1}
    token = owner.call("DirectoryService/ListFiles", **fields).next_page_token
    server.admin.call(
        "AgentService/RenameAgent",
        agent={"agent_id": first.agent_id},
        new_slug=server.name("other"),
    )
    server.agent(owner, slug)
    refusal = owner.refused("DirectoryService/ListFiles", **fields, page_token=token)
    assert what(refusal) == ("INVALID_ARGUMENT PAGE_TOKEN_INVALID", ["page_token"])


def test_the_longest_paths_that_there_are_fit_into_a_page_token(
    owner: Person, home: Fields
) -> None:
    # Each name has 255 bytes at most: of three, of two, of four, and such as JSON escapes.
    names = ["語" * 85, "é" * 127, "\U0001f916" * 63, '"' * 255]
    made = sorted("/".join([name] * 8) for name in names)
    for path in made:
        put(owner, home, path)
    for name in names:
        assert paths(owner, home, name, page_size=1) == ["/".join([name] * 8)]
    found = paths(owner, home, page_size=1)
    assert [path for path in found if "/" in path] == made


def test_a_read_only_type_is_not_written_by_calls(server: Server) -> None:
    admin, site = server.admin, "SITE.md"
    for path in (site, "site.MD"):
        for method, more in (("WriteFile", {}), ("AppendFile", {"content": b"x"})):
            refusal = refused(admin, SHARED, path, method, **more)
            assert refusal.what == "FAILED_PRECONDITION FILE_READ_ONLY"
    # The type is one of the shared layer and of the directory itself.
    put(admin, {"common": "COMMON_DIRECTORY_NETWORK"}, site)
    put(admin, SHARED, f"a/{site}")


def test_a_type_may_demand_a_capability_of_whoever_writes(own_server: Server) -> None:
    server = own_server
    owner, name = server.user(), f"{server.name('bill')}.md"
    home = of_agent(server.agent(owner))
    register = "RegistryService/RegisterMemoryFileType"
    server.admin.call(
        register, filename=name, layer="MEMORY_LAYER_AGENT", required_capability="billing.note"
    )

    def bearer(*capabilities: str) -> Person:
        minted = server.admin.call(
            "TokenService/CreateToken",
            user={"user_id": owner.user_id},
            ceiling={"max_role": "ROLE_ADMIN", "capabilities": capabilities},
        )
        return Person(server, minted.secret, user_id=owner.user_id)

    without = bearer("billing.read")
    for path in (name, name.upper()):
        for method, more in (
            ("WriteFile", {}),
            ("AppendFile", {"content": b"x"}),
            ("DeleteFile", {}),
        ):
            refusal = refused(without, home, path, method, **more)
            assert refusal.what == "PERMISSION_DENIED ACTION_MISSING"
            assert refusal.metadata["actions"] == "billing.note"
    put(without, home, f"a/{name}", b"another file")
    put(bearer("billing.note"), home, name, b"noted")
    assert get(without, home, name) == b"noted"
    # An action of the server's own is no less a capability.
    server.admin.call(
        register, filename=name, layer="MEMORY_LAYER_AGENT", required_capability="manage_settings"
    )
    assert refused(owner, home, name, "WriteFile").metadata["actions"] == "manage_settings"
    put(server.admin, home, name, b"by an operator of the server")


def test_to_delete_a_read_only_file_takes_admin(own_server: Server) -> None:
    server = own_server
    owner, operator = server.user(), server.user()
    agent = server.agent(owner)
    home = of_agent(agent)
    server.grant(agent.agent_id, operator, "OPERATOR")
    put(operator, home, "made.md", b"by a generator")
    server.admin.call(
        "RegistryService/RegisterMemoryFileType",
        filename="made.md",
        layer="MEMORY_LAYER_AGENT",
        read_only=True,
    )
    assert refused(operator, home, "made.md", "WriteFile").reason == "FILE_READ_ONLY"
    assert refused(operator, home, "made.md", "DeleteFile").reason == "ROLE_INSUFFICIENT"
    owner.call("DirectoryService/DeleteFile", directory=home, path="made.md")
    assert "made.md" not in paths(owner, home)


def test_to_delete_a_protected_file_takes_admin(server: Server, owner: Person) -> None:
    agent, operator = server.agent(owner), server.user()
    server.grant(agent.agent_id, operator, "OPERATOR")
    home = of_agent(agent)
    put(operator, home, "notes.md")
    put(operator, home, "SOUL.md", b"rewritten")
    for path in ("SOUL.md", "USER.md", "MEMORY.md"):
        refusal = refused(operator, home, path, "DeleteFile")
        assert refusal.what == "PERMISSION_DENIED ROLE_INSUFFICIENT"
        asked = {"required_role": "ADMIN", "role": "OPERATOR", "agent_slug": agent.agent_slug}
        assert refusal.metadata == asked
    operator.call("DirectoryService/DeleteFile", directory=home, path="notes.md")
    assert paths(owner, home) == ["MEMORY.md", "SOUL.md", "USER.md"]
    for path in ("MEMORY.md", "SOUL.md", "USER.md"):
        owner.call("DirectoryService/DeleteFile", directory=home, path=path)
    assert paths(owner, home) == []


def test_a_file_over_four_mebibytes_is_refused(owner: Person, home: Fields) -> None:
    put(owner, home, "a.md", b"x" * LARGEST)
    for method, content in (("WriteFile", b"y" * (LARGEST + 1)), ("AppendFile", b"y")):
        refusal = refused(owner, home, "a.md", method, content=content)
        assert refusal.what == "RESOURCE_EXHAUSTED FILE_TOO_LARGE"
        assert refusal.metadata == {"limit": str(LARGEST)}
    assert get(owner, home, "a.md") == b"x" * LARGEST


def test_a_directory_has_as_many_files_and_bytes_as_it_may(own_server: Server) -> None:
    server = own_server
    owner, other = server.user(), server.user()
    home = of_agent(server.agent(owner))
    files = server.app.directories.files
    files.limits = FileLimits(file_bytes=100, files_per_agent=4, bytes_per_agent=10_000)
    put(owner, home, "4.md", b"x" * 100)
    large = refused(owner, home, "4.md", "WriteFile", content=b"x" * 101)
    assert (large.what, large.metadata) == ("RESOURCE_EXHAUSTED FILE_TOO_LARGE", {"limit": "100"})
    for method in ("WriteFile", "AppendFile"):
        many = refused(owner, home, "5.md", method, content=b"x")
        assert many.what == "RESOURCE_EXHAUSTED QUOTA_EXCEEDED"
        assert many.metadata == {"limit": "4", "counted": "files"}
    put(owner, home, "4.md", b"y")
    # The room of one is not the room of another.
    put(other, of_user(other), "1.md")
    files.limits = FileLimits(bytes_per_agent=3)
    put(other, of_user(other), "2.md", b"xyz")
    full = refused(other, of_user(other), "1.md", "AppendFile", content=b"!")
    assert full.what == "RESOURCE_EXHAUSTED QUOTA_EXCEEDED"
    assert full.metadata == {"limit": "3", "counted": "bytes"}
    other.call("DirectoryService/DeleteFile", directory=of_user(other), path="2.md")
    put(other, of_user(other), "1.md", b"!")
