"""What the contract says of each call, read from the descriptors and written nowhere else.

A call added to protos/ has its Python method, its page iterator and its retries by this.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from accredit.v1 import (
    access_pb2,
    agent_pb2,
    auth_pb2,
    change_pb2,
    directory_pb2,
    registry_pb2,
    scope_pb2,
    site_pb2,
    token_pb2,
    user_pb2,
)

PAGE_SIZE = 100
"""How many items an iterator fetches at a time where its caller does not say."""

_IDEMPOTENT = frozenset(
    {
        descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS,
        # Calls that only ask, and carry a secret: some servers would take NO_SIDE_EFFECTS as leave
        # to put the request into a URL.
        descriptor_pb2.MethodOptions.IDEMPOTENT,
    }
)

_WORD = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One call of the API."""

    path: str
    """As gRPC spells it: "/accredit.v1.AgentService/GetAgent"."""
    name: str
    """As Python spells it: "get_agent"."""
    request: type[Message]
    response: type[Message]
    streams: bool
    """Whether the answer is a stream. Requests are single messages throughout."""
    idempotent: bool
    """Whether the contract declares it idempotent, or free of side effects altogether."""
    has_request_id: bool
    """Whether the request can name its attempt, so that a repeat has one effect."""
    items: str
    """The response's field of items if the call answers in pages, else empty."""

    @property
    def repeatable(self) -> bool:
        """Whether sending it again does no more than sending it once."""
        return not self.streams and (self.idempotent or self.has_request_id)

    @property
    def iterator(self) -> str:
        """The name of its page iterator, empty if it does not answer in pages.

        "iterate_agents" for "list_agents", "iterate_named_agents" for "batch_get_agents".
        """
        if not self.items:
            return ""
        return f"iterate_{self.name.removeprefix('list_').replace('batch_get_', 'named_')}"

    def new_request(self, request: Message | None, fields: Mapping[str, Any]) -> Message:
        """The request given, or one of these fields. Raises TypeError or ValueError."""
        if request is None:
            return self.request(**fields)
        if fields:
            raise TypeError(f"{self.name}() takes a request or its fields, not both")
        if not isinstance(request, self.request):
            raise TypeError(
                f"{self.name}() takes a {self.request.__name__}, not a {type(request).__name__}"
            )
        return request

    def named(self, request: Message) -> Message:
        """The request with a request_id, if it can have one: a repeat then has one effect.

        A copy, for whoever sends the same message twice means two effects.
        """
        if not self.has_request_id or getattr(request, "request_id"):  # noqa: B009 - see mypy
            return request
        return _changed(request, request_id=str(uuid.uuid4()))

    def first_page(self, request: Message) -> Message:
        """The request with a bounded page_size."""
        if getattr(request, "page_size", PAGE_SIZE):
            return request
        return _changed(request, page_size=PAGE_SIZE)

    def next_page(self, request: Message, response: Message) -> Message | None:
        """The request for the page after this response, or None after the last."""
        token = getattr(response, "next_page_token")  # noqa: B009
        return _changed(request, page_token=token) if token else None


def _changed(request: Message, **fields: Any) -> Message:
    copy = type(request)()
    copy.CopyFrom(request)
    for name, value in fields.items():
        setattr(copy, name, value)
    return copy


def _method(descriptor: MethodDescriptor) -> Method:
    options = descriptor.GetOptions()
    return Method(
        path=f"/{descriptor.containing_service.full_name}/{descriptor.name}",
        name=_WORD.sub("_", descriptor.name).lower(),
        request=message_factory.GetMessageClass(descriptor.input_type),
        response=message_factory.GetMessageClass(descriptor.output_type),
        streams=descriptor.server_streaming,
        idempotent=options.idempotency_level in _IDEMPOTENT,
        has_request_id="request_id" in descriptor.input_type.fields_by_name,
        items=_items(descriptor.input_type, descriptor.output_type),
    )


def _items(request: Descriptor, response: Descriptor) -> str:
    """The one repeated message field of a paged response; empty if it is not paged."""
    if "page_token" not in request.fields_by_name:
        return ""
    if "next_page_token" not in response.fields_by_name:
        return ""
    # By way of the message, because descriptors name a field's label differently in
    # protobuf 5 and 7.
    proto = descriptor_pb2.DescriptorProto()
    response.CopyToProto(proto)
    repeated = [
        field.name
        for field in proto.field
        if field.label == field.LABEL_REPEATED and field.type == field.TYPE_MESSAGE
    ]
    return repeated[0] if len(repeated) == 1 else ""


def _methods(service: ServiceDescriptor) -> Mapping[str, Method]:
    methods = (_method(descriptor) for descriptor in service.methods)
    return MappingProxyType({method.name: method for method in methods})


SERVICES: Mapping[str, Mapping[str, Method]] = {
    attribute: _methods(module.DESCRIPTOR.services_by_name[service])
    for attribute, module, service in (
        ("agents", agent_pb2, "AgentService"),
        ("access", access_pb2, "AccessService"),
        ("tokens", token_pb2, "TokenService"),
        ("auth", auth_pb2, "AuthService"),
        ("users", user_pb2, "UserService"),
        ("sites", site_pb2, "SiteService"),
        ("scope", scope_pb2, "ScopeService"),
        ("changes", change_pb2, "ChangeService"),
        ("directories", directory_pb2, "DirectoryService"),
        ("registry", registry_pb2, "RegistryService"),
    )
}
"""The calls of each service, by the client's attribute and the Python name."""
