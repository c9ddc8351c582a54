"""The contract's files as the protos describe them, comments and options and all."""

from collections.abc import Iterator, Mapping, Sequence

# Without it, the bindings are unknown fields of the options.
from google.api import annotations_pb2 as annotations_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)

from accredit_service.contract import descriptor_set

#: Those of accredit/v1.
FILES: Sequence[FileDescriptorProto] = [
    file
    for file in FileDescriptorSet.FromString(descriptor_set()).file
    if file.name.startswith("accredit/")
]
#: All of their services and methods.
SERVICES: Sequence[ServiceDescriptorProto] = [one for file in FILES for one in file.service]
METHODS: Mapping[str, MethodDescriptorProto] = {
    f"{service.name}/{method.name}": method for service in SERVICES for method in service.method
}


def _messages() -> Iterator[tuple[str, DescriptorProto]]:
    ahead = [
        (f"{file.package}.{message.name}", message)
        for file in FILES
        for message in file.message_type
    ]
    while ahead:
        name, message = ahead.pop()
        yield name, message
        ahead += [(f"{name}.{nested.name}", nested) for nested in message.nested_type]


#: All of their messages by full name, those of map entries too.
MESSAGES: Mapping[str, DescriptorProto] = dict(_messages())
#: All of their enums.
ENUMS: Sequence[EnumDescriptorProto] = [
    *(enum for file in FILES for enum in file.enum_type),
    *(enum for message in MESSAGES.values() for enum in message.enum_type),
]
