"""No reply is larger than 3 MiB: a client with the usual limits reads everything, page by page."""

from collections.abc import Iterator
from typing import Any

from accredit_service.abilities.credentials import bearer
from accredit_storage.records import (
    Ceiling,
    NewAgent,
    NewUser,
    Role,
    Token,
    UserId,
    UserKind,
    UserRole,
)
from accredit_storage.store import WriteTransaction
from tests.server import Person, Server

LIMIT = 3 * 2**20
#: As much as a config, and a description in it, may have.
CONFIG = {"description": "d" * 65_000}


def _agents(server: Server, owner: Person, count: int) -> list[int]:
    """Agents with the largest configs, straight into the store."""
    with server.app.store.write() as tx:
        made = [
            tx.agents.add(
                NewAgent(
                    agent_slug=f"large-{number}",
                    agent_name="n" * 200,
                    config=CONFIG,
                    site_scope=None,
                ),
                owner_id=UserId(owner.user_id),
                at=server.clock(),
            )
            for number in range(count)
        ]
    return [one.agent_id for one in made if one is not None]


def _owner(server: Server) -> dict[str, Any]:
    return {"owner": {"user_id": server.admin.user_id}}


def _add_token(tx: WriteTransaction, server: Server) -> None:
    """A token of the administrator's with all that one may have."""
    minted = bearer.mint(tx.token_keys()[0])
    capabilities = tuple(f"{number:03}" + "c" * 97 for number in range(100))
    token = Token(
        token_id=minted.token_id,
        agent_id=None,
        user_id=UserId(server.admin.user_id),
        label="🙂" * 200,
        ceiling=Ceiling(max_role=Role.ADMIN, capabilities=capabilities),
        act_as_owner=False,
        created_by=UserId(server.admin.user_id),
        created_at=server.clock(),
        expire_at=None,
        revoked_at=None,
        rotated_from=None,
        replaced_by=None,
        last_used_at=None,
        version=1,
    )
    tx.tokens.add(token, minted.digest, minted.key_id)


def _pages(person: Person, method: str, **query: Any) -> Iterator[Any]:
    """The pages of a list, each no larger than promised."""
    token = ""
    while True:
        page = person.call(method, page_token=token, **query)
        assert page.ByteSize() <= LIMIT
        yield page
        if not (token := page.next_page_token):
            return


def test_several_agents_are_read_in_pages_that_fit(own_server: Server) -> None:
    server = own_server
    ids = _agents(server, server.admin, 100)
    refs = [{"agent_id": agent_id} for agent_id in reversed(ids)]
    pages = list(_pages(server.admin, "AgentService/BatchGetAgents", agents=refs, page_size=500))
    assert [one.agent_id for page in pages for one in page.agents] == ids
    assert len(pages) == 3
    assert all(len(page.agents[0].config["description"]) == 65_000 for page in pages)
    # Nor is a page larger than what was asked for.
    few = list(_pages(server.admin, "AgentService/BatchGetAgents", agents=refs, page_size=30))
    assert [len(page.agents) for page in few] == [30, 30, 30, 10]


def test_a_list_of_agents_ends_its_pages_before_they_are_too_large(own_server: Server) -> None:
    server = own_server
    ids = _agents(server, server.admin, 120)
    for query in ({}, {"scope": "LIST_SCOPE_ALL"}):
        found = _pages(server.admin, "AgentService/ListAgents", page_size=500, **query)
        pages = [[one.agent_id for one in page.agents] for page in found]
        assert [agent_id for page in pages for agent_id in page] == ids
        assert len(pages) == 3


def test_the_agents_of_a_batch_come_without_their_configs(own_server: Server) -> None:
    server = own_server
    _agents(server, server.admin, 100)
    wanted = [{"agent_slug": f"large-{number}", **_owner(server)} for number in range(100)]
    answer = server.admin.call("AgentService/BatchCreateAgents", requests=wanted)
    assert answer.ByteSize() <= LIMIT
    assert len(answer.results) == 100
    assert not any(one.created or one.agent.HasField("config") for one in answer.results)


def test_a_list_of_tokens_ends_its_pages_before_they_are_too_large(own_server: Server) -> None:
    server = own_server
    with server.app.store.write() as tx:
        for _ in range(500):
            _add_token(tx, server)
    found = _pages(server.admin, "TokenService/ListTokens", page_size=500)
    pages = [len(page.tokens) for page in found]
    assert sum(pages) == 501
    assert len(pages) > 1


def test_the_largest_lists_of_users_grants_and_sites_fit(own_server: Server) -> None:
    server = own_server
    agent_id = server.agent(server.admin, config=CONFIG).agent_id
    with server.app.store.write() as tx:
        for number in range(1000):
            user = tx.users.add(
                NewUser(
                    login=f"u{number:059}",
                    kind=UserKind.HUMAN,
                    role=UserRole.MEMBER,
                    display_name="🙂" * 200,
                    email="e@" + "x" * 252,
                    active=True,
                ),
                at=server.clock(),
            )
            assert user is not None
            tx.grants.put(
                agent_id,
                user.user_id,
                Role.VIEWER,
                UserId(server.admin.user_id),
                server.clock(),
                None,
            )
    whole = server.admin.call("AgentService/GetAgent", agent={"agent_id": agent_id})
    assert len(whole.access_grants) == 1000
    assert whole.ByteSize() <= LIMIT
    ref = {"agent": {"agent_id": agent_id}}
    grants = list(_pages(server.admin, "AccessService/ListAgentAccess", page_size=500, **ref))
    assert sum(len(page.grants) for page in grants) == 1001
    users = list(_pages(server.admin, "UserService/ListUsers", page_size=500))
    assert sum(len(page.users) for page in users) == 1001
