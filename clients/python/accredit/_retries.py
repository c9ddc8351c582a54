"""When a failed call is sent again, and after how long.

gRPC could repeat calls by itself, by a retry policy in its service config, and is told not
to (`_connection.OPTIONS`): it decides by status code alone, so that it would repeat a
rotation which another caller has won; it would need the descriptors' facts a second time,
by method name; and two layers that repeat multiply.
"""

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import grpc

from accredit._errors import Aborted, AccreditError, ResourceExhausted, Unavailable, from_rpc_error
from accredit._methods import Method

FINAL_REASONS = frozenset(
    {"SECRET_ALREADY_SHOWN", "TOKEN_ALREADY_ROTATED", "ETAG_MISMATCH", "AGENT_LIMIT_REACHED"}
)
"""Reasons that a repeat cannot change, whatever else the error says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often and how patiently a call that may be repeated is repeated.

    Waits are random between 0 and a bound that doubles each time, so that clients which
    failed together do not come back together. All of it happens within the call's timeout.
    """

    max_attempts: int = 8
    """How often a call is sent at most. 1: never again."""
    initial_backoff: float = 0.1
    """The bound of the first wait, in seconds."""
    max_backoff: float = 2.0
    """What the bound doubles up to, in seconds."""
    chance: Callable[[], float] = random.random
    """From 0 to 1; where between 0 and its bound a wait falls."""

    def wait(self, error: AccreditError, attempt: int) -> float | None:
        """Seconds to wait after the attempt of this number, from 1; None: no other."""
        if attempt >= self.max_attempts or not _passing(error):
            return None
        bound = min(self.max_backoff, self.initial_backoff * 2.0 ** (attempt - 1))
        return (error.retry_after or 0.0) + bound * self.chance()


def _passing(error: AccreditError) -> bool:
    """Whether another attempt may end better."""
    if error.reason in FINAL_REASONS:
        return False
    if isinstance(error, Aborted | ResourceExhausted):
        # Only if the server asks for it: a limit is as a rule still reached a moment later.
        return error.retry_after is not None
    return isinstance(error, Unavailable)


class Attempts:
    """The attempts at one call: what is left of its time, and whether there is another."""

    def __init__(
        self,
        method: Method,
        retries: Retries,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._retries = retries if method.repeatable else Retries(max_attempts=1)
        self._clock = clock
        self._deadline = clock() + timeout
        self._made = 0

    def timeout(self) -> float | None:
        """Begin an attempt: the seconds it has, as gRPC takes them."""
        self._made += 1
        left = self._deadline - self._clock()
        return None if left == math.inf else left

    def wait(self, error: grpc.RpcError) -> float:
        """Seconds to wait before the next attempt. Without one, raises the AccreditError."""
        failure = from_rpc_error(error)
        wait = self._retries.wait(failure, self._made)
        if wait is None or wait >= self._deadline - self._clock():
            raise failure from error
        return wait
