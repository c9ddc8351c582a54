"""Moments and spans of time as people type them, and as the API takes them."""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from accredit.cli.failures import warn
from accredit.cli.output import moment_text
from accredit.cli.session import Session

if TYPE_CHECKING:
    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.timestamp_pb2 import Timestamp

MomentOrSpan: TypeAlias = datetime | timedelta

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN = re.compile(r"(\d{1,12})([smhdw]?)", re.ASCII)
# What protobuf's Duration holds.
_LONGEST = timedelta(seconds=315_576_000_000)


class _Span(click.ParamType):
    """A whole number with a unit, such as 30d; 0 needs none."""

    name = "span"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """See ParamType."""
        if isinstance(value, timedelta):
            return value
        found = _span(value)
        if found is None:
            self.fail(f"{value!r}: a whole number with s, m, h, d or w, such as 30d", param, ctx)
        return found


class _Moment(click.ParamType):
    """A date, or a date and a time with their zone."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """See ParamType."""
        if isinstance(value, datetime):
            return value
        try:
            return _moment(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


class _MomentOrSpan(click.ParamType):
    """Either of them."""

    name = "time|span"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> MomentOrSpan:
        """See ParamType."""
        if isinstance(value, datetime | timedelta):
            return value
        found = _span(value)
        return MOMENT.convert(value, param, ctx) if found is None else found


SPAN = _Span()
MOMENT = _Moment()
MOMENT_OR_SPAN = _MomentOrSpan()


def _span(text: str) -> timedelta | None:
    match = _SPAN.fullmatch(text)
    if match is None or not (match[2] or int(match[1]) == 0):
        return None
    try:
        span = timedelta(**{_UNITS[match[2] or "s"]: int(match[1])})
    except OverflowError:
        return None
    return span if span <= _LONGEST else None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("a time such as 2026-12-31T00:00Z, or a date") from None
    if moment.tzinfo is None:
        # A date alone says which day; a time without its zone leaves half a day of doubt.
        if not re.fullmatch(r"[\d-]+", text, re.ASCII):
            raise ValueError("say the zone: a Z for UTC, or an offset such as +02:00")
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("beyond what a calendar holds") from None


def timestamp(moment: datetime | None) -> "Timestamp | None":
    """The moment as the API takes it."""
    if moment is None:
        return None
    from google.protobuf.timestamp_pb2 import Timestamp

    made = Timestamp()
    made.FromDatetime(moment)
    return made


def duration(span: timedelta | None) -> "Duration | None":
    """The span as the API takes it."""
    if span is None:
        return None
    from google.protobuf.duration_pb2 import Duration

    made = Duration()
    made.FromTimedelta(span)
    return made


def moment_of(value: MomentOrSpan | None, now: datetime) -> datetime | None:
    """The moment that is meant, where the API takes no span. Raises click.BadParameter."""
    if not isinstance(value, timedelta):
        return value
    try:
        return now + value
    except OverflowError:
        raise click.BadParameter("beyond what a calendar holds") from None


def expiration(value: MomentOrSpan | None) -> dict[str, Any]:
    """The fields of a token's request; a span is left to the server's clock."""
    if value is None:
        return {}
    if isinstance(value, timedelta):
        return {"ttl": duration(value)}
    return {"expire_time": timestamp(value)}


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
    warn(f"your token expires in {_left(left)}, {moment_text(token.expire_time)}: {advice}")


def renew_own_token(session: Session) -> None:
    """Ask when the caller's token ends, and warn. Says nothing if that cannot be found out."""
    if not (session.warns and session.has_connected) or session.has_told_expiry:
        return
    from accredit import AccreditError, Retries

    hasty = session.client.with_options(timeout=_PATIENCE, retries=Retries(max_attempts=1))
    try:
        warn_of_own(session, hasty.auth.who_am_i().token)
    except AccreditError:
        return


def _left(left: timedelta) -> str:
    hours = max(0, int(left.total_seconds() // 3600))
    if hours < 1:
        return "less than an hour"
    if hours < 48:
        return f"{hours} hour{'s' if hours > 1 else ''}"
    return f"{hours // 24} days"
