"""Rights do not outlive those who gave them, however many tokens stand between."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from accredit.v1 import types_pb2
from tests.api.asking import about_agent
from tests.server import Person, Server


def _mint(caller: Person, **fields: Any) -> Person:
    holder = {} if {"agent", "user"} & set(fields) else caller.ref
    minted = caller.call("TokenService/CreateToken", full_rights=True, **holder, **fields)
    token = minted.token
    return Person(caller.server, minted.secret, token_id=token.token_id, user_id=token.user_id)


def _works(person: Person) -> bool:
    answer = person.server.admin.call("AuthService/Authenticate", token=person.token)
    return answer.HasField("principal")


def _demote(server: Server, who: Person) -> None:
    server.admin.call(
        "UserService/UpdateUser",
        user={"user_id": who.user_id},
        update={"role": "USER_ROLE_MEMBER"},
    )


def test_what_was_minted_with_an_administrators_gift_ends_with_the_giver(
    server: Server,
) -> None:
    giver, user = server.user("ADMINISTRATOR"), server.user()
    agent = server.agent(user)
    first = _mint(giver, user={"user_id": user.user_id})
    second = _mint(first)
    of_agent = _mint(first, agent={"agent_id": agent.agent_id})
    as_owner = _mint(first, agent={"agent_id": agent.agent_id}, act_as_owner=True)
    further = _mint(second)
    assert all(map(_works, (first, second, of_agent, as_owner, further)))

    _demote(server, giver)

    assert not any(map(_works, (first, second, of_agent, as_owner, further)))


def test_whoever_rotates_anothers_token_does_not_keep_it_beyond_their_own_rights(
    server: Server,
) -> None:
    rotator, user = server.user("ADMINISTRATOR"), server.user()
    agent = server.agent(user)
    of_user, of_agent = _mint(user), _mint(user, agent={"agent_id": agent.agent_id})
    learnt = [
        Person(server, rotator.call("TokenService/RotateToken", token_id=one.token_id).secret)
        for one in (of_user, of_agent)
    ]
    assert all(map(_works, learnt))

    _demote(server, rotator)

    assert not any(map(_works, learnt))


def test_what_was_rotated_with_somebody_elses_gift_ends_with_the_giver(server: Server) -> None:
    giver, user = server.user("ADMINISTRATOR"), server.user()
    agent = {"agent_id": server.agent(user).agent_id}
    gift = _mint(giver, user={"user_id": user.user_id})
    own = [_mint(user), _mint(user, agent=agent), _mint(user, agent=agent, act_as_owner=True)]
    # The giver has seen the gift's text, and with it learns the text of every successor.
    learnt = [
        Person(server, gift.call("TokenService/RotateToken", token_id=one.token_id).secret)
        for one in own
    ]
    assert all(map(_works, learnt))

    _demote(server, giver)

    assert not any(map(_works, learnt))
    assert all(map(_works, own))


@pytest.mark.parametrize("method", ["RevokeUserTokens", "DeleteUser"])
def test_what_somebody_minted_goes_with_them_on_request(server: Server, method: str) -> None:
    giver, user = server.user("ADMINISTRATOR"), server.user()
    first = _mint(giver, user={"user_id": user.user_id})
    second = _mint(first)
    if method == "DeleteUser":
        server.admin.call("UserService/DeleteUser", user={"user_id": giver.user_id})
    else:
        server.admin.call(
            "TokenService/RevokeUserTokens", user={"user_id": giver.user_id}, include_minted=True
        )
    assert not _works(first)
    assert not _works(second)


def test_an_administrator_goes_on_when_the_one_who_let_them_in_is_gone(
    own_server: Server,
) -> None:
    server = own_server
    second = server.user("ADMINISTRATOR")
    own = _mint(second)
    first = {"user_id": server.admin.user_id}
    second.call("UserService/UpdateUser", user=first, update={"role": "USER_ROLE_MEMBER"})
    assert second.call("AuthService/WhoAmI").user.role == 1
    own.call("UserService/DeleteUser", user=first)
    for person in (second, own):
        assert person.call("AuthService/WhoAmI").user.user_id == second.user_id
        assert person.call("AuthService/WhoAmI").token.created_by == second.user_id


@pytest.mark.parametrize(
    "ceiling",
    [
        {"max_role": "ROLE_ADMIN", "capabilities": ["manage_users"]},
        {"max_role": "ROLE_VIEWER", "capabilities": ["manage_users", "manage_agents"]},
    ],
    ids=["without manage_agents", "with a low role"],
)
def test_a_restricted_administrators_token_mints_for_nobody_else(
    server: Server, ceiling: dict[str, Any]
) -> None:
    administrator, user = server.user("ADMINISTRATOR"), server.user()
    restricted = server.user_token(administrator, ceiling=ceiling)
    for call in (
        ("CreateToken", {"user": {"user_id": user.user_id}, "ceiling": ceiling}),
        ("RotateToken", {"token_id": user.token_id}),
    ):
        refusal = restricted.refused(f"TokenService/{call[0]}", **call[1])
        assert refusal.code.name == "PERMISSION_DENIED"
    assert _works(user)


def test_rotating_takes_the_role_that_minting_takes(server: Server) -> None:
    administrator, owner = server.user("ADMINISTRATOR"), server.user()
    token = _mint(owner, agent={"agent_id": server.agent(owner).agent_id})
    low = server.user_token(
        administrator, ceiling={"max_role": "ROLE_VIEWER", "capabilities": ["manage_agents"]}
    )
    refusal = low.refused("TokenService/RotateToken", token_id=token.token_id)
    assert refusal.reason == "TOKEN_ACCESS_DENIED"


def test_an_offer_tells_nothing_of_what_the_receiver_has(own_server: Server) -> None:
    server = own_server
    owner, full, free = server.user(), server.user(), server.user()
    for _ in range(100):
        server.agent(full)

    def offered(to: Person) -> Any:
        answer = owner.call(
            "AgentService/TransferAgent",
            agent={"agent_id": server.agent(owner).agent_id},
            new_owner={"user_id": to.user_id},
        )
        return {field.name for field, _ in answer.ListFields()}

    assert offered(full) == offered(free)


def _check_access(caller: Person, ref: dict[str, Any]) -> Any:
    check = {"caller": True, "agent": ref, "minimum_role": "ROLE_VIEWER"}
    return caller.call("AccessService/CheckAccess", check=check)


def _batch_check_access(caller: Person, ref: dict[str, Any]) -> Any:
    check = {"caller": True, "agent": ref, "minimum_role": "ROLE_VIEWER"}
    return caller.call("AccessService/BatchCheckAccess", checks=[check], include_basis=True)


def _check_resource(caller: Person, ref: dict[str, Any]) -> Any:
    fields: dict[str, Any] = {
        "caller": True,
        "resource": {"agent": ref},
        "minimum_role": "ROLE_VIEWER",
    }
    return caller.call("ScopeService/CheckResource", **fields)


def _resolve_scope(caller: Person, ref: dict[str, Any]) -> Any:
    fields: dict[str, Any] = {"caller": True, "agent": ref, "minimum_role": "ROLE_VIEWER"}
    return caller.call("ScopeService/ResolveScope", **fields)


@pytest.mark.parametrize(
    "ask", [_check_access, _batch_check_access, _check_resource, _resolve_scope]
)
@pytest.mark.parametrize("kind", ["user", "agent", "agent as owner"])
def test_an_answer_tells_nothing_of_an_agent_that_is_hidden(
    server: Server, kind: str, ask: Callable[[Person, dict[str, Any]], Any]
) -> None:
    stranger = server.user()
    if kind != "user":
        own = server.agent(stranger)
        acts = kind == "agent as owner"
        stranger = server.agent_token(stranger, own.agent_id, act_as_owner=acts)
    # With everything that could show: a site, a status, a grant of somebody's that ends.
    hidden = server.agent(server.user(), site_scope=server.site())
    end = server.clock() + timedelta(hours=1)
    server.grant(hidden.agent_id, server.user(), expire_time=end)

    def told(ref: dict[str, Any]) -> Any:
        answer = ask(stranger, ref)
        for moving in ("consistency_token", "position", "judged_at"):
            answer.basis.ClearField(moving)
        assert answer.basis.cacheable
        # What was asked about is named, and nothing that only who may view it knows.
        ((field, name),) = ref.items()
        kind = {
            "agent_id": types_pb2.SUBJECT_KIND_AGENT,
            "agent_slug": types_pb2.SUBJECT_KIND_AGENT_SLUG,
        }[field]
        asked = types_pb2.Subject(kind=kind, subject_id=str(name))
        assert asked in answer.basis.depends_on
        answer.basis.depends_on.remove(asked)
        return answer

    by_slug = [told({"agent_slug": slug}) for slug in (hidden.agent_slug, "no-such-agent-at-all")]
    by_id = [told({"agent_id": agent_id}) for agent_id in (hidden.agent_id, 2**61)]
    assert by_slug[0] == by_slug[1]
    assert by_id[0] == by_id[1]


def test_a_reply_is_replayed_to_the_same_token_only(server: Server) -> None:
    owner = server.user()
    agent = server.agent(owner, config={"private": "plan"})
    update: dict[str, Any] = {
        "agent": {"agent_id": agent.agent_id},
        "update": {"agent_name": "Renamed"},
        "request_id": "5f0c6d3e-0000-4000-8000-0123456789ab",
    }
    assert owner.call("AgentService/UpdateAgent", **update).agent.config["private"] == "plan"
    low = server.user_token(owner, ceiling={"max_role": "ROLE_VIEWER"})
    assert low.refused("AgentService/UpdateAgent", **update).reason == "ROLE_INSUFFICIENT"


def test_a_slug_stays_reserved_when_its_former_owner_is_deleted(server: Server) -> None:
    former, stranger = server.user(), server.user()
    slug = server.name("payroll")
    agent = server.agent(former, slug)
    server.admin.call("AgentService/DeleteAgent", agent={"agent_id": agent.agent_id})
    server.admin.call("UserService/DeleteUser", user={"user_id": former.user_id})
    refusal = stranger.refused("AgentService/CreateAgent", agent_slug=slug)
    assert refusal.reason == "SLUG_RESERVED"


def test_a_page_of_the_log_ends_before_it_grows_too_large(server: Server) -> None:
    owner = server.user()
    agent = server.agent(owner)
    for number in range(12):
        owner.call(
            "AgentService/UpdateAgent",
            agent={"agent_id": agent.agent_id},
            update={"config": {"text": f"{number}" + "x" * 60_000}},
        )
    query: dict[str, Any] = {**about_agent(agent.agent_id), "page_size": 500}
    page = owner.call("ChangeService/ListChanges", **query)
    revisions = [change.revision for change in page.changes]
    assert page.next_page_token
    assert page.ByteSize() < 2**21
    while page.next_page_token:
        page = owner.call("ChangeService/ListChanges", **query, page_token=page.next_page_token)
        revisions += [change.revision for change in page.changes]
    assert len(revisions) == 13
    assert revisions == sorted(set(revisions))
