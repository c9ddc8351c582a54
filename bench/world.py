"""What the benchmarks ask about: a thousand agents, a token, and the questions."""

from collections.abc import Iterator, Mapping
from typing import Any

import grpc

from accredit.v1 import (
    agent_pb2,
    agent_pb2_grpc,
    directory_pb2,
    directory_pb2_grpc,
    token_pb2,
    token_pb2_grpc,
    types_pb2,
)
from bench.load import Load

_AGENTS = 1000
_FILE_BYTES = 4096


def loads(address: str, secret: str) -> Mapping[str, Load]:
    """Make the agents, a token of one and a file, and the loads by the names of their figures."""
    metadata = [("authorization", f"Bearer {secret}")]
    with grpc.insecure_channel(address) as channel:
        token = _make(channel, metadata)
    return dict(_loads(token))


def _make(channel: grpc.Channel, metadata: Any) -> str:
    agents = agent_pb2_grpc.AgentServiceStub(channel)
    one, admin = types_pb2.AgentRef(agent_slug="agent-500"), types_pb2.UserRef(user_id=1)
    for start in range(0, _AGENTS, 100):
        wishes = [
            agent_pb2.CreateAgentRequest(agent_slug=f"agent-{number}", owner=admin)
            for number in range(start, start + 100)
        ]
        agents.BatchCreateAgents(
            agent_pb2.BatchCreateAgentsRequest(requests=wishes), metadata=metadata
        )
    directory_pb2_grpc.DirectoryServiceStub(channel).WriteFile(
        directory_pb2.WriteFileRequest(
            directory=directory_pb2.DirectoryRef(agent=one),
            path="MEMORY.md",
            content=b"x" * _FILE_BYTES,
        ),
        metadata=metadata,
    )
    wish = token_pb2.CreateTokenRequest(user=admin, full_rights=True)
    made = token_pb2_grpc.TokenServiceStub(channel).CreateToken(wish, metadata=metadata)
    return str(made.secret)


def _loads(token: str) -> Iterator[tuple[str, Load]]:
    one = {"agent_slug": "agent-500"}
    demands = [
        {"agent": {"agent_slug": f"agent-{number}"}, "minimum_role": "ROLE_OPERATOR"}
        for number in range(_AGENTS)
    ]
    yield "authenticate", Load("AuthService/Authenticate", [{"token": token}])
    authorize = [{"token": token, "demand": demand} for demand in demands]
    yield "authorize", Load("AuthService/Authorize", authorize)
    checks = [{"check": {**demand, "principal": {"user_id": 1}}} for demand in demands]
    yield "check_access", Load("AccessService/CheckAccess", checks)
    batch = [{**demand, "caller": True} for demand in demands[:100]]
    yield "batch_check_100", Load("AccessService/BatchCheckAccess", [{"checks": batch}])
    yield "get_agent", Load("AgentService/GetAgent", [{"agent": one}])
    listing = {"page_size": 50, "include_role": True}
    yield "list_agents_50", Load("AgentService/ListAgents", [listing])
    reading = {"directory": {"agent": one}, "path": "MEMORY.md"}
    yield "read_file_4k", Load("DirectoryService/ReadFile", [reading])
    renaming = [{"agent": one, "update": {"agent_name": f"Name {number}"}} for number in range(100)]
    yield "update_agent", Load("AgentService/UpdateAgent", renaming)
    yield "create_token", Load("TokenService/CreateToken", [{"agent": one, "full_rights": True}])
    creating = {"agent_slug": "new-{{newUUID}}", "owner": {"user_id": 1}}
    yield "create_agent", Load("AgentService/CreateAgent", [creating])
