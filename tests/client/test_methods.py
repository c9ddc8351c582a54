"""What the client makes of the contract, and that what it tells type checkers is true."""

import copy
from typing import Any

import pytest
from google.protobuf import descriptor_pool

import accredit
from accredit import _public
from accredit._methods import SERVICES
from accredit._services import Services
from accredit.v1 import types_pb2
from tests.client.peer import SERVICES as SERVICERS
from tests.client.test_retries import METHODS
from tools import client_faces


def test_every_service_has_an_attribute() -> None:
    services = {method.path.split("/")[1].rpartition(".")[2] for method in METHODS}
    assert services == {base.__name__.removesuffix("Servicer") for base, _ in SERVICERS}


def test_every_call_of_a_service_is_there() -> None:
    for methods in SERVICES.values():
        service = next(iter(methods.values())).path.split("/")[1]
        descriptor = descriptor_pool.Default().FindServiceByName(service)
        assert len(methods) == len(descriptor.methods)


def test_names_are_spelt_as_in_python() -> None:
    assert SERVICES["auth"]["who_am_i"].path == "/accredit.v1.AuthService/WhoAmI"
    assert "batch_get_agents" in SERVICES["agents"]


def test_calls_that_answer_in_pages_have_an_iterator() -> None:
    assert {method.iterator: method.items for method in METHODS if method.items} == {
        "iterate_agents": "agents",
        "iterate_named_agents": "agents",
        "iterate_transfer_offers": "offers",
        "iterate_agent_access": "grants",
        "iterate_user_access": "grants",
        "iterate_tokens": "tokens",
        "iterate_users": "users",
        "iterate_sites": "sites",
        "iterate_changes": "changes",
        "iterate_files": "files",
        "iterate_daily_memory": "months",
        "iterate_agent_definitions": "definitions",
        "iterate_memory_file_types": "memory_file_types",
    }


def test_no_call_streams_its_requests() -> None:
    # The client has no way to say such a call; whoever adds one gives it one.
    for method in METHODS:
        service, name = method.path[1:].split("/")
        descriptor = descriptor_pool.Default().FindServiceByName(service)
        assert not descriptor.methods_by_name[name].client_streaming


def test_no_field_is_called_as_the_one_option_of_a_call() -> None:
    for method in METHODS:
        assert "timeout" not in method.request.DESCRIPTOR.fields_by_name


def test_type_checkers_are_told_what_is_there() -> None:
    # If this fails: make generate
    assert client_faces.PATH.read_text() == client_faces.text()


def test_a_service_lists_its_methods_and_survives_being_copied() -> None:
    with accredit.Client("localhost:1") as client:
        assert "get_agent" in dir(client.agents)
        assert "iterate_agents" in dir(client.agents)
        get_agent: Any = client.agents.get_agent
        assert get_agent.__name__ == "get_agent"
        assert "GetAgentRequest" in get_agent.__doc__
        assert isinstance(copy.copy(client.agents), type(client.agents))
        assert isinstance(client, Services)


def test_the_public_names_are_there_and_are_documented() -> None:
    for name in _public.__all__:
        assert getattr(accredit, name).__doc__, name
    assert set(_public.__all__) <= set(dir(accredit))
    assert accredit.aio.__all__ == ["Client", "Guard"]


def test_roles_are_the_contracts() -> None:
    ours = {f"ROLE_{role.name}": role.value for role in accredit.Role}
    assert {"ROLE_UNSPECIFIED": 0, **ours} == dict(types_pb2.Role.items())


def test_references_take_an_id_or_a_name() -> None:
    assert accredit.agent_ref(7) == types_pb2.AgentRef(agent_id=7)
    assert accredit.agent_ref("billing") == types_pb2.AgentRef(agent_slug="billing")
    assert accredit.user_ref(7) == types_pb2.UserRef(user_id=7)
    assert accredit.user_ref("ada") == types_pb2.UserRef(login="ada")
    assert accredit.principal_ref(7) == types_pb2.PrincipalRef(user_id=7)
    assert accredit.principal_ref("ada") == types_pb2.PrincipalRef(login="ada")
    assert accredit.site_ref(7) == types_pb2.SiteRef(site_id=7)
    assert accredit.site_ref("main") == types_pb2.SiteRef(site_slug="main")


def test_a_name_that_is_not_public_is_not_there() -> None:
    module: Any = accredit
    for name in ("Nothing", "_nothing", "RuleBook", "cells"):
        with pytest.raises(AttributeError, match=name):
            getattr(module, name)
