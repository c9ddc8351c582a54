"""Pages as messages, none larger than a client takes by default."""

from collections.abc import Callable
from typing import TypeVar

from google.protobuf.message import Message

from ..abilities.paging import Page

T = TypeVar("T")
M = TypeVar("M", bound=Message)

#: No reply is larger, in bytes. Clients take 4 MiB unless they are told otherwise.
REPLY_LIMIT = 3 * 1024 * 1024
# What stands beside the items, and around each of them.
_BESIDE = 64 * 1024
_AROUND = 8


def packed(page: Page[T], pack: Callable[[T], M]) -> tuple[list[M], str]:
    """The page's items as messages, and the token of the next page.

    As many as fit into one reply, and one at least: no single item is as large as a reply.
    """
    room = REPLY_LIMIT - _BESIDE
    messages: list[M] = []
    for item in page.items:
        message = pack(item)
        room -= message.ByteSize() + _AROUND
        if room < 0 and messages:
            return messages, page.token_after(page.items[len(messages) - 1])
        messages.append(message)
    return messages, page.next_token
