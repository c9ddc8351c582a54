"""Locks that are files: held by one thread of one process, and gone when that process is."""

import fcntl
import os
import stat
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from weakref import WeakValueDictionary

from accredit_storage.directory.folders import FILE_MODE, Folder
from accredit_storage.engine import LOCK_WAIT
from accredit_storage.errors import PathInvalid, StoreBusy

_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

# The threads of one process queue here, so that at most one of each process asks the system again
# and again: flock knows no time limit. By device and inode, which a rename of the folder keeps.
_queues: WeakValueDictionary[tuple[int, int], threading.Lock] = WeakValueDictionary()
_queues_lock = threading.Lock()

_FIRST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.01


@contextmanager
def locked(folder: Folder, name: str, *, wait: float = LOCK_WAIT) -> Generator[None]:
    """Hold the lock of that name, a file which is made if it is not there.

    Raises StoreBusy if others keep it for longer than ``wait`` seconds.
    """
    deadline = time.monotonic() + wait
    while True:
        descriptor = os.open(name, _OPEN | os.O_CREAT, FILE_MODE, dir_fd=folder.descriptor)
        try:
            with _queue(_key(descriptor), deadline):
                _flock(descriptor, deadline)
                # Whoever removed the file before we had the lock has left it to us alone.
                if _is_still(folder, name, descriptor):
                    yield
                    return
        finally:
            os.close(descriptor)


def _key(descriptor: int) -> tuple[int, int]:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise PathInvalid("a lock is a plain file")
    if stat.S_IMODE(found.st_mode) != FILE_MODE:
        # The process's umask may have taken rights away that the next one needs.
        os.fchmod(descriptor, FILE_MODE)
    return found.st_dev, found.st_ino


@contextmanager
def _queue(key: tuple[int, int], deadline: float) -> Generator[None]:
    with _queues_lock:
        queue = _queues.setdefault(key, threading.Lock())
    if not queue.acquire(timeout=max(0.0, deadline - time.monotonic())):
        raise StoreBusy("other writers did not finish in time")
    try:
        yield
    finally:
        queue.release()


def _flock(descriptor: int, deadline: float) -> None:
    pause = _FIRST_PAUSE
    while not _try_flock(descriptor):
        if time.monotonic() > deadline:
            raise StoreBusy("other processes did not finish writing in time")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _try_flock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(folder: Folder, name: str, descriptor: int) -> bool:
    found = folder.stat(name)
    ours = os.fstat(descriptor)
    return found is not None and (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)
