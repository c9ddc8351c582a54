"""Work that may not wait: where it would have to, it ends."""

import threading
from collections.abc import Generator
from contextlib import contextmanager


class WouldWaitError(Exception):
    """What was begun needs a database, or another thread, and may wait for neither."""


class _Thread(threading.local):
    may_wait = True


_thread = _Thread()


@contextmanager
def without_waiting() -> Generator[None]:
    """Whatever would wait in the block, on this thread, raises WouldWaitError."""
    _thread.may_wait = False
    try:
        yield
    finally:
        _thread.may_wait = True


def may_wait() -> bool:
    """Whether the work at hand may wait."""
    return _thread.may_wait


def before_waiting() -> None:
    """To be called by whatever is about to wait. Raises WouldWaitError."""
    if not _thread.may_wait:
        raise WouldWaitError
