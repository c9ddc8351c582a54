"""Who is calling: believes or refuses the caller's own bearer token."""

from collections.abc import Callable, Sequence
from typing import Any

from ..abilities.errors import Reason, Unauthenticated
from ..abilities.policy.rights import Principal
from .calls import AUTHORIZATION, Call, Headers, Screen, Step

#: As the contract says of tokens in requests; ours are much shorter.
LONGEST_CREDENTIAL = 4096

_HOW = f"send the metadata `{AUTHORIZATION}: Bearer <token>`"
_MISSING = f"the call carries no credential: {_HOW}"


def authenticate(
    identify: Callable[[str, str], tuple[Principal, bytes]],
    *,
    remembered: Callable[[bytes, str], Principal | None] = lambda digest, method: None,
    is_open: Callable[[str], bool] = lambda method: False,
) -> Step:
    """A step that finds out the caller, except of methods that are open to everybody.

    ``identify`` says whose text it is that calls a method, and its digest. ``remembered`` says
    whose digest it is, if that is known without asking and they may call the method.

    Raises Unauthenticated or PermissionDenied for the caller's own credential.
    """

    def step(call: Call) -> None:
        if is_open(call.method):
            return
        if call.digest:
            call.principal = remembered(call.digest, call.method)
            call.is_permitted = call.principal is not None
        if call.principal is None:
            text = credential(call.headers.credentials)
            call.principal, call.digest = identify(text, call.method)

    return step


def screen(look: Callable[[str], bytes | None]) -> Screen:
    """A look at a call's metadata, before the call gets a thread: its refusal if that is certain.

    ``look`` says what the text is known by, or raises Unauthenticated. It runs on gRPC's one
    polling thread and may not wait.
    """

    def examine(headers: Headers) -> Unauthenticated | bytes | None:
        try:
            return look(credential(headers.credentials))
        except Unauthenticated as refusal:
            return refusal

    return examine


def credential(values: Sequence[str]) -> str:
    """The bearer token in the values of `authorization`, not looked up. Raises Unauthenticated."""
    if not values or not any(values):
        raise Unauthenticated(Reason.TOKEN_MISSING, _MISSING)
    if len(values) > 1:
        raise _malformed("there are several")
    scheme, _, text = values[0].partition(" ")
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
