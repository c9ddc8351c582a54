from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from grpc_channelz.v1 import channelz_pb2
from grpc_health.v1 import health_pb2

from accredit_service.abilities.calls.app import App
from accredit_service.abilities.credentials import bearer
from accredit_service.abilities.policy.methods import METHODS, Method, Pool
from accredit_service.abilities.policy.permissions import Action, Speaker
from accredit_service.interceptors.access import check_access, check_rows
from accredit_service.interceptors.calls import Call, Headers
from accredit_service.servicers import services
from accredit_service.setting_rules import Reflection
from accredit_storage.records import (
    AgentId,
    Ceiling,
    NewAgent,
    NewUser,
    Role,
    Token,
    User,
    UserKind,
    UserRole,
)
from accredit_storage.store import WriteTransaction
from tests.service.conftest import Start
from tests.service.running import PATIENCE, WHO_AM_I, Running, auth_rows, failed

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REFLECTION = {"grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}
COMPANIONS = {
    *(f"{service}/ServerReflectionInfo" for service in REFLECTION),
    *(
        f"{service.full_name}/{method.name}"
        for file in (health_pb2.DESCRIPTOR, channelz_pb2.DESCRIPTOR)
        for service in file.services_by_name.values()
        for method in service.methods
    ),
}


def user_token(app: App, role: UserRole, *, ceiling: Ceiling | None = None) -> str:
    """A new user of that role, and a token of theirs."""
    with app.store.write() as tx:
        user = add_user(tx, role)
        return add_token(tx, user, agent_id=None, ceiling=ceiling)


def agent_token(app: App, role: UserRole) -> str:
    """A token of an agent whose owner has that role."""
    with app.store.write() as tx:
        owner = add_user(tx, role)
        agent = tx.agents.add(
            NewAgent(
                agent_slug=f"agent-{owner.user_id}", agent_name="Agent", config={}, site_scope=None
            ),
            owner_id=owner.user_id,
            at=NOW,
        )
        assert agent is not None
        return add_token(tx, owner, agent_id=agent.agent_id, ceiling=None)


def add_user(tx: WriteTransaction, role: UserRole) -> User:
    user = tx.users.add(
        NewUser(
            login=f"user{tx.users.count()}",
            kind=UserKind.HUMAN,
            role=role,
            display_name="",
            email="",
        ),
        at=NOW,
    )
    assert user is not None
    return user


def add_token(
    tx: WriteTransaction, user: User, *, agent_id: AgentId | None, ceiling: Ceiling | None
) -> str:
    minted = bearer.mint(tx.token_keys()[0])
    token = Token(
        agent_id=agent_id,
        user_id=user.user_id if agent_id is None else None,
        ceiling=ceiling,
        token_id=minted.token_id,
        label="",
        act_as_owner=False,
        created_by=user.user_id,
        created_at=NOW,
        expire_at=None,
        revoked_at=None,
        rotated_from=None,
        replaced_by=None,
        last_used_at=None,
        version=1,
    )
    tx.tokens.add(token, minted.digest, minted.key_id)
    return minted.secret


def with_row(row: Method) -> dict[str, Method]:
    return {**auth_rows(), "AuthService/WhoAmI": row}


def test_a_call_without_a_row_refuses_the_start_and_is_named(start: Start) -> None:
    rows = auth_rows()
    del rows["AuthService/Authorize"]
    with pytest.raises(RuntimeError, match=r"nobody has decided.*AuthService/Authorize"):
        start(rows=rows)


def test_so_does_a_row_without_a_call(start: Start) -> None:
    rows = {**auth_rows(), "AuthService/Gone": Method()}
    with pytest.raises(RuntimeError, match=r"do not exist.*AuthService/Gone"):
        start(rows=rows)


def test_a_method_without_a_row_is_closed_should_one_ever_be_served() -> None:
    unused: Any = object()
    call = Call("AuthService/WhoAmI", unused, Headers.of(()))
    call.principal = unused
    with pytest.raises(RuntimeError, match="nobody has decided"):
        check_access({})(call)


def test_the_whole_contract_is_decided(server: Running) -> None:
    methods = {
        f"{service.descriptor.name}/{method.name}": method.server_streaming
        for service in services(server.app)
        for method in service.descriptor.methods
    }
    check_rows(METHODS, methods)


@pytest.mark.parametrize("pool", [Pool.STREAMS, Pool.DOWNLOADS])
def test_a_row_whose_threads_are_not_for_its_method_keeps_the_server_from_starting(
    start: Start, pool: Pool
) -> None:
    rows = {**auth_rows(), "AuthService/WhoAmI": Method(pool=pool)}
    with pytest.raises(RuntimeError, match=r"not for AuthService/WhoAmI"):
        start(rows=rows)


def answers_strangers(server: Running) -> set[str]:
    """The services of which some method says more than who are you to a call without a token."""
    ours = (service.descriptor for service in services(server.app))
    methods = {f"{one.full_name}/{method.name}" for one in ours for method in one.methods}
    found = set()
    for method in methods | COMPANIONS:
        call = server.channel.stream_stream(f"/{method}")
        reason = ""
        try:
            list(call(iter([b""]), timeout=PATIENCE))
        except grpc.RpcError as error:
            reason = failed(error).reason
        if reason not in ("TOKEN_MISSING", "METHOD_UNKNOWN"):
            found.add(method.partition("/")[0])
    return found


@pytest.mark.parametrize(
    ("reflection", "open_services"),
    [
        (Reflection.OFF, {"grpc.health.v1.Health"}),
        (Reflection.AUTHENTICATED, {"grpc.health.v1.Health"}),
        (Reflection.OPEN, {"grpc.health.v1.Health", *REFLECTION}),
    ],
)
def test_only_health_and_by_setting_reflection_answer_without_a_token(
    start: Start, reflection: Reflection, open_services: set[str]
) -> None:
    server = start(services=services, reflection=reflection, channelz=True)
    # A watcher of the health never hears the end: the server's stop is what it waits for.
    server.server._health.stop()
    assert answers_strangers(server) == open_services


@pytest.mark.parametrize(
    ("role", "reason"),
    [
        (UserRole.SERVICE, ""),
        (UserRole.MEMBER, "ACTION_MISSING"),
        (UserRole.GUEST, "ACTION_MISSING"),
    ],
)
def test_a_call_that_needs_an_action_takes_those_who_have_it(
    start: Start, role: UserRole, reason: str
) -> None:
    row = Method(any_action=frozenset({Action.WATCH, Action.AUDIT}))
    server = start(rows=with_row(row))
    token = user_token(server.app, role)
    if not reason:
        server.call(token=token)
        return
    failed = server.fails(token=token)
    assert (failed.code, failed.reason) == (grpc.StatusCode.PERMISSION_DENIED, reason)
    assert failed.details["ErrorInfo"].metadata["actions"] == "audit, watch"


def test_a_ceiling_takes_an_action_away(start: Start) -> None:
    row = Method(any_action=frozenset({Action.CHAT}))
    server = start(rows=with_row(row))
    ceiling = Ceiling(max_role=Role.ADMIN, capabilities=("use_tools",))
    bounded = user_token(server.app, UserRole.MEMBER, ceiling=ceiling)
    server.call(token=user_token(server.app, UserRole.MEMBER))
    assert server.fails(token=bounded).reason == "ACTION_MISSING"


@pytest.mark.parametrize(
    ("speaker", "allowed"),
    [(Speaker.ANY, True), (Speaker.OWNER, False), (Speaker.USER, False)],
)
def test_an_agents_token_is_taken_where_any_is(
    start: Start, speaker: Speaker, allowed: bool
) -> None:
    server = start(rows=with_row(Method(speaker=speaker)))
    token = agent_token(server.app, UserRole.MEMBER)
    server.call()
    if allowed:
        server.call(token=token)
    else:
        assert server.fails(token=token).reason == "USER_TOKEN_REQUIRED"


def test_channelz_is_for_those_who_manage_settings(start: Start) -> None:
    server = start(channelz=True)
    member = user_token(server.app, UserRole.MEMBER)
    method = "/grpc.channelz.v1.Channelz/GetServers"
    assert server.fails(method=method, token=member).reason == "ACTION_MISSING"
    server.call(method=method)


CHANNELZ = channelz_pb2.DESCRIPTOR.services_by_name["Channelz"]


@pytest.mark.parametrize("method", [method.name for method in CHANNELZ.methods])
def test_odd_questions_to_channelz_are_no_bugs(start: Start, method: str) -> None:
    server = start(channelz=True)
    ask = CHANNELZ.methods_by_name[method].input_type
    numbers = [field for field in ask.fields if field.cpp_type == field.CPPTYPE_INT64]
    bodies = [b"", b"\xff", b"\x08", b"\x0a\x05abcde"]
    for field in numbers:
        for value in (0, 1, 2**31, 2**63 - 1, -1, -(2**63)):
            message = getattr(channelz_pb2, ask.name)(**{field.name: value})
            bodies.append(message.SerializeToString())
    seen = set()
    for body in bodies:
        try:
            server.call(body, method=f"/{CHANNELZ.full_name}/{method}")
        except grpc.RpcError as error:
            refused = failed(error)
            seen.add(f"{refused.code.name} {refused.reason}")
    assert seen <= {
        "INVALID_ARGUMENT REQUEST_MALFORMED",
        "INVALID_ARGUMENT FIELD_INVALID",
        "NOT_FOUND CHANNELZ_ENTITY_NOT_FOUND",
    }
    assert "Traceback" not in server.log.getvalue()


def test_channelz_is_not_there_unless_asked_for(server: Running) -> None:
    method = "/grpc.channelz.v1.Channelz/GetServers"
    assert server.fails(method=method).reason == "METHOD_UNKNOWN"


@pytest.mark.parametrize("service", sorted(REFLECTION))
def test_reflection_takes_any_token_unless_it_is_open(start: Start, service: str) -> None:
    server = start(reflection=Reflection.AUTHENTICATED)
    call = server.channel.stream_stream(f"/{service}/ServerReflectionInfo")
    assert list(call(iter([b""]), metadata=[("authorization", f"Bearer {server.token}")]))
    with pytest.raises(grpc.RpcError) as refused:
        list(call(iter([b""])))
    assert failed(refused.value).reason == "TOKEN_MISSING"


def test_permission_is_judged_before_the_request_is_looked_at(start: Start) -> None:
    row = Method(any_action=frozenset({Action.AUDIT}))
    server = start(rows=with_row(row))
    token = user_token(server.app, UserRole.GUEST)
    assert server.fails(b"\xff\xff", method=WHO_AM_I, token=token).reason == "ACTION_MISSING"
