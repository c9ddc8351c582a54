"""When a call is sent again: a table over the contract, and the waits between attempts."""

from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import MethodOptions

import accredit
from accredit._methods import SERVICES, Method
from accredit._retries import Attempts, Retries

READ, ASKS, GUARDED = "no side effects", "idempotent, with a secret", "guarded by request_id"
# The client does not repeat it; its caller may, for none of these does anything twice.
STREAM = "a stream, to be begun again"

# Why each call may be sent again; every call of the contract stands here. An empty reason
# would be a mutation of which a lost reply leaves the caller in doubt.
REPEATABLE = {
    "AccessService/BatchCheckAccess": READ,
    "AccessService/CheckAccess": READ,
    "AccessService/GetAccess": READ,
    "AccessService/GrantAccess": GUARDED,
    "AccessService/ListAgentAccess": READ,
    "AccessService/ListUserAccess": READ,
    "AccessService/RevokeAccess": GUARDED,
    "AgentService/AcceptTransfer": GUARDED,
    "AgentService/BatchCreateAgents": GUARDED,
    "AgentService/BatchGetAgents": READ,
    "AgentService/CreateAgent": GUARDED,
    "AgentService/DeclineTransfer": GUARDED,
    "AgentService/DeleteAgent": GUARDED,
    "AgentService/GetAgent": READ,
    "AgentService/ListAgents": READ,
    "AgentService/ListTransferOffers": READ,
    "AgentService/ProvisionAgent": GUARDED,
    "AgentService/RenameAgent": GUARDED,
    "AgentService/ResolveAgent": READ,
    "AgentService/SetAgentStatus": GUARDED,
    "AgentService/SetDefaultAgent": GUARDED,
    "AgentService/TransferAgent": GUARDED,
    "AgentService/UpdateAgent": GUARDED,
    "AuthService/Authenticate": ASKS,
    "AuthService/Authorize": ASKS,
    "AuthService/BatchAuthorize": ASKS,
    "AuthService/WhoAmI": READ,
    "ChangeService/ListChanges": READ,
    "ChangeService/VerifyChanges": READ,
    "DirectoryService/AppendDailyMemory": GUARDED,
    "DirectoryService/AppendFile": GUARDED,
    "DirectoryService/DeleteDailyMemory": GUARDED,
    "DirectoryService/DeleteFile": GUARDED,
    "DirectoryService/ListDailyMemory": READ,
    "DirectoryService/ListFiles": READ,
    "DirectoryService/ReadDailyMemory": STREAM,
    "DirectoryService/ReadFile": STREAM,
    "DirectoryService/ResolveDirectory": READ,
    "DirectoryService/ScaffoldFiles": GUARDED,
    "DirectoryService/SearchDailyMemory": READ,
    "DirectoryService/WriteDailyMemory": GUARDED,
    "DirectoryService/WriteFile": GUARDED,
    "RegistryService/GetAgentDefinition": READ,
    "RegistryService/ListAgentDefinitions": READ,
    "RegistryService/ListMemoryFileTypes": READ,
    "RegistryService/ReadDefinitionSeeds": STREAM,
    "RegistryService/ReconcileAgents": STREAM,
    "RegistryService/RegisterAgent": GUARDED,
    "RegistryService/RegisterMemoryFileType": GUARDED,
    "RegistryService/SuppressAgent": GUARDED,
    "RegistryService/UnregisterAgent": GUARDED,
    "RegistryService/UnregisterMemoryFileType": GUARDED,
    "RegistryService/UnsuppressAgent": GUARDED,
    "ScopeService/CheckResource": ASKS,
    "ScopeService/ResolveScope": ASKS,
    "SiteService/CreateSite": GUARDED,
    "SiteService/DeleteSite": GUARDED,
    "SiteService/GetSite": READ,
    "SiteService/ListSites": READ,
    "TokenService/CreateToken": GUARDED,
    "TokenService/GetToken": READ,
    "TokenService/ListTokens": READ,
    "TokenService/RevokeAgentTokens": GUARDED,
    "TokenService/RevokeToken": GUARDED,
    "TokenService/RevokeUserTokens": GUARDED,
    "TokenService/RotateToken": GUARDED,
    "UserService/CreateUser": GUARDED,
    "UserService/DeactivateUser": GUARDED,
    "UserService/DeleteUser": GUARDED,
    "UserService/GetUser": READ,
    "UserService/ListUsers": READ,
    "UserService/UpdateUser": GUARDED,
}

BY_LEVEL = {
    MethodOptions.NO_SIDE_EFFECTS: READ,
    # Not NO_SIDE_EFFECTS, which some servers take as leave to put the request into a URL.
    MethodOptions.IDEMPOTENT: ASKS,
}

METHODS = [method for methods in SERVICES.values() for method in methods.values()]
GET_AGENT = SERVICES["agents"]["get_agent"]


def why(method: Method) -> str:
    if method.streams:
        return STREAM
    if not method.repeatable:
        return ""
    if method.has_request_id:
        return GUARDED
    service, name = method.path[1:].split("/")
    descriptor = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    return BY_LEVEL[descriptor.GetOptions().idempotency_level]


def test_every_call_is_repeated_for_a_known_reason() -> None:
    found = {method.path.removeprefix("/accredit.v1."): why(method) for method in METHODS}
    assert found == REPEATABLE


def test_a_call_without_either_reason_is_not_repeated() -> None:
    plain = Method(
        path="/p.S/M",
        name="m",
        request=GET_AGENT.request,
        response=GET_AGENT.response,
        streams=False,
        idempotent=False,
        has_request_id=False,
        items="",
    )
    attempts = Attempts(plain, Retries(), 10)
    attempts.timeout()
    with pytest.raises(accredit.Unavailable):
        attempts.wait(Down())


class Down(grpc.RpcError):
    """An error as gRPC raises it."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return "down"

    def trailing_metadata(self) -> Any:
        return None


def unavailable(retry_after: float | None = None) -> accredit.AccreditError:
    return accredit.Unavailable("down", retry_after=retry_after)


def test_the_bound_of_a_wait_doubles_up_to_a_maximum() -> None:
    longest = Retries(max_attempts=9, chance=lambda: 1.0)
    waits = [longest.wait(unavailable(), attempt) for attempt in range(1, 10)]
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0, None]


def test_a_wait_is_anywhere_below_its_bound() -> None:
    assert Retries(chance=lambda: 0.0).wait(unavailable(), 4) == 0.0
    assert Retries(chance=lambda: 0.5).wait(unavailable(), 4) == 0.4


def test_the_servers_wish_is_the_least_wait() -> None:
    assert Retries(chance=lambda: 0.5).wait(unavailable(retry_after=3.0), 1) == 3.05


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (accredit.Unavailable("m"), True),
        (accredit.Unavailable("m", reason="DATABASE_UNAVAILABLE"), True),
        (accredit.Aborted("m"), False),
        (accredit.Aborted("m", retry_after=0.0), True),
        (accredit.Aborted("m", reason="CONTENTION", retry_after=0.0), True),
        (accredit.Aborted("m", reason="ETAG_MISMATCH", retry_after=0.0), False),
        (accredit.Aborted("m", reason="SECRET_ALREADY_SHOWN", retry_after=0.0), False),
        (accredit.Aborted("m", reason="TOKEN_ALREADY_ROTATED", retry_after=0.0), False),
        (accredit.ResourceExhausted("m"), False),
        (accredit.ResourceExhausted("m", reason="OVERLOADED", retry_after=0.0), True),
        (accredit.ResourceExhausted("m", reason="AGENT_LIMIT_REACHED", retry_after=0.0), False),
        (accredit.DeadlineExceeded("m", retry_after=0.0), False),
        (accredit.Internal("m", retry_after=0.0), False),
        (accredit.Unauthenticated("m", retry_after=0.0), False),
        (accredit.Unknown("m", retry_after=0.0), False),
    ],
    ids=lambda case: repr(case),
)
def test_only_what_may_pass_is_tried_again(error: accredit.AccreditError, again: bool) -> None:
    assert (Retries().wait(error, 1) is not None) is again


def test_all_attempts_share_one_deadline() -> None:
    now = [100.0]
    attempts = Attempts(GET_AGENT, Retries(chance=lambda: 1.0), 10.0, clock=lambda: now[0])
    assert attempts.timeout() == 10.0
    now[0] += 4.0
    assert attempts.wait(Down()) == 0.1
    now[0] += 0.1
    assert attempts.timeout() == pytest.approx(5.9)
    now[0] += 5.8
    with pytest.raises(accredit.Unavailable) as caught:
        attempts.wait(Down())
    assert isinstance(caught.value.__cause__, Down)
