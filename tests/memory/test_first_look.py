"""A change of one's own while the log is looked at for the first time."""

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from accredit_service.memory import Room
from tests.server import running_server


class _Gate:
    """Holds whoever comes until it is opened."""

    def __init__(self) -> None:
        self.came, self.opened = threading.Event(), threading.Event()

    def hold(self) -> None:
        """Say that somebody has come, and wait."""
        self.came.set()
        assert self.opened.wait(20)


def test_what_was_changed_during_the_first_look_is_known(database_url: str, tmp_path: Path) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("there the file is asked before each answer")
    looked = _Gate()

    def after(*args: Any) -> None:
        if threading.current_thread().name == "feed" and "pg_is_in_recovery" in args[2]:
            looked.hold()

    event.listen(Engine, "after_cursor_execute", after)
    try:
        more = {"room": Room(bound=600.0)}
        with running_server(database_url, tmp_path, more=more, feed_interval=10.0) as server:
            assert looked.came.wait(20)
            # The log was looked at, but nobody stands there yet; then there is somebody new.
            made = threading.Thread(target=server.user, args=("GUEST",))
            made.start()
            looked.opened.set()
            made.join(20)
            with server.app.store.read() as tx:
                assert server.app.memory.feed.position == tx.head()
    finally:
        looked.opened.set()
        event.remove(Engine, "after_cursor_execute", after)
