"""The rules of single values. Keys, types and bounds are those of the published schema.

What JSON Schema has no word for stands here: how deep a map is, how many values it has, how long it
is as JSON and how long a description is as bytes. These are the server's bounds, measured as the
server measures.
"""

import json
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

from accredit.manifests.nodes import Node
from accredit.manifests.problems import Invalid

#: The JSON Schema of the YAML form.
SCHEMA: Mapping[str, Any] = json.loads(
    resources.files(__package__).joinpath("schema.json").read_text(encoding="utf-8")
)
#: What the schema says of each key of a definition.
RULES: Mapping[str, Mapping[str, Any]] = SCHEMA["$defs"]["definition"]["properties"]

MAX_MAP_LEVELS = 24
MAX_MAP_VALUES = 5_000
MAX_MAP_BYTES = 64 * 1024

_PYTHON = {"string": str, "integer": int, "object": dict}


def checked(key: str, node: Node) -> Any:
    """The value of a key of a definition, None for none. Raises Invalid."""
    rule = RULES[key]
    value = plain(node, key)
    # What stands there as 10.0 is an integer to JSON Schema.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if key == "label" and isinstance(value, str):
        value = " ".join(value.split())
    types = [rule["type"]] if isinstance(rule["type"], str) else rule["type"]
    if value is None and "null" in types:
        return None
    if not any(type(value) is _PYTHON.get(name) for name in types) or not _within(rule, value):
        raise Invalid(node.line, key, _in_words(rule, types))
    if key == "description" and len(value.encode()) > rule["maxLength"]:
        raise Invalid(node.line, key, f"at most {rule['maxLength']} bytes of UTF-8")
    if isinstance(value, dict):
        _check_size(node, key, value)
    return value


def plain(node: Node, path: str, level: int = 1) -> Any:
    """The value without its lines. Raises Invalid for what was refused in it, at its line."""
    if node.refused:
        raise Invalid(node.line, path, node.refused)
    if level > MAX_MAP_LEVELS + 1:
        raise Invalid(node.line, path, f"at most {MAX_MAP_LEVELS} levels")
    if isinstance(node.value, dict):
        return {key: plain(inner, f"{path}.{key}", level + 1) for key, inner in node.value.items()}
    if isinstance(node.value, list):
        return [
            plain(inner, f"{path}[{index}]", level + 1) for index, inner in enumerate(node.value)
        ]
    return node.value


def measured(value: Mapping[str, Any]) -> tuple[int, int]:
    """How many values a map has, itself among them, and how many bytes as JSON."""
    return _count(value), len(json.dumps(value, separators=(",", ":")))


def _within(rule: Mapping[str, Any], value: Any) -> bool:
    if isinstance(value, str):
        fits = len(value) <= rule["maxLength"]
        return fits and re.search(rule.get("pattern", ""), value) is not None
    if isinstance(value, int):
        return bool(rule["minimum"] <= value <= rule["maximum"])
    return True


def _in_words(rule: Mapping[str, Any], types: list[str]) -> str:
    said = {
        "string": f"a text of at most {rule.get('maxLength')} characters"
        + (", not blank" if "pattern" in rule else ""),
        "integer": f"an integer from {rule.get('minimum')} to {rule.get('maximum')}",
        "object": "a map",
    }
    return " or ".join(said[name] for name in types if name != "null")


def _check_size(node: Node, key: str, value: dict[str, Any]) -> None:
    count, size = measured(value)
    if count > MAX_MAP_VALUES:
        raise Invalid(node.line, key, f"at most {MAX_MAP_VALUES} values, this has {count}")
    if size > MAX_MAP_BYTES:
        raise Invalid(node.line, key, f"at most {MAX_MAP_BYTES} bytes as JSON, this is {size}")


def _count(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(_count, value.values()))
    return 1 + sum(map(_count, value)) if isinstance(value, list) else 1
