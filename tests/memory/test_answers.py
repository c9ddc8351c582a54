"""What is answered from memory: how often the database is asked, and what is never kept."""

import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from accredit.v1 import auth_pb2
from accredit_service.abilities.calls.consistency import Consistency
from accredit_service.abilities.calls.reads import Ask, Question, answered
from accredit_service.entries import Entries
from accredit_service.kept_replies import Kept
from accredit_service.memory import Room
from accredit_storage.records import Actor, AgentId, ChangeKind, Draft, Head, Role, UserId
from accredit_storage.store import Store
from tests.server import Person, RefusedError, Server, running_server
from tests.statements import statements

AT_ONCE = 100
DEMAND = {"minimum_role": "ROLE_OPERATOR"}


def authorize(caller: Person, token: str, agent_id: int, **fields: Any) -> Any:
    return caller.call(
        "AuthService/Authorize",
        token=token,
        demand={**DEMAND, "agent": {"agent_id": agent_id}},
        **fields,
    )


def is_allowed(caller: Person, token: str, agent_id: int, **fields: Any) -> bool:
    return bool(authorize(caller, token, agent_id, **fields).HasField("principal"))


class Scene:
    """An agent with a token, somebody who has a grant on it, and a service that asks."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.service = server.user("SERVICE")
        self.owner, self.member = server.user(), server.user()
        self.agent_id: int = server.agent(self.owner).agent_id
        self.grant = server.grant(self.agent_id, self.member, "OPERATOR")
        self.token = server.agent_token(self.owner, self.agent_id, full_rights=True)

    @property
    def agent(self) -> dict[str, Any]:
        return {"agent": {"agent_id": self.agent_id}}

    def questions(self) -> list[Callable[[], Any]]:
        """One of each kind that is answered from memory."""
        check = {**self.agent, **DEMAND}
        principal = {"principal": {"login": self.member.login}}
        unnamed: dict[str, Any] = {"token": self.owner.token, "demand": DEMAND}
        return [
            lambda: self.service.call("AuthService/Authenticate", token=self.token.token),
            lambda: authorize(self.service, self.token.token, self.agent_id),
            lambda: authorize(self.service, self.member.token, self.agent_id),
            lambda: self.service.call("AuthService/Authorize", **unnamed),
            lambda: self.service.call(
                "AuthService/BatchAuthorize", token=self.member.token, demands=[check, DEMAND]
            ),
            lambda: self.member.call("AccessService/CheckAccess", check={**check, "caller": True}),
            lambda: self.service.call("AccessService/CheckAccess", check={**check, **principal}),
            lambda: self.service.call(
                "AccessService/BatchCheckAccess",
                checks=[{**check, **principal}, {**check, "principal": {"user_id": 10**9}}],
            ),
            lambda: self.member.call("AuthService/WhoAmI"),
        ]


@pytest.fixture
def scene(own_server: Server) -> Scene:
    return Scene(own_server)


def warm(scene: Scene) -> None:
    """Have it all in memory: on PostgreSQL other servers' changes are looked for now and then."""
    scene.server.app.memory.feed.follow()
    for question in scene.questions():
        question()


def test_what_is_known_is_answered_without_the_database(scene: Scene) -> None:
    warm(scene)
    right = [question() for question in scene.questions()]
    with statements(scene.server) as sent:
        again = [question() for question in scene.questions()]
    assert sent == []
    for one, other in zip(right, again, strict=True):
        for reply in (one, other):
            if "basis" in reply.DESCRIPTOR.fields_by_name:
                reply.ClearField("basis")
        assert one == other


@pytest.mark.parametrize("by", ["agent_id", "agent_slug"])
def test_what_is_not_takes_one_statement(scene: Scene, by: str) -> None:
    server = scene.server
    for holder in (scene.token, scene.member, scene.owner):
        other = server.agent(scene.owner)
        warm(scene)
        with server.app.store.write() as tx:
            tx._connection.execute(text("UPDATE tokens SET label = label"))
        server.app.memory.feed.forget()
        scene.service.call("AuthService/WhoAmI")
        demand = {**DEMAND, "agent": {by: getattr(other, by)}}
        with statements(server) as sent:
            scene.service.call("AuthService/Authorize", token=holder.token, demand=demand)
        assert len([one for one in sent if one.startswith("SELECT")]) == 1


def test_a_hundred_who_ask_for_one_key_at_once_make_one_query(scene: Scene) -> None:
    warm(scene)
    server, go = scene.server, threading.Barrier(AT_ONCE)
    fresh = server.agent_token(scene.owner, scene.agent_id, full_rights=True)
    scene.server.app.memory.feed.follow()
    memory, now = server.app.memory, server.app.now()
    digest = server.app.keyring.digest(fresh.token, lambda: ())
    assert digest is not None

    def ask(_number: int) -> Any:
        go.wait()
        return memory.authority.judged(digest, now)

    with statements(server, everybody=True) as seen, ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(ask, range(AT_ONCE)))
    assert {one.credential.token.token_id for one in found} == {fresh.token_id}
    assert len([one for one in seen if "FROM store_state" in one and "tokens" in one]) == 1


def test_whatever_an_answer_rests_on_ends_it_at_once(scene: Scene) -> None:
    server, admin, service = scene.server, scene.server.admin, scene.service
    allowed = lambda holder: is_allowed(service, holder.token, scene.agent_id)  # noqa: E731
    status: dict[str, Any] = {"status": "AGENT_STATUS_INACTIVE"}
    member = {"user_id": scene.member.user_id}
    taken: list[tuple[Person, Callable[[], Any], Callable[[], Any]]] = [
        (
            scene.member,
            lambda: admin.call("AccessService/RevokeAccess", principal=member, **scene.agent),
            lambda: server.grant(scene.agent_id, scene.member, "OPERATOR"),
        ),
        (
            scene.member,
            lambda: server.grant(scene.agent_id, scene.member, "VIEWER"),
            lambda: server.grant(scene.agent_id, scene.member, "OPERATOR"),
        ),
        (
            scene.token,
            lambda: admin.call("AgentService/SetAgentStatus", **scene.agent, **status),
            lambda: admin.call(
                "AgentService/SetAgentStatus", **scene.agent, status="AGENT_STATUS_ACTIVE"
            ),
        ),
        (
            scene.member,
            lambda: admin.call("UserService/DeactivateUser", user=member),
            lambda: admin.call("UserService/UpdateUser", user=member, update={"active": True}),
        ),
        (
            scene.token,
            lambda: admin.call("TokenService/RevokeToken", token_id=scene.token.token_id),
            lambda: None,
        ),
    ]
    for holder, take, give in taken:
        assert allowed(holder)
        assert allowed(holder)
        take()
        assert not allowed(holder)
        give()
        assert allowed(holder) is (holder is not scene.token or give is not taken[-1][2])


def test_who_may_ask_no_more_is_not_answered_from_what_they_asked_before(scene: Scene) -> None:
    server = scene.server
    check = {**scene.agent, **DEMAND, "principal": {"user_id": scene.owner.user_id}}
    helper = server.user()
    server.grant(scene.agent_id, helper, "ADMIN")
    for _ in range(2):
        helper.call("AccessService/CheckAccess", check=check)
    server.grant(scene.agent_id, helper, "VIEWER")
    assert "authenticate" in helper.refused("AccessService/CheckAccess", check=check).message
    for _ in range(2):
        authorize(scene.service, scene.token.token, scene.agent_id)
    server.admin.call(
        "UserService/UpdateUser",
        user={"user_id": scene.service.user_id},
        update={"role": "USER_ROLE_MEMBER"},
    )
    with pytest.raises(RefusedError, match="PERMISSION_DENIED"):
        authorize(scene.service, scene.token.token, scene.agent_id)


def test_the_end_of_the_askers_own_right_ends_what_they_were_answered(scene: Scene) -> None:
    server = scene.server
    helper = server.user()
    end = server.clock.stop() + timedelta(hours=1)
    server.grant(scene.agent_id, helper, "ADMIN", expire_time=end)
    check = {**scene.agent, **DEMAND, "principal": {"user_id": scene.owner.user_id}}
    for _ in range(2):
        helper.call("AccessService/CheckAccess", check=check)
    server.clock.advance(hours=1)
    assert helper.refused("AccessService/CheckAccess", check=check).reason


def test_a_kept_reply_says_when_and_where_it_was_confirmed(scene: Scene) -> None:
    warm(scene)
    first = authorize(scene.service, scene.token.token, scene.agent_id)
    assert len(scene.server.app.memory.replies)
    scene.server.user()  # A change that it does not rest on.
    now = scene.server.clock.stop()
    again = authorize(scene.service, scene.token.token, scene.agent_id)
    with scene.server.app.store.read() as tx:
        assert again.basis.position.revision == tx.head().revision
    assert again.basis.position.revision > first.basis.position.revision
    assert again.basis.consistency_token != first.basis.consistency_token
    assert again.basis.judged_at.ToDatetime(tzinfo=UTC) == now
    for reply in (first, again):
        reply.basis.ClearField("position")
        reply.basis.ClearField("consistency_token")
        reply.basis.ClearField("judged_at")
    assert first == again


def test_the_moment_of_a_kept_reply_is_told_to_the_microsecond_also_at_a_full_second(
    scene: Scene,
) -> None:
    warm(scene)
    now = scene.server.clock.stop()
    scene.server.clock.advance(seconds=1 - now.microsecond / 1e6)
    for step in (0.0, 0.000001, 0.5, 86_399.5):
        scene.server.clock.advance(seconds=step)
        told = authorize(scene.service, scene.member.token, scene.agent_id).basis.judged_at
        assert told.ToDatetime(tzinfo=UTC) == scene.server.clock()


def test_both_tokens_are_used_by_a_kept_reply_too(scene: Scene) -> None:
    warm(scene)
    usage = scene.server.app.usage
    usage.take()
    authorize(scene.service, scene.token.token, scene.agent_id)
    assert {scene.service.token_id, scene.token.token_id} <= set(usage.take())


def test_who_am_i_is_never_kept_nor_what_tells_nothing(scene: Scene) -> None:
    warm(scene)
    replies = scene.server.app.memory.replies
    before = len(replies)
    unnamed: dict[str, Any] = {"token": scene.owner.token, "demand": DEMAND}
    for _ in range(2):
        scene.member.call("AuthService/WhoAmI")
        scene.service.call("AuthService/Authenticate", token="acr_nothing")
        scene.service.call("AuthService/Authorize", **unnamed)
        scene.service.call(
            "AuthService/Authenticate",
            token=scene.token.token,
            consistency={"fully_consistent": True},
        )
    assert len(replies) == before


def test_the_same_bytes_mean_another_question_from_another_site_or_caller(scene: Scene) -> None:
    site = scene.server.site()
    scene.server.admin.call("AgentService/UpdateAgent", **scene.agent, update={"site_scope": site})
    for _ in range(2):
        for at, decision in ((site, True), (site + 1, False)):
            answer = scene.service.call(
                "AuthService/Authorize",
                (("accredit-site", str(at)),),
                token=scene.member.token,
                demand={**DEMAND, **scene.agent},
            )
            assert answer.HasField("principal") is decision
        assert not is_allowed(scene.service, scene.member.token, scene.agent_id)


def test_the_same_bytes_from_another_caller_are_another_question(scene: Scene) -> None:
    check = {**scene.agent, "minimum_role": "ROLE_ADMIN", "caller": True}
    for _ in range(2):
        for caller, is_admin in ((scene.owner, True), (scene.member, False)):
            answer = caller.call("AccessService/CheckAccess", check=check)
            assert answer.HasField("principal") is is_admin


def test_no_text_of_a_token_stays_in_memory(scene: Scene) -> None:
    warm(scene)
    memory = scene.server.app.memory
    held = repr(
        [
            vars(entry.value)
            if hasattr(entry.value, "__dict__")
            else (entry.value.reply if hasattr(entry.value, "reply") else entry.value)
            for entries in (memory.authority._entries, memory.replies._entries)
            for entry in entries._entries.values()
        ]
    )
    for person in (scene.token, scene.member, scene.owner, scene.service):
        assert person.token not in held


def test_without_memory_each_answer_is_the_databases(database_url: str, tmp_path: Path) -> None:
    with running_server(
        database_url, tmp_path, more={"room": Room(records=0, replies=0)}
    ) as server:
        scene = Scene(server)
        for question in scene.questions():
            with statements(server) as sent:
                question()
            assert sent


def test_what_is_older_than_the_bound_is_asked_of_the_database(
    database_url: str, engine_name: str, tmp_path: Path
) -> None:
    if engine_name == "sqlite":
        pytest.skip("SQLite is asked before each answer")
    with running_server(
        database_url, tmp_path, more={"room": Room(bound=0.01)}, feed_interval=10
    ) as server:
        scene = Scene(server)
        for question in scene.questions():
            question()
        server.app.memory.feed._followed_at = float("-inf")
        for question in scene.questions():
            with statements(server) as sent:
                question()
            assert sent


@pytest.fixture
def pair(database_url: str, tmp_path: Path) -> Generator[tuple[Server, Server]]:
    """Two servers on one database."""
    files = tmp_path / "files"
    with (
        running_server(database_url, tmp_path / "one", files=files) as one,
        running_server(
            database_url,
            tmp_path / "two",
            files=files,
            clock=one.clock,
            more={"room": Room(bound=60)},
            # So seldom that it knows nothing before it is made to look.
            feed_interval=10,
        ) as other,
    ):
        yield one, other


def at(server: Server, person: Person) -> Person:
    """The same person at another server."""
    return Person(
        server, person.token, person.token_id, person.user_id, person.agent_id, person.login
    )


def test_a_position_makes_the_other_server_look_first(pair: tuple[Server, Server]) -> None:
    one, other = pair
    scene = Scene(one)
    asks = at(other, scene.service)
    for number in range(20):
        token = one.agent_token(scene.owner, scene.agent_id, full_rights=True)
        fresh: dict[str, Any] = {"consistency": {"fully_consistent": True}}
        assert is_allowed(asks, token.token, scene.agent_id, **fresh)
        assert is_allowed(asks, token.token, scene.agent_id)
        gone = one.admin.call("TokenService/RevokeToken", token_id=token.token_id)
        if number % 2:
            fresh = {"consistency": {"at_least_as_fresh": gone.consistency_token}}
        assert not is_allowed(asks, token.token, scene.agent_id, **fresh)


def test_on_one_file_the_other_server_knows_at_once(
    pair: tuple[Server, Server], engine_name: str
) -> None:
    if engine_name != "sqlite":
        pytest.skip("PostgreSQL is polled")
    one, other = pair
    scene = Scene(one)
    asks = at(other, scene.service)
    for _ in range(50):
        token = one.agent_token(scene.owner, scene.agent_id, full_rights=True)
        assert is_allowed(asks, token.token, scene.agent_id)
        one.admin.call("TokenService/RevokeToken", token_id=token.token_id)
        assert not is_allowed(asks, token.token, scene.agent_id)


def test_changes_that_the_store_has_lost_are_forgotten(scene: Scene) -> None:
    server = scene.server
    warm(scene)
    feed = server.app.memory.feed
    with server.app.store.read() as tx:
        before = tx.head()
    # As after a failover that lost the last change, and went on with another one.
    server.admin.call(
        "AccessService/RevokeAccess", **scene.agent, principal={"user_id": scene.member.user_id}
    )
    assert not is_allowed(scene.service, scene.member.token, scene.agent_id)
    with server.app.store.write() as tx:
        connection = tx._connection
        lost = {"lost": before.revision + 1}
        for table in ("change_subjects", "changes"):
            connection.execute(text(f"DELETE FROM {table} WHERE revision = :lost"), lost)  # noqa: S608
        connection.execute(
            text("UPDATE store_state SET revision = :revision, head_hash = :hash"),
            {"revision": before.revision, "hash": before.hash},
        )
        tx.grants.put(
            AgentId(scene.agent_id),
            UserId(scene.member.user_id),
            Role.OPERATOR,
            None,
            server.app.now(),
            None,
        )
    feed.follow()
    assert is_allowed(scene.service, scene.member.token, scene.agent_id)
    server.user()
    assert is_allowed(scene.service, scene.member.token, scene.agent_id)


def test_a_change_in_the_place_of_one_that_was_lost_is_noticed(scene: Scene) -> None:
    server = scene.server
    warm(scene)
    revoked = server.admin.call("TokenService/RevokeToken", token_id=scene.token.token_id)
    assert revoked
    server.grant(scene.agent_id, scene.member, "VIEWER")
    assert not is_allowed(scene.service, scene.member.token, scene.agent_id)
    # A failover has lost that grant, and another server has written something else since.
    other = Store.open(server.app.store.engine.url)
    with other.read() as tx:
        lost = tx.head().revision
        before = tx.changes.hash_at(lost - 1)
    with other.write() as tx:
        for table in ("change_subjects", "changes"):
            tx._connection.execute(
                text(f"DELETE FROM {table} WHERE revision = :lost"),  # noqa: S608
                {"lost": lost},
            )
        tx._connection.execute(
            text("UPDATE store_state SET revision = :revision, head_hash = :hash"),
            {"revision": lost - 1, "hash": before},
        )
        tx._connection.execute(text("UPDATE grants SET role = 'operator' WHERE role = 'viewer'"))
    with other.write() as tx:
        nothing = Draft(
            kind=ChangeKind.USER_UPDATED,
            actor=Actor(),
            request_id="",
            subjects=(),
            before=None,
            after=None,
            at=server.app.now(),
        )
        assert tx.record(nothing) == lost
    other.close()
    server.app.memory.feed.follow()
    assert is_allowed(scene.service, scene.member.token, scene.agent_id)


def test_a_reply_that_is_kept_is_a_reply_as_any_other(scene: Scene) -> None:
    warm(scene)
    fresh = authorize(scene.service, scene.token.token, scene.agent_id)
    known = auth_pb2.AuthorizeResponse.FromString(fresh.SerializeToString())
    assert known == fresh
    assert [field.name for field, _ in known.basis.ListFields()].count("position") == 1


def test_an_answer_is_composed_again_where_the_log_has_moved_on(scene: Scene) -> None:
    server = scene.server
    digest = server.app.keyring.digest(scene.member.token, lambda: ())
    assert digest is not None
    server.app.memory.feed.follow()
    ask = Ask(
        method="AuthService/WhoAmI",
        token_id=scene.member.token_id,
        digest=digest,
        consistency=Consistency(),
    )
    heads = []

    def compose(question: Question) -> Head:
        heads.append(question.head)
        if len(heads) < 3:
            # It happens to come while the records are taken.
            server.user()
        return question.head

    found = answered(server.app, ask, compose)
    with server.app.store.read() as tx:
        assert found == tx.head()
    assert len(set(heads)) == len(heads) == 3


def test_a_reply_of_a_position_that_has_passed_is_not_kept(scene: Scene) -> None:
    memory = scene.server.app.memory
    memory.feed.follow()
    passed = memory.feed.position
    assert passed is not None
    kept = Kept(reply=b"", since=scene.server.app.now(), until=None, token_ids=(), tag=b"")
    memory.replies.keep(b"now", kept, [], passed, UserId(1))
    assert memory.replies.find(b"now") is not None
    scene.server.user()
    memory.feed.follow()
    memory.replies.keep(b"late", kept, [], passed, UserId(1))
    assert memory.replies.find(b"late") is None
    assert memory.replies.find(b"now") is not None


def test_what_a_change_touches_is_gone_before_the_position_is_the_changes(scene: Scene) -> None:
    feed, seen = scene.server.app.memory.feed, []

    class Watching(Entries[int, int]):
        def drop(self, names: Iterable[str]) -> None:
            """Note where the feed stands."""
            seen.append(feed.position)
            super().drop(names)

    feed.keep(Watching(1000, feed.lock))
    feed.follow()
    before = feed.position
    scene.server.user()
    feed.follow()
    assert seen[0] == before
    assert feed.position not in seen
