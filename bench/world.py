"""What the benchmarks ask about: agents, tokens, a file, and the questions about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from accredit_service.abilities.calls.app import utc_now
from accredit_service.abilities.credentials import bearer
from accredit_storage.records import NewAgent, Token, UserId
from accredit_storage.store import Store
from bench.load import Load, Served

AGENTS = 1000
SITES = 10
#: Questions of which `repeated` consists.
QUESTIONS = SITES * AGENTS
#: Checks in one call of `batch`.
CHECKS = 1000
FILE_BYTES = 4096
PAGE = 50
_ROLE = {"minimum_role": "ROLE_OPERATOR"}


@dataclass(frozen=True)
class Holder:
    """An agent, and the text of a token of it."""

    agent_slug: str
    secret: str


def make(server: Served) -> None:
    """The agents, which are the administrator's, one of them with a file."""
    metadata = server.metadata
    with grpc.insecure_channel(server.address) as channel:
        agents = agent_pb2_grpc.AgentServiceStub(channel)
        admin = types_pb2.UserRef(user_id=1)
        for start in range(0, AGENTS, 100):
            wishes = [
                agent_pb2.CreateAgentRequest(agent_slug=f"agent-{number}", owner=admin)
                for number in range(start, start + 100)
            ]
            agents.BatchCreateAgents(
                agent_pb2.BatchCreateAgentsRequest(requests=wishes), metadata=metadata
            )
        one = types_pb2.AgentRef(agent_slug="agent-500")
        directory_pb2_grpc.DirectoryServiceStub(channel).WriteFile(
            directory_pb2.WriteFileRequest(
                directory=directory_pb2.DirectoryRef(agent=one),
                path="MEMORY.md",
                content=b"x" * FILE_BYTES,
            ),
            metadata=metadata,
        )


def token(server: Served) -> str:
    """A new token of the administrator's."""
    metadata = server.metadata
    with grpc.insecure_channel(server.address) as channel:
        wish = token_pb2.CreateTokenRequest(user=types_pb2.UserRef(user_id=1), full_rights=True)
        made = token_pb2_grpc.TokenServiceStub(channel).CreateToken(wish, metadata=metadata)
        return str(made.secret)


def holders(store: Store, number: int) -> Sequence[Holder]:
    """So many agents of the administrator's with a token each, written past the service.

    The store has been served before, so that it has its administrator and its keys.
    """
    found, at = [], utc_now()
    with store.write() as tx:
        key = max(tx.token_keys(), key=lambda one: one.created_at)
        for count in range(number):
            new = NewAgent(
                agent_slug=f"holder-{count}", agent_name="Holder", config={}, site_scope=None
            )
            agent = tx.agents.add(new, owner_id=UserId(1), at=at)
            assert agent is not None
            minted = bearer.mint(key)
            record = Token(
                token_id=minted.token_id,
                agent_id=agent.agent_id,
                user_id=None,
                label="",
                ceiling=None,
                act_as_owner=False,
                created_by=UserId(1),
                created_at=at,
                expire_at=None,
                revoked_at=None,
                rotated_from=None,
                replaced_by=None,
                last_used_at=None,
                version=1,
            )
            tx.tokens.add(record, minted.digest, minted.key_id)
            found.append(Holder(agent.agent_slug, minted.secret))
    return found


def repeated(secret: str) -> Load:
    """Each agent at each site, QUESTIONS in all."""
    requests = [
        {"token": secret, "demand": {**_ROLE, "agent": _agent(agent), "site_id": site}}
        for site in range(SITES)
        for agent in range(AGENTS)
    ]
    return Load("AuthService/Authorize", requests)


def new(secret: str) -> Load:
    """Questions of which no two are the same, about the same agents."""
    requests = [
        {
            "token": secret,
            "demand": {**_ROLE, "agent": _agent(agent), "capability": "of-{{.UUID}}"},
        }
        for agent in range(AGENTS)
    ]
    return Load("AuthService/Authorize", requests)


def cold(some: Sequence[Holder]) -> Load:
    """One question about each holder."""
    requests = [
        {"token": one.secret, "demand": {**_ROLE, "agent": {"agent_slug": one.agent_slug}}}
        for one in some
    ]
    return Load("AuthService/Authorize", requests)


def batch() -> Load:
    """CHECKS checks in one call, about the caller."""
    checks = [
        {**_ROLE, "agent": _agent(number % AGENTS), "caller": True} for number in range(CHECKS)
    ]
    return Load("AccessService/BatchCheckAccess", [{"checks": checks}])


def calls() -> Mapping[str, Load]:
    """The other calls, by the names of their figures."""
    one: dict[str, Any] = _agent(500)
    renaming = [{"agent": one, "update": {"agent_name": f"Name {number}"}} for number in range(100)]
    creating = {"agent_slug": "new-{{newUUID}}", "owner": {"user_id": 1}}
    listing = {"page_size": PAGE, "include_role": True}
    reading = {"directory": {"agent": one}, "path": "MEMORY.md"}
    return {
        "get_agent": Load("AgentService/GetAgent", [{"agent": _agent(n)} for n in range(AGENTS)]),
        "list_agents_50": Load("AgentService/ListAgents", [listing]),
        "read_file_4k": Load("DirectoryService/ReadFile", [reading]),
        "update_agent": Load("AgentService/UpdateAgent", renaming),
        "create_token": Load("TokenService/CreateToken", [{"agent": one, "full_rights": True}]),
        "create_agent": Load("AgentService/CreateAgent", [creating]),
    }


def updates() -> Load:
    """Updates of one agent after the other."""
    requests = [
        {"agent": _agent(number), "update": {"agent_name": "Name {{.RequestNumber}}"}}
        for number in range(AGENTS)
    ]
    return Load("AgentService/UpdateAgent", requests)


def _agent(number: int) -> dict[str, Any]:
    return {"agent_slug": f"agent-{number}"}
