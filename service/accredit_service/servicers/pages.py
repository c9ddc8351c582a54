"""Pages as messages, none larger than a client takes by default."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from google.protobuf.message import Message

from ..abilities.calls.paging import Page

T = TypeVar("T")
M = TypeVar("M", bound=Message)

#: No reply is larger, in bytes. Clients take 4 MiB unless they are told otherwise.
REPLY_LIMIT = 3 * 1024 * 1024
# What stands beside the items, and around each of them.
_BESIDE = 64 * 1024
_AROUND = 8


def packed(page: Page[T], pack: Callable[[T], M], *, beside: int = 0) -> tuple[list[M], str]:
    """The page's items as messages, and the token of the next page.

    As many as fit into one reply, and one at least: no single item is as large as a reply.
    ``beside`` is the size in bytes of whatever else the reply has.
    """
    room = REPLY_LIMIT - _BESIDE - beside
    messages: list[M] = []
    for item in page.items:
        message = pack(item)
        room -= message.ByteSize() + _AROUND
        if room < 0 and messages:
            return messages, page.token_after(page.items[len(messages) - 1])
        messages.append(message)
    return messages, page.next_token


def in_replies(messages: Iterable[M]) -> Iterator[list[M]]:
    """The messages in portions that each fit into one reply of a stream; one portion at least."""
    portion: list[M] = []
    room = REPLY_LIMIT - _BESIDE
    for message in messages:
        size = message.ByteSize() + _AROUND
        if size > room and portion:
            yield portion
            portion, room = [], REPLY_LIMIT - _BESIDE
        portion.append(message)
        room -= size
    yield portion
