"""The folder with the manifests of declared agents: read when it has changed, and reconciled."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from accredit.manifests import Definition as Manifest
from accredit.manifests import read_folder
from accredit.manifests.folder import MAX_DEPTH, MAX_ENTRIES
from accredit_storage.records import UserId

from . import logs
from .abilities.calls.app import App
from .abilities.declared.reconciling import reconcile_as_server
from .abilities.definitions.declaring import define
from .abilities.errors import InvalidArgument
from .abilities.extensions.declarations import Declarations, Definition, Origin

log = logging.getLogger(__name__)

# The rest can be listed.
_LOGGED = 20

#: What a folder looks like from outside: path, inode, size and time of each thing in it.
_Signature = tuple[tuple[str, int, int, int], ...]


class ManifestFolder:
    """The manifests below a folder, as the definitions that they are for the server."""

    def __init__(self, declarations: Declarations, folder: Path) -> None:
        self._declarations = declarations
        self._folder = folder
        self._seen: _Signature | None = None
        self._changed: _Signature | None = None

    def refresh(self) -> bool:
        """Read all manifests, if anything in the folder has changed; whether it had.

        Only what looks the same at two looks is read, but for the first time: a file that is still
        being written would become half an agent, and stay one. What cannot be read is left out and
        noticed. The agents of manifests that have gone stay.
        """
        # Taken first: what changes while it is read is seen the next time.
        signature = tuple(_look(self._folder, "", 1))[:MAX_ENTRIES]
        if signature == self._seen:
            return False
        if self._seen is not None and signature != self._changed:
            self._changed = signature
            return False
        definitions, notices = _read(self._folder)
        self._declarations.replace_manifests(definitions, notices)
        self._seen = signature
        log.info(
            "manifests read",
            extra=logs.fields(definitions=len(definitions), notices=len(notices)),
        )
        for notice in notices[:_LOGGED]:
            log.warning("manifest", extra=logs.fields(why=notice))
        if len(notices) > _LOGGED:
            log.warning("more of manifests", extra=logs.fields(notices=len(notices) - _LOGGED))
        return True


class Watch:
    """Reconciles once at first, and again whenever the manifests have changed.

    What fails is due again at the next check.
    """

    def __init__(self, app: App, folder: ManifestFolder | None) -> None:
        self._app = app
        self._folder = folder
        self._due = True

    def check(self) -> None:
        """Reconcile if it is due."""
        if self._folder is not None and self._folder.refresh():
            self._due = True
        if self._due:
            counts = reconcile_as_server(self._app)
            self._due = False
            shown = {outcome.value: count for outcome, count in counts.items()}
            log.info("declared agents reconciled", extra=logs.fields(**shown))


def _read(folder: Path) -> tuple[list[Definition], list[str]]:
    try:
        manifests = read_folder(folder)
    except OSError as error:
        return [], [f"the folder of manifests cannot be read: {error.strerror}"]
    definitions = []
    # What costs an agent stands before what does not.
    notices = [str(problem) for problem in (*manifests.errors, *manifests.notices)]
    for manifest in manifests.definitions:
        where = f"{manifest.file}:{manifest.line}"
        try:
            definition, left_out = _definition(manifest)
        except InvalidArgument as refusal:
            notices.append(f"{where}: {refusal.message}")
            continue
        definitions.append(definition)
        notices += [f"{where}: {notice}" for notice in left_out]
    return definitions, notices


def _definition(manifest: Manifest) -> tuple[Definition, list[str]]:
    owner = manifest.owner
    return define(
        Definition(
            slug=manifest.slug,
            origin=Origin.MANIFEST,
            source=manifest.file,
            label=manifest.label,
            description=manifest.description,
            memory_seeds=tuple(manifest.memory_seeds.items()),
            owner=UserId(owner) if isinstance(owner, int) else owner,
            owner_resolver=manifest.owner_resolver,
            default_config=manifest.default_config,
            meta=manifest.meta,
            priority=manifest.priority,
        )
    )


def _look(folder: Path, prefix: str, depth: int) -> Iterator[tuple[str, int, int, int]]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        # It has gone, or may not be read: reading it will say so.
        yield prefix, 0, 0, 0
        return
    for entry in found:
        if entry.name.startswith("."):
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        path = f"{prefix}{entry.name}"
        yield path, status.st_ino, status.st_size, status.st_mtime_ns
        if entry.is_dir(follow_symlinks=False) and depth < MAX_DEPTH:
            yield from _look(Path(entry.path), f"{path}/", depth + 1)
