"""What is known of each call afterwards: one log line, under an id that the caller has too."""

import logging
import re
import secrets
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count

import grpc

from .. import logs
from ..abilities.errors import Refusal
from .calls import REQUEST_ID, Call, Step
from .errors import abort

log = logging.getLogger(__name__)

# Nothing that a log, a shell or a web page could take for anything but text.
_SANE = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}")

# An id has a part that no other process has, and a number.
_PROCESS = secrets.token_hex(8)
_numbers = count()

_LEVELS = {
    grpc.StatusCode.INTERNAL: logging.ERROR,
    grpc.StatusCode.UNKNOWN: logging.ERROR,
    grpc.StatusCode.DATA_LOSS: logging.ERROR,
    grpc.StatusCode.UNAVAILABLE: logging.WARNING,
    grpc.StatusCode.RESOURCE_EXHAUSTED: logging.WARNING,
}


def logs_successes() -> bool:
    """Whether there is a line for a call that went well."""
    return log.isEnabledFor(logging.INFO)


def log_calls(clock: Callable[[], float] = time.monotonic) -> Step:
    """The outermost step: names the call and logs how it ended. Never what it was asked or told."""

    def step(call: Call) -> None:
        begun = clock()
        name_call(call)
        call.at_end(partial(end, call, begun))

    def end(call: Call, begun: float) -> None:
        # How a call without a failure has ended costs a look at gRPC, which only the log needs.
        if call.code is not None or logs_successes():
            _log(call, _code(call, clock), clock() - begun)

    return step


def refuse(clock: Callable[[], float] = time.monotonic) -> Callable[[Call, Refusal], None]:
    """What ends a call that no step needs to look at, and logs it."""

    def end(call: Call, refusal: Refusal) -> None:
        begun = clock()
        name_call(call)
        try:
            abort(call, refusal)
        finally:
            _log(call, _code(call, clock), clock() - begun)

    return end


def name_call(call: Call) -> None:
    """Give the call its id, which its answer has as well."""
    call.request_id = request_id(call.headers.request_ids)
    call.context.set_trailing_metadata(((REQUEST_ID, call.request_id),))


def request_id(given: Sequence[str]) -> str:
    """The caller's own id for the call if it is one and sane, else a new one."""
    if len(given) == 1 and _SANE.fullmatch(given[0]):
        return given[0]
    return f"{_PROCESS}{next(_numbers):016x}"


def _code(call: Call, clock: Callable[[], float]) -> grpc.StatusCode:
    if call.code is not None:
        return call.code
    if not call.context.is_active():
        late = clock() >= call.deadline
        return grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED
    return call.sent_code() or grpc.StatusCode.OK


def _log(call: Call, code: grpc.StatusCode, seconds: float) -> None:
    level = _LEVELS.get(code, logging.INFO)
    if not log.isEnabledFor(level):
        return
    principal = call.principal
    log.log(
        level,
        "call",
        exc_info=call.failure,
        extra=logs.fields(
            method=call.method,
            code=code.name,
            reason=call.reason or None,
            duration_ms=round(seconds * 1000, 3),
            request_id=call.request_id,
            user_id=principal and principal.user.user_id,
            agent_id=principal and principal.agent and principal.agent.agent_id,
            token_id=principal and principal.token and principal.token.token_id,
            peer=call.peer,
        ),
    )
