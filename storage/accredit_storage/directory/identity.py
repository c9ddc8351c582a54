"""Which database a tree of files belongs to.

Where the root's file system is not mounted, or a second server was given a folder of its own, there
is an empty folder or none: to begin a new tree there would hide everybody's files behind it, and
take what is acknowledged where nobody looks for it later. So the tree and the database know each
other from their first start together.
"""

import secrets
from contextlib import suppress

from accredit_storage.directory.folders import Folder, replace_content, sync_write, translated
from accredit_storage.directory.layout import renew
from accredit_storage.directory.tree import DirectoryTree
from accredit_storage.errors import FilesUnavailable, PathInvalid
from accredit_storage.store import Store

_NAME = ".store"
_LENGTH = 32


def begin(store: Store, tree: DirectoryTree) -> None:
    """Make what is missing of the database's tree; a new one only where there never was any.

    Until this has returned once, the tree is refused to everybody.

    Raises FilesUnavailable where what is there is not the database's.
    """
    with store.read(one_statement=True) as tx:
        known = tx.files_id()
    if known is None:
        tree.prepare()
        found = _mark(tree)
        with store.write() as tx:
            known = tx.claim_files(found)
    else:
        found = _read(tree)
    if found != known:
        tree.refused = "the folder with the files is not this database's: is its volume mounted?"
        raise FilesUnavailable(tree.refused)
    tree.prepare()
    renew(store, tree)
    tree.refused = ""


def _mark(tree: DirectoryTree) -> str:
    """Name the tree, unless somebody has."""
    with translated(), Folder.at(tree.root) as root, suppress(FileExistsError):
        replace_content(root, _NAME, secrets.token_hex(_LENGTH // 2).encode(), only_if_absent=True)
        sync_write(root)
    return _read(tree)


def _read(tree: DirectoryTree) -> str:
    """The name of the tree; "" where there is none."""
    with (
        translated(),
        suppress(FileNotFoundError, NotADirectoryError, PathInvalid),
        Folder.at(tree.root) as root,
        root.open_file(_NAME, only_name=False) as file,
    ):
        return (file.read(_LENGTH) or b"").decode("ascii", "replace")
    return ""
