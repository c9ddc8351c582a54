"""Changes that an agent's directory takes part in: row and directory change as if they were one.

Permission is judged before anything is touched, and a move has to be announced before the
transaction that it belongs to. So such a change is rehearsed first, which tells what is to be
moved; then the move is announced, and the change made for good. Where that one finds things
otherwise than they were in the rehearsal, all of it is done again.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Protocol, TypeVar

from accredit_storage.directory.moves import Creation, Move
from accredit_storage.errors import Conflict, DirectoryConflict, SlugTaken
from accredit_storage.records import Agent
from accredit_storage.store import WriteTransaction

from .app import App
from .errors import Aborted, AlreadyExists, Reason
from .mutations import Call, Effect, Mutation, Replayed, Written, mutate
from .scaffolding import (
    ScaffoldedFile,
    StarterFile,
    agent_scaffold,
    foreseen,
    make_missing,
    starter_files,
)

T = TypeVar("T")

_ATTEMPTS = 8


class OutdatedError(Exception):
    """Things are not as they were when the move was announced."""


class NewDirectories(Protocol):
    """The directories of agents that are being made."""

    def admit(self, slug: str) -> None:
        """Raise AlreadyExists if a stray directory is in the way. Before the row is added."""
        ...

    def settle(self, tx: WriteTransaction, agent: Agent) -> tuple[ScaffoldedFile, ...]:
        """Give the agent its directory, after its row was added: the starter files in it."""
        ...


class Rehearsed:
    """See NewDirectories: nothing is made."""

    def admit(self, slug: str) -> None:
        """See NewDirectories. Looking would take a transaction of its own."""

    def settle(self, tx: WriteTransaction, agent: Agent) -> tuple[ScaffoldedFile, ...]:
        """See NewDirectories."""
        return ()


class Staged:
    """See NewDirectories: made ready for these slugs, or not to be had."""

    def __init__(
        self,
        creations: Mapping[str, Creation | SlugTaken | DirectoryConflict],
        files: Mapping[str, tuple[ScaffoldedFile, ...]],
    ) -> None:
        self._creations = creations
        self._files = files

    def admit(self, slug: str) -> None:
        """See NewDirectories."""
        if isinstance(self._creations.get(slug), DirectoryConflict):
            raise directory_conflict(slug)

    def settle(self, tx: WriteTransaction, agent: Agent) -> tuple[ScaffoldedFile, ...]:
        """See NewDirectories."""
        creation = self._creations.get(agent.agent_slug)
        if not isinstance(creation, Creation):
            raise OutdatedError
        creation.settle_as(tx, agent.agent_id)
        return self._files[agent.agent_slug]


def mutate_and_move(
    app: App,
    call: Call,
    rehearse: Callable[[Mutation], Effect[T]],
    announce: Callable[[T], AbstractContextManager[Callable[[Mutation], Effect[T]]]],
    *,
    takes_nothing: bool = False,
) -> Written[T] | Replayed:
    """Rehearse a change, announce what it moves, and make it as ``announce`` says.

    Raises what ``mutate`` does, AlreadyExists if a stray directory is in the way, and what the
    disk refuses.
    """
    for _ in range(_ATTEMPTS):
        planned = mutate(app, call, rehearse, takes_nothing=takes_nothing, rehearsal=True)
        if isinstance(planned, Replayed):
            return planned
        try:
            with announce(planned.value) as decide:
                return mutate(app, call, decide, takes_nothing=takes_nothing)
        except (OutdatedError, Conflict, SlugTaken):
            continue
    raise Aborted(Reason.CONTENTION, "other writers kept winning: try again")


@contextmanager
def staged(app: App, call: Call, agents: Iterable[Agent]) -> Generator[NewDirectories]:
    """The directories of agents to be, as they were rehearsed, with their starter files."""
    wanted = {agent.agent_slug: replace(agent, agent_id=0) for agent in agents}
    if call.validate_only:
        refused = {slug: stray for slug in wanted if (stray := _stray(app, slug))}
        yield _Tried(
            refused,
            {slug: foreseen(_starters(app, agent)) for slug, agent in wanted.items()},
        )
        return
    with app.directories.moves.create_many(wanted) as creations:
        files = {
            slug: make_missing(app, creation.place, _starters(app, wanted[slug]))
            for slug, creation in creations.items()
            if isinstance(creation, Creation)
        }
        yield Staged(creations, files)


@contextmanager
def moved(move: AbstractContextManager[Move], slug: str) -> Generator[Move]:
    """A move of ``app.directories.moves``, with what is in its way as a refusal."""
    try:
        with move as announced:
            yield announced
    except DirectoryConflict as error:
        raise directory_conflict(error.name or slug) from None


def require_free(app: App, slug: str) -> None:
    """Raise AlreadyExists if a stray directory has the slug's place."""
    if refused := _stray(app, slug):
        raise refused


def directory_conflict(slug: str) -> AlreadyExists:
    """The refusal of a slug whose place is taken by a directory that is nobody's."""
    return AlreadyExists(
        Reason.AGENT_DIRECTORY_CONFLICT,
        "there is a directory agents/{agent_slug} that belongs to no agent: an operator has "
        "to move it away",
        agent_slug=slug,
    )


class _Tried(Rehearsed):
    """See NewDirectories: nothing is made, but it is known what would be."""

    def __init__(
        self,
        in_the_way: Mapping[str, AlreadyExists],
        files: Mapping[str, tuple[ScaffoldedFile, ...]],
    ) -> None:
        self._in_the_way = in_the_way
        self._files = files

    def admit(self, slug: str) -> None:
        """See NewDirectories."""
        if refused := self._in_the_way.get(slug):
            raise refused

    def settle(self, tx: WriteTransaction, agent: Agent) -> tuple[ScaffoldedFile, ...]:
        """See NewDirectories."""
        return self._files.get(agent.agent_slug, ())


def _stray(app: App, slug: str) -> AlreadyExists | None:
    try:
        app.directories.moves.require_free(slug)
    except DirectoryConflict:
        return directory_conflict(slug)
    return None


def _starters(app: App, agent: Agent) -> Sequence[StarterFile]:
    with app.store.read() as tx:
        scaffold = agent_scaffold(app, tx, agent)
    return starter_files(app, scaffold)
