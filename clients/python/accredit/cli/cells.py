"""From a message to the cells of a table or a CSV file.

Columns are named by the path of a field: what the API calls it is what the header says.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from accredit.cli.json_form import json_form

if TYPE_CHECKING:
    from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
# The contract's way to say "nobody": ids begin at 1.
_ABSENT_IF_ZERO = ("_id", "_by")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its header, and the cell that a message has in it."""

    name: str
    cell: Callable[[Any], str]


def column(path: str, name: str | None = None) -> Column:
    """The column of a field, such as "agent.agent_slug", under its own name or another."""
    return Column(name or path.rpartition(".")[2], lambda message: cell_at(message, path))


def columns(*paths: str, within: str = "") -> tuple[Column, ...]:
    """The columns of several fields, each within the field of that name if one is given."""
    return tuple(column(f"{within}.{path}" if within else path) for path in paths)


def cell_at(message: Any, path: str) -> str:
    """The text of one field. Empty where it, or what it stands in, is not set."""
    *outer, last = path.split(".")
    for part in outer:
        if not message.HasField(part):
            return ""
        message = getattr(message, part)
    field = message.DESCRIPTOR.fields_by_name[last]
    if field.has_presence and not message.HasField(last):
        return ""
    value = getattr(message, last)
    if field.enum_type is not None:
        return enum_text(field.enum_type, value)
    return _text(field, value)


def _text(field: "FieldDescriptor", value: Any) -> str:
    if field.message_type is not None:
        return _message_text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int):
        return "" if value == 0 and field.name.endswith(_ABSENT_IF_ZERO) else str(value)
    return value if isinstance(value, str) else " ".join(str(each) for each in value)


def enum_text(enum: "EnumDescriptor", number: int) -> str:
    """A member as people write it: "operator" for ROLE_OPERATOR. Empty for UNSPECIFIED."""
    if number == 0:
        return ""
    value = enum.values_by_number.get(number)
    if value is None:
        # Of a newer server.
        return str(number)
    prefix = _CAPITAL.sub("_", enum.name).upper() + "_"
    return value.name.removeprefix(prefix).lower()


def _message_text(value: Any) -> str:
    if value.DESCRIPTOR.full_name == "google.protobuf.Timestamp":
        return moment_text(value)
    return json.dumps(json_form(value), ensure_ascii=False, separators=(",", ":"))


def moment_text(value: Any) -> str:
    """A Timestamp, to the second."""
    moment = value.ToDatetime(tzinfo=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
