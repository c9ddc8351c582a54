"""As much of JSON Schema as the published schema uses, written from its specification."""

import re
from collections.abc import Mapping
from typing import Any

WORDS = frozenset(
    (
        *("$ref", "additionalProperties", "else", "if", "items", "maxLength", "maximum"),
        *("minimum", "not", "pattern", "properties", "required", "then", "type"),
    )
)
REMARKS = frozenset(("$defs", "$schema", "default", "description", "title"))


def words(schema: Mapping[str, Any]) -> set[str]:
    """The keywords in it, at every level."""
    found = set(schema)
    inner = [schema[word] for word in ("if", "then", "else", "not", "items") if word in schema]
    inner += [schema[word] for word in ("additionalProperties",) if word in schema]
    for word in ("properties", "$defs"):
        inner += schema.get(word, {}).values()
    return found.union(*map(words, inner))


def accepts(schema: Mapping[str, Any], value: Any, root: Mapping[str, Any]) -> bool:
    def ok(inner: Mapping[str, Any], of: Any) -> bool:
        return accepts(inner, of, root)

    if reference := schema.get("$ref"):
        return ok(root["$defs"][reference.removeprefix("#/$defs/")], value)
    if "type" in schema:
        types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        if not any(_is(name, value) for name in types):
            return False
    if "not" in schema and ok(schema["not"], value):
        return False
    if "if" in schema:
        branch = "then" if ok(schema["if"], value) else "else"
        if not ok(schema.get(branch, {}), value):
            return False
    if isinstance(value, str):
        fits = len(value) <= schema.get("maxLength", len(value))
        return fits and re.search(schema.get("pattern", ""), value) is not None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))
    if isinstance(value, list):
        return all(ok(schema.get("items", {}), item) for item in value)
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        others = schema.get("additionalProperties", {})
        return set(schema.get("required", ())) <= set(value) and all(
            ok(properties.get(key, others), inner) for key, inner in value.items()
        )
    return True


def _is(name: str, value: Any) -> bool:
    if name == "integer":
        is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return is_whole and not isinstance(value, bool)
    kinds: dict[str, type] = {"string": str, "object": dict, "array": list, "null": type(None)}
    return isinstance(value, kinds[name])
