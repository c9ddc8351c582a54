"""Replacing a file's content as a whole, or not at all."""

import os
import secrets
from contextlib import suppress

from accredit_storage.directory.folders import Folder
from accredit_storage.errors import WriteInDoubt

#: How the names of files begin that are still being written. A reader cannot ask for such a name.
UNFINISHED = ".unfinished-"


def replace_content(
    folder: Folder, name: str, content: bytes, *, only_if_absent: bool = False
) -> int:
    """Put ``content`` under the name, on disk when this returns: when it was, in nanoseconds.

    Whoever reads meanwhile, or after a crash, finds the old content or the new. Where this raises,
    the old one is there; only WriteInDoubt leaves that open. FileExistsError where it was to be
    ``only_if_absent`` and is not.
    """
    unfinished = UNFINISHED + secrets.token_hex(8)
    try:
        with folder.create_file(unfinished) as file:
            _write_all(file.fileno(), content)
            os.fsync(file.fileno())
            written_at = os.fstat(file.fileno()).st_mtime_ns
        if only_if_absent:
            folder.move(unfinished, folder, name)
        else:
            folder.replace(unfinished, name)
    except BaseException:
        with suppress(OSError):
            folder.remove(unfinished)
        raise
    try:
        folder.sync()
    except OSError as error:
        raise WriteInDoubt("the disk failed in the last step of a write") from error
    return written_at


def _write_all(descriptor: int, content: bytes) -> None:
    # The system may take a part and refuse the rest in the next call, when the disk is full.
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
