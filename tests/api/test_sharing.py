"""An owner who is no administrator shares an agent by login, and learns nothing else by that."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.asking import decision, outcome
from tests.server import Person, Server

DENIED = "PERMISSION_DENIED ACTION_MISSING"


def _ref(agent: Any) -> dict[str, Any]:
    return {"agent": {"agent_id": agent.agent_id}}


def _asked(agent: Any, **principal: Any) -> dict[str, Any]:
    return {**_ref(agent), "principal": principal, "minimum_role": "ROLE_VIEWER"}


def _check(caller: Person, agent: Any, **principal: Any) -> str:
    return outcome(caller.call("AccessService/CheckAccess", check=_asked(agent, **principal)))


def _owner(server: Server, owner: Person, agent: Any) -> Person:
    return owner


def _admin_grantee(server: Server, owner: Person, agent: Any) -> Person:
    grantee = server.user()
    server.grant(agent.agent_id, grantee, "ADMIN")
    return grantee


def _agent_as_owner(server: Server, owner: Person, agent: Any) -> Person:
    return server.agent_token(owner, agent.agent_id, act_as_owner=True)


@pytest.mark.parametrize("who", [_owner, _admin_grantee, _agent_as_owner])
def test_who_has_admin_on_an_agent_shares_it_by_login(
    server: Server, who: Callable[[Server, Person, Any], Person]
) -> None:
    owner, friend = server.user(), server.user()
    agent = server.agent(owner)
    caller = who(server, owner, agent)
    named: dict[str, Any] = {**_ref(agent), "principal": {"login": friend.login}}

    assert _check(caller, agent, login=friend.login) == "ROLE_INSUFFICIENT"
    granted = caller.call("AccessService/GrantAccess", **named, role="ROLE_VIEWER")
    # It is kept by id, so that it is theirs whatever they are called tomorrow.
    assert granted.grant.principal.user_id == friend.user_id
    assert granted.grant.principal.WhichOneof("principal") == "user_id"
    assert granted.grant.login == friend.login

    listed = caller.call("AccessService/ListAgentAccess", **_ref(agent)).grants
    assert (friend.user_id, friend.login) in {(one.principal.user_id, one.login) for one in listed}
    shown = caller.call("AgentService/GetAgent", **_ref(agent)).access_grants
    assert {one.login for one in shown} == {one.login for one in listed}
    assert caller.call("AccessService/GetAccess", **named).grant.login == friend.login

    assert _check(caller, agent, login=friend.login) == "ALLOWED"
    assert _check(caller, agent, user_id=friend.user_id) == "ALLOWED"
    checks = [
        _asked(agent, login=friend.login),
        {**_asked(agent, user_id=friend.user_id), "minimum_role": "ROLE_ADMIN"},
        _asked(agent, login="nobody"),
        _asked(agent, user_id=2**62),
    ]
    answer = caller.call("AccessService/BatchCheckAccess", checks=checks)
    assert [decision(one) for one in answer.decisions] == [
        "ALLOWED",
        "ROLE_INSUFFICIENT",
        "USER_INACTIVE",
        "USER_INACTIVE",
    ]

    gone = caller.call("AccessService/RevokeAccess", **named)
    assert (gone.grant.principal.user_id, gone.grant.login) == (friend.user_id, friend.login)
    assert _check(caller, agent, login=friend.login) == "ROLE_INSUFFICIENT"


def test_a_grant_follows_the_user_and_not_the_login(server: Server) -> None:
    owner, friend = server.user(), server.user()
    agent = server.agent(owner)
    old, new = friend.login, server.name("renamed")
    grant: dict[str, Any] = {**_ref(agent), "role": "ROLE_VIEWER"}
    owner.call("AccessService/GrantAccess", **grant, principal={"login": old})
    server.admin.call("UserService/UpdateUser", **friend.ref, update={"login": new})
    namesake = server.user(login=old)

    assert _check(owner, agent, login=new) == "ALLOWED"
    assert _check(owner, agent, login=old) == "ROLE_INSUFFICIENT"
    listed = owner.call("AccessService/ListAgentAccess", **_ref(agent)).grants
    assert [one.login for one in listed] == [owner.login, new]
    refusal = owner.refused("AccessService/RevokeAccess", **_ref(agent), principal={"login": old})
    assert refusal.what == "NOT_FOUND REVOKE_FAILED"
    assert refusal.metadata == {"user": namesake.login, "agent_slug": agent.agent_slug}


def test_an_unknown_login_is_told_to_who_may_name_users(server: Server) -> None:
    owner = server.user()
    agent = server.agent(owner)
    nobody: dict[str, Any] = {**_ref(agent), "principal": {"login": "nobody"}}
    for method, more in (("GrantAccess", {"role": "ROLE_VIEWER"}), ("RevokeAccess", {})):
        refusal = owner.refused(f"AccessService/{method}", **nobody, **more)
        assert refusal.what == "NOT_FOUND USER_NOT_FOUND"
        assert refusal.metadata == {"user": "nobody"}
    assert _check(owner, agent, login="nobody") == "USER_INACTIVE"
    # Another spelling is the same login.
    other = server.user(login=server.name("Friend"))
    for spelling in (other.login, other.login.lower(), other.login.upper()):
        assert _check(owner, agent, login=spelling) == "ROLE_INSUFFICIENT"


CALLS: dict[str, dict[str, Any]] = {
    "AccessService/GrantAccess": {"role": "ROLE_VIEWER"},
    "AccessService/RevokeAccess": {},
    "AccessService/GetAccess": {},
}


@pytest.mark.parametrize("role", ["VIEWER", "OPERATOR", "agent"])
def test_who_has_less_than_admin_learns_nothing_of_other_users(server: Server, role: str) -> None:
    owner, friend = server.user(), server.user()
    agent, hidden = server.agent(owner), server.agent(owner)
    server.grant(agent.agent_id, friend, "VIEWER")
    if role == "agent":
        caller = server.agent_token(owner, agent.agent_id, ceiling={"max_role": "ROLE_OPERATOR"})
    else:
        caller = server.user()
        server.grant(agent.agent_id, caller, role)
    missing = type(agent)(agent_id=2**62)
    users: list[dict[str, Any]] = [
        {"login": friend.login},
        {"user_id": friend.user_id},
        {"login": "nobody"},
        {"user_id": 2**62},
    ]
    words = set()
    for one in (agent, hidden, missing):
        for user in users:
            single = caller.refused("AccessService/CheckAccess", check=_asked(one, **user))
            batch = caller.refused("AccessService/BatchCheckAccess", checks=[_asked(one, **user)])
            words |= {(each.what, each.message, str(each.metadata)) for each in (single, batch)}
    # One refusal, in the same words, whoever is asked about on whichever agent.
    ((what, message, _metadata),) = words
    assert what == DENIED
    assert "ADMIN" in message
    for method, more in CALLS.items():
        for one in (agent, hidden, missing):
            told = {
                (each.what, each.message)
                for user in users
                for each in [caller.refused(method, **_ref(one), principal=user, **more)]
            }
            assert len(told) == 1, method


def test_one_question_too_many_refuses_the_batch(server: Server) -> None:
    owner, friend = server.user(), server.user()
    agent, foreign = server.agent(owner), server.agent(server.user())
    checks = [
        _asked(agent, login=friend.login),
        {**_ref(foreign), "caller": True, "minimum_role": "ROLE_VIEWER"},
    ]
    assert owner.call("AccessService/BatchCheckAccess", checks=checks).decisions
    checks.append(_asked(foreign, login=friend.login))
    assert owner.refused("AccessService/BatchCheckAccess", checks=checks).what == DENIED


def test_oneself_by_login_is_oneself(server: Server) -> None:
    user = server.user()
    agent = server.agent(server.user())
    assert _check(user, agent, login=user.login) == "ROLE_INSUFFICIENT"
    server.grant(agent.agent_id, user, "VIEWER")
    assert _check(user, agent, login=user.login) == "ALLOWED"
    own = user.call("AccessService/GetAccess", **_ref(agent), principal={"login": user.login}).grant
    assert own.login == user.login
    listed = user.call("AccessService/ListUserAccess", user={"login": user.login}).grants
    assert [one.login for one in listed] == [user.login]
