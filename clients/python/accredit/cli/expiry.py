"""Tokens that are about to expire: what counts as that, and how it is said."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from accredit.cli.cells import moment_text
from accredit.cli.failures import warn
from accredit.cli.session import Session

if TYPE_CHECKING:
    from accredit.v1.token_pb2 import Token

NOTICE = timedelta(days=7)
"""How long before its end a token is warned about."""

# The command is done by then; nobody waits longer for a courtesy.
_PATIENCE = 1.0


def state(token: "Token", now: datetime) -> str:
    """live, expiring, replaced, expired or revoked.

    A token that has a successor is replaced as long as it goes on working.
    """
    if token.HasField("revoke_time"):
        return "revoked"
    if token.HasField("expire_time"):
        ends = token.expire_time.ToDatetime(tzinfo=UTC)
        if ends <= now:
            return "expired"
        if token.replaced_by:
            return "replaced"
        if ends <= now + NOTICE:
            return "expiring"
    return "replaced" if token.replaced_by else "live"


def warn_of_own(session: Session, token: "Token") -> None:
    """Say so if the token that the call was made with is about to end."""
    session.has_told_expiry = True
    if not token.HasField("expire_time"):
        return
    left = token.expire_time.ToDatetime(tzinfo=UTC) - session.now()
    if left > NOTICE:
        return
    advice = (
        f"its successor is {token.replaced_by}"
        if token.replaced_by
        else f"accredit tokens rotate {token.token_id} makes a successor"
    )
    warn(f"your token expires in {_span(left)}, {moment_text(token.expire_time)}: {advice}")


def look_after_own_token(session: Session) -> None:
    """Ask when the caller's token ends, and warn. Says nothing if that cannot be found out."""
    if not (session.warns and session.has_connected) or session.has_told_expiry:
        return
    from accredit import AccreditError, Retries

    hasty = session.client.with_options(timeout=_PATIENCE, retries=Retries(max_attempts=1))
    try:
        warn_of_own(session, hasty.auth.who_am_i().token)
    except AccreditError:
        return


def _span(left: timedelta) -> str:
    hours = max(0, int(left.total_seconds() // 3600))
    if hours < 1:
        return "less than an hour"
    if hours < 48:
        return f"{hours} hour{'s' if hours > 1 else ''}"
    return f"{hours // 24} days"
