import io
import json
import logging
from collections.abc import Callable, Generator

import pytest

from accredit_service import logs
from accredit_service.setting_rules import LogFormat, LogLevel
from tests.service.running import captured

log = logging.getLogger("accredit_service.tests")

NASTY = 'x\n{"level": "error", "event": "forged"}\r\u2028\x1b[31m'
# Of the right shape; no such token was ever made.
SECRET = "acr_0123456789abcdef_" + "Z" * 49


@pytest.fixture
def stream() -> Generator[io.StringIO]:
    stream = io.StringIO()
    with captured(stream, LogLevel.DEBUG):
        yield stream


@pytest.fixture
def text_stream(stream: io.StringIO) -> io.StringIO:
    logs.configure(LogLevel.DEBUG, LogFormat.TEXT, stream)
    return stream


def raised(message: str) -> None:
    try:
        raise ValueError(message)
    except ValueError:
        log.exception("failed")


def test_a_line_is_one_json_object_with_the_fields_given(stream: io.StringIO) -> None:
    log.info("call", extra=logs.fields(method="A/B", code="OK", agent_id=None))
    (line,) = stream.getvalue().splitlines()
    found = json.loads(line)
    assert found.pop("time").endswith("Z")
    assert found == {
        "level": "info",
        "event": "call",
        "logger": log.name,
        "method": "A/B",
        "code": "OK",
    }


def test_no_value_can_begin_a_line_of_its_own(stream: io.StringIO) -> None:
    log.info(NASTY, extra=logs.fields(peer=NASTY))
    raised(NASTY)
    lines = stream.getvalue().split("\n")
    assert len(lines) == 3
    assert json.loads(lines[0])["peer"] == NASTY
    assert NASTY in json.loads(lines[1])["traceback"]
    assert stream.getvalue().isascii()


def test_nor_in_text_where_a_traceback_is_indented(text_stream: io.StringIO) -> None:
    log.info(NASTY, extra=logs.fields(peer=NASTY, code="OK"))
    raised(NASTY)
    first, second, *below = text_stream.getvalue().splitlines()
    assert " info " in first
    assert first.endswith(" code=OK")
    assert second.endswith(" error failed")
    assert all(line.startswith("    | ") for line in below)
    assert "\x1b" not in text_stream.getvalue()


@pytest.mark.parametrize("form", list(LogFormat))
def test_what_looks_like_a_token_is_not_written(stream: io.StringIO, form: LogFormat) -> None:
    logs.configure(LogLevel.DEBUG, form, stream)
    log.info(SECRET, extra=logs.fields(header=f"Bearer {SECRET}"))
    raised(SECRET)
    assert "Z" * 10 not in stream.getvalue()
    assert "acr_0123456789abcdef_[redacted]" in stream.getvalue()


@pytest.mark.parametrize(
    ("level", "events"),
    [
        (LogLevel.DEBUG, ["d", "i", "w", "e"]),
        (LogLevel.INFO, ["i", "w", "e"]),
        (LogLevel.WARNING, ["w", "e"]),
        (LogLevel.ERROR, ["e"]),
    ],
)
def test_the_level_is_that_of_our_own_lines(
    stream: io.StringIO, level: LogLevel, events: list[str]
) -> None:
    logs.configure(level, LogFormat.JSON, stream)
    writers: list[Callable[[str], None]] = [log.debug, log.info, log.warning, log.error]
    for write, event in zip(writers, "diwe", strict=True):
        write(event)
    logging.getLogger("somebody.elses").info("what it was given")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == events


def test_the_format_is_text_on_a_terminal_and_json_elsewhere(stream: io.StringIO) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    logs.configure(LogLevel.INFO, None, terminal)
    log.info("call")
    assert not terminal.getvalue().startswith("{")
    logs.configure(LogLevel.INFO, None, stream)
    log.info("call")
    assert stream.getvalue().startswith("{")
