"""The question whether rows and directories agree."""

from pathlib import Path

from accredit_storage.directory.directories import Directories
from accredit_storage.directory.places import link_name, place_of
from accredit_storage.directory.sweeping import every_row
from accredit_storage.store import Store


def assert_agree(store: Store, directories: Directories) -> None:
    """Each row that says so has its directory, with a link to it, and nothing else is there."""
    root = directories.tree.root
    for top in ("agents", "users"):
        rows = [row for row in every_row(store, top) if row.files_made]
        names = {place_of(row).name for row in rows}
        assert {path.name for path in (root / top / ".id").iterdir()} == names
        links = {link_name(row): Path(".id", place_of(row).name) for row in rows}
        found = [path for path in (root / top).iterdir() if not path.name.startswith(".")]
        assert {path.name: path.readlink() for path in found} == links
