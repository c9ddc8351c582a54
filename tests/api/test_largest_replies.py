"""A client at its default limits, 4 MiB a message, reads everything at the largest sizes."""

from typing import Any

from accredit.v1 import registry_pb2
from accredit_service.servicers.pages import REPLY_LIMIT, in_replies
from accredit_storage.records import Ceiling, MemoryLayer, NewAgent, Role, UserId
from tests.declared.declaring import declare, declared, outcomes, seeds
from tests.server import Server
from tests.storage.making import put_definition, put_memory_file_type, token

MEBIBYTE = 2**20
# Many small values are what takes the most room in a message.
LARGE_CONFIG: dict[str, Any] = {"values": [[0]] * 2400, "text": "x" * 50_000}


def read(server: Server, method: str, items: str, **query: Any) -> list[Any]:
    """The items of all pages, each of which is within the bound of a reply."""
    found: list[Any] = []
    query.setdefault("page_size", 500)
    token = ""
    while True:
        page = server.admin.call(method, page_token=token, **query)
        assert page.ByteSize() <= REPLY_LIMIT
        found += getattr(page, items)
        if not (token := page.next_page_token):
            return found


def test_the_largest_day(own_server: Server) -> None:
    owner = own_server.user()
    agent_id = own_server.agent(owner).agent_id
    day: dict[str, Any] = {"agent": {"agent_id": agent_id}, "date": "2026-02-28"}
    content = bytes(range(256)) * (4 * MEBIBYTE // 256)
    owner.call("DirectoryService/WriteDailyMemory", **day, content=content)
    pieces = owner.call("DirectoryService/ReadDailyMemory", **day)
    assert b"".join(piece.content for piece in pieces) == content
    assert max(piece.ByteSize() for piece in pieces) < 65 * 1024


def test_the_largest_seeds(own_server: Server) -> None:
    texts = {f"{number:02}.md": "é" * (4 * MEBIBYTE // 100) for number in range(50)}
    register, read_seeds = "RegistryService/RegisterAgent", "RegistryService/ReadDefinitionSeeds"
    own_server.admin.call(register, agent_slug="scribe", memory_seeds=seeds(texts))
    pieces = own_server.admin.call(read_seeds, agent_slug="scribe")
    assert [piece.seed.filename for piece in pieces if piece.HasField("seed")] == list(texts)
    assert b"".join(piece.content for piece in pieces).decode() == "".join(texts.values())
    assert max(piece.ByteSize() for piece in pieces) < 65 * 1024
    get = own_server.admin.call("RegistryService/GetAgentDefinition", agent_slug="scribe")
    assert (
        sum(seed.size for seed in get.definition.memory_seeds) == len("".join(texts.values())) * 2
    )


def test_the_largest_definitions(own_server: Server) -> None:
    own_server.app.declarations.replace_manifests([], ["ü" * 500] * 100)
    with own_server.app.store.write() as tx:
        for number in range(500):
            put_definition(tx, f"agent-{number}", description="d" * 16 * 1024, memory_seeds={})
    found = read(own_server, "RegistryService/ListAgentDefinitions", "definitions")
    assert [one.agent_slug for one in found] == [f"agent-{number}" for number in range(500)]
    assert {len(one.description) for one in found} == {16 * 1024}


def test_the_largest_agents(own_server: Server) -> None:
    owner = own_server.user()
    described = {**LARGE_CONFIG, "text": "", "description": "d" * 50_000}
    with own_server.app.store.write() as tx:
        agents = [
            tx.agents.add(
                NewAgent(
                    agent_slug=f"large-{number}",
                    agent_name="",
                    config=described if number % 2 else LARGE_CONFIG,
                    site_scope=None,
                ),
                owner_id=UserId(owner.user_id),
                at=own_server.clock(),
            )
            for number in range(150)
        ]
    ids = [agent.agent_id for agent in agents if agent is not None]
    listed = read(own_server, "AgentService/ListAgents", "agents", scope="LIST_SCOPE_ALL")
    assert [one.agent_id for one in listed] == ids
    refs = [{"agent_id": agent_id} for agent_id in ids[:100]]
    got = read(own_server, "AgentService/BatchGetAgents", "agents", agents=refs)
    assert [one.agent_id for one in got] == ids[:100]
    assert {len(one.config["values"]) for one in got} == {2400}


def test_the_largest_tokens(own_server: Server) -> None:
    capabilities = tuple(f"{number:0100}" for number in range(100))
    with own_server.app.store.write() as tx:
        admin = tx.users.find(UserId(own_server.admin.user_id))
        assert admin is not None
        for number in range(500):
            ceiling = Ceiling(max_role=Role.VIEWER, capabilities=capabilities)
            token(tx, f"t{number:03}", admin, admin, ceiling=ceiling)
    found = read(own_server, "TokenService/ListTokens", "tokens")
    ours = [one for one in found if one.ceiling.capabilities]
    assert len({one.token_id for one in ours}) == 500
    assert {len(one.ceiling.capabilities) for one in ours} == {100}


def test_the_most_starter_files(own_server: Server) -> None:
    with own_server.app.store.write() as tx:
        for number in range(490):
            put_memory_file_type(tx, f"{number:0250}.md", layer=MemoryLayer.AGENT)
    declare(own_server, *(declared(f"agent-{number:02}") for number in range(30)))
    answers = own_server.admin.call("RegistryService/ReconcileAgents")
    assert max(answer.ByteSize() for answer in answers) <= REPLY_LIMIT
    assert len(answers) == 2
    results = [result for answer in answers for result in answer.results]
    assert outcomes(results) == [(f"agent-{number:02}", "CREATED") for number in range(30)]
    assert {len(result.files) for result in results} == {493}


def test_what_streams_is_cut_by_size_as_well() -> None:
    results = [
        registry_pb2.ReconcileResult(
            agent_slug=f"agent-{number}",
            drift=[registry_pb2.ReconcileResult.Drift(field="config", agent_value="x" * 200_000)],
        )
        for number in range(50)
    ]
    portions = list(in_replies(iter(results)))
    assert [one for portion in portions for one in portion] == results
    sizes = [
        registry_pb2.ReconcileAgentsResponse(results=portion).ByteSize() for portion in portions
    ]
    assert max(sizes) <= REPLY_LIMIT
    assert len(portions) == 4
    # With nothing to tell there is still one to say so.
    assert list(in_replies(iter(()))) == [[]]
