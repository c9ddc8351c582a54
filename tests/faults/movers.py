"""Callers who make, move, fill and remove agents, and remember what was acknowledged."""

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.api.filing import get, of_agent, paths, put
from tests.server import Person, RefusedError

LOG = "a/log.md"
STARTERS = ["MEMORY.md", "SOUL.md", "USER.md"]


@dataclass
class Known:
    """An agent as it was last acknowledged, with the lines of its log."""

    agent_id: int
    slug: str
    lines: list[str] = field(default_factory=list)
    in_doubt: set[str] = field(default_factory=set)
    """Lines of which nobody can say whether they were written before a crash."""


@dataclass(frozen=True)
class Step:
    """One call to make, and what is known once it is acknowledged, or if it stays in doubt."""

    method: str
    fields: dict[str, Any]
    acknowledged: Callable[[Any], object]
    in_doubt: Callable[[], object] | None = None
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))


class Mover:
    """Calls, each under a request id, about agents that nobody else touches.

    A call that was not answered is sent again under the same id when the mover goes on.
    """

    def __init__(self, number: int, owner_id: int) -> None:
        self.agents: dict[int, Known] = {}
        self.kept: dict[str, Known] = {}
        """Agents that were deleted without their files, by where those were put."""
        self.calls = 0
        self._number = number
        self._owner_id = owner_id
        self._random = random.Random(number)
        self._names = 0
        self._pending: Step | None = None

    def go_on(self, admin: Person, acknowledged: Callable[[], object]) -> RefusedError:
        """Call until a call fails: how."""
        while True:
            self._pending = self._pending or self._next()
            try:
                self._make(admin, self._pending)
            except RefusedError as refusal:
                return refusal
            self._pending = None
            acknowledged()

    def settle(self, admin: Person) -> None:
        """Send again what was not answered, if there is something."""
        if self._pending is not None:
            self._make(admin, self._pending)
            self._pending = None

    def check(self, admin: Person) -> None:
        """AssertionError unless everything that was acknowledged is there, and nothing twice."""
        for known in self.agents.values():
            home = of_agent(known.agent_id)
            # Where a crash came before its files were made, they are made now.
            put(admin, home, "checked.md")
            shown = admin.call("AgentService/GetAgent", agent={"agent_id": known.agent_id})
            assert shown.agent.agent_slug == known.slug
            assert (shown.directory.path, shown.directory.exists) == (f"agents/{known.slug}", True)
            found = paths(admin, home)
            assert [path for path in found if path not in (LOG, "checked.md")] == STARTERS
            check_lines(known, get(admin, home, LOG) if LOG in found else b"")

    def _make(self, admin: Person, step: Step) -> None:
        try:
            answer = admin.call(step.method, **step.fields, request_id=step.request_id)
        except RefusedError as refusal:
            if refusal.reason != "REQUEST_IN_DOUBT" or step.in_doubt is None:
                raise
            step.in_doubt()
        else:
            step.acknowledged(answer)
        self.calls += 1

    def _next(self) -> Step:
        if len(self.agents) < 2:
            return self._create()
        known = self._random.choice(list(self.agents.values()))
        chance = self._random.random()
        if chance < 0.35:
            return self._append(known)
        if chance < 0.75:
            return self._rename(known)
        return self._delete(known, with_files=chance < 0.87)

    def _name(self) -> str:
        self._names += 1
        return f"mover-{self._number}-{self._names}"

    def _create(self) -> Step:
        slug = self._name()

        def acknowledged(answer: Any) -> None:
            assert answer.created
            agent_id = answer.agent.agent_id
            self.agents[agent_id] = Known(agent_id, slug)

        fields = {"agent_slug": slug, "owner": {"user_id": self._owner_id}}
        return Step("AgentService/CreateAgent", fields, acknowledged)

    def _append(self, known: Known) -> Step:
        line = self._name()
        return Step(
            "DirectoryService/AppendFile",
            {
                "directory": of_agent(known.agent_id),
                "path": LOG,
                "content": f"{line}\n".encode(),
            },
            lambda answer: known.lines.append(line),
            lambda: known.in_doubt.add(line),
        )

    def _rename(self, known: Known) -> Step:
        slug = self._name()

        def acknowledged(answer: Any) -> None:
            assert answer.old_slug == known.slug
            known.slug = slug

        fields = {"agent": {"agent_id": known.agent_id}, "new_slug": slug}
        return Step("AgentService/RenameAgent", fields, acknowledged)

    def _delete(self, known: Known, *, with_files: bool) -> Step:
        def acknowledged(answer: Any) -> None:
            # Where a crash came before its files were removed, they are put aside.
            assert with_files or not answer.files_deleted
            if answer.kept_path:
                self.kept[answer.kept_path] = known
            del self.agents[known.agent_id]

        fields = {"agent": {"agent_id": known.agent_id}, "delete_files": with_files}
        return Step("AgentService/DeleteAgent", fields, acknowledged)


def check_lines(known: Known, content: bytes) -> None:
    """AssertionError unless it is the log of that agent."""
    found = content.decode().splitlines()
    assert len(found) == len(set(found))
    assert [line for line in found if line not in known.in_doubt] == known.lines
