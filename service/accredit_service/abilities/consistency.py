"""Which state of the store an answer was judged at, and which one it must not be older than.

A consistency token is a digest of the store's epoch and a revision. Every answer comes from the
database of one primary, so that it is never older than any token of that store; what remains to be
refused is a token of another store, or of a future that a restore has undone.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

from accredit_storage.records import Agent, Head

from .errors import Reason, invalid
from .rights import Held, Principal, earliest


@dataclass(frozen=True, slots=True)
class Consistency:
    """How fresh an answer must be; ``at_least`` is a consistency token, empty for none."""

    at_least: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What an answer rests on and how long it may be kept."""

    head: Head
    valid_until: datetime | None = None
    token_id: str = ""
    user_ids: frozenset[int] = frozenset()
    agent_ids: frozenset[int] = frozenset()
    site_id: int | None = None

    @classmethod
    def of(cls, head: Head) -> "Basis":
        """Resting on nothing yet."""
        return cls(head=head)

    def with_principal(self, principal: Principal | None) -> "Basis":
        """And on who speaks."""
        if principal is None:
            return self
        user_ids = {principal.user.user_id, *principal.vouched_by}
        agent_ids = set() if principal.agent is None else {principal.agent.agent_id}
        return replace(
            self,
            valid_until=earliest((self.valid_until, principal.valid_until)),
            token_id=self.token_id if principal.token is None else principal.token.token_id,
            user_ids=self.user_ids | user_ids,
            agent_ids=self.agent_ids | agent_ids,
        )

    def until(self, moment: datetime | None) -> "Basis":
        """And good no longer than to a moment."""
        return replace(self, valid_until=earliest((self.valid_until, moment)))

    def with_agent(self, agent: Agent | None, held: Held | None, site_id: int | None) -> "Basis":
        """And on an agent, the role held on it, and the site stated."""
        return replace(
            self.until(None if held is None else held.until),
            user_ids=self.user_ids if agent is None else self.user_ids | {agent.owner_id},
            agent_ids=self.agent_ids if agent is None else self.agent_ids | {agent.agent_id},
            site_id=self.site_id if site_id is None else site_id,
        )


def token_of(head: Head) -> str:
    """The consistency token of a state; opaque, URL-safe."""
    raw = _store_of(head) + head.revision.to_bytes(8, "big")
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _store_of(head: Head) -> bytes:
    """What tells one store from another. Not the epoch itself, which is the key to page tokens."""
    return hashlib.sha256(f"store {head.epoch}".encode()).digest()[:16]


def require(consistency: Consistency, head: Head) -> None:
    """Raise InvalidArgument if the answer would be of another store than the one asked for."""
    token = consistency.at_least
    if not token:
        return
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    store, revision = raw[:16], int.from_bytes(raw[16:], "big")
    known = len(raw) == 24 and store == _store_of(head) and revision <= head.revision
    if not known:
        raise invalid(
            "consistency.at_least_as_fresh",
            "a consistency_token that this store has given",
            Reason.CONSISTENCY_TOKEN_INVALID,
        )
