"""How every change of a file is made: judge the caller, change the file, log it.

A file cannot be changed in a transaction, and no transaction may wait for a disk: whoever revokes a
token would wait with it. So the caller is judged in one, the file changed after it, and the change
logged in another. What was acknowledged is in the log; where a crash comes in between, a file has
changed that nobody was told of.

A request id is claimed with the judgement and kept with the log. One whose change was broken off in
between stays claimed: nobody knows whether it was carried out, and to do it again could append a
line twice.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple, TypeVar

from accredit_storage.errors import Conflict, StoreBusy, StoreError, WriteInDoubt
from accredit_storage.store import Transaction

from ..calls.app import App
from ..calls.callers import accept, permit
from ..calls.mutations import (
    Effect,
    MutatingCall,
    Replayed,
    Written,
    canonical,
    claim,
    conclude,
)
from ..calls.retries import until_it_wins
from ..errors import Aborted, Reason
from ..policy.rights import Principal
from .directories import Directory

T = TypeVar("T")

# Each may wait for a lock, five seconds at most.
_LOG_ATTEMPTS = 2

Judge = Callable[[Transaction, Principal, datetime], Directory]


class _Judged(NamedTuple):
    caller: Principal
    directory: Directory


def change_file(
    app: App, call: MutatingCall, judge: Judge, act: Callable[[Directory], Effect[T]]
) -> Written[T] | Replayed:
    """Make one change of a file. ``act`` runs once, outside of any transaction.

    Raises what ``judge`` and ``act`` do; for the caller and the request id, what ``mutate`` does.
    """
    call = replace(call, request_id=canonical(call.request_id))
    judged = _judge(app, call, judge)
    if isinstance(judged, Replayed):
        return judged
    try:
        effect = act(judged.directory)
    except WriteInDoubt:
        raise
    except BaseException:
        _release(app, call)
        raise
    return _log(app, call, judged.caller, effect)


def _judge(app: App, call: MutatingCall, judge: Judge) -> _Judged | Replayed:
    def attempt() -> _Judged | Replayed:
        if not call.request_id:
            with app.store.read() as tx:
                return _judged(app, call, judge, tx)
        with app.store.write() as claiming:
            # Before the claim, which tells what the caller has done before.
            judged = _judged(app, call, judge, claiming)
            return claim(claiming, call, app.now()) or judged

    return until_it_wins(attempt)


def _judged(app: App, call: MutatingCall, judge: Judge, tx: Transaction) -> _Judged:
    caller = accept(app, tx.credentials.find(call.token_id))
    permit(caller, call.permission)
    return _Judged(caller, judge(tx, caller, app.now()))


def _release(app: App, call: MutatingCall) -> None:
    """Let the request id be used again, since nothing was done under it."""
    if call.request_id:
        with suppress(StoreError), app.store.write() as tx:
            tx.requests.release(call.key)


def _log(app: App, call: MutatingCall, caller: Principal, effect: Effect[T]) -> Written[T]:
    """Log what was done. Whatever keeps it from that, the caller must not simply try again."""
    for _ in range(_LOG_ATTEMPTS):
        try:
            with app.store.write() as tx:
                head = conclude(tx, call, caller, effect, app.now())
            return Written(value=effect.value, head=head)
        except (Conflict, StoreBusy):
            continue
        except StoreError:
            break
    raise Aborted(
        Reason.REQUEST_IN_DOUBT,
        "the file may have been changed, but that could not be logged: look before you send it "
        "again",
    )
