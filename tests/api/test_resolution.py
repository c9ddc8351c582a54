"""Which agent is meant: the one named, or the only one that can be."""

from typing import Any

import pytest

from tests.server import Person, Server


def _resolved(person: Person, **query: Any) -> int:
    agent_id: int = person.call("AgentService/ResolveAgent", **query).agent.agent_id
    return agent_id


def _refused(person: Person, **query: Any) -> str:
    return person.refused("AgentService/ResolveAgent", **query).what


def test_an_agent_is_meant_by_id_or_by_any_spelling_of_its_slug(server: Server) -> None:
    owner = server.user()
    agent = server.agent(owner, server.name("my-agent"), config={"k": "v"})
    spelt = agent.agent_slug.replace("-", " ").upper()
    for ref in (
        {"agent_id": agent.agent_id},
        {"agent_slug": agent.agent_slug},
        {"agent_slug": f" {spelt}! "},
    ):
        answer = owner.call("AgentService/ResolveAgent", agent=ref)
        assert answer.agent.agent_id == agent.agent_id
        assert not answer.agent.HasField("config")


@pytest.mark.parametrize(
    ("ref", "field"),
    [
        pytest.param({}, "agent", id="an agent that is not named"),
        pytest.param({"agent_id": 0}, "agent.agent_id", id="no id is 0"),
        pytest.param({"agent_id": -1}, "agent.agent_id", id="nor negative"),
        pytest.param({"agent_slug": ""}, "agent.agent_slug", id="an empty slug"),
        pytest.param({"agent_slug": "¿?"}, "agent.agent_slug", id="one that cleans to nothing"),
        pytest.param({"agent_slug": "12"}, "agent.agent_slug", id="one that reads as an id"),
        pytest.param({"agent_slug": "x" * 1001}, "agent.agent_slug", id="one too long to clean"),
    ],
)
def test_a_reference_that_names_no_agent_is_refused_by_every_call_that_takes_one(
    server: Server, ref: dict[str, Any], field: str
) -> None:
    rest: dict[str, dict[str, Any]] = {
        "AgentService/GetAgent": {},
        "AgentService/ResolveAgent": {},
        "AgentService/DeleteAgent": {},
        "AgentService/RenameAgent": {"new_slug": "x"},
        "AgentService/UpdateAgent": {"update": {"agent_name": "x"}},
        "AccessService/GrantAccess": {"principal": {"user_id": 1}, "role": "ROLE_VIEWER"},
        "TokenService/RevokeAgentTokens": {},
    }
    for method, fields in rest.items():
        refusal = server.admin.refused(method, agent=ref, **fields)
        assert refusal.code.name == "INVALID_ARGUMENT", method
        assert refusal.fields == [field], method


def test_the_only_owned_agent_is_meant_whatever_is_granted(server: Server) -> None:
    owner, other = server.user(), server.user()
    agent, granted = server.agent(owner), server.agent(other)
    server.grant(granted.agent_id, owner, "ADMIN")
    assert _resolved(owner) == agent.agent_id


def test_without_an_owned_one_the_only_granted_agent_is_meant(server: Server) -> None:
    user, other = server.user(), server.user()
    assert _refused(user) == "NOT_FOUND NO_AGENT"
    granted = server.agent(other)
    server.grant(granted.agent_id, user)
    assert _resolved(user) == granted.agent_id


@pytest.mark.parametrize("owned", [True, False], ids=["owned", "granted"])
def test_of_several_none_is_chosen_and_the_candidates_are_named(
    server: Server, owned: bool
) -> None:
    user, other = server.user(), server.user()
    agents = [server.agent(user if owned else other) for _ in range(2)]
    if not owned:
        for agent in agents:
            server.grant(agent.agent_id, user)
    refusal = user.refused("AgentService/ResolveAgent")
    assert refusal.what == "FAILED_PRECONDITION AGENT_AMBIGUOUS"
    slugs = [agent.agent_slug for agent in agents]
    assert refusal.metadata["candidates"].split(", ") == slugs
    assert all(slug in refusal.message for slug in slugs)


def test_only_agents_that_can_act_are_meant_by_default(server: Server) -> None:
    owner = server.user()
    agents = [server.agent(owner) for _ in range(2)]
    owner.call(
        "AgentService/UpdateAgent",
        agent={"agent_id": agents[0].agent_id},
        update={"status": "AGENT_STATUS_INACTIVE"},
    )
    assert _resolved(owner) == agents[1].agent_id
    # By name it is found whatever its status.
    assert _resolved(owner, agent={"agent_id": agents[0].agent_id}) == agents[0].agent_id


def test_an_agent_that_calls_means_itself_also_where_it_acts_as_its_owner(
    server: Server,
) -> None:
    owner = server.user()
    agents = [server.agent(owner) for _ in range(2)]
    for acts in (False, True):
        caller = server.agent_token(owner, agents[1].agent_id, act_as_owner=acts)
        assert _resolved(caller) == agents[1].agent_id
        assert caller.call("AuthService/WhoAmI").agent.agent_id == agents[1].agent_id


def test_another_users_default_agent_needs_the_action_authenticate(server: Server) -> None:
    user, other, service = server.user(), server.user(), server.user("SERVICE")
    agent = server.agent(user)
    bound = server.agent_token(user, agent.agent_id)

    assert _resolved(user, user={"user_id": user.user_id}) == agent.agent_id
    assert _resolved(service, user={"user_id": user.user_id}) == agent.agent_id
    assert _resolved(service, user={"login": user.login}) == agent.agent_id
    assert _refused(service, user={"user_id": other.user_id}) == "NOT_FOUND NO_AGENT"
    for nobody in ({"user_id": 2**62}, {"login": "nobody"}):
        assert _refused(service, user=nobody) == "NOT_FOUND USER_NOT_FOUND"
        assert _refused(other, user=nobody) == "PERMISSION_DENIED ACTION_MISSING"
    assert _refused(other, user={"user_id": user.user_id}) == "PERMISSION_DENIED ACTION_MISSING"
    # An agent of the user is not the user.
    assert _refused(bound, user={"user_id": user.user_id}) == "PERMISSION_DENIED ACTION_MISSING"


def test_an_agent_that_is_named_is_nobodys_default(server: Server) -> None:
    user = server.user()
    agent = server.agent(user)
    for caller in (user, server.admin, server.user("SERVICE")):
        refusal = caller.refused(
            "AgentService/ResolveAgent", agent={"agent_id": agent.agent_id}, **user.ref
        )
        assert refusal.what == "INVALID_ARGUMENT FIELD_INVALID"
        assert refusal.fields == ["user"]


def test_a_deactivated_user_has_no_default_agent(server: Server) -> None:
    gone = server.user()
    server.agent(gone)
    server.admin.call("UserService/DeactivateUser", user={"user_id": gone.user_id})
    assert _refused(server.user("SERVICE"), **gone.ref) == "NOT_FOUND NO_AGENT"


def test_a_service_resolves_any_agent_and_creates_none(server: Server) -> None:
    service = server.user("SERVICE")
    agent = server.agent(server.user())
    missing = server.name("missing")
    assert _resolved(service, agent={"agent_slug": agent.agent_slug}) == agent.agent_id
    for _ in range(2):
        refusal = service.refused("AgentService/ResolveAgent", agent={"agent_slug": missing})
        assert refusal.what == "PERMISSION_DENIED AGENT_ACCESS_DENIED"
    unknown = server.admin.refused("AgentService/ResolveAgent", agent={"agent_slug": missing})
    assert unknown.what == "NOT_FOUND AGENT_NOT_FOUND"


def test_an_unknown_slug_names_up_to_three_neighbours_that_the_caller_may_view(
    server: Server,
) -> None:
    owner, stranger = server.user(), server.user()
    stem = server.name("weather-reporter")
    near = {server.agent(owner, f"{stem}-{letter}").agent_slug for letter in "abcd"}
    server.agent(owner, server.name("something-else-entirely"))

    refusal = owner.refused("AgentService/GetAgent", agent={"agent_slug": f"{stem}-x"})
    named = refusal.metadata["neighbours"].split(", ")
    assert len(named) == 3
    assert set(named) <= near
    assert all(slug in refusal.message for slug in named)

    hidden = stranger.refused("AgentService/GetAgent", agent={"agent_slug": f"{stem}-x"})
    assert "neighbours" not in hidden.metadata
    assert "did you mean" not in hidden.message


def test_a_hidden_agent_and_one_that_does_not_exist_are_refused_in_the_same_words(
    server: Server,
) -> None:
    owner, stranger = server.user(), server.user()
    bound = server.agent_token(stranger, server.agent(stranger).agent_id)
    hidden, missing = server.agent(owner, server.name("hidden")), server.name("missing")
    calls: dict[str, dict[str, Any]] = {
        "AgentService/GetAgent": {},
        "AgentService/UpdateAgent": {"update": {"agent_name": "x"}},
        "AgentService/SetAgentStatus": {"status": "AGENT_STATUS_INACTIVE"},
        "AgentService/RenameAgent": {"new_slug": server.name("new")},
        "AgentService/DeleteAgent": {},
        "AgentService/TransferAgent": {"new_owner": {"user_id": stranger.user_id}},
        "AgentService/SetDefaultAgent": {},
        "AgentService/ResolveAgent": {},
        "AccessService/GrantAccess": {
            "principal": {"user_id": stranger.user_id},
            "role": "ROLE_VIEWER",
        },
        "AccessService/RevokeAccess": {"principal": {"user_id": stranger.user_id}},
        "AccessService/GetAccess": {},
        "AccessService/ListAgentAccess": {},
        "TokenService/CreateToken": {"full_rights": True},
        "TokenService/ListTokens": {},
        "TokenService/RevokeAgentTokens": {},
    }
    for caller in (stranger, bound):
        for method, fields in calls.items():
            told = [
                caller.refused(method, agent=ref, **fields)
                for ref in (
                    {"agent_slug": hidden.agent_slug},
                    {"agent_slug": missing},
                    {"agent_id": hidden.agent_id},
                    {"agent_id": 2**62},
                )
            ]
            names = (hidden.agent_slug, missing, str(hidden.agent_id), str(2**62))
            shapes = {
                (one.what, one.message.replace(name, "?"), tuple(sorted(one.metadata)))
                for one, name in zip(told, names, strict=True)
            }
            assert len(shapes) == 1, (method, shapes)
