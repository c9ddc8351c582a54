"""What is answered from memory is what the database answers.

The random histories of ``test_bases`` run against one server, and the same questions are asked of
others beside it on the same database: one that keeps nothing in memory and says what is right, one
whose memory is so small that everything is soon forgotten, and the first one itself, each twice.
"""

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis.stateful import RuleBasedStateMachine

from accredit_service.memory import Room
from tests.model.kept import Question
from tests.model.test_bases import MOMENT, BasesMachine, run
from tests.server import Clock, Server, running_server

#: How many questions are asked after each step, and how many of them are new.
ASKED, NEW = 24, 4
NOTHING = Room(records=0, replies=0)
LITTLE = Room(records=12_000, replies=40_000)


def asked_of(question: Question, server: Server) -> Any:
    """The answer without what says when and where it was judged."""
    asker = replace(question.asker, server=server)
    reply, refusal = replace(question, asker=asker).ask()
    if reply is None:
        return refusal
    if "basis" in reply.DESCRIPTOR.fields_by_name:
        for field in ("position", "consistency_token"):
            reply.basis.ClearField(field)
    return reply


class MemoryMachine(BasesMachine):
    """The same histories, held against a server without a memory."""

    others: Sequence[Server]

    @property
    def without(self) -> Server:
        """The one that says what is right."""
        return self.others[0]

    def top_up(self) -> None:
        """Ask other questions instead of the oldest ones."""
        self.questions = getattr(self, "questions", [])[NEW:]
        while len(self.questions) < ASKED:
            self.questions.append(self.asking.question())

    def hold(self) -> None:
        """Hold what memory answers against what is."""
        for other in self.others:
            other.app.memory.feed.follow()
        self.expiries: list[datetime] = []
        for question in getattr(self, "questions", []):
            right = asked_of(question, self.without)
            for server in (self.server, *self.others[1:]):
                for time in ("first", "second"):
                    found = asked_of(question, server)
                    assert found == right, f"{question}, {time} time: {found} and not {right}"
            if hasattr(right, "basis") and right.basis.HasField("valid_until"):
                self.expiries.append(right.basis.valid_until.ToDatetime(tzinfo=UTC))

    def the_next_end_comes(self) -> None:
        """As in the machine that this one extends, of what was asked last."""
        ahead = [end for end in self.expiries if end > self.server.clock()]
        if not ahead:
            return
        left = min(ahead) - self.server.clock()
        self.server.clock.advance(seconds=(left - MOMENT).total_seconds())
        self.hold()
        self.server.clock.advance(seconds=MOMENT.total_seconds())


@contextmanager
def _machine(url: str, folder: Path) -> Generator[type[RuleBasedStateMachine]]:
    clock = Clock()
    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                running_server(
                    url,
                    folder / name,
                    files=folder / "files",
                    clock=clock,
                    more={"room": room},
                    # They are told by hand to look, so that each step ends with all of them there.
                    feed_interval=10,
                    feed_bound=60,
                )
            )
            for name, room in (
                ("memory", Room(bound=60)),
                ("nothing", NOTHING),
                ("little", replace(LITTLE, bound=60)),
                ("second", Room(bound=60)),
            )
        ]
        clock.stop()
        fields = {"server": servers[0], "others": servers[1:]}
        yield type("Machine", (MemoryMachine,), fields)


@pytest.mark.timeout(300)
def test_memory_answers_as_the_database_does(
    database_url: str, engine_name: str, tmp_path: Path
) -> None:
    with _machine(database_url, tmp_path) as machine:
        run(machine, examples=4 if engine_name == "sqlite" else 2, steps=20)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_memory_answers_so_for_long(database_url: str, tmp_path: Path) -> None:
    with _machine(database_url, tmp_path) as machine:
        run(machine, examples=150, steps=40)
