"""How every question is answered: the caller is judged at the moment that the answer is of.

A request may reach the server long after its caller was identified. So the credential is judged
again here, and a caller who has lost it meanwhile gets no answer at all.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeVar

from accredit_storage.records import Head
from accredit_storage.store import Transaction

from ...authority import MovedError
from ..errors import Refusal
from ..facts import Facts, TransactionFacts
from ..policy.methods import METHODS
from ..policy.rights import Principal
from .app import App
from .callers import accept, accept_judged, permit
from .consistency import Basis, Consistency, current, require

T = TypeVar("T")

#: How often an answer is composed from memory while the log moves on, before the database is asked.
_TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One reading call: which, with whose token, and how fresh its answer must be."""

    method: str
    token_id: str
    digest: bytes
    consistency: Consistency


class View(NamedTuple):
    """What an answer is made from: a snapshot, the caller in it, the moment, the log's head."""

    tx: Transaction
    caller: Principal
    now: datetime
    head: Head


class Question(NamedTuple):
    """What an answer is made from that may come from memory: the records, and as in View."""

    facts: Facts
    caller: Principal
    now: datetime
    head: Head


def basis_of(question: Question | View) -> Basis:
    """What every answer to it rests on: its moment, and that the caller may ask."""
    caller = question.caller
    basis = Basis(head=question.head, judged_at=question.now)
    return basis.asked_with(caller.rests_on, caller.valid_until)


@contextmanager
def reading(app: App, ask: Ask) -> Generator[View]:
    """A snapshot as fresh as asked, for a caller who may ask.

    Raises Unauthenticated or PermissionDenied for the caller, InvalidArgument for a consistency
    token of another store or another history.
    """
    with app.store.read() as tx:
        head = tx.head()
        app.notice(head)
        caller = _remembered(app, ask, head) or accept(app, tx.credentials.find(ask.token_id))
        permit(caller, METHODS[ask.method])
        require(tx, ask.consistency, head)
        yield View(tx, caller, app.now(), head)


def answered(app: App, ask: Ask, compose: Callable[[Question], T]) -> T:
    """What ``compose`` makes of the records in memory, all of one position, else of a snapshot.

    It may be called several times, until the log stands still for as long as it takes. Raises as
    ``reading`` does, and what ``compose`` refuses with.
    """
    memory = app.memory
    for _ in range(_TRIES if memory.authority.is_on else 0):
        head = current(memory.feed, ask.consistency)
        if head is None:
            break
        try:
            now = app.now()
            caller = accept_judged(app, memory.authority.judged(ask.digest, now), now)
            permit(caller, METHODS[ask.method])
            answer = compose(Question(memory.authority, caller, now, head))
        except MovedError:
            if memory.feed.position is head:
                # It is not for the log that it is not held: there is no room, or too much of it.
                break
            continue
        except Refusal:
            if memory.feed.position is head:
                raise
            continue
        if memory.feed.position is head:
            return answer
    with reading(app, ask) as (tx, caller, now, head):
        return compose(Question(TransactionFacts(tx, app.dead_tokens), caller, now, head))


def _remembered(app: App, ask: Ask, head: Head) -> Principal | None:
    """The caller as memory has them, if it stands where the snapshot does."""
    memory = app.memory
    if memory.feed.position != head and not memory.feed.is_polled:
        # Nobody else would, and what is answered here may be kept at that position.
        memory.feed.current()
    if memory.feed.position != head:
        return None
    now = app.now()
    judged = memory.authority.held(ask.digest, now)
    # Looked at again: what is held may be of a later position than what was compared.
    if judged is None or memory.feed.position != head:
        return None
    return accept_judged(app, judged, now)
