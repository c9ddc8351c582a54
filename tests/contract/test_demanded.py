"""What decides has no default, and what nobody knows is not taken for something else."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest

from tests.api.asking import decision, outcome
from tests.api.scene import METHODS, REQUESTS
from tests.contract.conftest import World
from tests.contract.demanded import (
    COMMENTS,
    Lacking,
    copy_of,
    follow,
    is_required,
    lacking,
    path_of,
    ways,
)
from tests.server import RefusedError

#: What has to be stated in a request however the annotations are written.
DECIDES = {
    "AccessService/CheckAccess": ["check.agent", "check.minimum_role", "check.subject"],
    "AccessService/BatchCheckAccess": ["checks[0].minimum_role", "checks[0].subject"],
    "AccessService/GrantAccess": ["agent", "principal", "role"],
    "AgentService/SetAgentStatus": ["status"],
    "AuthService/Authorize": ["demand", "demand.minimum_role"],
    "AuthService/BatchAuthorize": ["demands[0].minimum_role"],
    "ScopeService/CheckResource": ["minimum_role", "resource", "subject"],
    "ScopeService/ResolveScope": ["minimum_role", "subject"],
    "TokenService/CreateToken": ["ceiling.max_role", "holder", "rights"],
    "TokenService/RevokeUserTokens": ["user"],
    "UserService/CreateUser": ["login", "role"],
}


def _request(world: World, method: str) -> Message:
    fields = REQUESTS[method](world.scene, world.server.admin)
    request: Message = world.server.request_of(method)(**fields)
    return request


def _revision(world: World) -> int:
    with world.server.app.store.read() as tx:
        return tx.head().revision


def _answer(world: World, method: str, request: Message) -> Any:
    return world.server.call(method, world.server.admin.token, request=request)


def _fault(world: World, method: str, path: str, request: Message) -> str:
    """In what the answer is not a refusal that names the path; empty if it is one."""
    before = _revision(world)
    try:
        answer = _answer(world, method, request)
        (code, named) = _failed_item(answer)
    except RefusedError as refusal:
        code, named = refusal.code.name, list(refusal.fields)
    if _revision(world) != before:
        return f"{path}: something was written"
    # Of what is left out as a whole the refusal may name what it misses in it.
    about = len(named) == 1 and (named[0] == path or named[0].startswith(f"{path}."))
    return "" if about and code == "INVALID_ARGUMENT" else f"{path}: {code} {named}"


def _failed_item(answer: Any) -> tuple[str, list[str]]:
    """Code and fields of the one item that failed, where each has an outcome of its own."""
    for result in getattr(answer, "results", ()):
        bad = BadRequest()
        if any(detail.Unpack(bad) for detail in result.error.details):
            named = [f"requests[0].{violation.field}" for violation in bad.field_violations]
            return Code.Name(result.error.code), named
    return "OK", []


def test_the_annotations_and_comments_say_what_decides(world: World) -> None:
    for method, paths in DECIDES.items():
        found = [one.path for one in lacking(_request(world, method))]
        assert set(paths) <= set(found), method
    # Whoever words a comment otherwise makes these tests look past it.
    choices = [name for name, text in COMMENTS.items() if "Exactly one must be set" in text]
    assert len(choices) == 12
    assert sum("Must be true if set" in text for text in COMMENTS.values()) == 8


@pytest.mark.parametrize("method", METHODS)
def test_what_a_request_has_to_state_has_no_default(world: World, method: str) -> None:
    request = _request(world, method)
    wrong = [
        fault
        for one in lacking(request)
        if (fault := _judged(world, method, one) if one.secret else _lacks(world, method, one))
    ]
    assert not wrong, "\n".join(wrong)


def _lacks(world: World, method: str, one: Lacking) -> str:
    return _fault(world, method, one.path, one.request)


def _judged(world: World, method: str, one: Lacking) -> str:
    """A text that somebody presented is judged whatever it is, also if it is empty."""
    answer = _answer(world, method, one.request)
    if hasattr(answer, "decisions"):
        found = {decision(each) for each in answer.decisions}
    else:
        found = {outcome(answer)}
    return "" if found == {"TOKEN_INVALID"} else f"{one.path}: {found}"


@pytest.mark.parametrize("method", METHODS)
def test_a_number_that_nobody_knows_is_no_member_of_an_enum(world: World, method: str) -> None:
    request = _request(world, method)
    wrong = []
    for way, field in _enums(request):
        for number in (99, -1, 2**31 - 1):
            copy = copy_of(request)
            inside = follow(copy, way)
            if field.is_repeated:
                getattr(inside, field.name)[:] = [number]
            else:
                setattr(inside, field.name, number)
            wrong.append(_fault(world, method, path_of(request, (*way, field.name)), copy))
    assert not any(wrong), "\n".join(filter(None, wrong))


def _enums(request: Message) -> Iterator[tuple[tuple[str, ...], FieldDescriptor]]:
    for way in ways(cast("Descriptor", request.DESCRIPTOR)):
        for field in follow(copy_of(request), way).DESCRIPTOR.fields:
            if field.enum_type is not None:
                yield way, field


@pytest.mark.parametrize("number", [0, 99])
def test_a_refusal_names_the_values_of_an_enum_as_they_are_sent(world: World, number: int) -> None:
    # A client that sent ADMIN, which its library dropped, is told of ROLE_ADMIN.
    request = cast("Any", _request(world, "AuthService/Authorize"))
    request.demand.minimum_role = number
    with pytest.raises(RefusedError) as refused:
        _answer(world, "AuthService/Authorize", request)
    assert "one of ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN" in refused.value.message


def test_there_is_much_to_leave_out(world: World) -> None:
    # Nothing would be found if the annotations were not there to be read.
    required = {
        f"{method} {field.name}"
        for method, one in METHODS.items()
        for field in one.input_type.fields
        if is_required(field)
    }
    assert len(required) > 70
    request_of = world.server.request_of
    assert sum(len(list(_enums(request_of(one)()))) for one in METHODS) > 20
