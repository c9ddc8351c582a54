from datetime import UTC, datetime, timedelta

import click
import pytest

from accredit.cli.times import (
    MOMENT,
    MOMENT_OR_SPAN,
    SPAN,
    expiration,
    moment_of,
)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30d", timedelta(days=30)),
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("12h", timedelta(hours=12)),
        ("2w", timedelta(weeks=2)),
        ("0", timedelta()),
    ],
)
def test_a_span_is_a_number_and_a_unit(text: str, span: timedelta) -> None:
    assert SPAN.convert(text, None, None) == span
    assert MOMENT_OR_SPAN.convert(text, None, None) == span


@pytest.mark.parametrize("text", ["", "d", "30", "-1d", "1.5h", "1y", "٣d", "999999999999w"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        SPAN.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-12-31T00:00Z", datetime(2026, 12, 31, tzinfo=UTC)),
        ("2026-12-31", datetime(2026, 12, 31, tzinfo=UTC)),
        ("2026-12-31T02:00:00+02:00", datetime(2026, 12, 31, tzinfo=UTC)),
        ("2026-12-31 00:00:00.5Z", datetime(2026, 12, 31, 0, 0, 0, 500_000, UTC)),
    ],
)
def test_a_moment_has_a_zone_or_is_a_day(text: str, moment: datetime) -> None:
    assert MOMENT.convert(text, None, None) == moment
    assert MOMENT_OR_SPAN.convert(text, None, None) == moment


@pytest.mark.parametrize(
    "text",
    ["", "tomorrow", "2026-12-31T00:00", "2026-13-01", "0001-01-01T00:00+14:00", "12:00Z"],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        MOMENT.convert(text, None, None)


def test_a_span_is_left_to_the_servers_clock_where_that_is_possible() -> None:
    assert expiration(None) == {}
    assert expiration(timedelta(seconds=5))["ttl"].seconds == 5
    assert expiration(datetime(1970, 1, 2, tzinfo=UTC))["expire_time"].seconds == 86400
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert moment_of(timedelta(days=1), now) == datetime(2026, 1, 2, tzinfo=UTC)
    assert moment_of(None, now) is None
    with pytest.raises(click.BadParameter):
        moment_of(timedelta(days=3_000_000), now)
