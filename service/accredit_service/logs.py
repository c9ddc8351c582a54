"""Log lines: one event with fields each, as JSON or as text, never with a secret.

``log.info("listening", extra=fields(address=…))``: the message is the event, in a few fixed words;
what varies goes into fields.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

from .setting_rules import LogFormat, LogLevel

#: Ours are logged from the level that is set on, other people's from WARNING on: at DEBUG some of
#: them print what they are given.
OURS = ("accredit_service", "accredit_storage")

# The public id stays, so that the line can still be followed up.
_TOKEN = re.compile(r"acr_([0-9A-Za-z]{1,16})_[0-9A-Za-z]+")
# What may not stand bare in a text line: anything that could end the field or the line.
_PLAIN = re.compile(r"[!-~]+")


def fields(**values: object) -> dict[str, Mapping[str, object]]:
    """What goes with an event, for ``extra``. None is left out."""
    return {"fields": {name: value for name, value in values.items() if value is not None}}


def configure(level: LogLevel, form: LogFormat | None, stream: TextIO | None = None) -> None:
    """Send every log record of this process to ``stream``, stderr by default, and nowhere else."""
    stream = sys.stderr if stream is None else stream
    if form is None:
        form = LogFormat.TEXT if stream.isatty() else LogFormat.JSON
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if form is LogFormat.JSON else TextFormatter())
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(level.upper())


def redacted(text: str) -> str:
    """The text without what would pass as a credential of ours."""
    return _TOKEN.sub(r"acr_\1_[redacted]", text) if "acr_" in text else text


class JsonFormatter(logging.Formatter):
    """One JSON object a line. Escapes see to it that no value can begin another line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = _traceback(record.exc_info)
        return redacted(json.dumps(line, default=str))


class TextFormatter(logging.Formatter):
    """A line to read on a terminal, a traceback indented below it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        parts = [_time(record), record.levelname.lower(), _bare(record.getMessage())]
        parts += [f"{name}={_quoted(value)}" for name, value in _fields(record).items()]
        line = " ".join(parts)
        if record.exc_info:
            # Indented, so that a newline inside an exception's message begins no record either.
            below = _traceback(record.exc_info).splitlines()
            line = "\n".join([line, *(f"    | {_bare(one)}" for one in below)])
        return redacted(line)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    found: Mapping[str, Any] = getattr(record, "fields", {})
    return found


def _traceback(
    info: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
) -> str:
    return "".join(traceback.format_exception(*info)).rstrip()


def _bare(text: str) -> str:
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _quoted(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
