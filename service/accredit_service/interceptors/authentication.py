"""Who is calling: believes or refuses the caller's own bearer token."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from ..abilities import bearer
from ..abilities.errors import Reason, Refusal, ResourceExhausted, Unauthenticated
from ..abilities.rights import Principal
from .calls import Call, Step
from .guard import Guard, Network, source_of

#: As the contract says of tokens in requests; ours are much shorter.
LONGEST_CREDENTIAL = 4096

# Seconds, at most, to wait for other look-ups to end before a caller is told to come back later.
_PATIENCE = 1.0

_HOW = "send the metadata `authorization: Bearer <token>`"
_MISSING = f"the call carries no credential: {_HOW}"


def authenticate(
    identify: Callable[[str], Principal],
    guard: Guard,
    *,
    is_open: Callable[[str], bool] = lambda method: False,
    trusted_proxies: Sequence[Network] = (),
) -> Step:
    """A step that finds out the caller, except of methods that are open to everybody.

    Raises Unauthenticated or PermissionDenied for the caller's own credential, ResourceExhausted
    where too many wrong ones came from the same source or for the same token.
    """

    @contextmanager
    def step(call: Call) -> Generator[None]:
        if not is_open(call.method):
            text = credential(call.metadata("authorization"))
            call.principal = _identified(call, text)
        yield

    def _identified(call: Call, text: str) -> Principal:
        token_id = bearer.parse(text)
        if token_id is None:
            raise _malformed("its checksum is wrong: it was cut short, mistyped or is not ours")
        source = source_of(call.peer, call.metadata("x-forwarded-for"), trusted_proxies)
        attempt = guard.admit(source, token_id, bearer.digest(text), patience=_PATIENCE)
        if isinstance(attempt, timedelta):
            raise ResourceExhausted(
                Reason.RATE_LIMITED,
                "too many wrong credentials from this address or for this token: wait",
                retry_after=attempt,
            )
        try:
            principal = identify(text)
        except Refusal as refusal:
            if refusal.reason is Reason.TOKEN_INVALID:
                attempt.failed()
            else:
                attempt.pardon()
            raise
        except BaseException:
            attempt.pardon()
            raise
        attempt.worked()
        return principal

    return step


def credential(headers: Sequence[str]) -> str:
    """The bearer token in the values of `authorization`, not looked up. Raises Unauthenticated."""
    if not headers or not any(headers):
        raise Unauthenticated(Reason.TOKEN_MISSING, _MISSING)
    if len(headers) > 1:
        raise _malformed("there are several")
    scheme, _, text = headers[0].partition(" ")
    if scheme.lower() != "bearer":
        raise _malformed("its scheme is not Bearer")
    if not text or len(text) > LONGEST_CREDENTIAL:
        raise _malformed("a token has 1 to {limit} characters", limit=LONGEST_CREDENTIAL)
    # Nothing is stripped: one token has one spelling.
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise _malformed("a token has neither spaces nor characters outside of ASCII")
    return text


def _malformed(why: str, **parts: Any) -> Unauthenticated:
    said = f"the credential is malformed, {why}: {_HOW}"
    return Unauthenticated(Reason.TOKEN_MALFORMED, said, **parts)
