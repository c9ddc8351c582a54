"""Pages: a size within bounds, and tokens that continue exactly the list that they came from.

A page token holds where the page before ended and a digest over the list's name, the caller and
every filter. It carries no authority: whoever presents it is judged like anybody.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from ..errors import Reason, invalid
from ..policy.rights import Principal
from . import opaque

T = TypeVar("T")

DEFAULT_SIZE = 50
MAX_SIZE = 500
_MAC_LENGTH = 16
# The longest has the path of a file in it, with each character escaped.
_MAX_TOKEN = 12_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """What a caller asked for. ``filters`` is the request without its page fields, canonical."""

    method: str
    size: int
    token: str
    filters: bytes


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items and where the next ones begin; an empty token ends the list.

    ``token_after`` makes the token of the page that begins after an item: a page ends before its
    last one where a reply would be too large.
    """

    items: Sequence[T]
    next_token: str
    token_after: Callable[[T], str]


class Cursor:
    """Where a reader stands in one list, for one caller and one set of filters."""

    def __init__(
        self, request: PageRequest, caller: Principal, epoch: str, *, about: int | None = None
    ) -> None:
        """Raise InvalidArgument for a negative size.

        ``about`` is the id of what is listed, where the filters may name it by a slug or a login:
        tomorrow that may be another's.
        """
        if request.size < 0:
            raise invalid("page_size", "0 for the default, or more")
        self.size = min(request.size or DEFAULT_SIZE, MAX_SIZE)
        agent_id = 0 if caller.agent is None else caller.agent.agent_id
        speaker = f"{caller.kind.value}:{caller.user.user_id}:{agent_id}"
        bound = [request.method, speaker, about, request.filters.hex()]
        self._bound = json.dumps(bound).encode()
        # Tokens of another store must not fit, so its epoch is the key. No caller learns it: what
        # a fitting token holds was put there by us.
        self._key = hashlib.sha256(epoch.encode()).digest()
        self._token = request.token

    def after(self, *shape: type) -> tuple[Any, ...] | None:
        """Where the page before ended, of these types; None for the first page.

        Raises InvalidArgument for a token that was altered or belongs to another list.
        """
        if not self._token:
            return None
        try:
            if len(self._token) > _MAX_TOKEN:
                raise ValueError
            raw = opaque.bytes_of(self._token)
            mac, payload = raw[:_MAC_LENGTH], raw[_MAC_LENGTH:]
            if not hmac.compare_digest(mac, self._mac(payload)):
                raise ValueError
            values = json.loads(payload)
            return tuple(_revive(kind, value) for kind, value in zip(shape, values, strict=True))
        except ValueError:
            raise invalid(
                "page_token",
                "the next_page_token of the same list with the same filters",
                Reason.PAGE_TOKEN_INVALID,
            ) from None

    def page(self, items: Sequence[T], key: Callable[[T], tuple[Any, ...]]) -> Page[T]:
        """The page from up to ``size + 1`` items; ``key`` says where an item stands."""

        def token_after(item: T) -> str:
            return self.continuing(key(item))

        if len(items) <= self.size:
            return Page(items, "", token_after)
        kept = items[: self.size]
        return Page(kept, token_after(kept[-1]), token_after)

    def continuing(self, key: tuple[Any, ...]) -> str:
        """The token of the page that begins after this key."""
        payload = json.dumps([_plain(value) for value in key]).encode()
        return opaque.text_of(self._mac(payload) + payload)

    def _mac(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, self._bound + b"\n" + payload, "sha256")[:_MAC_LENGTH]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _revive(kind: type, value: Any) -> Any:
    return datetime.fromisoformat(value).astimezone(UTC) if kind is datetime else kind(value)
