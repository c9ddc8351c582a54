from datetime import timedelta
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accredit_service.abilities import errors
from accredit_service.abilities.errors import FieldError, InvalidArgument, Reason, Refusal
from accredit_service.interceptors.calls import Call
from accredit_service.interceptors.errors import (
    CODES,
    DETAILS_LIMIT,
    STORE_FAILURES,
    Failure,
    status_of,
)
from accredit_storage.errors import (
    Conflict,
    SchemaMismatch,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from tests.service.running import Running

DETAILS = "grpc-status-details-bin"


def raising(error: Exception) -> Any:
    def script(request: object, call: Call) -> None:
        raise error

    return script


def test_every_kind_of_refusal_has_a_code_of_its_own() -> None:
    kinds = set(Refusal.__subclasses__())
    assert set(CODES) == kinds
    assert len(set(CODES.values())) == len(kinds)


@pytest.mark.parametrize("kind", CODES, ids=lambda kind: kind.__name__)
def test_a_refusal_arrives_with_its_code_and_all_it_says(
    server: Running, kind: type[Refusal]
) -> None:
    server.scripted.script = raising(
        kind(
            Reason.FIELD_INVALID,
            "{which}: no",
            fields=(FieldError("a", "no"), FieldError("b[1]", "nor this")),
            which="a",
            retry_after=timedelta(seconds=1.5),
        )
    )
    failed = server.fails()
    assert failed.code is CODES[kind]
    assert failed.message == "a: no"
    info = failed.details["ErrorInfo"]
    assert (info.reason, info.domain, dict(info.metadata)) == (
        "FIELD_INVALID",
        "accredit",
        {"which": "a"},
    )
    violations = failed.details["BadRequest"].field_violations
    assert [(one.field, one.description) for one in violations] == [
        ("a", "no"),
        ("b[1]", "nor this"),
    ]
    assert failed.details["RetryInfo"].retry_delay.ToTimedelta() == timedelta(seconds=1.5)


def test_a_refusal_has_no_details_that_it_has_no_use_for(server: Running) -> None:
    server.scripted.script = raising(errors.NotFound(Reason.AGENT_NOT_FOUND, "no such agent"))
    assert set(server.fails().details) == {"ErrorInfo"}


@pytest.mark.parametrize(
    ("error", "code", "reason", "retried"),
    [
        (Conflict, "ABORTED", "CONTENTION", True),
        (StoreBusy, "RESOURCE_EXHAUSTED", "OVERLOADED", True),
        (StoreUnavailable, "UNAVAILABLE", "DATABASE_UNAVAILABLE", True),
        (StoreFull, "RESOURCE_EXHAUSTED", "STORAGE_FULL", False),
    ],
)
def test_what_the_store_promises_has_its_row(
    server: Running, error: type[StoreError], code: str, reason: str, retried: bool
) -> None:
    server.scripted.script = raising(error("SQLSTATE 53100 at /var/lib/secret"))
    failed = server.fails()
    assert (failed.code.name, failed.reason) == (code, reason)
    assert ("RetryInfo" in failed.details) is retried
    assert "secret" not in failed.message
    assert error in STORE_FAILURES


@pytest.mark.parametrize(
    "error",
    [
        ValueError("hunter2"),
        Exception("hunter2"),
        Exception(),
        SchemaMismatch("hunter2"),
        LookupError("hunter2"),
    ],
    ids=repr,
)
def test_a_bug_tells_the_caller_a_request_id_and_the_log_everything(
    server: Running, error: Exception
) -> None:
    server.scripted.script = raising(error)
    failed = server.fails(metadata=[("x-request-id", "night-shift")])
    assert (failed.code, failed.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert dict(failed.details["ErrorInfo"].metadata) == {"request_id": "night-shift"}
    assert set(failed.details) == {"ErrorInfo"}
    assert "hunter2" not in repr(failed)
    (line,) = [one for one in server.calls() if one.get("code") == "INTERNAL"]
    assert line["level"] == "error"
    assert line["request_id"] == "night-shift"
    assert repr(error).removesuffix("()").split("(")[0] in line["traceback"]
    assert "script" in line["traceback"]


def test_an_answer_that_cannot_be_encoded_is_a_bug_like_any_other(server: Running) -> None:
    server.scripted.script = lambda request, context: "not a message"
    assert server.fails().reason == "INTERNAL"


def test_a_servicer_that_aborts_by_itself_has_its_way(server: Running) -> None:
    server.scripted.script = lambda request, call: call.context.abort(
        grpc.StatusCode.OUT_OF_RANGE, "mine"
    )
    failed = server.fails()
    assert (failed.code, failed.message) == (grpc.StatusCode.OUT_OF_RANGE, "mine")
    assert server.calls()[-1]["code"] == "OUT_OF_RANGE"


def test_a_thousand_violations_arrive_cut_with_their_code_every_time(server: Running) -> None:
    many = tuple(FieldError(f"requests[{one}].agent_slug", "x" * 70) for one in range(1000))
    server.scripted.script = raising(InvalidArgument(Reason.FIELD_INVALID, "wrong", fields=many))
    for _ in range(40):
        failed = server.fails()
        assert failed.code is grpc.StatusCode.INVALID_ARGUMENT
        shown = len(failed.details["BadRequest"].field_violations)
        assert shown > 10
        omitted = failed.details["ErrorInfo"].metadata["violations_omitted"]
        assert shown + int(omitted) == 1000
        assert len(failed.trailers[DETAILS]) <= DETAILS_LIMIT


def test_without_the_cut_the_code_is_lost(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accredit_service.interceptors.errors.DETAILS_LIMIT", 1 << 20)
    monkeypatch.setattr("accredit_service.interceptors.errors._TRAILERS_LIMIT", 1 << 20)
    many = tuple(FieldError(f"requests[{one}].agent_slug", "x" * 70) for one in range(1000))
    server.scripted.script = raising(InvalidArgument(Reason.FIELD_INVALID, "wrong", fields=many))
    assert server.fails().code is grpc.StatusCode.RESOURCE_EXHAUSTED


TEXTS = st.text(st.characters(), max_size=3000)


@given(
    message=TEXTS,
    fields=st.lists(st.builds(FieldError, TEXTS, TEXTS), max_size=60),
    metadata=st.dictionaries(TEXTS, TEXTS, max_size=12),
)
def test_whatever_is_said_fits(
    message: str, fields: list[FieldError], metadata: dict[str, str]
) -> None:
    failure = Failure(
        grpc.StatusCode.INVALID_ARGUMENT,
        Reason.FIELD_INVALID,
        message,
        fields,
        metadata,
        timedelta(days=1),
    )
    status = status_of(failure)
    size = status.ByteSize()
    assert size <= DETAILS_LIMIT
    escaped = sum(1 if 0x20 <= one < 0x7F and one != 0x25 else 3 for one in status.message.encode())
    # As they travel, with room for the other trailers below the 8 KiB that clients take.
    assert size * 4 / 3 + escaped <= 7200


def test_a_long_message_in_any_script_arrives_with_its_code(server: Running) -> None:
    server.scripted.script = raising(
        errors.NotFound(Reason.AGENT_NOT_FOUND, "\u00fc" * 5000, x="\u00fc" * 5000)
    )
    failed = server.fails()
    assert failed.code is grpc.StatusCode.NOT_FOUND
    assert failed.message.endswith("…")
