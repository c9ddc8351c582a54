"""Memory files: listed, read, written, appended to, deleted, scaffolded."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from accredit_storage.directory.files import FileEntry, Files, OpenFile
from accredit_storage.directory.places import Place
from accredit_storage.errors import FileMissing, PathInvalid
from accredit_storage.records import ChangeKind, MemoryFileType, Role
from accredit_storage.store import Transaction

from ..calls.app import App
from ..calls.mutations import (
    Effect,
    MutatingCall,
    Replayed,
    Written,
)
from ..calls.paging import Cursor, Page, PageRequest
from ..calls.reads import Ask, reading
from ..errors import (
    FailedPrecondition,
    NotFound,
    PermissionDenied,
    Reason,
    action_missing,
)
from ..policy.rights import Principal
from .directories import (
    Directory,
    DirectoryRef,
    refusing,
    require_directory,
)
from .file_changes import Judge, change_file
from .scaffolding import (
    Scaffold,
    ScaffoldedFile,
    ScaffoldOutcome,
    agent_scaffold,
    filenames_of,
    make_missing,
    starter_files,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFile:
    """A file's new content. ``etag`` "": whatever is there."""

    directory: DirectoryRef
    path: str
    content: bytes
    etag: str = ""
    only_if_absent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteFile:
    """A file to remove."""

    directory: DirectoryRef
    path: str
    etag: str = ""


def list_files(
    app: App, ask: Ask, ref: DirectoryRef, folder: str, page: PageRequest
) -> Page[FileEntry]:
    """One page of a directory's files, by path."""
    with reading(app, ask) as (tx, caller, now, head):
        directory = require_directory(tx, caller, ref, Role.VIEWER, now)
        agent_id = None if directory.agent is None else directory.agent.agent_id
        cursor = Cursor(page, caller, head.epoch, about=agent_id)
        after = cursor.after(str)
    files = app.directories.files
    start = "" if after is None else after[0]

    def listed(place: Place) -> Page[FileEntry]:
        paths = [path for path in files.paths(place, folder) if path > start]
        taken = cursor.page(paths[: cursor.size + 1], lambda path: (path,))
        entries = _entries(files, place, taken.items)
        return Page(entries, taken.next_token, lambda entry: cursor.continuing((entry.path,)))

    with refusing(directory, "folder"):
        return directory.within(app, listed, Page([], "", lambda _: ""))


def read_file(app: App, ask: Ask, ref: DirectoryRef, path: str) -> OpenFile:
    """A file that is open, to be read in pieces and closed."""
    with reading(app, ask) as (tx, caller, now, _):
        directory = require_directory(tx, caller, ref, Role.VIEWER, now)
    with refusing(directory):
        return directory.within(app, lambda place: app.directories.files.open(place, path))


def write_file(app: App, call: MutatingCall, command: WriteFile) -> Written[FileEntry] | Replayed:
    """Replace a file's content, or make the file."""
    return _written(
        app,
        call,
        command,
        lambda place: app.directories.files.write(
            place,
            command.path,
            command.content,
            etag=command.etag or None,
            only_if_absent=command.only_if_absent,
        ),
    )


def append_file(app: App, call: MutatingCall, command: WriteFile) -> Written[FileEntry] | Replayed:
    """Add to the end of a file, or make the file."""
    return _written(
        app,
        call,
        command,
        lambda place: app.directories.files.append(
            place, command.path, command.content, etag=command.etag or None
        ),
    )


def delete_file(app: App, call: MutatingCall, command: DeleteFile) -> Written[None] | Replayed:
    """Remove a file. One of a type that is protected or read-only takes ADMIN on its agent."""

    def judge(tx: Transaction, caller: Principal, now: datetime) -> Directory:
        directory = require_directory(tx, caller, command.directory, Role.OPERATOR, now)
        found = _type_for(app, tx, caller, directory, command.path)
        if found is not None and (found.is_protected or found.read_only):
            require_directory(tx, caller, command.directory, Role.ADMIN, now)
        return directory

    def act(directory: Directory) -> Effect[None]:
        with refusing(directory):
            directory.within(
                app,
                lambda place: app.directories.files.delete(
                    place, command.path, etag=command.etag or None
                ),
            )
        return deleted(directory, command.path)

    return change_file(app, call, judge, act)


def scaffold_files(
    app: App, call: MutatingCall, ref: DirectoryRef, filename: str
) -> Written[tuple[ScaffoldedFile, ...]] | Replayed:
    """Make the starter files of a directory that are missing: all of them, or the one named."""
    scaffolds: list[Scaffold] = []

    def judge(tx: Transaction, caller: Principal, now: datetime) -> Directory:
        directory = require_directory(tx, caller, ref, Role.OPERATOR, now)
        found = _scaffold_of(app, tx, directory)
        wanted = [one for one in found.filenames if filename in ("", one)]
        scaffolds[:] = [replace(found, filenames=wanted)]
        if filename and not wanted:
            raise NotFound(
                Reason.MEMORY_FILE_TYPE_NOT_FOUND,
                "there is no memory file type {filename!r} in the layer {layer}",
                filename=filename,
                layer=directory.layer.value,
            )
        return directory

    def act(directory: Directory) -> Effect[tuple[ScaffoldedFile, ...]]:
        starters = starter_files(app, scaffolds[0])
        with refusing(directory, "filename"):
            files = directory.change(app, lambda place: make_missing(app, place, starters))
        made = [one.path for one in files if one.outcome is ScaffoldOutcome.CREATED]
        if not made:
            return Effect(value=files)
        return Effect(
            value=files,
            kind=ChangeKind.FILES_SCAFFOLDED,
            subjects=(directory.subject,),
            after={"directory": directory.path, "paths": made},
        )

    return change_file(app, call, judge, act)


def written(directory: Directory, entry: FileEntry) -> Effect[FileEntry]:
    """What the log says of a file that was written."""
    return Effect(
        value=entry,
        kind=ChangeKind.FILE_WRITTEN,
        subjects=(directory.subject,),
        after={
            "directory": directory.path,
            "path": entry.path,
            "size": entry.size,
            "sha256": entry.etag.strip('"'),
        },
    )


def deleted(directory: Directory, path: str) -> Effect[None]:
    """What the log says of a file that was deleted."""
    return Effect(
        value=None,
        kind=ChangeKind.FILE_DELETED,
        subjects=(directory.subject,),
        before={"directory": directory.path, "path": path},
    )


def _written(
    app: App, call: MutatingCall, command: WriteFile, write: Callable[[Place], FileEntry]
) -> Written[FileEntry] | Replayed:
    def act(directory: Directory) -> Effect[FileEntry]:
        with refusing(directory):
            return written(directory, directory.change(app, write))

    return change_file(app, call, _may_write(app, command), act)


def _may_write(app: App, command: WriteFile) -> Judge:
    def judge(tx: Transaction, caller: Principal, now: datetime) -> Directory:
        directory = require_directory(tx, caller, command.directory, Role.OPERATOR, now)
        found = _type_for(app, tx, caller, directory, command.path)
        if found is not None and found.read_only:
            raise FailedPrecondition(
                Reason.FILE_READ_ONLY,
                "{filename} is not written by calls: ScaffoldFiles makes it",
                filename=found.filename,
            )
        return directory

    return judge


def _scaffold_of(app: App, tx: Transaction, directory: Directory) -> Scaffold:
    if directory.agent is not None:
        return agent_scaffold(app, tx, directory.agent)
    return Scaffold(
        layer=directory.layer,
        filenames=filenames_of(tx, directory.layer),
        user=directory.user,
        seeds={},
    )


def require_journals(app: App) -> None:
    """Raise PermissionDenied where journals are not to be written."""
    if not app.daily_memory:
        raise PermissionDenied(
            Reason.DAILY_MEMORY_DISABLED, "this server is set to keep no journals"
        )


def _type_for(
    app: App, tx: Transaction, caller: Principal, directory: Directory, path: str
) -> MemoryFileType | None:
    """The type of a file that is to be changed. Raises PermissionDenied if that takes more."""
    if directory.agent is not None and path.casefold().startswith("daily/"):
        require_journals(app)
    found = _type_of(tx, directory, path)
    needed = "" if found is None else found.required_capability
    if needed and not caller.holds(needed):
        raise action_missing(needed, f"to change {found.filename if found else path}")
    return found


def _type_of(tx: Transaction, directory: Directory, path: str) -> MemoryFileType | None:
    """The type of a file, by its name in any case: not every file system tells them apart."""
    folded = path.casefold()
    for one in tx.memory_file_types.all():
        if one.layer is directory.layer and one.filename.casefold() == folded:
            return one
    return None


def _entries(files: Files, place: Place, paths: Sequence[str]) -> list[FileEntry]:
    entries = []
    for path in paths:
        # Gone meanwhile, or replaced by something that is no plain file.
        with suppress(FileMissing, PathInvalid), files.open(place, path) as file:
            entries.append(file.entry)
    return entries
