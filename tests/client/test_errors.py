"""From a status to a typed error: the tree, odd details, and no secret in any of it."""

import traceback
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

import accredit
from accredit import _errors
from tests.client.conftest import Ask
from tests.client.peer import Fail, Peer, because
from tests.client.test_calls import get_agent

CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


class Failed(grpc.RpcError):
    """An error as gRPC raises it."""

    def __init__(self, code: grpc.StatusCode, details: str | None, *trailers: Any) -> None:
        self._said = (code, details, trailers)

    def code(self) -> grpc.StatusCode:
        return self._said[0]

    def details(self) -> str | None:
        return self._said[1]

    def trailing_metadata(self) -> Any:
        return self._said[2]


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_every_code_has_a_class(code: grpc.StatusCode) -> None:
    error = _errors.from_rpc_error(Failed(code, "why"))
    assert error.code is code
    assert type(error) is not accredit.AccreditError
    assert type(error).__name__.upper() == code.name.replace("_", "")
    assert getattr(accredit, type(error).__name__) is type(error)


def test_the_tree_is_drawn_in_the_docstring() -> None:
    for kind in accredit.AccreditError.__subclasses__():
        assert f"+ {kind.__name__} " in (_errors.__doc__ or "")


@pytest.mark.parametrize(
    "trailers",
    [
        (),
        (("grpc-status-details-bin", b"\xff\xff"),),
        (("grpc-status-details-bin", b""),),
        (("x-other", "grpc-status-details-bin"),),
    ],
)
def test_details_that_cannot_be_read_are_left_out(trailers: Any) -> None:
    error = _errors.from_rpc_error(Failed(grpc.StatusCode.NOT_FOUND, "gone", *trailers))
    assert isinstance(error, accredit.NotFound)
    assert (error.message, error.reason, error.fields) == ("gone", "", ())


def test_a_detail_that_cannot_be_read_does_not_hide_the_others() -> None:
    status = status_pb2.Status()
    status.details.add(type_url="type.googleapis.com/google.rpc.RequestInfo", value=b"\xff\xff")
    status.details.add().Pack(because("AGENT_NOT_FOUND"))
    trailer = (_errors.DETAILS_KEY, status.SerializeToString())
    error = _errors.from_rpc_error(Failed(grpc.StatusCode.NOT_FOUND, "gone", trailer))
    assert (error.reason, error.retry_after) == ("AGENT_NOT_FOUND", None)


def test_a_reason_of_another_domain_is_not_ours(peer: Peer, ask: Ask) -> None:
    theirs = error_details_pb2.ErrorInfo(reason="TOKEN_INVALID", domain="proxy.example.org")
    peer.script("GetAgent", Fail(grpc.StatusCode.UNAUTHENTICATED, "no", theirs))
    with pytest.raises(accredit.Unauthenticated) as caught:
        ask(peer.address, get_agent)
    assert caught.value.reason == ""


def test_an_error_without_a_message_has_its_codes(peer: Peer, ask: Ask) -> None:
    peer.script("GetAgent", Fail(grpc.StatusCode.INTERNAL, ""))
    with pytest.raises(accredit.Internal, match="INTERNAL: internal"):
        ask(peer.address, get_agent)


@pytest.mark.parametrize(
    "secret",
    [
        "acr_id1_s3cr3t",
        "Bearer 0a1b2c3s3cr3t",
        "authorization: bearer s3cr3t.more-of-it",
        "datamachine_my-agent_" + "5" * 64,
    ],
)
def test_a_token_that_somebody_echoes_is_taken_out(peer: Peer, ask: Ask, secret: str) -> None:
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="token", description=f"bad: {secret}")
    echo = Fail(grpc.StatusCode.INVALID_ARGUMENT, f"got {secret}!", because("X", at=secret), bad)
    peer.script("GetAgent", echo)
    with pytest.raises(accredit.InvalidArgument) as caught:
        ask(peer.address, get_agent)
    error = caught.value
    shown = f"{error} {error!r} {error.message} {error.fields} {error.metadata}"
    assert secret not in shown
    assert "s3cr3t" not in shown
    assert "[redacted]" in shown


@pytest.mark.parametrize(
    "harmless",
    [
        "token acr_id1 of agent acr-bot",
        "send the metadata `authorization: Bearer …`",
        "a bearer token that works; bearer authentication",
    ],
)
def test_what_is_no_secret_stays(harmless: str) -> None:
    assert _errors.redact(harmless) == harmless


def test_a_field_that_the_message_mentions_is_not_said_twice() -> None:
    rule = accredit.FieldViolation("agent_slug", "not digits only")
    mentioned = accredit.InvalidArgument("agent_slug: not digits only", fields=[rule])
    assert str(mentioned) == "INVALID_ARGUMENT: agent_slug: not digits only"


def test_no_traceback_shows_the_callers_token(peer: Peer, ask: Ask) -> None:
    peer.script("GetAgent", Fail(grpc.StatusCode.INTERNAL, "bug"))
    token = "_".join(["acr", "id1", "s3cr3t"])  # so that the line below does not show it
    with pytest.raises(accredit.Internal) as caught:
        ask(peer.address, get_agent, token=token)
    assert token not in "".join(traceback.format_exception(caught.value))
