"""What an operator should know of a tree."""

from collections.abc import Sequence

from accredit_storage.directory.links import Links
from accredit_storage.directory.places import AGENTS, BY_KEY, USERS, link_name, place_of
from accredit_storage.directory.sweeping import every_row
from accredit_storage.directory.tree import DirectoryTree
from accredit_storage.store import Store


def strays(tree: DirectoryTree) -> Sequence[str]:
    """What stands beside the directories of rows and is not ours, such as "agents/old": sorted.

    It keeps people from finding a directory by that name.
    """
    links = Links(tree)
    return sorted(
        f"{top}/{name}"
        for top in (AGENTS, USERS)
        for name, place in links.all(top).items()
        if place is None
    )


def lost(store: Store, tree: DirectoryTree) -> Sequence[str]:
    """The rows whose directories were made and are not there, such as "agents/scribe": sorted."""
    missing = []
    for top in (AGENTS, USERS):
        with tree.shelf(top, BY_KEY) as shelf:
            names = {entry.name for entry in shelf.entries()}
        missing += [
            f"{top}/{link_name(row)} ({place_of(row).name})"
            for row in every_row(store, top)
            if row.files_made and place_of(row).name not in names
        ]
    return sorted(missing)
