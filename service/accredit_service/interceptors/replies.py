"""Repeated questions: the same bytes for as long as nothing has changed that they rest on."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from accredit.v1 import types_pb2
from accredit_storage.records import Head

from ..abilities.calls.app import App
from ..abilities.policy.rights import earliest
from ..kept_replies import Kept
from ..servicers import messages
from .calls import Call

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_OF_DAY = 86_400
_BYTES = 2


class Replies:
    """The kept replies, by the calls that they answer.

    A call is looked up when its limits were kept to. A reply rests on all by which its caller was
    accepted, and is kept under their credential, so whoever finds it would be accepted again.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._kept = app.memory.replies
        self._confirmed: tuple[Head | None, bytes] = (None, b"")
        self._second: tuple[int, bytes] = (-1, b"")

    def key(self, call: Call, request: bytes) -> bytes:
        """What a call's reply is kept under: who asked what, of which site. No text of a token."""
        sites = call.headers.sites
        # An empty one is not none: it is refused.
        about = "\0".join((call.method, *sites)) if sites else call.method
        return sha256(b"%b%d\0%b\0%b" % (call.digest, len(sites), about.encode(), request)).digest()

    def find(self, key: bytes) -> bytes | None:
        """The reply to the same question, as of now."""
        found = self._kept.find(key)
        if found is None:
            return None
        kept, head = found
        now = self._app.now()
        if now < kept.since or (kept.until is not None and now >= kept.until):
            return None
        for token_id in kept.token_ids:
            self._app.usage.note(token_id, now)
        # Behind a message, fields of the same message replace what it said before.
        basis = self._position(head) + self._judged_at(now)
        return b"%b%b%b%b" % (kept.reply, kept.tag, _varint(len(basis)), basis)

    def keep(self, key: bytes, call: Call, answer: Any, reply: bytes) -> None:
        """Keep a reply, if its basis lets it be."""
        basis = call.basis
        if basis is None or not basis.cacheable or not call.is_repeatable:
            return
        caller = call.caller
        own = "" if caller.token is None else caller.token.token_id
        kept = Kept(
            reply=reply,
            since=basis.judged_at,
            until=earliest((basis.valid_until, basis.asker_until)),
            token_ids=tuple({own, basis.used_token_id} - {""}),
            tag=_tag(answer.DESCRIPTOR.fields_by_name["basis"].number),
        )
        subjects = basis.subjects | basis.asker
        self._kept.keep(key, kept, subjects, basis.head, caller.user.user_id)

    def _position(self, head: Head) -> bytes:
        known, encoded = self._confirmed
        if known is not head:
            encoded = messages.confirmation(head).SerializeToString()
            self._confirmed = (head, encoded)
        return encoded

    def _judged_at(self, now: datetime) -> bytes:
        """The field of a Basis. By hand, since a zero has to replace what stood there before."""
        since = now - _UNIX_EPOCH
        second, encoded = self._second
        seconds = since.days * _SECONDS_OF_DAY + since.seconds
        if second != seconds:
            encoded = _varint(seconds)
            self._second = (seconds, encoded)
        nanos = since.microseconds * 1000
        # As long as the largest would be, whatever it is: readers take that.
        return b"%b%c\x08%b\x10%c%c%c%c%c" % (
            _JUDGED_AT,
            7 + len(encoded),
            encoded,
            nanos & 127 | 128,
            nanos >> 7 & 127 | 128,
            nanos >> 14 & 127 | 128,
            nanos >> 21 & 127 | 128,
            nanos >> 28,
        )


def _tag(field: int) -> bytes:
    return _varint(field << 3 | _BYTES)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


_JUDGED_AT = _tag(types_pb2.Basis.DESCRIPTOR.fields_by_name["judged_at"].number)
