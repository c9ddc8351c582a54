"""Types of memory files: what the server knows of a file by its name."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from accredit_storage.directory import paths
from accredit_storage.records import ChangeKind, MemoryFileType, MemoryLayer, SubjectKind

from . import snapshots, texts
from .app import App
from .errors import NotFound, Reason, invalid
from .mutations import Call, Effect, Mutation, Replayed, Written, mutate
from .reads import Ask, reading
from .registry.declaring import last_part
from .subjects import subject

DEFAULT_PRIORITY = 50
MAX_PRIORITY = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterMemoryFileType:
    """A type as a caller gives it. ``layer`` and ``priority`` None: not stated."""

    filename: str
    layer: MemoryLayer | None
    priority: int | None
    protected: bool
    read_only: bool
    required_capability: str
    label: str


def register_memory_file_type(
    app: App, call: Call, command: RegisterMemoryFileType
) -> Written[MemoryFileType] | Replayed:
    """Add a type, or replace the one of that name."""
    filename = _filename(command.filename)
    priority = DEFAULT_PRIORITY if command.priority is None else command.priority
    if not 0 <= priority <= MAX_PRIORITY:
        raise invalid("priority", f"from 0 to {MAX_PRIORITY}")
    needed = command.required_capability
    capability = texts.capability("required_capability", needed) if needed else ""
    label = texts.one_line("label", command.label)

    def decide(mutation: Mutation) -> Effect[MemoryFileType]:
        before, after = mutation.tx.memory_file_types.put(
            filename=filename,
            layer=command.layer or MemoryLayer.AGENT,
            priority=priority,
            protected=command.protected,
            editable=not command.read_only,
            required_capability=capability,
            label=label,
            at=mutation.now,
        )
        if before is after:
            return Effect(value=_labelled(after))
        return Effect(
            value=_labelled(after),
            kind=ChangeKind.MEMORY_FILE_TYPE_CHANGED,
            subjects=(subject(SubjectKind.MEMORY_FILE_TYPE, filename),),
            before=None if before is None else snapshots.of_memory_file_type(before),
            after=snapshots.of_memory_file_type(after),
        )

    return mutate(app, call, decide, takes_nothing=True)


def unregister_memory_file_type(
    app: App, call: Call, filename: str
) -> Written[MemoryFileType] | Replayed:
    """Remove a type; files of that name stay. Raises NotFound."""
    cleaned = _filename(filename)

    def decide(mutation: Mutation) -> Effect[MemoryFileType]:
        gone = mutation.tx.memory_file_types.remove(cleaned)
        if gone is None:
            raise NotFound(
                Reason.MEMORY_FILE_TYPE_NOT_FOUND,
                f"there is no memory file type {cleaned!r}",
                metadata={"filename": cleaned},
            )
        return Effect(
            value=_labelled(gone),
            kind=ChangeKind.MEMORY_FILE_TYPE_CHANGED,
            subjects=(subject(SubjectKind.MEMORY_FILE_TYPE, cleaned),),
            before=snapshots.of_memory_file_type(gone),
        )

    return mutate(app, call, decide, takes_nothing=True)


def list_memory_file_types(app: App, ask: Ask) -> Sequence[MemoryFileType]:
    """All types, by priority and then by name."""
    with reading(app, ask) as (tx, _caller, _now, _head):
        return [_labelled(type_) for type_ in tx.memory_file_types.all()]


def _filename(text: str) -> str:
    filename = last_part(text)
    if not paths.is_name(filename):
        raise invalid("filename", "a file's name: 1 to 255 bytes, with no dot at its beginning")
    return filename


def _labelled(type_: MemoryFileType) -> MemoryFileType:
    """The type with a label: without one of its own, "site-notes.md" is "Site notes"."""
    if type_.label:
        return type_
    words = type_.filename.rpartition(".")[0] or type_.filename
    label = words.replace("-", " ").replace("_", " ").strip().capitalize()
    return replace(type_, label=label or type_.filename)
