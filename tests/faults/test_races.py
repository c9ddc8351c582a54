"""What many callers at once may not break, on each engine."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from accredit.v1.types_pb2 import Role
from accredit_service.abilities.calls.app import Limits
from accredit_storage.records import UserId
from tests.faults.racing import answers, race, reasons, refusals, shared_out, spread
from tests.server import Person, RefusedError, Server, running_server

CONNECTIONS = 8


def test_two_hundred_who_create_the_same_agent_if_missing_all_get_the_one(
    server: Server,
) -> None:
    owner = server.user()
    with spread(server.admin, connections=CONNECTIONS) as admins:
        outcomes = race(
            [
                partial(
                    admin.call,
                    "AgentService/CreateAgent",
                    agent_slug="The One",
                    owner={"user_id": owner.user_id},
                    create_if_missing=True,
                )
                for admin in shared_out(admins, 200)
            ]
        )
    assert reasons(outcomes) == []
    assert len({answer.agent.agent_id for answer in answers(outcomes)}) == 1
    assert [answer.created for answer in answers(outcomes)].count(True) == 1
    listed = server.admin.call("AgentService/ListAgents", scope="LIST_SCOPE_ALL")
    assert [agent.agent_slug for agent in listed.agents] == ["the-one"]


def test_so_do_those_who_may_own_no_second_one(database_url: str, tmp_path: Path) -> None:
    with running_server(database_url, tmp_path, limits=Limits(agents_per_user=1)) as server:
        member = server.user()
        with spread(member, connections=CONNECTIONS) as members:
            outcomes = race(
                [
                    partial(
                        member.call,
                        "AgentService/CreateAgent",
                        agent_slug="mine",
                        create_if_missing=True,
                    )
                    for member in shared_out(members, 64)
                ]
            )
    assert reasons(outcomes) == []
    assert len({answer.agent.agent_id for answer in answers(outcomes)}) == 1


def test_racing_creations_stop_at_the_limit(database_url: str, tmp_path: Path) -> None:
    with running_server(database_url, tmp_path, limits=Limits(agents_per_user=3)) as server:
        member = server.user()
        with spread(member, connections=CONNECTIONS) as members:
            outcomes = race(
                [
                    partial(member.call, "AgentService/CreateAgent", agent_slug=f"number-{place}")
                    for place, member in enumerate(shared_out(members, 32))
                ]
            )
    assert len(answers(outcomes)) == 3
    assert set(reasons(outcomes)) == {("RESOURCE_EXHAUSTED", "AGENT_LIMIT_REACHED")}


def test_racing_provisions_make_one_agent(server: Server) -> None:
    member = server.user()
    with spread(member, connections=CONNECTIONS) as members:
        outcomes = race(
            [
                partial(member.call, "AgentService/ProvisionAgent")
                for member in shared_out(members, 64)
            ]
        )
    assert reasons(outcomes) == []
    assert len({answer.agent.agent_id for answer in answers(outcomes)}) == 1
    assert [answer.created for answer in answers(outcomes)].count(True) == 1


def administrators_token(server: Server) -> tuple[Person, str]:
    minted = server.user()
    return server.admin, minted.token_id


def own_token(server: Server) -> tuple[Person, str]:
    member = server.user()
    return member, member.token_id


@pytest.mark.parametrize(
    "whose",
    [
        pytest.param(administrators_token, id="somebody-elses-token"),
        pytest.param(own_token, id="the-token-that-the-callers-present"),
    ],
)
def test_of_fifty_rotations_one_makes_the_successor(
    server: Server, whose: Callable[[Server], tuple[Person, str]]
) -> None:
    rotator, token_id = whose(server)
    with spread(rotator, connections=CONNECTIONS) as rotators:
        outcomes = race(
            [
                partial(rotator.call, "TokenService/RotateToken", token_id=token_id)
                for rotator in shared_out(rotators, 50)
            ]
        )
    (rotated,) = answers(outcomes)
    assert Counter(reasons(outcomes)) == {("ABORTED", "TOKEN_ALREADY_ROTATED"): 49}
    assert {refusal.metadata["token_id"] for refusal in refusals(outcomes)} == {
        rotated.token.token_id
    }
    listed = server.admin.call(
        "TokenService/ListTokens", user={"user_id": rotated.token.user_id}, show_inactive=True
    )
    assert [token.rotated_from for token in listed.tokens].count(token_id) == 1
    assert server.call("AuthService/WhoAmI", rotated.secret).token.token_id == (
        rotated.token.token_id
    )


def demotion(victim: int) -> tuple[str, dict[str, Any]]:
    return "UserService/UpdateUser", {
        "user": {"user_id": victim},
        "update": {"role": "USER_ROLE_MEMBER"},
    }


def deactivation(victim: int) -> tuple[str, dict[str, Any]]:
    return "UserService/DeactivateUser", {"user": {"user_id": victim}}


def update_to_inactive(victim: int) -> tuple[str, dict[str, Any]]:
    return "UserService/UpdateUser", {"user": {"user_id": victim}, "update": {"active": False}}


def deletion(victim: int) -> tuple[str, dict[str, Any]]:
    return "UserService/DeleteUser", {"user": {"user_id": victim}}


REMOVALS = [demotion, deactivation, update_to_inactive, deletion]


def removed(by: Person, victim: int, how: Callable[[int], tuple[str, dict[str, Any]]]) -> bool:
    """Whether the call did it. RefusedError for whatever may not come of it."""
    method, fields = how(victim)
    try:
        by.call(method, **fields)
    except RefusedError as refusal:
        allowed = {
            # The last one stays.
            ("FAILED_PRECONDITION", "LAST_ADMIN"),
            # The caller was removed before the call.
            ("PERMISSION_DENIED", "ACTION_MISSING"),
            ("UNAUTHENTICATED", "USER_INACTIVE"),
            ("UNAUTHENTICATED", "TOKEN_INVALID"),
            # So was the token of theirs that one of the others had minted.
            ("UNAUTHENTICATED", "MINTER_WITHOUT_RIGHTS"),
            ("NOT_FOUND", "USER_NOT_FOUND"),
        }
        if (refusal.code.name, refusal.reason) not in allowed:
            raise
        return False
    return True


@pytest.mark.parametrize("how", REMOVALS)
@pytest.mark.parametrize("whom", ["each-other", "themselves"])
def test_of_the_last_two_administrators_one_stays(
    server: Server, how: Callable[[int], tuple[str, dict[str, Any]]], whom: str
) -> None:
    survivor = server.admin
    for _ in range(3):
        other = own_administrator(server, survivor)
        pairs = (
            [(survivor, other), (other, survivor)]
            if whom == "each-other"
            else [(survivor, survivor), (other, other)]
        )
        with spread(survivor, connections=2) as first, spread(other, connections=2) as second:
            by = {survivor.user_id: first, other.user_id: second}
            outcomes = race(
                [
                    partial(removed, caller, victim.user_id, how)
                    for one, victim in pairs
                    for caller in by[one.user_id]
                ]
            )
        assert reasons(outcomes) == []
        active = [one for one in (survivor, other) if is_administrator(server, one)]
        assert len(active) == 1
        (survivor,) = active
        assert outcomes.count(True) >= 1


def own_administrator(server: Server, maker: Person) -> Person:
    """A second administrator whose token does not rest on the first."""
    made = maker.call(
        "UserService/CreateUser", login=f"a{next_number(server)}", role="USER_ROLE_ADMINISTRATOR"
    )
    minted = maker.call(
        "TokenService/CreateToken", user={"user_id": made.user.user_id}, full_rights=True
    )
    return server.user_token(Person(server, minted.secret, user_id=made.user.user_id))


def next_number(server: Server) -> int:
    """One that no login here has: what the log holds grows with each user."""
    with server.app.store.read() as tx:
        return tx.head().revision


def is_administrator(server: Server, person: Person) -> bool:
    with server.app.store.read() as tx:
        user = tx.users.find(UserId(person.user_id))
    return user is not None and user.active and user.role.name == "ADMINISTRATOR"


def test_sixty_four_grants_and_revocations_of_one_pair_leave_one_history(
    server: Server,
) -> None:
    agent = server.agent(server.user())
    holder = server.user()
    pair: dict[str, Any] = {
        "agent": {"agent_id": agent.agent_id},
        "principal": {"user_id": holder.user_id},
    }
    roles = ("VIEWER", "OPERATOR", "ADMIN")

    def change(admin: Person, place: int) -> object:
        if place % 2:
            return admin.call("AccessService/RevokeAccess", **pair)
        role = f"ROLE_{roles[place // 2 % 3]}"
        return admin.call("AccessService/GrantAccess", role=role, **pair)

    with spread(server.admin, connections=CONNECTIONS) as admins:
        outcomes = race(
            [partial(change, admin, place) for place, admin in enumerate(shared_out(admins, 64))]
        )
    assert set(reasons(outcomes)) <= {("NOT_FOUND", "REVOKE_FAILED")}
    listed = server.admin.call("AccessService/ListAgentAccess", agent={"agent_id": agent.agent_id})
    grants = [one for one in listed.grants if one.principal.user_id == holder.user_id]
    assert len(grants) <= 1
    history = history_of(server, holder.user_id, "GRANT_CHANGED", "GRANT_REVOKED")
    assert len(history) == len(answers(outcomes))
    # Each change found what the one before it left.
    standing: dict[str, Any] | None = None
    for before, after in history:
        assert before == standing
        standing = after
    left = [f"ROLE_{standing['role'].upper()}"] if standing else []
    assert [Role.Name(grant.role) for grant in grants] == left


def history_of(
    server: Server, user_id: int, *kinds: str
) -> Sequence[tuple[dict[str, Any] | None, dict[str, Any] | None]]:
    """What changed about a user, before and after, oldest first."""
    listed = server.admin.call(
        "ChangeService/ListChanges",
        filter={
            "subjects": [{"kind": "SUBJECT_KIND_USER", "subject_id": str(user_id)}],
            "kinds": [f"CHANGE_KIND_{kind}" for kind in kinds],
        },
        page_size=500,
    )
    assert not listed.next_page_token
    return [
        (
            dict(change.before) if change.HasField("before") else None,
            dict(change.after) if change.HasField("after") else None,
        )
        for change in listed.changes
    ]
