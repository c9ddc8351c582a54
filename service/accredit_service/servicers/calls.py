"""What every call has in common: whose it is, what repeats it, where its page goes on."""

import hashlib
from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.message import Message

from accredit.v1 import types_pb2

from ..abilities.calls import mutations
from ..abilities.calls.consistency import Basis, Consistency, token_of
from ..abilities.calls.mutations import Replayed, Written
from ..abilities.calls.paging import PageRequest
from ..abilities.calls.reads import Ask
from ..interceptors.calls import Call
from . import fields, messages

T = TypeVar("T")
R = TypeVar("R", bound=Message)
Q = TypeVar("Q", bound=Message)

_ANY = Consistency()


def ask(incoming: Call, consistency: types_pb2.Consistency | None = None) -> Ask:
    """This call as a question of its caller's."""
    token = incoming.caller.token
    fresh = _ANY if consistency is None else fields.consistency(consistency)
    incoming.is_repeatable = fresh == _ANY
    return Ask(
        method=incoming.method,
        token_id="" if token is None else token.token_id,
        digest=incoming.digest,
        consistency=fresh,
    )


def based(incoming: Call, basis: Basis) -> types_pb2.Basis:
    """The basis of the answer, which then may be given again where the same is asked."""
    incoming.basis = basis
    return messages.basis(basis)


def page_of(incoming: Call, request: Message) -> PageRequest:
    """What the page fields of a list request ask for."""
    asked: Any = request
    return PageRequest(
        method=incoming.method,
        size=getattr(request, "page_size", 0),
        token=asked.page_token,
        filters=_without(request, "page_size", "page_token", "consistency"),
    )


def mutation(
    incoming: Call,
    request: Message,
    reply: type[R],
    ability: Callable[[mutations.MutatingCall], Written[T] | Replayed],
    pack: Callable[[T], R],
) -> R:
    """Carry out a mutating ability, or repeat the reply that its request_id was given before."""
    asked: Any = request
    token = incoming.caller.token
    call = mutations.MutatingCall(
        method=incoming.method,
        token_id="" if token is None else token.token_id,
        encode=lambda value: pack(value).SerializeToString(),
        request_id=asked.request_id,
        body_digest=hashlib.sha256(_without(request, "request_id")).digest(),
        validate_only=getattr(request, "validate_only", False),
    )
    outcome = ability(call)
    if isinstance(outcome, Replayed):
        answer = reply.FromString(outcome.reply)
    else:
        answer = pack(outcome.value)
    if outcome.head is not None:
        answer.consistency_token = token_of(outcome.head)  # type: ignore[attr-defined]
    return answer


def _without(request: Q, *fields: str) -> bytes:
    rest = type(request)()
    rest.CopyFrom(request)
    for field in fields:
        if field in request.DESCRIPTOR.fields_by_name:
            rest.ClearField(field)
    return rest.SerializeToString(deterministic=True)
