"""Starter files: made where they are missing, never touched where they are there."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accredit_storage.directory.files import NewFiles
from accredit_storage.directory.places import Place
from accredit_storage.errors import (
    FilesUnavailable,
    FileTooLarge,
    PathInvalid,
    QuotaExceeded,
    StoreError,
    StoreFull,
)
from accredit_storage.records import Agent, MemoryLayer, User
from accredit_storage.store import Transaction

from ..calls.app import App
from ..definitions import definitions
from ..errors import Refusal
from ..extensions.generators import ScaffoldContext, content
from .refusals import file_refusal


class ScaffoldOutcome(enum.Enum):
    """What became of a starter file."""

    CREATED = "created"
    EXISTING = "existing"
    EMPTY = "empty"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ScaffoldedFile:
    """A starter file and what became of it; ``error`` says why it could not be made."""

    path: str
    outcome: ScaffoldOutcome
    error: Refusal | StoreError | None = None


@dataclass(frozen=True, slots=True)
class StarterFile:
    """A file and what it is to begin with; "" where nobody has anything for it."""

    filename: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaffold:
    """Which starter files there are to be, for whom, and the seeds for them."""

    layer: MemoryLayer
    filenames: Sequence[str]
    agent: Agent | None = None
    user: User | None = None
    seeds: Mapping[str, str]


def agent_scaffold(
    app: App, tx: Transaction, agent: Agent, seeds: Mapping[str, str] | None = None
) -> Scaffold:
    """That of an agent's directory. ``seeds`` None: those that its owner may have."""
    layer = MemoryLayer.AGENT
    if seeds is None:
        seeds = definitions.seeds_for(app, tx, agent.agent_slug, agent.owner_id)
    return Scaffold(layer=layer, filenames=filenames_of(tx, layer), agent=agent, seeds=seeds)


def filenames_of(tx: Transaction, layer: MemoryLayer) -> Sequence[str]:
    """The names of a layer's memory files, by the priorities of their types."""
    return [one.filename for one in tx.memory_file_types.all() if one.layer is layer]


def starter_files(app: App, scaffold: Scaffold) -> Sequence[StarterFile]:
    """What the files are to begin with.

    Not to be called within a transaction: generators are other people's code, and may take long.
    """
    return [
        StarterFile(
            filename,
            content(
                app.generators,
                ScaffoldContext(
                    filename=filename,
                    layer=scaffold.layer,
                    agent=scaffold.agent,
                    user=scaffold.user,
                    seeds=scaffold.seeds,
                ),
            ),
        )
        for filename in scaffold.filenames
    ]


def make_missing(
    app: App, place: Place, starters: Sequence[StarterFile]
) -> tuple[ScaffoldedFile, ...]:
    """Make those files that are not there. Where the disk refuses, the rest have FAILED.

    Raises what it refuses, as StoreErrors, if it has taken none.
    """
    files: list[ScaffoldedFile] = []
    with app.directories.files.several(place) as new:
        for number, starter in enumerate(starters):
            try:
                files.append(_make(new, starter))
            except (StoreFull, FilesUnavailable) as error:
                if all(one.outcome is not ScaffoldOutcome.CREATED for one in files):
                    raise
                files += [_failed(one.filename, error) for one in starters[number:]]
                break
    return tuple(files)


def all_failed(starters: Sequence[StarterFile], error: StoreError) -> tuple[ScaffoldedFile, ...]:
    """What became of them where the disk has taken none."""
    return tuple(_failed(starter.filename, error) for starter in starters)


def foreseen(starters: Sequence[StarterFile]) -> tuple[ScaffoldedFile, ...]:
    """What would become of them where nothing is there yet."""
    return tuple(
        ScaffoldedFile(starter.filename, ScaffoldOutcome.CREATED)
        if starter.text
        else ScaffoldedFile(starter.filename, ScaffoldOutcome.EMPTY)
        for starter in starters
    )


def _make(new: NewFiles, starter: StarterFile) -> ScaffoldedFile:
    path = starter.filename
    try:
        if new.exists(path):
            return ScaffoldedFile(path, ScaffoldOutcome.EXISTING)
        if not starter.text:
            return ScaffoldedFile(path, ScaffoldOutcome.EMPTY)
        new.add(path, starter.text.encode())
    except (PathInvalid, FileTooLarge, QuotaExceeded) as error:
        return _failed(path, file_refusal(error, "path", "") or error)
    return ScaffoldedFile(path, ScaffoldOutcome.CREATED)


def _failed(path: str, error: Refusal | StoreError) -> ScaffoldedFile:
    # Without the frames that it was raised in, which would keep all their values.
    return ScaffoldedFile(path, ScaffoldOutcome.FAILED, error.with_traceback(None))
