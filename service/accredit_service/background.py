"""What the server does without being called: housekeeping, and the thread that things tick in."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from accredit_storage.errors import StoreError

from . import logs
from .abilities.calls.app import App

log = logging.getLogger(__name__)


class Ticker:
    """A thread that does a piece of work again and again until it is stopped.

    A failure is logged and the work done again at the next tick. The thread does not keep the
    process alive: it may be waiting for a database that has stopped answering.
    """

    def __init__(
        self, name: str, seconds: float, work: Callable[[], object], *, at_once: bool = False
    ) -> None:
        """The first time after ``seconds``, or ``at_once``."""
        self._seconds = seconds
        self._at_once = at_once
        self._work = work
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, patience: float = 1.0) -> None:
        """Do not begin again, and wait so many seconds for what has begun."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(patience)

    def _run(self) -> None:
        if self._at_once:
            attempt(self._thread.name, self._work)
        while not self._stopped.wait(self._seconds):
            attempt(self._thread.name, self._work)


def stop_all(tickers: Sequence[Ticker], patience: float) -> None:
    """Stop them together, waiting no longer than for one."""
    give_up = time.monotonic() + patience
    for ticker in tickers:
        ticker.stop(0)
    for ticker in tickers:
        ticker.stop(max(0, give_up - time.monotonic()))


def attempt(name: str, work: Callable[[], object]) -> None:
    """Do a piece of work; log its failure, which nobody waits for."""
    try:
        work()
    except StoreError as error:
        log.warning("put off", extra=logs.fields(work=name, why=str(error)))
    except (Exception, SystemExit):
        # A package's code may ask the interpreter to end; that is not for a thread to do.
        log.exception("failed in the background", extra=logs.fields(work=name))


def attempt_within(name: str, seconds: float, work: Callable[[], object]) -> None:
    """The same, but give up waiting after a while."""
    thread = threading.Thread(target=attempt, args=(name, work), name=name, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        log.warning("given up", extra=logs.fields(work=name))


class Beginning:
    """What a server begins with, and looks after from then on.

    The tree of files is made and put in order, and ``then`` is done, again and again. Where the
    disk does not let it, tokens are answered all the same, and this is done as soon as it does.
    """

    def __init__(self, app: App, then: Callable[[], None]) -> None:
        self._app = app
        self._then = then
        self._has_begun = False
        self._looking = threading.Lock()

    def check(self) -> None:
        """Do what is to be done, unless another thread is at it."""
        if not self._looking.acquire(blocking=False):
            return
        try:
            self._look()
        finally:
            self._looking.release()

    def _look(self) -> None:
        if not self._has_begun:
            self._app.directories.start()
            self._has_begun = True
        self._then()


class Housekeeping:
    """Writes down what was gathered in memory, and throws out what is past its time."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._unwritten: dict[str, datetime] = {}
        self._writing = threading.Lock()

    def flush_usage(self) -> None:
        """Write when tokens were last used. What cannot be written now is kept for later."""
        with self._writing:
            self._unwritten.update(self._app.usage.take())
            if self._unwritten:
                with self._app.store.write() as tx:
                    tx.tokens.touch(self._unwritten)
                self._app.memory.authority.used(self._unwritten)
                self._unwritten.clear()

    def sweep(self) -> None:
        """Forget request ids, reservations, offers and changes that are past their time."""
        now, limits, store = self._app.now(), self._app.limits, self._app.store
        with store.write() as tx:
            requests = tx.requests.sweep(now - limits.request_retention)
        with store.write() as tx:
            reservations = tx.reservations.sweep(now)
            offers = tx.transfer_offers.sweep(now)
        changes = 0
        while pruned := self._prune(now - limits.changes_retention):
            changes += pruned
        # Last: what a disk refuses must not keep the log from being pruned.
        unfinished = self._app.directories.sweep()
        log.debug(
            "swept",
            extra=logs.fields(
                requests=requests,
                reservations=reservations,
                offers=offers,
                changes=changes,
                unfinished=unfinished,
            ),
        )

    def _prune(self, before: datetime) -> int:
        # A transaction each time, so that writers get their turn in between.
        with self._app.store.write() as tx:
            return tx.changes.prune(before)
