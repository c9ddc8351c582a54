"""What a client is told that has nothing of the contract but the server's address."""

import shutil
import subprocess
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.rpc import error_details_pb2
from grpc_channelz.v1 import channelz_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.reflection_pb2 import (
    ExtensionRequest,
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from accredit.v1 import errors_pb2, types_pb2
from accredit_service.servicers import services
from tests.server import MODULES
from tests.service.conftest import Start
from tests.service.running import PATIENCE, Running, failed, running

VERSIONS = ("v1", "v1alpha")
#: The number of google.api.http, which every method of the contract has.
HTTP = 72295728

Ask: TypeAlias = Callable[..., Sequence[ServerReflectionResponse]]


@pytest.fixture(scope="module")
def described(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Running]:
    """A server with all that it can serve; nothing here changes it."""
    folder = tmp_path_factory.mktemp("reflection")
    shutil.copyfile(sqlite_template, folder / "accredit.db")
    url = f"sqlite:///{folder / 'accredit.db'}"
    with running(url, folder, services=services, channelz=True) as described_server:
        yield described_server


def asking(channel: Any, version: str) -> Ask:
    """Questions of one stream, and their answers. The messages of both versions are the same."""
    call = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=ServerReflectionRequest.SerializeToString,
        response_deserializer=ServerReflectionResponse.FromString,
    )
    return lambda *requests: list(call(iter(requests), timeout=PATIENCE))


@pytest.fixture(params=VERSIONS)
def ask(described: Running, request: pytest.FixtureRequest) -> Ask:
    """The same, by each version."""
    return asking(described.channel, request.param)


def symbol(name: str) -> ServerReflectionRequest:
    return ServerReflectionRequest(file_containing_symbol=name)


def files(answer: ServerReflectionResponse) -> list[FileDescriptorProto]:
    """The files that an answer has."""
    assert answer.WhichOneof("message_response") == "file_descriptor_response", answer
    found = answer.file_descriptor_response.file_descriptor_proto
    return [FileDescriptorProto.FromString(file) for file in found]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "accredit.v1.AuthService",
            ["// WhoAmI says who the caller is. Needs nothing but a token that works."],
        ),
        (
            "accredit.v1.AuthService.Authorize",
            [
                "accredit.v1.AuthService.Authorize is a method:",
                "// Authorize says whose token this is and whether it may act on an agent: role, "
                "site and",
                'option (.google.api.http) = { post: "/v1/auth:authorize", body: "*" };',
            ],
        ),
        ("accredit.v1.Subject", ["// What kind of thing.", "string subject_id = 2;"]),
        ("accredit.v1.Subject.kind", ["accredit.v1.Subject.kind is a field:"]),
        ("accredit.v1.AuthorizeResponse.outcome", [".accredit.v1.Denial denial = 2;"]),
        ("accredit.v1.SearchDailyMemoryResponse.MatchedLine", ["// From 1 up."]),
        ("accredit.v1.Role", ["// See the agent and what belongs to it."]),
        ("accredit.v1.Role.ROLE_VIEWER", ["// See the agent and what belongs to it."]),
        ("accredit.v1.ROLE_VIEWER", ["accredit.v1.Role.ROLE_VIEWER is an enum value:"]),
        ("google.rpc.ErrorInfo", ["// The reason of the error. This is a constant value that "]),
        ("google.protobuf.Timestamp", ["int64 seconds = 1;"]),
        ("google.api.http", ["extend .google.protobuf.MethodOptions {"]),
        ("grpc.health.v1.Health.Check", ["grpc.health.v1.Health.Check is a method:"]),
        ("grpc.channelz.v1.Channelz", ["grpc.channelz.v1.Channelz is a service:"]),
        ("grpc.reflection.v1.ServerReflection", ["service ServerReflection {"]),
    ],
)
def test_grpcurl_describes(
    described: Running, grpcurl: str, name: str, lines: Sequence[str]
) -> None:
    command = [grpcurl, "-plaintext", described.server.address, "describe", name]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for line in lines:
        assert line in said


def test_grpcurl_calls_with_nothing_but_the_address(described: Running, grpcurl: str) -> None:
    bearer = f"authorization: Bearer {described.token}"
    command = [grpcurl, "-plaintext", "-H", bearer, described.server.address]
    made = subprocess.run(
        [*command, "accredit.v1.AuthService/WhoAmI"], check=True, capture_output=True, text=True
    )
    assert '"login": "admin"' in made.stdout


def test_what_is_served_is_listed(ask: Ask) -> None:
    (answer,) = ask(ServerReflectionRequest(list_services="", host="here"))
    assert (answer.valid_host, answer.original_request.host) == ("here", "here")
    ours = {name for module in MODULES for name in module.DESCRIPTOR.services_by_name}
    assert [service.name for service in answer.list_services_response.service] == sorted(
        {
            *(f"accredit.v1.{name}" for name in ours),
            *("grpc.channelz.v1.Channelz", "grpc.health.v1.Health"),
            *(f"grpc.reflection.{version}.ServerReflection" for version in VERSIONS),
        }
    )


def names(file: FileDescriptor) -> Iterator[str]:
    """Everything that Python knows of a file, by its full name."""
    for service in file.services_by_name.values():
        yield service.full_name
        yield from (method.full_name for method in service.methods)
    for message in file.message_types_by_name.values():
        yield from names_within(message)
    for enum in file.enum_types_by_name.values():
        yield enum.full_name
        yield from (f"{file.package}.{value}" for value in enum.values_by_name)


def names_within(message: Descriptor) -> Iterator[str]:
    yield message.full_name
    yield from (field.full_name for field in message.fields)
    yield from (oneof.full_name for oneof in message.oneofs)
    for nested in message.nested_types:
        yield from names_within(nested)
    for enum in message.enum_types:
        yield enum.full_name
        yield from (f"{message.full_name}.{value}" for value in enum.values_by_name)


def test_everything_is_found_with_all_that_it_imports(ask: Ask) -> None:
    ours = (errors_pb2, types_pb2, *MODULES, error_details_pb2, health_pb2, channelz_pb2)
    for file in (module.DESCRIPTOR for module in ours):
        wanted = list(names(file))
        answers = ask(*map(symbol, wanted))
        assert [answer.original_request.file_containing_symbol for answer in answers] == wanted
        for answer in answers:
            sent = [one.name for one in files(answer)]
            assert sent[0] == file.name
            assert len(set(sent)) == len(sent)
            assert {name for one in files(answer) for name in one.dependency} <= set(sent)


def test_the_files_of_the_contract_have_comments(ask: Ask) -> None:
    for answer in ask(symbol("accredit.v1.AgentService"), symbol("google.rpc.ErrorInfo")):
        for file in files(answer):
            assert any(one.leading_comments for one in file.source_code_info.location), file.name


def test_files_and_extensions_are_found(ask: Ask) -> None:
    extended = "google.protobuf.MethodOptions"
    name, extension, numbers, none = ask(
        ServerReflectionRequest(file_by_filename="accredit/v1/errors.proto"),
        ServerReflectionRequest(
            file_containing_extension=ExtensionRequest(
                containing_type=extended, extension_number=HTTP
            )
        ),
        ServerReflectionRequest(all_extension_numbers_of_type=extended),
        ServerReflectionRequest(all_extension_numbers_of_type="accredit.v1.Agent"),
    )
    assert [file.name for file in files(name)] == ["accredit/v1/errors.proto"]
    assert files(extension)[0].name == "google/api/annotations.proto"
    assert numbers.all_extension_numbers_response.base_type_name == extended
    assert list(numbers.all_extension_numbers_response.extension_number) == [HTTP]
    assert none.HasField("all_extension_numbers_response")
    assert not none.all_extension_numbers_response.extension_number


UNKNOWN = ["", ".", "accredit", "accredit.v1.", "accredit.v1.Nobody", ".accredit.v1.Agent", "\0"]


@pytest.mark.parametrize(
    "question",
    [
        *map(symbol, [*UNKNOWN, "x" * 500_000, "accredit.v1.AuthService.Nothing"]),
        *(ServerReflectionRequest(file_by_filename=name) for name in [*UNKNOWN, "../errors.proto"]),
        *(ServerReflectionRequest(all_extension_numbers_of_type=name) for name in UNKNOWN),
        *(
            ServerReflectionRequest(
                file_containing_extension=ExtensionRequest(
                    containing_type=containing, extension_number=number
                )
            )
            for containing, number in [
                ("", 0),
                ("accredit.v1.Nobody", 1),
                ("google.protobuf.MethodOptions", -1),
                ("accredit.v1.Agent", HTTP),
            ]
        ),
    ],
    ids=lambda question: str(question)[:60].strip(),
)
def test_what_is_unknown_is_an_answer_and_the_stream_goes_on(
    ask: Ask, question: ServerReflectionRequest
) -> None:
    unknown, known = ask(question, symbol("accredit.v1.Agent"))
    assert unknown.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
    assert unknown.error_response.error_message
    assert unknown.original_request == question
    assert files(known)


def test_a_question_without_a_question_is_invalid(ask: Ask) -> None:
    (answer,) = ask(ServerReflectionRequest())
    assert answer.error_response.error_code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("message", [b"\xff\xff", b"\x22\x02\xc3\x28", b"\x22\x05a"], ids=repr)
def test_what_is_no_question_at_all_ends_the_stream_as_the_callers_mistake(
    described: Running, version: str, message: bytes
) -> None:
    call = described.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    )
    with pytest.raises(grpc.RpcError) as refused:
        list(call(iter([message]), timeout=PATIENCE))
    assert failed(refused.value).reason == "REQUEST_MALFORMED"


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_not_served_is_not_described(start: Start, version: str) -> None:
    ask = asking(start().channel, version)
    # Python's pool of descriptors has it all the same.
    channelz, listed = ask(
        symbol("grpc.channelz.v1.Channelz"), ServerReflectionRequest(list_services="")
    )
    assert channelz.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
    assert "grpc.channelz.v1.Channelz" not in str(listed)
