"""What requests have to state, as the contract's annotations and comments say it.

Each is found with a request in which just that is left out, and the path that a refusal names.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import Message

from tests.contract.descriptors import FILES


def _comments() -> Iterator[tuple[str, str]]:
    """The comment of every oneof and of every field, by its full name."""
    for file in FILES:
        for location in file.source_code_info.location:
            if (name := _named(file, list(location.path))) is not None:
                yield name, " ".join(location.leading_comments.split())


def _named(file: FileDescriptorProto, path: list[int]) -> str | None:
    """The full name of the field or oneof that a path of source code info leads to."""
    if path[:1] != [4] or len(path) < 4:
        return None
    message, name = file.message_type[path[1]], f"{file.package}."
    name += message.name
    rest = path[2:]
    while rest[0] == 3 and len(rest) > 2:
        message, rest = message.nested_type[rest[1]], rest[2:]
        name += f".{message.name}"
    if len(rest) != 2 or rest[0] not in (2, 8):
        return None
    found = message.field[rest[1]] if rest[0] == 2 else message.oneof_decl[rest[1]]
    return f"{name}.{found.name}"


COMMENTS = dict(_comments())


@dataclass(frozen=True)
class Lacking:
    """A request in which one thing is left out. ``secret``: a text that is judged, not refused."""

    request: Message
    path: str
    secret: bool = False


def is_required(field: FieldDescriptor) -> bool:
    """Whether a request must state it, as its annotation says."""
    behaviors = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    return field_behavior_pb2.REQUIRED in behaviors


def lacking(request: Message) -> Iterator[Lacking]:
    """Every one that comes of a valid request, by leaving out one thing somewhere."""
    for way in ways(cast("Descriptor", request.DESCRIPTOR)):
        yield from _lacking_at(request, way)


def ways(message: Descriptor, way: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The way to every message of ours in a request of this type, the request itself first."""
    yield way
    for field in message.fields:
        inside = field.message_type
        if inside is not None and inside.full_name.startswith("accredit.v1."):
            yield from ways(inside, (*way, field.name))


def _lacking_at(request: Message, way: tuple[str, ...]) -> Iterator[Lacking]:
    message = follow(copy_of(request), way)
    for field in message.DESCRIPTOR.fields:
        if is_required(field):
            yield _without(request, way, field)
        elif _must_be_true(field):
            copy = copy_of(request)
            setattr(follow(copy, way), field.name, False)
            yield Lacking(copy, path_of(request, (*way, field.name)))
    for oneof in message.DESCRIPTOR.oneofs:
        if "Exactly one must be set" in COMMENTS.get(oneof.full_name, ""):
            copy = copy_of(request)
            inside = follow(copy, way)
            for field in oneof.fields:
                inside.ClearField(field.name)
            # A message that is nothing but the choice is named itself: "agent", "resource".
            is_all = len(oneof.fields) == len(message.DESCRIPTOR.fields)
            place = way if is_all and way else (*way, oneof.name)
            yield Lacking(copy, path_of(request, place))


def _without(request: Message, way: tuple[str, ...], field: FieldDescriptor) -> Lacking:
    copy = copy_of(request)
    follow(copy, way).ClearField(field.name)
    secret = field.GetOptions().debug_redact
    return Lacking(copy, path_of(request, (*way, field.name), last_is_item=False), secret)


def _must_be_true(field: FieldDescriptor) -> bool:
    return "Must be true if set" in COMMENTS.get(field.full_name, "")


def copy_of(request: Message) -> Any:
    """Another one with the same content."""
    copy = type(request)()
    copy.CopyFrom(request)
    return copy


def follow(message: Any, way: tuple[str, ...]) -> Any:
    """The message at the end of the way, made where there is none; of a list its first item."""
    for step in way:
        field = getattr(message, step)
        if message.DESCRIPTOR.fields_by_name[step].is_repeated:
            message = field[0] if len(field) else field.add()
        else:
            field.SetInParent()
            message = field
    return message


def path_of(request: Message, way: tuple[str, ...], *, last_is_item: bool = True) -> str:
    """A way as refusals write it: "checks[0].agent". The last step may be a list as a whole."""
    message: Descriptor | None = cast("Descriptor", request.DESCRIPTOR)
    steps = []
    for place, step in enumerate(way):
        field = None if message is None else message.fields_by_name.get(step)
        as_item = last_is_item or place < len(way) - 1
        repeated = field is not None and field.is_repeated
        steps.append(f"{step}[0]" if repeated and as_item else step)
        message = None if field is None else field.message_type
    return ".".join(steps)
