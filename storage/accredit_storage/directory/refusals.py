"""What the operating system refuses, in the words of ``errors``."""

import errno
from collections.abc import Generator
from contextlib import contextmanager

from accredit_storage.errors import (
    FilesUnavailable,
    PathInvalid,
    StoreBusy,
    StoreError,
    StoreFull,
)

_BY_ERRNO: dict[int, type[StoreError]] = {
    errno.EDQUOT: StoreFull,
    errno.EFBIG: StoreFull,  # Over what a process may write.
    errno.ENOSPC: StoreFull,
    errno.EAGAIN: StoreBusy,
    errno.EMFILE: StoreBusy,
    errno.ENFILE: StoreBusy,
    errno.ENOMEM: StoreBusy,
    errno.EISDIR: PathInvalid,
    errno.ELOOP: PathInvalid,
    errno.ENAMETOOLONG: PathInvalid,
    errno.ENOTDIR: PathInvalid,
}

_WORDS: dict[type[StoreError], str] = {
    PathInvalid: "what is there is not a plain file, or not below plain directories",
    StoreBusy: "the system has no resources left for another file",
    StoreFull: "the disk has no room to write",
    FilesUnavailable: "the disk does not answer or does not accept writes",
}


@contextmanager
def translated() -> Generator[None]:
    """Raise what the system refuses within as StoreErrors.

    Words of our own: the system's name the path. What has no row, such as EIO, EROFS and EACCES,
    is the disk's.
    """
    try:
        yield
    except OSError as error:
        kind = _BY_ERRNO.get(error.errno or 0, FilesUnavailable)
        raise kind(_WORDS[kind]) from error
