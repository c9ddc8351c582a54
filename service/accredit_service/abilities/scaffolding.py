"""Starter files: made where they are missing, never touched where they are there."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accredit_storage.directory.places import Place
from accredit_storage.errors import (
    EtagMismatch,
    FilesUnavailable,
    FileTooLarge,
    PathInvalid,
    QuotaExceeded,
    StoreFull,
)
from accredit_storage.records import Agent, MemoryLayer, User
from accredit_storage.store import Transaction

from .app import App
from .generators import ScaffoldContext, content

_NOTHING = "nobody has anything to put in it"
_THERE = "it is there and was left as it is"


class ScaffoldOutcome(enum.Enum):
    """What became of a starter file."""

    CREATED = "created"
    EXISTING = "existing"
    EMPTY = "empty"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ScaffoldedFile:
    """A starter file and what became of it; ``message`` says why it was not made."""

    path: str
    outcome: ScaffoldOutcome
    message: str = ""


@dataclass(frozen=True, slots=True)
class StarterFile:
    """A file and what it is to begin with; "" where nobody has anything for it."""

    filename: str
    text: str


def starter_files(
    app: App,
    tx: Transaction,
    layer: MemoryLayer,
    *,
    agent: Agent | None = None,
    user: User | None = None,
    seeds: Mapping[str, str] | None = None,
) -> Sequence[StarterFile]:
    """The starter files of a layer, by the priorities of their types."""
    return [
        StarterFile(
            one.filename,
            content(
                app.generators,
                ScaffoldContext(
                    filename=one.filename,
                    layer=layer,
                    agent=agent,
                    user=user,
                    seeds=seeds or {},
                ),
            ),
        )
        for one in tx.memory_file_types.all()
        if one.layer is layer
    ]


def make_missing(
    app: App, place: Place, starters: Sequence[StarterFile]
) -> tuple[ScaffoldedFile, ...]:
    """Make those files that are not there. Raises what the disk refuses, as StoreErrors."""
    return tuple(_make(app, place, starter) for starter in starters)


def make_what_can_be(
    app: App, place: Place, starters: Sequence[StarterFile]
) -> tuple[ScaffoldedFile, ...]:
    """The same, but where the disk refuses after some were made, the rest have FAILED."""
    files: list[ScaffoldedFile] = []
    for number, starter in enumerate(starters):
        try:
            files.append(_make(app, place, starter))
        except (StoreFull, FilesUnavailable) as error:
            if all(one.outcome is not ScaffoldOutcome.CREATED for one in files):
                raise
            left = [one.filename for one in starters[number:]]
            files += [ScaffoldedFile(name, ScaffoldOutcome.FAILED, str(error)) for name in left]
            break
    return tuple(files)


def foreseen(starters: Sequence[StarterFile]) -> tuple[ScaffoldedFile, ...]:
    """What would become of them where nothing is there yet."""
    return tuple(
        ScaffoldedFile(starter.filename, ScaffoldOutcome.CREATED)
        if starter.text
        else ScaffoldedFile(starter.filename, ScaffoldOutcome.EMPTY, _NOTHING)
        for starter in starters
    )


def _make(app: App, place: Place, starter: StarterFile) -> ScaffoldedFile:
    files, path = app.directories.files, starter.filename
    try:
        if files.exists(place, path):
            return ScaffoldedFile(path, ScaffoldOutcome.EXISTING, _THERE)
        if not starter.text:
            return ScaffoldedFile(path, ScaffoldOutcome.EMPTY, _NOTHING)
        files.write(place, path, starter.text.encode(), if_none_match="*")
    except EtagMismatch:
        return ScaffoldedFile(path, ScaffoldOutcome.EXISTING, _THERE)
    except (PathInvalid, FileTooLarge, QuotaExceeded) as error:
        return ScaffoldedFile(path, ScaffoldOutcome.FAILED, str(error))
    return ScaffoldedFile(path, ScaffoldOutcome.CREATED)
