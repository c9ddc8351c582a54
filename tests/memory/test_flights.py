"""What many ask for at once is read once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import event

from tests.server import Server

AT_ONCE = 20
#: Seconds that the first reading is held up for, unless there is a second one before.
HELD = 0.5


def test_the_key_of_logins_is_read_once(lone: Server) -> None:
    memory, engine = lone.app.memory, lone.app.store.engine
    memory.feed.follow()
    read: list[str] = []
    again, go = threading.Event(), threading.Barrier(AT_ONCE)

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "login_key" in statement:
            read.append(statement)
            if len(read) > 1:
                again.set()
            again.wait(HELD)

    def digest(number: int) -> str:
        go.wait()
        return memory.authority.login_digest(f"somebody-{number}")

    event.listen(engine, "before_cursor_execute", note)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(digest, range(AT_ONCE)))
    event.remove(engine, "before_cursor_execute", note)
    assert len(read) == 1
    with lone.app.store.read() as tx:
        assert found == [tx.login_digest(f"somebody-{number}") for number in range(AT_ONCE)]
