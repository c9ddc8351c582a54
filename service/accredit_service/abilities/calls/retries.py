"""Trying again where another transaction won."""

from collections.abc import Callable
from typing import TypeVar

from accredit_storage.errors import Conflict

from ..errors import Aborted, Reason

T = TypeVar("T")

_ATTEMPTS = 8


def until_it_wins(attempt: Callable[[], T]) -> T:
    """The value of the first attempt that ends without a Conflict.

    Raises Aborted after eight that did not, and whatever else an attempt raises.
    """
    for _ in range(_ATTEMPTS):
        try:
            return attempt()
        except Conflict:
            continue
    raise Aborted(Reason.CONTENTION, "other writers kept winning: try again")
