"""The guard on a real server, synchronous and asynchronous, for every shape of call."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

import accredit
from accredit import Role
from accredit._errors import from_rpc_error
from accredit.v1 import auth_pb2, types_pb2
from tests.client import notes
from tests.client.notes import SHAPES, NoteRequest, path
from tests.client.peer import Fail, Peer, because, retry_after, until_gone

TOKEN = "acr_ada_s3cr3t"
BEARER = (("authorization", f"Bearer {TOKEN}"),)
ADA = types_pb2.Principal(kind=types_pb2.PRINCIPAL_KIND_USER, user_id=1, login="ada")
KNOWN = auth_pb2.AuthenticateResponse(principal=ADA)
ALLOWED = auth_pb2.AuthorizeResponse(
    principal=ADA, agent_id=7, agent_slug="billing", role=types_pb2.ROLE_ADMIN
)
OPERATOR = accredit.require(Role.OPERATOR, agent="agent", site="site_id")

Serve = Callable[..., Any]


@pytest.fixture(params=[notes.serving, notes.aio_serving], ids=["sync", "aio"])
def serve(request: pytest.FixtureRequest) -> Serve:
    """`with serve(peer.address, rules) as service: service.call(…)`, on either server."""
    function: Serve = request.param
    return function


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def rules(rule: accredit.Rule) -> dict[str, accredit.Rule]:
    return {path(name): rule for name in SHAPES}


def note(text: str = "hello", agent: int | str = "billing", **fields: Any) -> Any:
    return NoteRequest(text=text, agent=accredit.agent_ref(agent), **fields)


def refused(service: notes.Notes, shape: str, *requests: Any, **call: Any) -> Any:
    """The refusal of a call, as its caller sees it."""
    with pytest.raises(grpc.RpcError) as caught:
        service.call(shape, *requests, **{"headers": BEARER} | call)
    error = from_rpc_error(caught.value)
    error.__cause__ = caught.value
    return error


def denied(decision: "types_pb2.Decision.ValueType", message: str = "") -> types_pb2.Denial:
    return types_pb2.Denial(reason=decision, message=message)


# --- letting through ---


def test_whoever_accredit_knows_gets_through(peer: Peer, serve: Serve, shape: str) -> None:
    peer.script("Authenticate", KNOWN)
    with serve(peer.address, rules(accredit.authenticated)) as service:
        answers = service.call(shape, note(), headers=BEARER)
    assert set(answers) == {"ada on 0 wrote hello"}
    (asked,) = peer.seen
    assert asked.request == auth_pb2.AuthenticateRequest(token=TOKEN)
    assert asked.metadata["authorization"] == "Bearer acr_svc_own"


def test_whoever_has_the_role_gets_through(peer: Peer, serve: Serve, shape: str) -> None:
    peer.script("Authorize", ALLOWED)
    rule = accredit.require(Role.OPERATOR, agent="agent", site="site_id", capability="notes.write")
    with serve(peer.address, rules(rule)) as service:
        answers = service.call(shape, note(site_id=3), headers=BEARER)
    assert set(answers) == {"ada on 7 wrote hello"}
    (asked,) = peer.seen
    assert asked.request == auth_pb2.AuthorizeRequest(
        token=TOKEN,
        demand=auth_pb2.Demand(
            agent=accredit.agent_ref("billing"),
            minimum_role=types_pb2.ROLE_OPERATOR,
            site_id=3,
            capability="notes.write",
        ),
    )


def test_an_open_method_is_not_asked_about_and_knows_nobody(
    peer: Peer, serve: Serve, shape: str
) -> None:
    peer.script("Authenticate", KNOWN)
    opened = {path(shape): accredit.open_to_all}
    with serve(peer.address, opened, default=accredit.authenticated) as service:
        other = "Watch" if shape == "Write" else "Write"
        # First the other one, so that its caller would be found if it were left behind.
        assert "ada on 0 wrote hello" in service.call(other, note(), headers=BEARER)
        peer.seen.clear()
        assert set(service.call(shape, note(), headers=BEARER)) == {"nobody wrote hello"}
    assert peer.seen == []


def test_a_whole_service_can_have_one_rule(peer: Peer, serve: Serve) -> None:
    whole = {f"/{notes.SERVICE}/*": accredit.open_to_all, path("Write"): OPERATOR}
    with serve(peer.address, whole) as service:
        assert service.call("Upload", note()) == ["nobody wrote hello"]
        assert refused(service, "Write", note(), headers=()).reason == "TOKEN_MISSING"


def test_the_scheme_is_bearer_in_any_case(peer: Peer, serve: Serve) -> None:
    peer.script("Authenticate", KNOWN)
    with serve(peer.address, rules(accredit.authenticated)) as service:
        service.call("Write", note(), headers=[("authorization", f"bearer  {TOKEN}")])
    assert peer.seen[0].request.token == TOKEN


# --- who is at fault ---


def test_a_method_without_a_rule_is_closed(peer: Peer, serve: Serve, shape: str) -> None:
    with serve(peer.address, {}) as service:
        error = refused(service, shape, note())
    assert isinstance(error, accredit.PermissionDenied)
    assert error.reason == "METHOD_CLOSED"
    assert path(shape) in error.message
    assert peer.seen == []


def test_a_method_that_does_not_exist_stays_unimplemented(peer: Peer, serve: Serve) -> None:
    with serve(peer.address, {}) as service:
        send = service._channel.unary_unary("/guarded.test.v1.NoteService/Erase")
        with pytest.raises(grpc.RpcError) as caught:
            send(b"", timeout=30)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ((), "TOKEN_MISSING"),
        ((("authorization", ""),), "TOKEN_MALFORMED"),
        ((("authorization", TOKEN),), "TOKEN_MALFORMED"),
        ((("authorization", "Bearer"),), "TOKEN_MALFORMED"),
        ((("authorization", "Bearer "),), "TOKEN_MALFORMED"),
        ((("authorization", f"Basic {TOKEN}"),), "TOKEN_MALFORMED"),
        ((("authorization", f"Bearer {'x' * 4097}"),), "TOKEN_MALFORMED"),
        ((*BEARER, ("authorization", "Bearer acr_eve_s")), "TOKEN_MALFORMED"),
    ],
)
def test_a_call_without_one_bearer_token_is_refused_unasked(
    peer: Peer, serve: Serve, headers: Any, reason: str
) -> None:
    with serve(peer.address, rules(OPERATOR)) as service:
        error = refused(service, "Write", note(), headers=headers)
    assert isinstance(error, accredit.Unauthenticated)
    assert error.reason == reason
    assert peer.seen == []


def test_a_stranger_is_refused_in_every_shape(peer: Peer, serve: Serve, shape: str) -> None:
    with serve(peer.address, rules(OPERATOR)) as service:
        assert refused(service, shape, note(), headers=()).reason == "TOKEN_MISSING"


DENIALS = {
    "TOKEN_INVALID": accredit.Unauthenticated,
    "USER_INACTIVE": accredit.Unauthenticated,
    "MINTER_WITHOUT_RIGHTS": accredit.Unauthenticated,
    "AGENT_INACTIVE": accredit.PermissionDenied,
    "ROLE_INSUFFICIENT": accredit.PermissionDenied,
    "SITE_REQUIRED": accredit.PermissionDenied,
    "SITE_MISMATCH": accredit.PermissionDenied,
    "CAPABILITY_MISSING": accredit.PermissionDenied,
    "NOT_OWNER": accredit.PermissionDenied,
    "AGENT_AMBIGUOUS": accredit.PermissionDenied,
}


@pytest.mark.parametrize("decision", DENIALS)
def test_a_denial_is_passed_on_with_its_reason(peer: Peer, serve: Serve, decision: str) -> None:
    number = types_pb2.Decision.Value(f"DECISION_{decision}")
    peer.script("Authorize", auth_pb2.AuthorizeResponse(denial=denied(number, "because")))
    with serve(peer.address, rules(OPERATOR)) as service:
        error = refused(service, "Write", note())
    assert type(error) is DENIALS[decision]
    assert (error.reason, error.message) == (decision, "because")


def test_every_denial_stands_in_the_table_above() -> None:
    numbers = {types_pb2.Decision.Value(f"DECISION_{name}") for name in DENIALS}
    others = {types_pb2.DECISION_UNSPECIFIED, types_pb2.DECISION_ALLOWED}
    assert numbers | others == set(types_pb2.Decision.values())


def test_a_denial_is_a_refusal_in_every_shape(peer: Peer, serve: Serve, shape: str) -> None:
    answer = denied(types_pb2.DECISION_ROLE_INSUFFICIENT)
    peer.script("Authorize", auth_pb2.AuthorizeResponse(denial=answer))
    with serve(peer.address, rules(OPERATOR)) as service:
        error = refused(service, shape, note(), note())
    assert isinstance(error, accredit.PermissionDenied)


# --- which agent ---


@pytest.mark.parametrize(
    ("source", "request_", "named"),
    [
        ("agent", NoteRequest(agent=accredit.agent_ref("billing")), "billing"),
        ("agent", NoteRequest(agent=accredit.agent_ref(7)), 7),
        ("nested.agent", NoteRequest(nested={"agent": accredit.agent_ref(7)}), 7),
        ("own", NoteRequest(own={"agent_slug": "billing"}), "billing"),
        ("own", NoteRequest(own={"agent_id": 7}), 7),
        ("slug", NoteRequest(slug="billing"), "billing"),
        ("slug", NoteRequest(slug="7"), "7"),
        ("id", NoteRequest(id=7), 7),
        (lambda request: f"bot-{request.id}", NoteRequest(id=7), "bot-7"),
        (lambda request: accredit.agent_ref(request.id), NoteRequest(id=7), 7),
    ],
)
def test_a_request_may_name_its_agent_in_many_ways(
    peer: Peer, serve: Serve, source: Any, request_: Any, named: int | str
) -> None:
    peer.script("Authorize", ALLOWED)
    with serve(peer.address, rules(accredit.require(Role.VIEWER, agent=source))) as service:
        service.call("Write", request_, headers=BEARER)
    assert peer.seen[0].request.demand.agent == accredit.agent_ref(named)


@pytest.mark.parametrize(
    ("source", "request_"),
    [
        ("agent", NoteRequest()),
        ("agent", NoteRequest(agent={})),
        ("nested.agent", NoteRequest()),
        ("own", NoteRequest(own={})),
        ("own", NoteRequest(own={"agent_id": 7, "agent_slug": "other"})),
        ("slug", NoteRequest()),
        ("id", NoteRequest()),
        (lambda request: None, NoteRequest()),
        # A uint64 field holds more than any id.
        (lambda request: 2**63, NoteRequest()),
        (lambda request: 2**64 - 1, NoteRequest()),
    ],
)
def test_a_request_that_names_none_or_two_is_refused_unasked(
    peer: Peer, serve: Serve, source: Any, request_: Any
) -> None:
    with serve(peer.address, rules(accredit.require(Role.VIEWER, agent=source))) as service:
        error = refused(service, "Write", request_)
    assert isinstance(error, accredit.InvalidArgument)
    assert error.reason == "AGENT_NOT_NAMED"
    assert peer.seen == []


def test_an_agent_that_cannot_be_one_is_the_callers_mistake(peer: Peer, serve: Serve) -> None:
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="demand.agent.agent_slug", description="not digits only")
    wrong = Fail(
        grpc.StatusCode.INVALID_ARGUMENT,
        "demand.agent.agent_slug: not digits only",
        because("INVALID_AGENT_SLUG"),
        bad,
    )
    peer.script("Authorize", wrong)
    with serve(peer.address, rules(OPERATOR)) as service:
        error = refused(service, "Write", note(agent="12"))
    assert isinstance(error, accredit.InvalidArgument)
    assert error.reason == "INVALID_AGENT_SLUG"
    assert error.message == "the agent or site named: not digits only"


@pytest.mark.parametrize(
    ("source", "site"),
    [("site_id", 3), (5, 5), (lambda request: request.site_id + 1, 4), (lambda _: None, 0)],
)
def test_a_site_is_named_too(peer: Peer, serve: Serve, source: Any, site: int) -> None:
    peer.script("Authorize", ALLOWED)
    rule = accredit.require(Role.VIEWER, agent="agent", site=source)
    with serve(peer.address, rules(rule)) as service:
        service.call("Write", note(site_id=3), headers=BEARER)
    assert peer.seen[0].request.demand.site_id == site


# --- streams of requests ---


@pytest.mark.parametrize("streaming", ["Upload", "Chat"])
@pytest.mark.parametrize(
    "serve",
    [
        notes.serving,
        notes.aio_serving,
        partial(notes.aio_serving, functions=notes.AIO_FUNCTIONS_ON_THE_CONTEXT),
    ],
    ids=["sync", "aio", "aio-reading-from-the-context"],
)
def test_later_requests_keep_to_the_agent_and_site_of_the_first(
    peer: Peer, serve: Serve, streaming: str
) -> None:
    peer.script("Authorize", ALLOWED)
    first = note("a", site_id=3)
    faithful = (first, note("b", site_id=3), note("c"), NoteRequest(text="d"))
    with serve(peer.address, rules(OPERATOR)) as service:
        answers = service.call(streaming, *faithful, headers=BEARER)
        assert answers == [f"ada on 7 wrote {text}" for text in "abcd"]
        for faithless in (
            note("b", agent="other", site_id=3),
            note("b", agent=7, site_id=3),
            note("b", site_id=9),
            NoteRequest(text="b", site_id=9),
        ):
            error = refused(service, streaming, first, faithless)
            assert isinstance(error, accredit.PermissionDenied)
            assert error.reason == "AGENT_CHANGED"


@pytest.mark.parametrize("site", [2**63, 2**64 - 1])
def test_a_site_that_is_no_id_is_refused_unasked(peer: Peer, serve: Serve, site: int) -> None:
    rule = accredit.require(Role.VIEWER, agent="agent", site=lambda request: site)
    with serve(peer.address, rules(rule)) as service:
        error = refused(service, "Write", note("a", agent=7))
    assert isinstance(error, accredit.InvalidArgument)
    assert peer.seen == []


@pytest.mark.parametrize("streaming", ["Upload", "Chat"])
def test_a_stream_of_nothing_names_no_agent(peer: Peer, serve: Serve, streaming: str) -> None:
    with serve(peer.address, rules(OPERATOR)) as service:
        assert refused(service, streaming).reason == "AGENT_NOT_NAMED"


def test_an_aio_handler_may_write_to_the_context(peer: Peer) -> None:
    peer.script("Authorize", ALLOWED)
    functions = notes.AIO_FUNCTIONS_ON_THE_CONTEXT
    with notes.aio_serving(peer.address, rules(OPERATOR), functions=functions) as service:
        answers = service.call("Watch", note(), headers=BEARER)
        assert answers == ["ada on 7 wrote hello"] * 2
        assert refused(service, "Watch", note(), headers=()).reason == "TOKEN_MISSING"


@pytest.mark.parametrize("shape", SHAPES)
def test_a_plain_function_on_an_aio_server_is_not_run_unguarded(peer: Peer, shape: str) -> None:
    peer.script("Authorize", ALLOWED)
    functions = notes.FUNCTIONS
    with notes.aio_serving(peer.address, rules(OPERATOR), functions=functions) as service:
        assert isinstance(refused(service, shape, note()), accredit.Internal)


# --- failing closed ---


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (Fail(grpc.StatusCode.UNAVAILABLE), accredit.Unavailable, "ACCREDIT_UNAVAILABLE"),
        (
            Fail(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", retry_after(60)),
            accredit.Unavailable,
            "ACCREDIT_UNAVAILABLE",
        ),
        (Fail(grpc.StatusCode.ABORTED), accredit.Unavailable, "ACCREDIT_UNAVAILABLE"),
        (Fail(grpc.StatusCode.INTERNAL), accredit.Internal, "INTERNAL"),
        (Fail(grpc.StatusCode.UNKNOWN), accredit.Internal, "INTERNAL"),
        (Fail(grpc.StatusCode.UNIMPLEMENTED), accredit.Internal, "INTERNAL"),
        # The service's own token: its callers must not come to doubt theirs.
        (Fail(grpc.StatusCode.UNAUTHENTICATED), accredit.Internal, "INTERNAL"),
        (Fail(grpc.StatusCode.PERMISSION_DENIED), accredit.Internal, "INTERNAL"),
        (auth_pb2.AuthorizeResponse(), accredit.PermissionDenied, "UNSPECIFIED"),
        (
            auth_pb2.AuthorizeResponse(role=types_pb2.ROLE_ADMIN, agent_id=7),
            accredit.PermissionDenied,
            "UNSPECIFIED",
        ),
        (
            auth_pb2.AuthorizeResponse(denial=types_pb2.Denial()),
            accredit.PermissionDenied,
            "UNSPECIFIED",
        ),
        (
            auth_pb2.AuthorizeResponse(denial=denied(types_pb2.DECISION_ALLOWED)),
            accredit.PermissionDenied,
            "UNSPECIFIED",
        ),
        (
            auth_pb2.AuthorizeResponse.FromString(b"\x12\x02\x08\x7f"),
            accredit.PermissionDenied,
            "UNSPECIFIED",
        ),
    ],
)
def test_nothing_but_a_principal_lets_a_call_through(
    peer: Peer, serve: Serve, answer: Any, kind: type[accredit.AccreditError], reason: str
) -> None:
    peer.script("Authorize", answer)
    with serve(peer.address, rules(OPERATOR)) as service:
        error = refused(service, "Write", note())
    assert type(error) is kind
    assert error.reason == reason


def test_without_accredit_nothing_gets_through(serve: Serve, shape: str) -> None:
    with serve("127.0.0.1:1", rules(accredit.authenticated)) as service:
        error = refused(service, shape, note())
    assert isinstance(error, accredit.Unavailable)
    assert error.reason == "ACCREDIT_UNAVAILABLE"


def test_an_answer_that_does_not_come_is_waited_for_no_longer_than_stated(
    peer: Peer, serve: Serve
) -> None:
    peer.script("Authenticate", until_gone)
    with serve(peer.address, rules(accredit.authenticated), timeout=0.2) as service:
        error = refused(service, "Write", note())
    assert isinstance(error, accredit.Unavailable)


def test_the_callers_deadline_bounds_the_question(peer: Peer, serve: Serve) -> None:
    peer.script("Authenticate", KNOWN)
    with serve(peer.address, rules(accredit.authenticated), timeout=60) as service:
        service.call("Write", note(), headers=BEARER, timeout=20)
        service.call("Write", note(), headers=BEARER, timeout=None)
    assert peer.seen[0].time_remaining < 30 < peer.seen[1].time_remaining < 70


def _wrong(_: Any) -> Any:
    raise RuntimeError(f"a bug in a rule, next to {TOKEN}")


@pytest.mark.parametrize(
    "source", [_wrong, lambda request: request.no_such_field, lambda request: 1.5]
)
def test_a_bug_in_a_rule_refuses_and_tells_the_log_alone(
    peer: Peer, serve: Serve, source: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with serve(peer.address, rules(accredit.require(Role.VIEWER, agent=source))) as service:
        error = refused(service, "Write", note())
    assert isinstance(error, accredit.Internal)
    assert (error.reason, error.message) == ("INTERNAL", "internal error")
    assert [record.levelname for record in caplog.records] == ["ERROR"]


# --- manners ---


def test_no_token_is_logged_or_sent_back(
    peer: Peer, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = Fail(grpc.StatusCode.UNAVAILABLE, f"cannot look up {TOKEN}")
    peer.script("Authorize", echo)
    peer.script(
        "Authenticate",
        auth_pb2.AuthenticateResponse(
            denial=denied(types_pb2.DECISION_TOKEN_INVALID, f"unknown: {TOKEN}")
        ),
    )
    mixed = {path("Write"): OPERATOR, path("Upload"): accredit.authenticated}
    with serve(peer.address, mixed) as service:
        errors = [refused(service, method, note()) for method in ("Write", "Upload")]
    # The cause is as it came over the wire: redacting our own copy would hide a mistake.
    assert all(TOKEN not in f"{error!r} {error.__cause__!r}" for error in errors)
    formatted = [logging.Formatter().format(record) for record in caplog.records]
    assert any("accredit did not answer" in line for line in formatted)
    assert not any("acr_svc_own" in line for line in formatted)


def test_a_caller_does_not_show_their_token() -> None:
    caller = accredit.Caller(principal=ADA, token=TOKEN)
    assert TOKEN not in repr(caller)
    assert caller.token == TOKEN


def test_there_is_no_caller_outside_a_guarded_call() -> None:
    with pytest.raises(LookupError, match="no guarded call"):
        accredit.principal()
