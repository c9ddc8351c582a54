"""gRPC's channelz service: the library's, behind a front that answers odd questions properly.

The library answers a question about what there is not by setting a code and returning nothing,
which is no message to send.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_channelz.v1 import channelz, channelz_pb2

from .abilities.errors import NotFound, Reason, invalid

# Their stubs name another type, which is the same at run time.
SERVICE = cast("ServiceDescriptor", channelz_pb2.DESCRIPTOR.services_by_name["Channelz"])


def add_channelz(server: grpc.Server) -> None:
    """Add it to a server."""
    library = channelz.ChannelzServicer()
    handlers = {
        method.name: grpc.unary_unary_rpc_method_handler(
            partial(_answer, getattr(library, method.name)),
            request_deserializer=getattr(channelz_pb2, method.input_type.name).FromString,
            response_serializer=getattr(channelz_pb2, method.output_type.name).SerializeToString,
        )
        for method in SERVICE.methods
    }
    handler = grpc.method_handlers_generic_handler(SERVICE.full_name, handlers)
    server.add_generic_rpc_handlers([handler])


def _answer(ask: Callable[[Any, Any], Any], request: Any, context: grpc.ServicerContext) -> Any:
    for field, value in request.ListFields():
        if isinstance(value, int) and value < 0:
            raise invalid(field.name, "0 or more")
    answer = ask(request, context)
    if answer is None:
        raise NotFound(
            Reason.CHANNELZ_ENTITY_NOT_FOUND,
            "there is no such server, channel or socket: GetServers and GetTopChannels list them",
        )
    return answer
