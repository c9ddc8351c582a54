"""The one place where exceptions become statuses.

A refusal that an ability or the store promises gets its code, its reason and its details. Anything
else is a bug: the caller is told a request id, the log everything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn
from urllib.parse import quote

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from accredit_storage.errors import (
    Conflict,
    FilesUnavailable,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreUnavailable,
    WriteInDoubt,
)

from ..abilities.errors import (
    Aborted,
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    FieldError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Reason,
    Refusal,
    ResourceExhausted,
    Unauthenticated,
    Unimplemented,
)
from .calls import REQUEST_ID, Call

DOMAIN = "accredit"
#: The whole google.rpc.Status, at most, in bytes.
DETAILS_LIMIT = 4096

_OMITTED = "violations_omitted"
_DETAILS = "grpc-status-details-bin"
# Message and details as they travel. Clients refuse 8 KiB of trailers, some at random, and then
# show RESOURCE_EXHAUSTED in place of the real code.
_TRAILERS_LIMIT = 7000
_MESSAGE_LIMIT = 1024
_PART_LIMIT = 160
_PARTS = 6

CODES: Mapping[type[Refusal], grpc.StatusCode] = {
    InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    NotFound: grpc.StatusCode.NOT_FOUND,
    AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    Aborted: grpc.StatusCode.ABORTED,
    ResourceExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unimplemented: grpc.StatusCode.UNIMPLEMENTED,
    DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
}


@dataclass(frozen=True, slots=True)
class Failure:
    """What a caller is told of a call that failed."""

    code: grpc.StatusCode
    reason: Reason
    message: str
    fields: Sequence[FieldError] = ()
    metadata: Mapping[str, str] | None = None
    retry_after: timedelta | None = None


#: What a StoreError says to a caller. The store's own words stay in the log.
STORE_FAILURES: Mapping[type[StoreError], Failure] = {
    Conflict: Failure(
        grpc.StatusCode.ABORTED,
        Reason.CONTENTION,
        "other writers kept winning: try again",
        retry_after=timedelta(milliseconds=100),
    ),
    StoreBusy: Failure(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        Reason.OVERLOADED,
        "the store is too busy to answer in time: try again later",
        retry_after=timedelta(seconds=1),
    ),
    StoreUnavailable: Failure(
        grpc.StatusCode.UNAVAILABLE,
        Reason.DATABASE_UNAVAILABLE,
        "the database does not answer: try again later",
        retry_after=timedelta(seconds=1),
    ),
    FilesUnavailable: Failure(
        grpc.StatusCode.UNAVAILABLE,
        Reason.FILES_UNAVAILABLE,
        "the disk with the files does not answer or takes no writes: an operator has to look at it",
        retry_after=timedelta(seconds=1),
    ),
    WriteInDoubt: Failure(
        grpc.StatusCode.UNAVAILABLE,
        Reason.FILES_UNAVAILABLE,
        "the disk failed in the last step of the write: look whether it was carried out",
    ),
    StoreFull: Failure(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        Reason.STORAGE_FULL,
        "there is no room left to write: an operator has to make some",
    ),
}


class _Status(grpc.Status):
    """What ``abort_with_status`` takes."""

    def __init__(self, code: grpc.StatusCode, details: str, trailing_metadata: Any) -> None:
        self.code = code
        self.details = details
        self.trailing_metadata = trailing_metadata


def answer_failure(call: Call, error: Exception) -> NoReturn:
    """End a failed call with its status, while ``error`` is handled.

    Nothing else of ours may abort a call, so that every status has passed through here. A
    servicer that did so, such as one that came with gRPC, is left to have its way.
    """
    if isinstance(error, Refusal | StoreError):
        abort(call, error)
    # The first is how gRPC says that the client has gone, the second how it ends a call that
    # was aborted: both have to reach it as they are.
    elif not isinstance(error, grpc.RpcError) and not _is_abort(call, error):
        _bug(call, error)
    raise error


def abort(call: Call, error: Refusal | StoreError) -> None:
    """End the call with the status of a refusal, by an exception that gRPC catches."""
    failure = failure_of(error)
    if failure is None:
        _bug(call, error)
    else:
        _abort(call, failure)


def failure_of(error: Refusal | StoreError) -> Failure | None:
    """What a caller is told; None for what nobody promised."""
    if isinstance(error, StoreError):
        return STORE_FAILURES.get(type(error))
    code = CODES.get(type(error))
    if code is None:
        return None
    return Failure(
        code, error.reason, error.message, error.fields, error.metadata, error.retry_after
    )


def status_of(failure: Failure) -> status_pb2.Status:
    """The status as it travels, within its bounds however much there is to say."""
    message = _cut(failure.message, _MESSAGE_LIMIT)
    parts = list((failure.metadata or {}).items())[:_PARTS]
    metadata = {_cut(key, 64): _cut(value, _PART_LIMIT) for key, value in parts}
    details: list[Message] = []
    if failure.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromTimedelta(failure.retry_after)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    if failure.fields:
        # With the number of those left out, of which only the width is known yet.
        beside = _packed(failure, message, {**metadata, _OMITTED: "0000000"}, details)
        kept = _fitting(failure.fields, _room(message) - beside.ByteSize())
        details.append(kept)
        if omitted := len(failure.fields) - len(kept.field_violations):
            metadata[_OMITTED] = str(omitted)
    return _packed(failure, message, metadata, details)


def _bug(call: Call, error: Exception) -> None:
    call.failure = error
    _abort(
        call,
        Failure(
            grpc.StatusCode.INTERNAL,
            Reason.INTERNAL,
            "internal error: the server's log has it under the request id",
            metadata={"request_id": call.request_id},
        ),
    )


def _abort(call: Call, failure: Failure) -> None:
    call.code, call.reason = failure.code, failure.reason
    status = status_of(failure)
    # abort_with_status replaces what telemetry has set.
    trailers = ((REQUEST_ID, call.request_id), (_DETAILS, status.SerializeToString()))
    call.context.abort_with_status(_Status(failure.code, status.message, trailers))


def _is_abort(call: Call, error: Exception) -> bool:
    """Whether this is the bare exception by which ``abort`` ends a handler."""
    return type(error) is Exception and not error.args and call.sent_code() is not None


def _fitting(violations: Sequence[FieldError], room: int) -> error_details_pb2.BadRequest:
    """As many violations, from the first on, as there is room for."""
    kept = error_details_pb2.BadRequest()
    for one in violations:
        violation = kept.field_violations.add(
            field=_cut(one.path, _PART_LIMIT), description=_cut(one.rule, _PART_LIMIT)
        )
        # Its tag and length stand before it, and the lengths around it may grow.
        room -= violation.ByteSize() + 8
        if room < 0:
            del kept.field_violations[-1]
            break
    return kept


def _room(message: str) -> int:
    """How many bytes the details may have: the message travels a second time, percent-encoded."""
    left = _TRAILERS_LIMIT - len(quote(message, safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}"))
    return min(DETAILS_LIMIT, left * 3 // 4)


def _packed(
    failure: Failure, message: str, metadata: Mapping[str, str], details: Sequence[Message]
) -> status_pb2.Status:
    info = error_details_pb2.ErrorInfo(reason=failure.reason, domain=DOMAIN, metadata=metadata)
    status = status_pb2.Status(code=failure.code.value[0], message=message)
    for detail in (info, *details):
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _cut(text: str, limit: int) -> str:
    """The text in at most so many bytes of UTF-8, with a mark where it was cut."""
    # A lone surrogate has no UTF-8, and must not make a bug of a refusal.
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return encoded.decode()
    return encoded[: limit - 3].decode("utf-8", "ignore") + "…"
