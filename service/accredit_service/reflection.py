"""gRPC's reflection service, v1 and v1alpha: what the server serves, with the contract's comments.

grpcio-reflection has v1alpha only and answers out of Python's descriptor pool, which has no
comments and finds neither methods nor enum values. So only its messages are used here.
"""

from collections.abc import Iterable, Iterator, Sequence

import grpc
from google.protobuf import text_format
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection_pb2 import (
    ErrorResponse,
    ExtensionNumberResponse,
    FileDescriptorResponse,
    ListServiceResponse,
    ServerReflectionRequest,
    ServerReflectionResponse,
    ServiceResponse,
)

from .contract import descriptor_set

#: The service's two names. Their messages are the same, field for field.
SERVICES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
_METHOD = "ServerReflectionInfo"
#: Its methods, as the interceptors name them.
METHODS = tuple(f"{service}/{_METHOD}" for service in SERVICES)


def add_reflection(
    server: grpc.Server, services: Sequence[str], companions: Iterable[FileDescriptor]
) -> None:
    """Add reflection to a server that serves ``services`` of the contract.

    ``companions`` are the files of what it serves besides, all of whose services are listed.
    """
    described = [*_with_imports(companions), *_own_files()]
    listed = {
        *services,
        *SERVICES,
        *(service.full_name for file in companions for service in file.services_by_name.values()),
    }
    servicer = _Servicer(sorted(listed), _Index(described))
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.answer_all,
        request_deserializer=ServerReflectionRequest.FromString,
        response_serializer=ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service, {_METHOD: handler}) for service in SERVICES]
    )


class _Servicer:
    """Answers every question out of an index that was made at the start and never grows."""

    def __init__(self, services: Sequence[str], index: "_Index") -> None:
        self._services = ListServiceResponse(
            service=[ServiceResponse(name=one) for one in services]
        )
        self._index = index

    def answer_all(
        self, requests: Iterable[ServerReflectionRequest], _context: grpc.ServicerContext
    ) -> Iterator[ServerReflectionResponse]:
        """See reflection.proto. What is not known is an answer, not the end of the call."""
        for request in requests:
            answer = ServerReflectionResponse(valid_host=request.host, original_request=request)
            try:
                self._answer(request, answer)
            except KeyError:
                _refuse(answer, grpc.StatusCode.NOT_FOUND, "this server describes no such thing")
            yield answer

    def _answer(self, request: ServerReflectionRequest, answer: ServerReflectionResponse) -> None:
        """Fill in the answer. Raises KeyError where the index has nothing."""
        index = self._index
        match request.WhichOneof("message_request"):
            case "list_services":
                answer.list_services_response.CopyFrom(self._services)
            case "file_by_filename":
                _send(answer, index.file(request.file_by_filename))
            case "file_containing_symbol":
                _send(answer, index.file_of_symbol(request.file_containing_symbol))
            case "file_containing_extension":
                wanted = request.file_containing_extension
                extensions = index.extensions_of(wanted.containing_type)
                _send(answer, index.file(extensions[wanted.extension_number]))
            case "all_extension_numbers_of_type":
                extended = request.all_extension_numbers_of_type
                answer.all_extension_numbers_response.CopyFrom(
                    ExtensionNumberResponse(
                        base_type_name=extended, extension_number=index.extensions_of(extended)
                    )
                )
            case _:
                _refuse(answer, grpc.StatusCode.INVALID_ARGUMENT, "the request asks nothing")


def _send(answer: ServerReflectionResponse, files: Sequence[bytes]) -> None:
    answer.file_descriptor_response.CopyFrom(FileDescriptorResponse(file_descriptor_proto=files))


def _refuse(answer: ServerReflectionResponse, code: grpc.StatusCode, why: str) -> None:
    answer.error_response.CopyFrom(ErrorResponse(error_code=code.value[0], error_message=why))


class _Index:
    """The descriptors, and where each thing stands.

    Every look-up raises KeyError for what is unknown.
    """

    def __init__(self, companions: Iterable[FileDescriptorProto]) -> None:
        # The contract's come last: its copies of Google's files have comments.
        contract = FileDescriptorSet.FromString(descriptor_set()).file
        files = {file.name: file for file in [*companions, *contract]}
        self._imports = {name: tuple(file.dependency) for name, file in files.items()}
        self._encoded = {name: file.SerializeToString() for name, file in files.items()}
        self._symbols = {symbol: file.name for file in files.values() for symbol in _symbols(file)}
        self._extensions: dict[str, dict[int, str]] = {
            name: {} for file in files.values() for name, _ in _messages(file)
        }
        for file in files.values():
            for extension in _extensions(file):
                extended = extension.extendee.removeprefix(".")
                self._extensions[extended][extension.number] = file.name

    def file(self, name: str) -> Sequence[bytes]:
        """The encoded file of that name, and behind it all that it imports."""
        found = {name: self._encoded[name]}
        ahead = [*self._imports[name]]
        while ahead:
            imported = ahead.pop()
            if imported not in found:
                found[imported] = self._encoded[imported]
                ahead += self._imports[imported]
        return list(found.values())

    def file_of_symbol(self, symbol: str) -> Sequence[bytes]:
        """The same, by the full name of anything that the file defines."""
        return self.file(self._symbols[symbol])

    def extensions_of(self, message: str) -> dict[int, str]:
        """The extensions of a message: the names of their files, by their numbers in order."""
        return dict(sorted(self._extensions[message].items()))


def _with_imports(files: Iterable[FileDescriptor]) -> Iterator[FileDescriptorProto]:
    for file in files:
        yield from _with_imports(file.dependencies)
        described = FileDescriptorProto()
        file.CopyToProto(described)
        yield described


def _own_files() -> Iterator[FileDescriptorProto]:
    """The files of reflection itself. No wheel has v1, which is v1alpha under another name."""
    alpha, final = FileDescriptorProto(), FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(alpha)
    yield alpha
    text_format.Parse(text_format.MessageToString(alpha).replace("v1alpha", "v1"), final)
    final.options.ClearField("deprecated")
    yield final


def _messages(file: FileDescriptorProto) -> Iterator[tuple[str, DescriptorProto]]:
    """All messages of a file, nested ones too, each with its full name."""
    ahead = [(f"{file.package}.{message.name}", message) for message in file.message_type]
    while ahead:
        name, message = ahead.pop()
        yield name, message
        ahead += [(f"{name}.{nested.name}", nested) for nested in message.nested_type]


def _extensions(file: FileDescriptorProto) -> Iterator[FieldDescriptorProto]:
    """All extensions that a file defines, also those inside of messages."""
    yield from file.extension
    for _, message in _messages(file):
        yield from message.extension


def _symbols(file: FileDescriptorProto) -> Iterator[str]:
    """The full name of everything that a file defines."""
    enums = [(file.package, enum) for enum in file.enum_type]
    yield from (f"{file.package}.{extension.name}" for extension in file.extension)
    for name, message in _messages(file):
        yield name
        yield from (f"{name}.{field.name}" for field in (*message.field, *message.extension))
        yield from (f"{name}.{oneof.name}" for oneof in message.oneof_decl)
        enums += [(name, enum) for enum in message.enum_type]
    for scope, enum in enums:
        yield f"{scope}.{enum.name}"
        for value in enum.value:
            yield f"{scope}.{value.name}"
            # By the rules of protobuf a value stands beside its enum. People, and grpcurl, look for
            # it below.
            yield f"{scope}.{enum.name}.{value.name}"
    for service in file.service:
        yield f"{file.package}.{service.name}"
        yield from (f"{file.package}.{service.name}.{method.name}" for method in service.method)
