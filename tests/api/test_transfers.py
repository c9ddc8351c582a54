"""An agent gets another owner, and users get the agent that is theirs."""

from pathlib import Path
from typing import Any

import pytest

from accredit_service.abilities.calls.app import Limits
from tests.api.asking import authenticate, check
from tests.server import Person, Server, running_server


def _transfer(caller: Person, agent: Any, to: Person, **fields: Any) -> Any:
    return caller.call(
        "AgentService/TransferAgent",
        agent={"agent_id": agent.agent_id},
        new_owner={"user_id": to.user_id},
        **fields,
    )


def _grants(server: Server, agent: Any) -> dict[int, int]:
    answer = server.admin.call("AccessService/ListAgentAccess", agent={"agent_id": agent.agent_id})
    return {one.principal.user_id: one.role for one in answer.grants}


def test_a_transfer_revokes_every_token_of_the_agent_whoever_minted_it(server: Server) -> None:
    owner, grantee, heir = server.user(), server.user(), server.user()
    agent, other = server.agent(owner), server.agent(owner)
    server.grant(agent.agent_id, grantee, "ADMIN")
    minters = (owner, grantee, server.admin)
    tokens = [server.agent_token(one, agent.agent_id) for one in minters]
    tokens.append(server.agent_token(owner, agent.agent_id, act_as_owner=True))
    elsewhere = server.agent_token(owner, other.agent_id)

    answer = _transfer(server.admin, agent, heir)

    assert not answer.HasField("offer")
    assert (answer.agent.owner_id, answer.former_owner_id) == (heir.user_id, owner.user_id)
    assert answer.tokens_revoked == 4
    assert {authenticate(server, one.token) for one in tokens} == {"TOKEN_INVALID"}
    assert authenticate(server, elsewhere.token) == "ALLOWED"
    assert authenticate(server, owner.token) == "ALLOWED"


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        pytest.param(True, "ADMIN", id="the former owner keeps a grant of ADMIN"),
        pytest.param(False, None, id="the former owner's grant goes"),
    ],
)
def test_the_former_owner_keeps_access_only_if_asked(
    server: Server, keep: bool, left: str | None
) -> None:
    owner, viewer, heir = server.user(), server.user(), server.user()
    agent = server.agent(owner)
    server.grant(agent.agent_id, viewer)
    # Whatever the new owner had before, a short grant of a low role, is theirs without an end.
    server.grant(
        agent.agent_id, heir, expire_time=server.clock().replace(year=server.clock().year + 1)
    )

    answer = _transfer(server.admin, agent, heir, keep_access=keep)

    expected = {heir.user_id: 3, viewer.user_id: 1} | ({owner.user_id: 3} if keep else {})
    assert _grants(server, agent) == expected
    assert {one.principal.user_id: one.role for one in answer.access_grants} == expected
    assert {one.login for one in answer.access_grants} >= {heir.login, viewer.login}
    server.clock.advance(days=366)
    assert check(server, heir, agent.agent_id, "ADMIN") == "ALLOWED"
    allowed = check(server, owner, agent.agent_id, "ADMIN") == "ALLOWED"
    assert allowed is (left == "ADMIN")


def test_the_new_owner_must_be_somebody_else_who_is_active(server: Server) -> None:
    owner, gone = server.user(), server.user()
    agent = server.agent(owner)
    server.admin.call("UserService/DeactivateUser", user={"user_id": gone.user_id})

    def refused(new_owner: dict[str, Any]) -> str:
        return owner.refused(
            "AgentService/TransferAgent", agent={"agent_id": agent.agent_id}, new_owner=new_owner
        ).what

    assert refused({"user_id": owner.user_id}) == "FAILED_PRECONDITION ALREADY_OWNER"
    assert refused({"login": owner.login}) == "FAILED_PRECONDITION ALREADY_OWNER"
    assert refused({"user_id": gone.user_id}) == "NOT_FOUND AGENT_OWNER_NOT_FOUND"
    assert refused({"login": "nobody"}) == "NOT_FOUND AGENT_OWNER_NOT_FOUND"
    assert refused({}) == "INVALID_ARGUMENT FIELD_INVALID"


def test_who_manages_agents_gives_more_than_somebody_may_own(strict_server: Server) -> None:
    server = strict_server
    full = server.user()
    server.agent(full)
    agent = server.agent(server.user())
    assert _transfer(server.admin, agent, full).agent.owner_id == full.user_id


def test_a_user_is_provisioned_with_the_agent_they_have_else_one_named_after_them(
    server: Server,
) -> None:
    login = server.name("Ada.Lovelace")
    ada = server.user(login=login, display_name="Ada Lovelace")

    first, again = (ada.call("AgentService/ProvisionAgent") for _ in range(2))

    assert (first.created, again.created) == (True, False)
    assert first.agent == again.agent
    assert first.agent.agent_slug == login.lower().replace(".", "-")
    assert first.agent.agent_name == "Ada Lovelace"
    assert first.agent.owner_id == ada.user_id
    assert _grants(server, first.agent) == {ada.user_id: 3}


def test_of_several_the_one_with_the_lowest_id_is_handed_out(server: Server) -> None:
    owner = server.user()
    agents = [server.agent(owner) for _ in range(3)]
    owner.call(
        "AgentService/UpdateAgent",
        agent={"agent_id": agents[0].agent_id},
        update={"status": "AGENT_STATUS_ARCHIVED"},
    )
    answer = owner.call("AgentService/ProvisionAgent")
    assert answer.agent.agent_id == agents[0].agent_id


def test_provisioning_never_hands_out_what_somebody_else_has_or_had(server: Server) -> None:
    login = server.name("grace")
    squatter, former, grace = server.user(), server.user(), server.user(login=login)
    taken = server.agent(squatter, login)
    server.grant(taken.agent_id, grace, "ADMIN")
    released = server.agent(former, f"{login}-2")
    former.call("AgentService/DeleteAgent", agent={"agent_id": released.agent_id})

    answer = grace.call("AgentService/ProvisionAgent")

    assert answer.created
    assert answer.agent.agent_slug == f"{login}-3"
    assert answer.agent.owner_id == grace.user_id


def test_a_login_that_would_read_as_an_id_gets_a_number_behind_it(own_server: Server) -> None:
    user = own_server.user(login="7_7")
    dotted = own_server.user(login="7..")
    assert user.call("AgentService/ProvisionAgent").agent.agent_slug == "7_7"
    assert dotted.call("AgentService/ProvisionAgent").agent.agent_slug == "7-2"


def test_another_users_agent_is_provisioned_by_who_manages_agents(server: Server) -> None:
    user, other = server.user(), server.user("GUEST")
    gone = server.user()
    server.admin.call("UserService/DeactivateUser", user={"user_id": gone.user_id})

    made = server.admin.call("AgentService/ProvisionAgent", user={"user_id": other.user_id})

    assert made.agent.owner_id == other.user_id
    foreign = user.refused("AgentService/ProvisionAgent", user={"user_id": other.user_id})
    assert foreign.what == "PERMISSION_DENIED ACTION_MISSING"
    guest = other.refused("AgentService/ProvisionAgent")
    assert guest.what == "PERMISSION_DENIED ACTION_MISSING"
    for user_id in (gone.user_id, 2**62):
        unknown = server.admin.refused("AgentService/ProvisionAgent", user={"user_id": user_id})
        assert unknown.what == "NOT_FOUND USER_NOT_FOUND"


def test_where_members_may_own_no_agents_none_is_provisioned_for_them(
    database_url: str, tmp_path: Path
) -> None:
    with running_server(database_url, tmp_path, limits=Limits(agents_per_user=0)) as server:
        member = server.user()
        refusal = member.refused("AgentService/ProvisionAgent")
        given = server.admin.call("AgentService/ProvisionAgent", user={"user_id": member.user_id})
        found = member.call("AgentService/ProvisionAgent")
    assert refusal.what == "RESOURCE_EXHAUSTED AGENT_LIMIT_REACHED"
    assert (given.created, found.created) == (True, False)
    assert given.agent == found.agent
