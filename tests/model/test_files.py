"""An agent's files are what a dictionary would be, whatever two callers do with them.

A random history of writes, appends, deletions and renames by an operator and of attempts by a
viewer runs against a real server on each engine, beside a dictionary that it is compared with.
"""

import hashlib
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.api.filing import Fields, get, of_agent, paths
from tests.server import Person, RefusedError, Server, running_server

#: Also names that are others' folders, and such as only code points tell the order of.
PATHS = ["a", "a/b", "a/b/c", "a-b", "Z", "é/b", "ﬀ", "\U0001f916/\U0001f916", "SOUL.md"]
#: To the byte.
CONTENTS = [b"", b"x", b"one\r\n", b"\0\xff", b"y" * 70_000]
names = st.sampled_from(PATHS)
contents = st.sampled_from(CONTENTS)
conditions = st.sampled_from(["", "present", "stale", "*"])
callers = st.sampled_from(["operator", "operator", "operator", "viewer"])


def etag_of(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()}"'


class FilesMachine(RuleBasedStateMachine):
    """A history. The names of the rules are what they do."""

    server: Server
    people: ClassVar[dict[str, Person]]

    def __init__(self) -> None:
        super().__init__()
        owner = self.people["owner"]
        self.agent_id: int = self.server.agent(owner).agent_id
        for name in ("operator", "viewer"):
            self.server.grant(self.agent_id, self.people[name], name.upper())
        self.home: Fields = of_agent(self.agent_id)
        self.files = {path: get(owner, self.home, path) for path in paths(owner, self.home)}

    def is_in_the_way(self, path: str) -> bool:
        """Whether a folder is where the file should be, or a file where a folder should."""
        return any(
            known.startswith(f"{path}/") or path.startswith(f"{known}/") for known in self.files
        )

    def refusal(self, caller: str, path: str, etag: str, *, only_if_absent: bool = False) -> str:
        """Why a change should be refused, "" if it should not."""
        content = self.files.get(path)
        if caller == "viewer":
            return "ROLE_INSUFFICIENT"
        if self.is_in_the_way(path):
            return "PATH_INVALID"
        if only_if_absent and content is not None:
            return "ETAG_MISMATCH"
        if etag and (content is None or etag not in ("*", etag_of(content))):
            return "ETAG_MISMATCH"
        return ""

    def attempt(self, caller: str, method: str, path: str, **fields: Any) -> tuple[str, Any]:
        """Why it was refused, or "" and the answer."""
        call = self.people[caller].call
        try:
            answer = call(f"DirectoryService/{method}", directory=self.home, path=path, **fields)
        except RefusedError as refusal:
            return refusal.reason, None
        return "", answer

    def etag(self, path: str, condition: str) -> str:
        if condition == "present":
            return etag_of(self.files.get(path, b"never"))
        return etag_of(b"never written") if condition == "stale" else condition

    def done(self, reason: str, answer: Any, path: str, content: bytes) -> None:
        if not reason:
            file = answer.file
            assert (file.path, file.size, file.etag) == (path, len(content), etag_of(content))
            self.files[path] = content

    @rule(caller=callers, path=names, content=contents, condition=conditions)
    def write(self, caller: str, path: str, content: bytes, condition: str) -> None:
        etag = self.etag(path, condition)
        expected = self.refusal(caller, path, etag)
        reason, answer = self.attempt(caller, "WriteFile", path, content=content, etag=etag)
        assert reason == expected
        self.done(reason, answer, path, content)

    @rule(caller=callers, path=names, content=contents)
    def write_new(self, caller: str, path: str, content: bytes) -> None:
        expected = self.refusal(caller, path, "", only_if_absent=True)
        reason, answer = self.attempt(
            caller, "WriteFile", path, content=content, only_if_absent=True
        )
        assert reason == expected
        self.done(reason, answer, path, content)

    @rule(caller=callers, path=names, content=st.sampled_from(CONTENTS[1:]), condition=conditions)
    def append(self, caller: str, path: str, content: bytes, condition: str) -> None:
        etag = self.etag(path, condition)
        expected = self.refusal(caller, path, etag)
        reason, answer = self.attempt(caller, "AppendFile", path, content=content, etag=etag)
        assert reason == expected
        self.done(reason, answer, path, self.files.get(path, b"") + content)

    @rule(caller=callers, path=names, condition=conditions)
    def delete(self, caller: str, path: str, condition: str) -> None:
        etag = self.etag(path, condition)
        expected = self.refusal(caller, path, etag)
        if caller == "operator" and path == "SOUL.md":
            expected = "ROLE_INSUFFICIENT"
        elif not expected and path not in self.files:
            expected = "FILE_NOT_FOUND"
        reason, _ = self.attempt(caller, "DeleteFile", path, etag=etag)
        assert reason == expected
        if not reason:
            del self.files[path]

    @rule()
    def rename(self) -> None:
        self.server.admin.call(
            "AgentService/RenameAgent",
            agent={"agent_id": self.agent_id},
            new_slug=self.server.name("renamed"),
        )

    @rule(path=names, caller=st.sampled_from(["operator", "viewer"]))
    def read(self, path: str, caller: str) -> None:
        reason, pieces = self.attempt(caller, "ReadFile", path)
        if path in self.files:
            assert b"".join(piece.content for piece in pieces) == self.files[path]
            assert pieces[0].file.etag == etag_of(self.files[path])
        else:
            assert reason == ("PATH_INVALID" if self.is_in_the_way(path) else "FILE_NOT_FOUND")

    @rule(size=st.integers(1, 4))
    def list_by_pages(self, size: int) -> None:
        assert paths(self.people["viewer"], self.home, page_size=size) == sorted(self.files)

    @invariant()
    def the_list_is_the_dictionary(self) -> None:
        listed = self.people["viewer"].call(
            "DirectoryService/ListFiles", directory=self.home, page_size=500
        )
        assert [(one.path, one.size, one.etag) for one in listed.files] == [
            (path, len(content), etag_of(content)) for path, content in sorted(self.files.items())
        ]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("examples", "steps"),
    [(12, 40), pytest.param(200, 80, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])],
)
def test_files_are_as_a_dictionary_is(
    database_url: str, tmp_path: Path, examples: int, steps: int
) -> None:
    with running_server(database_url, tmp_path) as server:

        class Machine(FilesMachine):
            people: ClassVar = {name: server.user() for name in ("owner", "operator", "viewer")}

        Machine.server = server
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
