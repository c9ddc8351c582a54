"""What memory knows is answered on the thread that receives the calls, which waits for nothing."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event

from accredit_service.entries import Entries
from accredit_service.pools import WAITING
from accredit_service.settings import Settings
from accredit_storage.waiting import WouldWaitError, before_waiting, without_waiting
from tests.memory.test_answers import Scene, authorize
from tests.server import Server
from tests.statements import POLLING

THREADS = Settings().threads


@pytest.fixture
def scene(lone: Server) -> Scene:
    return Scene(lone)


def at_once(scene: Scene, monkeypatch: pytest.MonkeyPatch, number: int) -> bool:
    """Whether a new question about what is known is answered on the thread that receives it."""
    names: list[str] = []
    find = Entries.find

    def noted(entries: Entries[Any, Any], keys: Any) -> Any:
        names.append(threading.current_thread().name)
        return find(entries, keys)

    with monkeypatch.context() as patched:
        patched.setattr(Entries, "find", noted)
        demand = {**scene.agent, "minimum_role": "ROLE_VIEWER", "capability": f"new-{number}"}
        scene.service.call("AuthService/Authorize", token=scene.owner.token, demand=demand)
    assert names
    return all(POLLING in name for name in names)


def settle(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have it all in memory, and what the server itself writes when it starts behind it."""
    authorize(scene.service, scene.owner.token, scene.agent_id)
    assert any(at_once(scene, monkeypatch, number) for number in range(100))


def test_what_may_not_wait_says_so_where_it_would_have_to() -> None:
    before_waiting()
    with without_waiting:
        with pytest.raises(WouldWaitError):
            before_waiting()
        with ThreadPoolExecutor(1) as elsewhere:
            elsewhere.submit(before_waiting).result()
    before_waiting()


def test_what_is_known_is_answered_on_it(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(scene, monkeypatch)


def test_no_statement_runs_on_the_thread_that_receives_the_calls(scene: Scene) -> None:
    server = scene.server
    names: set[str] = set()

    def note(*_: Any) -> None:
        names.add(threading.current_thread().name)

    engines = (server.app.store.engine, server.app.memory.feed._store.engine)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    for question in scene.questions():
        # Cold: nothing of it is known.
        server.app.memory.feed.forget()
        question()
        # And behind a log that somebody has written to.
        server.user()
        question()
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)
    assert any(name.startswith("calls") for name in names)
    assert not [name for name in names if POLLING in name]


def test_what_is_known_is_answered_while_every_thread_waits(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = scene.server
    known = (scene.service, scene.owner.token, scene.agent_id)
    settle(scene, monkeypatch)
    authorize(*known)
    stuck, go_on = threading.Semaphore(0), threading.Event()

    def hold(*_: Any) -> None:
        if threading.current_thread().name.startswith("calls"):
            stuck.release()
            assert go_on.wait(30.0)

    # As many as the pool of connections has; all the other threads wait for those, and as many
    # calls as may wait for a thread.
    inside = server.app.store.engine.pool.size()  # type: ignore[attr-defined]
    event.listen(server.app.store.engine, "before_cursor_execute", hold)
    stub: Any = server.channel.unary_unary(
        "/accredit.v1.SiteService/ListSites",
        request_serializer=lambda _: b"",
        response_deserializer=bytes,
    )
    metadata = [("authorization", f"Bearer {server.admin.token}")]
    waiting = [stub.future(None, metadata=metadata) for _ in range(THREADS * (1 + WAITING) + 9)]
    try:
        for _ in range(inside):
            assert stuck.acquire(timeout=20.0)
        # Of the one question the reply is kept, of the other the records are.
        assert authorize(*known).HasField("principal")
        new = {**scene.agent, "minimum_role": "ROLE_VIEWER"}
        answer = scene.service.call("AuthService/Authorize", token=scene.owner.token, demand=new)
        assert answer.HasField("principal")
    finally:
        go_on.set()
        # Whether they were answered in time does not matter here.
        for one in waiting:
            one.exception()
        event.remove(server.app.store.engine, "before_cursor_execute", hold)
