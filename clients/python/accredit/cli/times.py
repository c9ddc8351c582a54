"""Moments and spans of time as people type them, and as the API takes them."""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import click

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
