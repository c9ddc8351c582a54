"""How every change is made: judge the caller on the rows, decide, write, log, in one transaction.

A mutation decides on the rows that it holds and not on what was read before it: the caller's
token, user and agent are read again and kept from changing, so that a token which was revoked
before the commit mints nothing after it.
"""

import enum
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeVar

from accredit_storage.records import Actor, ChangeKind, Draft, Head, Subject
from accredit_storage.requests import RequestKey
from accredit_storage.store import WriteTransaction

from ..errors import Aborted, Reason, invalid
from ..policy.methods import METHODS, Method
from ..policy.rights import Principal
from ..policy.subjects import logged
from .app import App
from .callers import accept, permit
from .retries import until_it_wins

T = TypeVar("T")
V_co = TypeVar("V_co", covariant=True)

#: Held by every mutation, see RightsLock.
RIGHTS = "rights"


class RightsLock(enum.Enum):
    """How a mutation locks the rights of everybody."""

    #: Together with its like: it takes nothing away that any credential rests on.
    SHARED = "shared"
    #: Alone: it may take a right away.
    EXCLUSIVE = "exclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class MutatingCall:
    """One mutating call. ``encode`` makes of its value the reply that a replay is answered with."""

    method: str
    token_id: str
    encode: Callable[[Any], bytes]
    request_id: str = ""
    body_digest: bytes = b""
    validate_only: bool = False

    @property
    def permission(self) -> Method:
        """What the call demands."""
        return METHODS[self.method]

    @property
    def key(self) -> RequestKey:
        """Under what its reply is kept, if it has a request id."""
        return RequestKey(caller=self.token_id, method=self.method, request_id=self.request_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect(Generic[V_co]):
    """What a decision came to. ``kind`` None: nothing changed. ``shown``: whose secret it made."""

    value: V_co
    kind: ChangeKind | None = None
    subjects: tuple[Subject, ...] = ()
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    shown: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written(Generic[T]):
    """The value of a mutation and the state after it. ``head`` None: it was validated only."""

    value: T
    head: Head | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """The reply that an earlier call under the same request id was given."""

    reply: bytes
    head: Head


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """What a decision has at hand: the transaction, the caller as of now, and the moment."""

    app: App
    tx: WriteTransaction
    caller: Principal
    call: MutatingCall
    now: datetime


class _ValidatedError(Exception):
    """Undoes the transaction of a call that was to be validated only."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


def mutate(
    app: App,
    call: MutatingCall,
    perform: Callable[[Mutation], Effect[T]],
    *,
    lock: RightsLock = RightsLock.EXCLUSIVE,
) -> Written[T] | Replayed:
    """Make one change. ``perform`` may run several times and touches nothing but its transaction.

    It runs alone, unless it shares the lock on rights with its like, who take nothing away that any
    credential rests on. So no caller loses a right between the judgement and the commit, and
    whoever ends all of somebody's tokens sees every one there is. The lock is taken before any row
    is locked, first come, first served: sharing locks on the caller's rows would let a flood of
    calls by one token keep its own revocation waiting for as long as it lasts.

    Raises Unauthenticated or PermissionDenied for the caller, whatever ``perform`` refuses with,
    InvalidArgument for a request id that was used for something else, and Aborted when other
    writers kept winning.
    """
    call = replace(call, request_id=canonical(call.request_id))
    try:
        return until_it_wins(lambda: _attempt(app, call, perform, lock))
    except _ValidatedError as validated:
        return Written(value=validated.value, head=None)


def check_etag(given: str, current: str) -> None:
    """Raise Aborted unless the given etag is empty or the current one ("" where nothing is)."""
    if given and given != current:
        parts: dict[str, Any] = {"etag": current} if current else {}
        raise Aborted(
            Reason.ETAG_MISMATCH, "it has changed since you read it: read it again", **parts
        )


def etag(version: int, since: datetime | None = None) -> str:
    """The etag of a version: a quoted text.

    ``since`` is when the thing was made, for what can be removed and made again under the same key:
    the new one is never taken for the old.
    """
    if since is None:
        return f'"{version}"'
    return f'"{version}-{round(since.timestamp() * 1_000_000):x}"'


def _attempt(
    app: App,
    call: MutatingCall,
    perform: Callable[[Mutation], Effect[T]],
    lock: RightsLock,
) -> Written[T] | Replayed:
    with app.store.write() as tx:
        if lock is RightsLock.SHARED:
            tx.shared(RIGHTS)
        else:
            tx.exclusive(RIGHTS)
        now = app.now()
        caller = accept(app, tx.credentials.find(call.token_id))
        permit(caller, call.permission)
        repeatable = bool(call.request_id) and not call.validate_only
        if repeatable:
            replayed = claim(tx, call, now)
            if replayed is not None:
                return replayed
        effect = perform(Mutation(app=app, tx=tx, caller=caller, call=call, now=now))
        if call.validate_only:
            raise _ValidatedError(effect.value)
        return Written(value=effect.value, head=conclude(tx, call, caller, effect, now))


def claim(tx: WriteTransaction, call: MutatingCall, now: datetime) -> Replayed | None:
    """Claim the call's request id: None where this call is the first, else what that one led to.

    Raises InvalidArgument where it was another request, Aborted where the reply cannot be repeated.
    """
    # Under the token and not its user: another token of theirs may be good for less.
    earlier = tx.requests.claim(call.key, call.body_digest, now)
    if earlier is None:
        return None
    if earlier.body_digest != call.body_digest:
        raise invalid(
            "request_id",
            "a new UUID for each new request: this one was used for another",
            Reason.REQUEST_ID_REUSED,
        )
    if not earlier.finished:
        raise Aborted(
            Reason.REQUEST_IN_DOUBT,
            "an earlier attempt of this request is under way or was broken off: look whether it "
            "was carried out before you send it under a new request_id",
        )
    return _replay(tx, earlier.result)


def conclude(
    tx: WriteTransaction, call: MutatingCall, caller: Principal, effect: Effect[T], now: datetime
) -> Head:
    """Log what was done and keep the reply under the request id: the state that this makes."""
    record(tx, effect, now, actor=_actor(caller), request_id=call.request_id)
    head = tx.head()
    if call.request_id:
        result = _result(call, effect)
        tx.requests.finish(call.key, result, head.revision)
    return head


def record(
    tx: WriteTransaction,
    effect: Effect[Any],
    now: datetime,
    *,
    actor: Actor = Actor(),  # noqa: B008 - it is a value
    request_id: str = "",
) -> None:
    """Log what was done, if something was: by the server itself where no ``actor`` is given."""
    if effect.kind is not None:
        tx.record(
            Draft(
                kind=effect.kind,
                actor=actor,
                request_id=request_id,
                subjects=logged(effect.subjects),
                before=effect.before,
                after=effect.after,
                at=now,
            )
        )


def keep_reply(tx: WriteTransaction, call: MutatingCall, value: Any, head: Head | None) -> None:
    """Keep another reply under the request id, of a call that did more after its commit."""
    if call.request_id and head is not None:
        result = {"reply": call.encode(value).hex()}
        key = replace(call, request_id=canonical(call.request_id)).key
        tx.requests.finish(key, result, head.revision)


def canonical(request_id: str) -> str:
    """The one spelling of a UUID, or an empty text for none."""
    if not request_id:
        return ""
    try:
        canonical = str(uuid.UUID(request_id))
    except ValueError:
        canonical = ""
    if canonical != request_id.lower():
        raise invalid("request_id", "a UUID such as 123e4567-e89b-12d3-a456-426614174000")
    return canonical


def _result(call: MutatingCall, effect: Effect[Any]) -> Mapping[str, Any]:
    if effect.shown:
        return {"token_id": effect.shown}
    return {"reply": call.encode(effect.value).hex()}


def _replay(tx: WriteTransaction, result: Mapping[str, Any]) -> Replayed:
    if "token_id" in result:
        raise Aborted(
            Reason.SECRET_ALREADY_SHOWN,
            "this request was carried out before and its secret shown then: "
            "revoke the token and make another",
            token_id=result["token_id"],
        )
    return Replayed(reply=bytes.fromhex(result["reply"]), head=tx.head())


def _actor(caller: Principal) -> Actor:
    return Actor(
        user_id=caller.user.user_id,
        agent_id=None if caller.agent is None else caller.agent.agent_id,
        token_id=None if caller.token is None else caller.token.token_id,
    )
