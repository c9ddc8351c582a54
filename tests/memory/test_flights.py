"""What many ask for at once is read once."""

import threading
from concurrent.futures import ThreadPoolExecutor

from tests.server import Server
from tests.statements import statements

AT_ONCE = 100


def test_the_key_of_logins_is_read_once(lone: Server) -> None:
    memory, go = lone.app.memory, threading.Barrier(AT_ONCE)
    memory.feed.follow()
    logins = [f"somebody-{number}" for number in range(AT_ONCE)]

    def digest(login: str) -> str:
        go.wait()
        return memory.authority.login_digest(login)

    with statements(lone, everybody=True) as sent, ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(digest, logins))
    with lone.app.store.read() as tx:
        assert found == [tx.login_digest(login) for login in logins]
    assert len([one for one in sent if "login_key" in one]) == 1, sent
