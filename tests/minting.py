"""Texts of tokens, as the store makes them and as anybody else might."""

from datetime import UTC, datetime

from accredit_service.abilities.credentials import bearer
from accredit_storage.records import TokenKey
from accredit_storage.store import Store

#: Nobody's key: what is minted under it has the right form and proves nothing.
FOREIGN_KEY = TokenKey(key_id="00", key=b"nobody's", created_at=datetime(2026, 1, 1, tzinfo=UTC))


def minted(store: Store) -> bearer.Minted:
    """A text of the store's own that stands for nothing: it is in no row."""
    with store.read() as tx:
        return bearer.mint(tx.token_keys()[0])


def foreign(key_id: str = FOREIGN_KEY.key_id) -> str:
    """A text of the right form that no store has minted, which names this key."""
    key = TokenKey(key_id=key_id, key=FOREIGN_KEY.key, created_at=FOREIGN_KEY.created_at)
    return bearer.mint(key).secret


def forged(text: str) -> str:
    """A text with the public id and the key's id of another, and with a tag that was made up."""
    made = foreign(key_of(text))
    return f"{text[:21]}{made[21:]}"


def key_of(text: str) -> str:
    """The id of the key that the text names."""
    key_id = bearer.parse_key_id(text)
    assert key_id is not None
    return key_id


def token_id_of(text: str) -> str:
    """The public id in the text."""
    return text.split("_")[1]
