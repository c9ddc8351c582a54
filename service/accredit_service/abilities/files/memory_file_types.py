"""Types of memory files: what the server knows of a file by its name."""

from dataclasses import dataclass, replace

from accredit_storage.directory import paths
from accredit_storage.records import ChangeKind, MemoryFileType, MemoryLayer, SubjectKind

from ..calls import snapshots
from ..calls.app import App
from ..calls.mutations import (
    Effect,
    MutatingCall,
    Mutation,
    Replayed,
    RightsLock,
    Written,
    check_etag,
    mutate,
)
from ..calls.mutations import etag as etag_of
from ..calls.paging import Cursor, Page, PageRequest
from ..calls.reads import Ask, reading
from ..definitions.declaring import last_part
from ..errors import (
    NotFound,
    Reason,
    ResourceExhausted,
    invalid,
)
from ..input import texts
from ..policy.subjects import subject

DEFAULT_PRIORITY = 50
MAX_PRIORITY = 1000
#: How many types there may be, so that whatever tells of all of them fits into one reply.
MAX_TYPES = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterMemoryFileType:
    """A type as a caller gives it. ``priority`` None: not stated. ``etag`` "": no guard."""

    filename: str
    layer: MemoryLayer
    priority: int | None
    is_protected: bool
    read_only: bool
    required_capability: str
    label: str
    etag: str


def register_memory_file_type(
    app: App, call: MutatingCall, command: RegisterMemoryFileType
) -> Written[MemoryFileType] | Replayed:
    """Add a type, or replace the one of that name.

    Raises Aborted if the etag is not that of the one there is, ResourceExhausted for one too many.
    """
    filename = _filename(command.filename)
    priority = DEFAULT_PRIORITY if command.priority is None else command.priority
    if not 0 <= priority <= MAX_PRIORITY:
        raise invalid("priority", "from 0 to {limit}", limit=MAX_PRIORITY)
    needed = command.required_capability
    capability = texts.capability("required_capability", needed) if needed else ""
    label = texts.one_line("label", command.label)

    def perform(mutation: Mutation) -> Effect[MemoryFileType]:
        types = mutation.tx.memory_file_types
        there_is = types.find(filename, lock=True)
        check_etag(command.etag, type_etag(there_is))
        if there_is is None and len(types.all()) >= MAX_TYPES:
            raise ResourceExhausted(
                Reason.QUOTA_EXCEEDED,
                "there are at most {limit} memory file types: unregister some",
                limit=MAX_TYPES,
                counted="memory_file_types",
            )
        before, after = types.put(
            filename=filename,
            layer=command.layer,
            priority=priority,
            is_protected=command.is_protected,
            read_only=command.read_only,
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

    return mutate(app, call, perform, lock=RightsLock.SHARED)


def unregister_memory_file_type(
    app: App, call: MutatingCall, filename: str, etag: str
) -> Written[MemoryFileType] | Replayed:
    """Remove a type; files of that name stay. Raises NotFound, Aborted for another etag."""
    cleaned = _filename(filename)

    def perform(mutation: Mutation) -> Effect[MemoryFileType]:
        gone = mutation.tx.memory_file_types.find(cleaned, lock=True)
        if gone is None:
            raise NotFound(
                Reason.MEMORY_FILE_TYPE_NOT_FOUND,
                "there is no memory file type {filename!r}",
                filename=cleaned,
            )
        check_etag(etag, type_etag(gone))
        mutation.tx.memory_file_types.remove(cleaned)
        return Effect(
            value=_labelled(gone),
            kind=ChangeKind.MEMORY_FILE_TYPE_CHANGED,
            subjects=(subject(SubjectKind.MEMORY_FILE_TYPE, cleaned),),
            before=snapshots.of_memory_file_type(gone),
        )

    return mutate(app, call, perform, lock=RightsLock.SHARED)


def list_memory_file_types(app: App, ask: Ask, page: PageRequest) -> Page[MemoryFileType]:
    """One page of the types, by priority and then by name."""
    with reading(app, ask) as (tx, caller, _now, head):
        cursor = Cursor(page, caller, head.epoch)
        after = cursor.after(int, str)
        found = tx.memory_file_types.page(after=after, limit=cursor.size + 1)
    return cursor.page(list(map(_labelled, found)), lambda one: (one.priority, one.filename))


def type_etag(type_: MemoryFileType | None) -> str:
    """The etag of a type, "" where there is none."""
    return "" if type_ is None else etag_of(type_.version, type_.created_at)


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
