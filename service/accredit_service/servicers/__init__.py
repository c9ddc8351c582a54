"""One class per proto service: unpack the message, call one ability, pack the answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import grpc
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor

from accredit.v1 import (
    access_pb2,
    access_pb2_grpc,
    agent_pb2,
    agent_pb2_grpc,
    auth_pb2,
    auth_pb2_grpc,
    change_pb2,
    change_pb2_grpc,
    directory_pb2,
    directory_pb2_grpc,
    registry_pb2,
    registry_pb2_grpc,
    scope_pb2,
    scope_pb2_grpc,
    site_pb2,
    site_pb2_grpc,
    token_pb2,
    token_pb2_grpc,
    user_pb2,
    user_pb2_grpc,
)

from ..abilities.calls.app import App
from .access import AccessServicer
from .agents import AgentServicer
from .auth import AuthServicer
from .changes import ChangeServicer
from .directories import DirectoryServicer
from .registry import RegistryServicer
from .scope import ScopeServicer
from .sites import SiteServicer
from .tokens import TokenServicer
from .users import UserServicer


@dataclass(frozen=True, slots=True)
class Service:
    """One of our services: its contract, and how its servicer is added to a server."""

    descriptor: ServiceDescriptor
    add: Callable[[grpc.Server], None]


def services(app: App) -> Sequence[Service]:
    """Every service of the contract."""
    return [
        _service(agent_pb2, agent_pb2_grpc.add_AgentServiceServicer_to_server, AgentServicer(app)),
        _service(
            access_pb2, access_pb2_grpc.add_AccessServiceServicer_to_server, AccessServicer(app)
        ),
        _service(token_pb2, token_pb2_grpc.add_TokenServiceServicer_to_server, TokenServicer(app)),
        _service(auth_pb2, auth_pb2_grpc.add_AuthServiceServicer_to_server, AuthServicer(app)),
        _service(user_pb2, user_pb2_grpc.add_UserServiceServicer_to_server, UserServicer(app)),
        _service(site_pb2, site_pb2_grpc.add_SiteServiceServicer_to_server, SiteServicer(app)),
        _service(scope_pb2, scope_pb2_grpc.add_ScopeServiceServicer_to_server, ScopeServicer(app)),
        _service(
            change_pb2, change_pb2_grpc.add_ChangeServiceServicer_to_server, ChangeServicer(app)
        ),
        _service(
            directory_pb2,
            directory_pb2_grpc.add_DirectoryServiceServicer_to_server,
            DirectoryServicer(app),
        ),
        _service(
            registry_pb2,
            registry_pb2_grpc.add_RegistryServiceServicer_to_server,
            RegistryServicer(app),
        ),
    ]


def _service(module: object, add: Callable[..., None], servicer: object) -> Service:
    file: FileDescriptor = module.DESCRIPTOR  # type: ignore[attr-defined]
    (descriptor,) = file.services_by_name.values()
    return Service(descriptor, partial(add, servicer))
