"""What a guard makes of its rules before any call, and of the handlers that it is given."""

from concurrent import futures
from typing import Any

import pytest

import accredit
from accredit import Role
from accredit._rules import RuleBook, closed
from accredit.v1 import types_pb2
from tests.client import notes
from tests.client.notes import path
from tests.client.peer import Peer, until_gone
from tests.client.test_guard import BEARER, OPERATOR, note, refused, rules


def test_the_nearest_rule_counts() -> None:
    book = RuleBook({path("Write"): OPERATOR, f"/{notes.SERVICE}/*": accredit.authenticated}, None)
    assert book.of(path("Write")) is OPERATOR
    assert book.of(path("Watch")) is accredit.authenticated
    assert book.of("/other.v1.Service/Method") == closed
    assert RuleBook({}, accredit.open_to_all).of(path("Write")) is accredit.open_to_all


class Details:
    """What gRPC tells an interceptor of a call."""

    method = path("Write")
    invocation_metadata: tuple[tuple[str, str | bytes], ...] = BEARER


def test_nothing_is_asked_on_the_polling_thread(peer: Peer) -> None:
    peer.script("Authorize", until_gone)
    with accredit.Client(peer.address) as client:
        guard = accredit.Guard(client, rules(OPERATOR))
        generic: Any = notes.handlers(notes.FUNCTIONS)
        handler = guard.intercept_service(generic.service, Details())
    assert handler is not None
    assert peer.seen == []


def test_a_handler_keeps_the_threads_it_asked_for(peer: Peer) -> None:
    def watch_apart(request: Any, context: Any) -> Any:
        return notes.watch(request, context)

    watch: Any = watch_apart
    with futures.ThreadPoolExecutor(1) as own, accredit.Client(peer.address) as client:
        watch.experimental_thread_pool = own
        functions = (notes.write, watch, notes.upload, notes.chat)
        generic: Any = notes.handlers(functions)
        details = Details()
        details.method = path("Watch")
        guard = accredit.Guard(client, rules(OPERATOR))
        handler: Any = guard.intercept_service(generic.service, details)
        assert handler.unary_stream.experimental_thread_pool is own


@pytest.mark.parametrize(
    ("method", "rule", "complaint"),
    [
        ("Write", accredit.authenticated, "write"),
        (f"{notes.SERVICE}/Write", accredit.authenticated, "write"),
        (f"/{notes.SERVICE}", accredit.authenticated, "write"),
        (f"/{notes.SERVICE}/", accredit.authenticated, "write"),
        (f"/{notes.SERVICE}/Wirte", accredit.authenticated, "no such method"),
        (path("Write"), "authenticated", "a rule is"),
        (path("Write"), accredit.require(Role.VIEWER, agent="agnet"), "no field"),
        (path("Write"), accredit.require(Role.VIEWER, agent="agent.agnet_id"), "no field"),
        (path("Write"), accredit.require(Role.VIEWER, agent="text.agent"), "no field"),
        (path("Write"), accredit.require(Role.VIEWER, agent="flag"), "cannot name the agent"),
        (path("Write"), accredit.require(Role.VIEWER, agent="ids"), "cannot name the agent"),
        (path("Write"), accredit.require(Role.VIEWER, agent="nested"), "cannot name the agent"),
        (
            path("Write"),
            accredit.require(Role.VIEWER, agent="agent", site="text"),
            "cannot name the site",
        ),
    ],
)
def test_a_rule_that_cannot_be_meant_is_found_at_the_start(
    method: str, rule: Any, complaint: str
) -> None:
    with accredit.Client("localhost:1") as client, pytest.raises(ValueError, match=complaint):
        accredit.Guard(client, {method: rule})


def test_the_rule_of_a_service_must_fit_each_of_its_methods() -> None:
    with accredit.Client("localhost:1") as client:
        whole = f"/{notes.SERVICE}/*"
        accredit.Guard(client, {whole: OPERATOR})
        with pytest.raises(ValueError, match="no field"):
            accredit.Guard(client, {whole: accredit.require(Role.VIEWER, agent="agnet")})


def test_a_default_must_be_a_rule() -> None:
    with accredit.Client("localhost:1") as client, pytest.raises(ValueError, match="default"):
        accredit.Guard(client, {}, default="authenticated")  # type: ignore[arg-type]


def test_a_rule_made_by_hand_opens_nothing(peer: Peer) -> None:
    by_hand = {path("Write"): accredit.Rule("authenticated users only")}
    with notes.serving(peer.address, by_hand) as service:
        assert refused(service, "Write", note()).reason == "METHOD_CLOSED"


def test_a_service_whose_code_is_not_loaded_yet_may_have_rules() -> None:
    with accredit.Client("localhost:1") as client:
        accredit.Guard(client, {"/later.v1.Service/Method": OPERATOR})


def test_a_role_must_be_one() -> None:
    with pytest.raises(ValueError, match="0"):
        accredit.require(types_pb2.ROLE_UNSPECIFIED, agent="agent")  # type: ignore[arg-type]
