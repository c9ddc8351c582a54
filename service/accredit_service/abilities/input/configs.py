"""The bounds of an agent's config: a JSON object that the server keeps and does not interpret."""

import json
import math
from collections.abc import Mapping
from typing import Any

from ..errors import invalid

MAX_BYTES = 64 * 1024
# Each level is up to three of protobuf's, which reads a hundred; the change log adds its own.
MAX_DEPTH = 24
MAX_VALUES = 5000
# From here on a double cannot tell neighbouring integers apart.
_EXACT = 2**53


def checked(path: str, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config as it is stored: integral doubles as integers. Raises InvalidArgument."""
    stored = {key: _value(path, value, 2) for key, value in config.items()}
    # Each becomes an object of its own whenever the config is shown, for a few bytes of JSON.
    values = _count(stored)
    if values > MAX_VALUES:
        raise invalid(
            path,
            "at most {limit} values, this has {values}",
            limit=MAX_VALUES,
            values=values,
        )
    size = len(json.dumps(stored, separators=(",", ":")))
    if size > MAX_BYTES:
        raise invalid(
            path,
            "at most {limit} bytes as JSON, this is {size}",
            limit=MAX_BYTES,
            size=size,
        )
    return stored


def description(config: Mapping[str, Any]) -> str:
    """The text that lists show for an agent; empty if the config has none."""
    text = config.get("description")
    return text if isinstance(text, str) else ""


def _value(path: str, value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH + 1:
        raise invalid(path, "at most {limit} levels", limit=MAX_DEPTH)
    if isinstance(value, Mapping):
        return {key: _value(path, inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_value(path, inner, depth + 1) for inner in value]
    if isinstance(value, float):
        return _number(path, value)
    return value


def _count(value: Any) -> int:
    if isinstance(value, Mapping):
        return 1 + sum(map(_count, value.values()))
    return 1 + sum(map(_count, value)) if isinstance(value, list) else 1


def _number(path: str, value: float) -> int | float:
    if not math.isfinite(value):
        raise invalid(path, "finite numbers only")
    if not value.is_integer():
        return value
    if abs(value) >= _EXACT:
        raise invalid(path, "no integer of 2^53 or more: send it as a text")
    return int(value)
