"""How every question is answered: judge the caller in the snapshot that the answer comes from.

A request may reach the server long after its caller was identified. So the credential is read
again here, and a caller who has lost it meanwhile gets no answer at all.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from accredit_storage.records import Head
from accredit_storage.store import Transaction

from ..policy.methods import METHODS
from ..policy.rights import Principal
from .app import App
from .callers import accept, permit
from .consistency import Consistency, require


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One reading call: which, with whose token, and how fresh its answer must be."""

    method: str
    token_id: str
    consistency: Consistency


class View(NamedTuple):
    """What an answer is made from: a snapshot, the caller in it, the moment, the log's head."""

    tx: Transaction
    caller: Principal
    now: datetime
    head: Head


@contextmanager
def reading(app: App, ask: Ask) -> Generator[View]:
    """A snapshot as fresh as asked, for a caller who may ask.

    Raises Unauthenticated or PermissionDenied for the caller, InvalidArgument for a consistency
    token of another store or another history.
    """
    with app.store.read() as tx:
        head = tx.head()
        app.notice(head)
        caller = accept(app, tx.credentials.find(ask.token_id))
        permit(caller, METHODS[ask.method])
        require(tx, ask.consistency, head)
        yield View(tx, caller, app.now(), head)
