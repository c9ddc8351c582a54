"""Work that may not wait: where it would have to, it ends."""

import threading
from types import TracebackType


class WouldWaitError(Exception):
    """What was begun needs a database, or another thread, and may wait for neither."""


class _Thread(threading.local):
    may_wait = True


_thread = _Thread()


class WithoutWaiting:
    """Whatever would wait in the block, on this thread, raises WouldWaitError."""

    def __enter__(self) -> None:
        """Begin."""
        _thread.may_wait = False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End."""
        _thread.may_wait = True


#: For every such block.
without_waiting = WithoutWaiting()


def may_wait() -> bool:
    """Whether the work at hand may wait."""
    return _thread.may_wait


def before_waiting() -> None:
    """To be called by whatever is about to wait. Raises WouldWaitError."""
    if not _thread.may_wait:
        raise WouldWaitError
