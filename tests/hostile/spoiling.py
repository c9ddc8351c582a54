"""Every field of a request, however deep, and what nobody should put into it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.struct_pb2 import Struct

MAX64, MIN64 = 2**63 - 1, -(2**63)
MAX32, MIN32 = 2**31 - 1, -(2**31)

TEXTS: dict[str, str] = {
    "empty": "",
    "blank": "   ",
    "nul": "\0",
    "nul-inside": "a\0b",
    "control": "\x01\x1b[31m\x7f\x85",
    "newline": 'x\n{"level": "error"}\r\n',
    "bidi": "\u202eevil\u2066\u200f",
    "four-bytes": "😀𝔘\U0010ffff",
    "not-a-character": "\ufffe\uffff",
    "combining": "e" + "\u0301" * 300,
    "sql": "'; DROP TABLE users; --",
    "wildcards": "%_\\%",
    "path": "../../../etc/passwd",
    "tags": "<script>alert(1)</script>",
    "digits": "12345",
    "other-digits": "٣٤",
    "padded": " admin ",
    "long": "x" * 1001,
    "huge": "ü" * 200_000,
    "token-like": "acr_0123456789abcdef_" + "Z" * 49,
}
INT64S = {"min": MIN64, "-1": -1, "0": 0, "2^53": 2**53, "max": MAX64}
INT32S = {"min": MIN32, "-1": -1, "0": 0, "max": MAX32}
ENUMS = {"min": MIN32, "-1": -1, "unknown": 99, "max": MAX32}
BYTES = {"empty": b"", "short": b"\0" * 31, "fitting": b"\0" * 32, "huge": b"\xff" * 300_000}
TIMES = {
    "min": (MIN64, 0),
    "before-year-1": (-62_135_596_801, 0),
    "year-1": (-62_135_596_800, 0),
    "1970": (0, 0),
    "year-9999": (253_402_300_799, 999_999_999),
    "year-10000": (253_402_300_800, 0),
    "max": (MAX64, MAX32),
    "negative-nanos": (0, -1),
    "many-nanos": (0, 1_000_000_000),
}
SPANS = {
    "min": (MIN64, 0),
    "too-short": (-315_576_000_001, 0),
    "negative": (-1, 0),
    "mixed": (1, -1),
    "zero": (0, 0),
    "a-nano": (0, 1),
    "many-nanos": (0, MAX32),
    "too-long": (315_576_000_001, 0),
    "max": (MAX64, 0),
}
MASKS: dict[str, list[str]] = {
    "no-path": [],
    "unknown": ["no_such_field"],
    "empty-path": [""],
    "star-and-more": ["*", "config"],
    "star": ["*"],
    "inside": ["config.description"],
    "output-only": ["etag"],
    "from-above": ["update.agent_name"],
    "nul": ["\0"],
    "many": ["no_such_field"] * 10_000,
}


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"d": value}
    return value


STRUCTS: dict[str, dict[str, Any]] = {
    "empty": {},
    "nan": {"n": float("nan")},
    "infinity": {"n": float("inf")},
    "minus-infinity": {"deep": [{"n": float("-inf")}]},
    "2^53": {"n": 2.0**53},
    "-2^53": {"n": -(2.0**53)},
    "1e300": {"n": 1e300},
    "minus-zero": {"n": -0.0},
    "tiny": {"n": 5e-324},
    "25-levels": nested(25),
    "48-levels": nested(48),
    "large": {"text": "x" * 70_000},
    "wide": {str(number): None for number in range(20_000)},
    "nul": {"\0": "\0"},
    "empty-key": {"": ""},
    "long-key": {"k" * 70_000: 1},
    "lists": {"l": [[[]], [None, True, "x", 1.5]]},
}
COUNTS = {"none": 0, "many": 1001, "very-many": 20_000}


@dataclass(frozen=True)
class Spoilt:
    """One hostile value for one field: where, what, and why."""

    path: tuple[str, ...]
    why: str
    value: Any
    repeated: bool = False

    @property
    def name(self) -> str:
        """The path as the answer names it; an element of a list by its place."""
        return ".".join(self.path).replace(".0", "[0]")

    def put_into(self, request: Any) -> None:
        """Set the field, and make the messages on the way there."""
        *way, last = self.path
        for step in way:
            if step == "0":
                request = request[0] if len(request) else request.add()
            else:
                request = getattr(request, step)
        _put(request, last, self.value, self.repeated)


def _put(message: Any, name: str, value: Any, repeated: bool) -> None:
    kind = message.DESCRIPTOR.fields_by_name[name].message_type
    if repeated:
        items = getattr(message, name)
        if kind is None:
            items[:] = value
        elif value == 0:
            del items[:]
        else:
            # Copies of the first, so that each by itself would do.
            first = items[0] if len(items) else items.add()
            for _ in range(value - 1):
                items.add().CopyFrom(first)
        return
    if kind is None:
        setattr(message, name, value)
        return
    field = getattr(message, name)
    if isinstance(value, dict) and not isinstance(field, Struct):
        field.clear()
        field.update(value)
        return
    field.SetInParent()
    if isinstance(field, Struct):
        field.Clear()
        field.SetInParent()
        field.update(value)
    elif kind.name == "FieldMask":
        field.paths[:] = value
    else:
        field.seconds, field.nanos = value


def spoils(message: Descriptor, way: tuple[str, ...] = ()) -> Iterator[Spoilt]:
    """All of them, for every field of a message and of those inside it."""
    for one in message.fields:
        path = (*way, one.name)
        if _is_map(one):
            for why, text in TEXTS.items():
                yield Spoilt(path, f"key-{why}", {text: "text"})
                yield Spoilt(path, f"value-{why}", {"SOUL.md": text})
            yield Spoilt(path, "many", {f"{number}.md": "text" for number in range(20_000)})
            continue
        for why, value in _values(one):
            yield Spoilt(path, why, value, repeated=one.is_repeated)
        inside = one.message_type
        if inside is not None and inside.full_name.startswith("accredit."):
            yield from spoils(inside, (*path, "0") if one.is_repeated else path)


def _is_map(one: FieldDescriptor) -> bool:
    return one.message_type is not None and one.message_type.GetOptions().map_entry


def _values(one: FieldDescriptor) -> Sequence[tuple[str, Any]]:
    table = _table(one)
    if not one.is_repeated:
        return list(table.items())
    if one.message_type is not None:
        return list(COUNTS.items())
    single = [(f"one-{why}", [value]) for why, value in table.items()]
    some = next(iter(table.values()))
    return [*single, ("many", [some] * 1001), ("very-many", [some] * 20_000)]


def _table(one: FieldDescriptor) -> dict[str, Any]:
    if one.message_type is not None:
        tables: dict[str, dict[str, Any]] = {
            "google.protobuf.Timestamp": TIMES,
            "google.protobuf.Duration": SPANS,
            "google.protobuf.FieldMask": MASKS,
            "google.protobuf.Struct": STRUCTS,
        }
        return tables.get(one.message_type.full_name, {})
    by_type: dict[int, dict[str, Any]] = {
        FieldDescriptor.TYPE_STRING: TEXTS,
        FieldDescriptor.TYPE_BYTES: BYTES,
        FieldDescriptor.TYPE_INT64: INT64S,
        FieldDescriptor.TYPE_INT32: INT32S,
        FieldDescriptor.TYPE_ENUM: ENUMS,
        FieldDescriptor.TYPE_BOOL: {"false": False, "true": True},
    }
    return by_type[one.type]
