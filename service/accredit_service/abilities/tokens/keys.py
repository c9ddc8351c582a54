"""The keys under which tokens are minted, as operators rotate and retire them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from accredit_storage.records import ChangeKind, TokenKey
from accredit_storage.store import Transaction, WriteTransaction

from ..calls.mutations import (
    RIGHTS,
    Effect,
    record,
)
from ..credentials import bearer
from ..errors import invalid
from ..policy.subjects import STORE

#: How old a key is before it mints. Every server has read it by then: they do each half second.
MINTS_AFTER = timedelta(seconds=60)
#: How many keys a store may have at a time.
MAX_KEYS = 16


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key without its secret, whether it mints now, and how many live tokens it has minted."""

    key_id: str
    created_at: datetime
    mints: bool
    live_tokens: int


@dataclass(frozen=True, slots=True)
class Retired:
    """A key that is gone, and how many tokens ended with it."""

    key_id: str
    tokens_revoked: int


def minting_key(keys: Sequence[TokenKey], now: datetime) -> TokenKey:
    """The newest key that every server knows by now, the oldest where none is that old."""
    in_order = sorted(keys, key=lambda key: (key.created_at, key.key_id))
    known = [key for key in in_order if now - key.created_at >= MINTS_AFTER]
    return known[-1] if known else in_order[0]


def list_keys(tx: Transaction, now: datetime) -> Sequence[KeyState]:
    """The store's keys, oldest first."""
    keys = tx.token_keys()
    minting = minting_key(keys, now)
    live = tx.tokens.live_by_key(now)
    return [
        KeyState(key.key_id, key.created_at, key == minting, live.get(key.key_id, 0))
        for key in sorted(keys, key=lambda key: key.created_at)
    ]


def rotate(tx: WriteTransaction, now: datetime) -> TokenKey:
    """Add a key, which mints once it is MINTS_AFTER old. The others go on proving their tokens.

    Raises InvalidArgument where there are MAX_KEYS already.
    """
    tx.exclusive(RIGHTS)
    keys = tx.token_keys()
    if len(keys) >= MAX_KEYS:
        raise invalid("keys", "there are {limit} already: retire one first", limit=MAX_KEYS)
    key = bearer.new_key({key.key_id for key in keys}, now)
    tx.set_token_keys((*keys, key))
    _record(tx, ChangeKind.TOKEN_KEY_ROTATED, key.key_id, now)
    return key


def retire(tx: WriteTransaction, key_id: str, now: datetime) -> Retired:
    """Drop a key and end what it has minted, in one transaction: at once on every server.

    Raises InvalidArgument for an unknown key, and for the one that mints.
    """
    # Whoever mints shares this lock, so that no token of the key is still to come.
    tx.exclusive(RIGHTS)
    keys = tx.token_keys()
    if key_id not in {key.key_id for key in keys}:
        raise invalid("key_id", "the id of a key that there is; `token-keys list` shows them")
    if minting_key(keys, now).key_id == key_id:
        raise invalid("key_id", "not the key that mints: rotate first, and wait a minute")
    tx.set_token_keys(tuple(key for key in keys if key.key_id != key_id))
    revoked = tx.tokens.revoke_minted_under(key_id, now)
    _record(tx, ChangeKind.TOKEN_KEY_RETIRED, key_id, now, tokens_revoked=revoked)
    return Retired(key_id, revoked)


def _record(
    tx: WriteTransaction, kind: ChangeKind, key_id: str, now: datetime, **more: int
) -> None:
    # More tokens may end than a change can list.
    subjects = (STORE,) if more else ()
    after = {"key_id": key_id, **more}
    record(tx, Effect(value=None, kind=kind, subjects=subjects, after=after), now)
