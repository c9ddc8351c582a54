"""The directories below ``agents/``, by their names there: ``scribe``, ``.new/…``, ``.kept/…``.

A slug never begins with a dot, so that no agent can get hold of what is on the shelves ``.new``,
``.kept`` and ``.trash``.
"""

from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress

from accredit_storage.directory.folders import Folder
from accredit_storage.directory.markers import Marker, read_marker, remove_marker, write_marker
from accredit_storage.directory.places import AGENTS, KEPT, NEW, TRASH
from accredit_storage.directory.refusals import translated
from accredit_storage.directory.tree import DirectoryTree
from accredit_storage.errors import (
    DirectoryConflict,
    FilesUnavailable,
    StoreError,
)
from accredit_storage.records import Intent, IntentKind


class Homes:
    """What moves do to directories. Raises StoreErrors for the disk."""

    def __init__(self, tree: DirectoryTree) -> None:
        self._tree = tree

    def require_free(self, name: str) -> None:
        """Raise DirectoryConflict if there is anything by that name, whosever it is."""
        with translated(), self._beside(name) as (folder, last):
            if folder.stat(last) is not None:
                raise DirectoryConflict(
                    f"there is a directory {name!r} already, and no agent's", name
                )

    def all(self) -> Mapping[str, int | None]:
        """Whose every directory is that has the place of an agent's, None where it is nobody's."""
        found: dict[str, int | None] = {}
        with translated(), self._tree.top(AGENTS) as agents:
            for entry in agents.entries():
                if not entry.name.startswith("."):
                    marker = self._marker(entry.name)
                    found[entry.name] = None if marker is None else marker.agent_id
        return found

    def is_of(self, agent_id: int, name: str) -> bool:
        """Whether the directory of that name is the agent's."""
        marker = self._marker(name)
        return marker is not None and marker.agent_id == agent_id

    def make(self, name: str, marker: Marker) -> None:
        """Make a directory with a marker."""
        with translated(), self._beside(name) as (folder, last), folder.make(last) as made:
            write_marker(made, marker)

    def mark(self, name: str, marker: Marker) -> None:
        """Mark a directory that is there anew."""
        with translated(), self._beside(name) as (folder, last), folder.enter(last) as home:
            write_marker(home, marker)

    def unmark(self, name: str) -> None:
        """Make a directory that is there nobody's."""
        with translated(), self._beside(name) as (folder, last), folder.enter(last) as home:
            remove_marker(home)

    def locate(self, intent: Intent) -> str | None:
        """Where the directory of an intent is: its source, its target, None for neither."""
        for name in (intent.source, intent.target):
            marker = self._marker(name)
            if marker is None:
                continue
            if intent.kind is IntentKind.CREATE:
                # By what made it: it may not have the agent's id yet, or that of an attempt before.
                is_ours = marker.intent_id == intent.intent_id
            else:
                is_ours = marker.agent_id == intent.agent_id
            if is_ours:
                return name
        return None

    def move(self, source: str, target: str) -> None:
        """Give a directory another name, on disk when this returns.

        Raises DirectoryConflict if there is anything by that name, which then stays as it is.
        """
        with (
            translated(),
            self._beside(source) as (old, old_name),
            self._beside(target) as (new, new_name),
        ):
            try:
                old.move(old_name, new, new_name)
            except FileExistsError as error:
                raise DirectoryConflict(
                    f"there is a directory {target!r} already, and not this agent's", target
                ) from error
            new.sync()
            old.sync()

    def discard(self, name: str) -> None:
        """Remove a directory as far as that goes; recovery tries again."""
        # Twice, as somebody who was writing may have put another file there.
        for _ in range(2):
            with (
                suppress(OSError, StoreError, RecursionError),
                self._beside(name) as (folder, last),
            ):
                folder.remove_tree(last)
                if folder.stat(last) is None:
                    return

    def find(self, agent_id: int) -> str | None:
        """The directory that is the agent's, wherever it is; None if there is none.

        It looks at every directory there is: for what should never be.
        """
        for shelf in ("", TRASH, KEPT, NEW):
            with translated(), self._beside(f"{shelf}/".lstrip("/")) as (folder, _):
                for entry in folder.entries():
                    # What we may not enter we did not make.
                    with suppress(PermissionError):
                        marker = _marker_in(folder, entry.name)
                        if marker is not None and marker.agent_id == agent_id:
                            return f"{shelf}/{entry.name}".lstrip("/")
        return None

    def owner(self, name: str) -> int:
        """Whose a directory is, 0 for nobody's."""
        marker = self._marker(name)
        return 0 if marker is None else marker.agent_id

    def on(self, shelf: str) -> list[str]:
        """The names of all that is on a shelf."""
        with translated(), self._beside(f"{shelf}/") as (folder, _):
            return [f"{shelf}/{entry.name}" for entry in folder.entries()]

    def _marker(self, name: str) -> Marker | None:
        """The marker of a directory, None if it has none or is not there."""
        with translated(), self._beside(name) as (folder, last):
            return _marker_in(folder, last)

    @contextmanager
    def _beside(self, name: str) -> Generator[tuple[Folder, str]]:
        """The folder that a name is in, and the name there."""
        *shelf, last = name.split("/")
        with self._tree.top(AGENTS) as agents, ExitStack() as stack:
            try:
                folder = stack.enter_context(agents.descend(shelf, make=True))
            except NotADirectoryError as error:
                # Nobody's path is wrong, but the tree.
                raise FilesUnavailable("a shelf of the tree is no folder") from error
            yield folder, last


def _marker_in(folder: Folder, name: str) -> Marker | None:
    """The marker of a directory in a folder, None if it has none or is not there."""
    try:
        home = folder.enter(name)
    except (FileNotFoundError, NotADirectoryError):
        return None
    with home:
        return read_marker(home)
