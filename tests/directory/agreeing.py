"""The question whether rows and directories agree."""

from pathlib import Path

from accredit_storage.directory.directories import Directories
from accredit_storage.directory.places import link_name, place_of
from accredit_storage.directory.sweeping import every_row
from accredit_storage.store import Store


def assert_agree(store: Store, directories: Directories, *, crashed: bool = False) -> None:
    """Each row that says so has its directory, with a link to it, and nothing else is there.

    After a crash there may be more, for an hour: of rows that are gone, or do not say so yet.
    """
    root = directories.tree.root
    for top in ("agents", "users"):
        rows = [row for row in every_row(store, top) if row.files_made]
        names = {place_of(row).name for row in rows}
        there = {path.name for path in (root / top / ".id").iterdir()}
        assert there >= names if crashed else there == names
        links = {link_name(row): Path(".id", place_of(row).name) for row in rows}
        found = [path for path in (root / top).iterdir() if not path.name.startswith(".")]
        read = {path.name: path.readlink() for path in found}
        if crashed:
            unmade = [row for row in every_row(store, top) if not row.files_made]
            read = {name: read[name] for name in read.keys() - set(map(link_name, unmade))}
        assert read == links
