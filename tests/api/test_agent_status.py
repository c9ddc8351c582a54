"""SetAgentStatus: the call to stop an agent with."""

import uuid
from typing import Any

import pytest
from sqlalchemy import select

from accredit_storage.schema import changes
from tests.api.asking import authenticate, check, works
from tests.server import Person, Server

ACTIVE, INACTIVE, ARCHIVED = (f"AGENT_STATUS_{one}" for one in ("ACTIVE", "INACTIVE", "ARCHIVED"))


def _set(caller: Person, agent: Any, status: str, **fields: Any) -> Any:
    ref: dict[str, Any] = {"agent": {"agent_id": agent.agent_id}}
    return caller.call("AgentService/SetAgentStatus", **ref, status=status, **fields)


def _last_change(server: Server) -> Any:
    with server.app.store.read() as tx:
        newest = select(changes).order_by(changes.c.revision.desc()).limit(1)
        return tx._connection.execute(newest).one()


@pytest.mark.parametrize("status", [INACTIVE, ARCHIVED])
def test_it_stops_an_agents_tokens_at_once_and_restores_just_those(
    server: Server, status: str
) -> None:
    owner = server.user()
    agent = server.agent(owner)
    live, acting, revoked = (
        server.agent_token(owner, agent.agent_id, **more)
        for more in ({}, {"act_as_owner": True}, {})
    )

    stopped = _set(owner, agent, status)

    assert stopped.changed
    assert stopped.agent.status == {INACTIVE: 2, ARCHIVED: 3}[status]
    assert stopped.agent.etag != agent.etag
    for token in (live, acting):
        assert authenticate(server, token.token) == "AGENT_INACTIVE"
        assert token.refused("AuthService/WhoAmI").what == "PERMISSION_DENIED AGENT_INACTIVE"
    owner.call("TokenService/RevokeToken", token_id=revoked.token_id)
    assert _set(owner, agent, ACTIVE).agent.status == 1
    assert [works(one) for one in (live, acting, revoked)] == [True, True, False]
    assert check(server, owner, agent.agent_id, "ADMIN") == "ALLOWED"


def test_an_agent_may_stop_itself_but_not_go_on(server: Server) -> None:
    owner = server.user()
    agent = server.agent(owner)
    own = server.agent_token(owner, agent.agent_id)
    assert _set(own, agent, INACTIVE).changed
    ref: dict[str, Any] = {"agent": {"agent_id": agent.agent_id}}
    again = own.refused("AgentService/SetAgentStatus", **ref, status=ACTIVE)
    assert again.what == "PERMISSION_DENIED AGENT_INACTIVE"


def test_a_status_that_it_has_already_changes_nothing(server: Server) -> None:
    agent = server.agent(server.user())
    before = _last_change(server).revision
    same = _set(server.admin, agent, ACTIVE, reason="To be sure.")
    assert (same.agent, same.changed) == (agent, False)
    assert same.consistency_token
    assert _last_change(server).revision == before


def test_the_reason_stands_in_the_change(server: Server) -> None:
    owner = server.user()
    agent = server.agent(owner)
    _set(owner, agent, ARCHIVED, reason=" It wrote\nto <b>everybody</b>. ")
    change = _last_change(server)
    assert change.after["status_reason"] == "It wrote to everybody."
    assert (change.before["status"], change.after["status"]) == ("active", "archived")
    assert change.kind.name == "AGENT_UPDATED"
    subjects = {(one.kind.name, one.subject_id) for one in change.subjects}
    assert ("AGENT", str(agent.agent_id)) in subjects
    _set(owner, agent, ACTIVE)
    assert _last_change(server).after["status_reason"] == ""


def test_it_agrees_with_the_status_that_an_update_sets(server: Server) -> None:
    owner = server.user()
    agent = server.agent(owner)
    ref: dict[str, Any] = {"agent": {"agent_id": agent.agent_id}}
    owner.call("AgentService/UpdateAgent", **ref, update={"status": INACTIVE})
    assert not _set(owner, agent, INACTIVE).changed
    assert _set(owner, agent, ACTIVE).changed
    assert owner.call("AgentService/GetAgent", **ref).agent.status == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({}, "status", id="no status"),
        pytest.param({"status": 0}, "status", id="one that is not stated"),
        pytest.param({"status": 9}, "status", id="one that nobody knows"),
        pytest.param({"status": INACTIVE, "reason": "x" * 201}, "reason", id="a long reason"),
        pytest.param({"status": INACTIVE, "reason": "a\0b"}, "reason", id="NUL in it"),
    ],
)
def test_what_breaks_a_rule_is_refused_by_its_field(
    server: Server, fields: dict[str, Any], field: str
) -> None:
    owner = server.user()
    agent = server.agent(owner)
    token = server.agent_token(owner, agent.agent_id)
    ref: dict[str, Any] = {"agent": {"agent_id": agent.agent_id}}
    refusal = owner.refused("AgentService/SetAgentStatus", **ref, **fields)
    assert (refusal.what, refusal.fields) == ("INVALID_ARGUMENT FIELD_INVALID", [field])
    assert works(token)


def test_who_may_stop_an_agent(server: Server) -> None:
    owner, operator, stranger = server.user(), server.user(), server.user()
    agent = server.agent(owner)
    server.grant(agent.agent_id, operator, "OPERATOR")
    ref: dict[str, Any] = {"agent": {"agent_id": agent.agent_id}}
    stop = "AgentService/SetAgentStatus"
    low = operator.refused(stop, **ref, status=INACTIVE)
    assert low.what == "PERMISSION_DENIED ROLE_INSUFFICIENT"
    hidden = stranger.refused(stop, **ref, status=INACTIVE)
    assert hidden.what == "PERMISSION_DENIED AGENT_ACCESS_DENIED"
    missing = server.admin.refused(stop, agent={"agent_id": 2**62}, status=INACTIVE)
    assert missing.what == "NOT_FOUND AGENT_NOT_FOUND"
    assert _set(server.admin, agent, INACTIVE).changed


def test_an_etag_guards_it_and_a_repeat_has_no_second_effect(server: Server) -> None:
    owner = server.user()
    agent = server.agent(owner)
    ref: dict[str, Any] = {"agent": {"agent_id": agent.agent_id}}
    call: dict[str, Any] = {"etag": agent.etag, "request_id": str(uuid.uuid4())}
    first = _set(owner, agent, INACTIVE, **call)
    _set(owner, agent, ACTIVE)
    # The repeat is answered as the first time, and does not stop it again.
    again = _set(owner, agent, INACTIVE, **call)
    assert (again.agent, again.changed) == (first.agent, True)
    assert owner.call("AgentService/GetAgent", **ref).agent.status == 1
    stale = owner.refused("AgentService/SetAgentStatus", **ref, status=INACTIVE, etag=agent.etag)
    assert stale.what == "ABORTED ETAG_MISMATCH"
    # Also where it would change nothing.
    same = owner.refused("AgentService/SetAgentStatus", **ref, status=ACTIVE, etag=agent.etag)
    assert same.what == "ABORTED ETAG_MISMATCH"
