"""What a guard asks Accredit about a call, and what it makes of the answer.

Only one answer lets a call through: an outcome that is a principal. Everything else, down
to an outcome that this version does not know, is a Refusal.
"""

import logging
from collections.abc import Iterable
from typing import Any, TypeAlias, overload

import grpc
from google.rpc import error_details_pb2, status_pb2

from accredit._caller import Caller
from accredit._errors import (
    DETAILS_KEY,
    DOMAIN,
    Aborted,
    Cancelled,
    DeadlineExceeded,
    InvalidArgument,
    ResourceExhausted,
    Unavailable,
    redact,
)
from accredit._options import TOKEN_HEADER
from accredit._rules import AgentRule, Named, Rule, authenticated
from accredit.v1 import auth_pb2, types_pb2

log = logging.getLogger("accredit.guard")

Question: TypeAlias = auth_pb2.AuthenticateRequest | auth_pb2.AuthorizeRequest
Answer: TypeAlias = auth_pb2.AuthenticateResponse | auth_pb2.AuthorizeResponse

MAX_TOKEN = 4096
"""How many characters a token has at most; a longer one is not even asked about."""

_UNAUTHENTICATED = frozenset(
    {
        types_pb2.DECISION_TOKEN_INVALID,
        types_pb2.DECISION_USER_INACTIVE,
        types_pb2.DECISION_MINTER_WITHOUT_RIGHTS,
    }
)
"""Decisions against the token as such. All others are against what it was used for."""

_DENIALS = frozenset(types_pb2.Decision.values()) - {
    types_pb2.DECISION_UNSPECIFIED,
    types_pb2.DECISION_ALLOWED,
}

_PASSING = (Unavailable, DeadlineExceeded, ResourceExhausted, Aborted, Cancelled)


class Refusal(Exception):
    """The call must not go through. Becomes its status, with an ErrorInfo of our domain.

    Reasons are those of `accredit.v1.ErrorReason` and `accredit.v1.Decision`, and four of
    the guard's own: METHOD_CLOSED, AGENT_NOT_NAMED, AGENT_CHANGED, ACCREDIT_UNAVAILABLE.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        message: str,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message

    def trailers(self) -> tuple[tuple[str, bytes], ...]:
        """The details as gRPC sends them."""
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        status.details.add().Pack(error_details_pb2.ErrorInfo(reason=self.reason, domain=DOMAIN))
        return ((DETAILS_KEY, status.SerializeToString()),)


def bearer(method: str, rule: Rule, metadata: Iterable[tuple[str, str | bytes]] | None) -> str:
    """The caller's token. Raises Refusal if there is none, or no use in having one."""
    if rule != authenticated and not isinstance(rule, AgentRule):
        raise Refusal(
            grpc.StatusCode.PERMISSION_DENIED,
            "METHOD_CLOSED",
            f"nobody has decided who may call {method}",
        )
    headers = [value for key, value in metadata or () if key == TOKEN_HEADER]
    if not headers:
        raise Refusal(
            grpc.StatusCode.UNAUTHENTICATED,
            "TOKEN_MISSING",
            'send a token of Accredit as the metadata "authorization: Bearer …"',
        )
    scheme, _, token = str(headers[0]).partition(" ")
    token = token.strip()
    if len(headers) > 1 or scheme.lower() != "bearer" or not 0 < len(token) <= MAX_TOKEN:
        raise Refusal(
            grpc.StatusCode.UNAUTHENTICATED,
            "TOKEN_MALFORMED",
            'the metadata is not one "authorization: Bearer …" with a token of Accredit',
        )
    return token


@overload
def named_by(rule: AgentRule, request: Any) -> Named: ...
@overload
def named_by(rule: Rule, request: Any) -> Named | None: ...
def named_by(rule: Rule, request: Any) -> Named | None:
    """What the request names, if the rule looks at that. Raises Refusal if it names nothing."""
    if not isinstance(rule, AgentRule):
        return None
    try:
        named = rule.named(request)
    except ValueError as error:
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "AGENT_NOT_NAMED", str(error)) from error
    if named.agent is None:
        raise agent_not_named()
    return named


def keeps_to(rule: AgentRule, named: Named, request: Any) -> bool:
    """Whether a later request of a stream names no other agent or site."""
    try:
        later = rule.named(request)
    except ValueError:
        return False
    return later.agent in (None, named.agent) and later.site_id in (0, named.site_id)


def patience(most: float, remaining: float | None) -> float:
    """Seconds to wait for an answer: our own bound, or what is left of the caller's time."""
    if remaining is None:
        return most
    if remaining <= 0:
        raise _unavailable()
    return min(most, remaining)


def question(rule: Rule, token: str, named: Named | None) -> Question:
    """What has to be asked before a call under this rule."""
    if not isinstance(rule, AgentRule):
        return auth_pb2.AuthenticateRequest(token=token)
    if named is None:
        raise agent_not_named()
    return auth_pb2.AuthorizeRequest(token=token, demand=rule.demand(named))


def judge(answer: Answer, token: str) -> Caller:
    """Who calls. Raises Refusal unless the answer is a principal."""
    outcome = answer.WhichOneof("outcome")
    if outcome == "denial":
        raise _denied(answer.denial)
    if outcome != "principal":
        raise _not_understood()
    if isinstance(answer, auth_pb2.AuthenticateResponse):
        return Caller(principal=answer.principal, token=token)
    return Caller(
        principal=answer.principal,
        agent_id=answer.agent_id,
        agent_slug=answer.agent_slug,
        role=answer.role,
        token=token,
    )


def _denied(denial: types_pb2.Denial) -> Refusal:
    if denial.reason not in _DENIALS:
        return _not_understood()
    reason = types_pb2.Decision.Name(denial.reason).removeprefix("DECISION_")
    return Refusal(
        grpc.StatusCode.UNAUTHENTICATED
        if denial.reason in _UNAUTHENTICATED
        else grpc.StatusCode.PERMISSION_DENIED,
        reason,
        redact(denial.message) or "Accredit does not allow this call",
    )


def _not_understood() -> Refusal:
    return Refusal(
        grpc.StatusCode.PERMISSION_DENIED,
        "UNSPECIFIED",
        "Accredit's answer is of a kind that this service does not know",
    )


def refusal_for(method: str, error: Exception) -> Refusal:
    """What the caller is told when this kept the call from going through.

    What is not their doing is told to the log.
    """
    if isinstance(error, Refusal):
        return error
    if isinstance(error, InvalidArgument):
        # The demand is made of the request: an agent or a site that cannot be one. The
        # field's path is one of our question, which the caller has not seen.
        rule = error.fields[0].description if error.fields else error.message
        return Refusal(error.code, error.reason, f"the agent or site named: {rule}")
    if isinstance(error, _PASSING):
        log.warning("accredit did not answer", exc_info=error, extra={"method": method})
        return _unavailable()
    # A mistake in a rule, or in the service's own token. No business of the caller's, and
    # an UNAUTHENTICATED would have them doubt theirs.
    log.error("a call could not be judged", exc_info=error, extra={"method": method})
    return Refusal(grpc.StatusCode.INTERNAL, "INTERNAL", "internal error")


def _unavailable() -> Refusal:
    return Refusal(
        grpc.StatusCode.UNAVAILABLE,
        "ACCREDIT_UNAVAILABLE",
        "who calls cannot be checked at the moment; try again",
    )


def agent_not_named() -> Refusal:
    """The rule needs an agent and the request has none."""
    return Refusal(
        grpc.StatusCode.INVALID_ARGUMENT, "AGENT_NOT_NAMED", "the request names no agent"
    )


def agent_changed() -> Refusal:
    """A later request of a stream left the agent that was asked about."""
    return Refusal(
        grpc.StatusCode.PERMISSION_DENIED,
        "AGENT_CHANGED",
        "a stream is for one agent and site, in the words of its first message",
    )
