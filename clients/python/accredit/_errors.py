"""Every way a call can fail. Branch on the class or on `reason`, never on the message.

* AccreditError
  + InvalidArgument      a field broke its rule; `fields` names it
  + Unauthenticated      the token is missing, malformed, unknown, expired or revoked
  + PermissionDenied     the token works, but not for this
  + NotFound             there is no such thing
  + AlreadyExists        the name is taken
  + FailedPrecondition   not in the state that things are in
  + Aborted              somebody else was faster; read again
  + ResourceExhausted    a limit was reached
  + OutOfRange           past the end
  + Unimplemented        the server has no such method
  + Unavailable          no answer, now; a repeat may have one
  + DeadlineExceeded     no answer in time; what became of the call is not known
  + Cancelled            given up by the caller
  + Internal             a bug of the server; its log has it under `request_id`
  + DataLoss             the server lost data
  + Unknown              none of these

`__cause__` is the grpc.RpcError. Mistakes in how the library is used are ValueError and
TypeError instead: no repeat and no other server would help.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

_Detail = TypeVar("_Detail", bound=Message)

DOMAIN = "accredit"
"""The domain of Accredit's reasons in google.rpc.ErrorInfo."""

DETAILS_KEY = "grpc-status-details-bin"
"""The trailer in which gRPC carries a serialized google.rpc.Status."""

REQUEST_ID_KEY = "x-request-id"
"""The trailer in which the server says what its log has a call under."""

# Last resort: the server sends no secrets, but whatever stands between may echo a header.
# The word after "bearer" has to look like a token: "Bearer …" in a hint may stay.
_SECRET = re.compile(
    r"(?i:\bbearer\s+)(?=\S*\d)[\w.~+/=-]{8,}"
    r"|\bacr_[0-9A-Za-z]+_[0-9A-Za-z]+"
    r"|\bdatamachine_[a-z0-9_%-]+_[0-9a-f]{64}"
)


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field that broke its documented rule."""

    field: str
    """Its path in the request, such as "agent.agent_slug"."""
    description: str
    """The rule."""


class AccreditError(Exception):
    """A call failed. The subclass says how, by canonical code."""

    code: ClassVar[grpc.StatusCode]
    """The canonical code."""
    reason: str
    """The cause, a name of `accredit.v1.ErrorReason` without its prefix, such as
    "AGENT_SLUG_CONFLICT". Empty where the server was not reached."""
    message: str
    """For a person to read: what happened and what to do next."""
    fields: tuple[FieldViolation, ...]
    """The fields at fault, for INVALID_ARGUMENT."""
    metadata: Mapping[str, str]
    """The particulars of the reason, such as the token's id."""
    retry_after: float | None
    """Seconds after which a repeat makes sense. None: the server did not say."""
    request_id: str
    """What the server's log has this call under. Empty where the server did not say."""

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        fields: Iterable[FieldViolation] = (),
        metadata: Mapping[str, str] = MappingProxyType({}),
        retry_after: float | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.fields = tuple(fields)
        self.metadata = metadata
        self.retry_after = retry_after
        self.request_id = request_id

    def __str__(self) -> str:
        """One line: reason or code, message, the fields at fault that it does not mention."""
        said = f"{self.reason or self.code.name}: {self.message}"
        at_fault = "; ".join(
            f"{field.field}: {field.description}"
            for field in self.fields
            if field.description not in self.message
        )
        return f"{said} ({at_fault})" if at_fault else said

    def __repr__(self) -> str:
        """The class and what a program branches on."""
        return f"{type(self).__name__}({str(self)!r})"


class InvalidArgument(AccreditError):
    """A field broke its rule; `fields` names it."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class Unauthenticated(AccreditError):
    """The token is missing, malformed, unknown, expired or revoked."""

    code = grpc.StatusCode.UNAUTHENTICATED


class PermissionDenied(AccreditError):
    """The token works, but not for this."""

    code = grpc.StatusCode.PERMISSION_DENIED


class NotFound(AccreditError):
    """There is no such thing."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExists(AccreditError):
    """The name is taken."""

    code = grpc.StatusCode.ALREADY_EXISTS


class FailedPrecondition(AccreditError):
    """Not in the state that things are in; something else has to be done first."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class Aborted(AccreditError):
    """Somebody else was faster. Read again, decide again."""

    code = grpc.StatusCode.ABORTED


class ResourceExhausted(AccreditError):
    """A limit was reached."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class OutOfRange(AccreditError):
    """Past the end."""

    code = grpc.StatusCode.OUT_OF_RANGE


class Unimplemented(AccreditError):
    """The server has no such method: it is older than this client."""

    code = grpc.StatusCode.UNIMPLEMENTED


class Unavailable(AccreditError):
    """No answer, now. Calls that may be repeated have been, until their deadline."""

    code = grpc.StatusCode.UNAVAILABLE


class DeadlineExceeded(AccreditError):
    """No answer in time. Whether the call had its effect is not known."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class Cancelled(AccreditError):
    """Given up by the caller, or the client was closed under it."""

    code = grpc.StatusCode.CANCELLED


class Internal(AccreditError):
    """A bug of the server; its log has it under `request_id`."""

    code = grpc.StatusCode.INTERNAL


class DataLoss(AccreditError):
    """The server lost data."""

    code = grpc.StatusCode.DATA_LOSS


class Unknown(AccreditError):
    """None of the others, for instance from a proxy in between."""

    code = grpc.StatusCode.UNKNOWN


_BY_CODE: Mapping[grpc.StatusCode, type[AccreditError]] = {
    kind.code: kind for kind in AccreditError.__subclasses__()
}


def from_rpc_error(error: grpc.RpcError) -> AccreditError:
    """The typed error that says the same. The caller raises it `from` the one given."""
    code = error.code()
    said = _Trailers(error)
    cause = said.first(error_details_pb2.ErrorInfo)
    if cause is None or cause.domain != DOMAIN:
        # Somebody else's reasons must not be mistaken for ours.
        cause = error_details_pb2.ErrorInfo()
    retry = said.first(error_details_pb2.RetryInfo)
    bad = said.first(error_details_pb2.BadRequest) or error_details_pb2.BadRequest()
    return _BY_CODE[code](
        redact(error.details() or code.value[1]),
        reason=cause.reason,
        fields=(FieldViolation(at.field, redact(at.description)) for at in bad.field_violations),
        metadata={key: redact(value) for key, value in cause.metadata.items()},
        retry_after=retry and retry.retry_delay.ToNanoseconds() / 1e9,
        request_id=said.request_id,
    )


def redact(text: str) -> str:
    """The text without anything that looks like a bearer token."""
    return _SECRET.sub("[redacted]", text)


class _Trailers:
    """What came with a failed call besides code and message; empty if it cannot be read."""

    def __init__(self, error: grpc.RpcError) -> None:
        # Not grpcio-status: it raises where the trailer and the status disagree, and a
        # proxy that rewrote one of them must not turn one error into another.
        self._status = status_pb2.Status()
        self.request_id = ""
        trailers: Iterable[tuple[str, Any]] = error.trailing_metadata() or ()  # type: ignore[assignment]
        for key, value in trailers:
            if key == REQUEST_ID_KEY:
                self.request_id = str(value)
            elif key == DETAILS_KEY:
                with suppress(DecodeError):
                    self._status.ParseFromString(value)

    def first(self, kind: type[_Detail]) -> _Detail | None:
        """The first detail of a kind."""
        for detail in self._status.details:
            found = kind()
            with suppress(DecodeError):
                if detail.Unpack(found):
                    return found
        return None
