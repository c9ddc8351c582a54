"""Several server processes on one database are as one."""

import uuid
from collections import Counter
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from accredit_service.abilities.calls.app import App
from accredit_service.abilities.credentials import bearer
from tests.faults.racing import answers, race, reasons, refusals, shared_out, spread
from tests.processes import ServerProcess, launched
from tests.server import Clock, Person, RefusedError, Server

pytestmark = pytest.mark.timeout(120)
Pair = tuple[ServerProcess, ServerProcess]


@pytest.mark.parametrize("folders", ["one-data-folder", "a-data-folder-each"])
def test_those_that_start_together_make_one_administrator(
    empty_database_url: str, tmp_path: Path, folders: str
) -> None:
    names = ["data"] * 4 if folders == "one-data-folder" else [f"data-{n}" for n in range(4)]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(launched(empty_database_url, tmp_path / name, "--migrate"))
            for name in names
        ]
        for process in processes:
            process.ready()
        files = sorted(tmp_path.glob("*/administrator.token"))
        assert len(files) == 1
        assert files[0].stat().st_mode & 0o777 == 0o600
        secret = files[0].read_text().strip()
        assert bearer.parse_key_id(secret)
        assert files[0].parent in {process.data_dir for process in processes}
        for process in processes:
            server = caller(process, secret)
            users = server.admin.call("UserService/ListUsers").users
            assert [(user.login, user.active) for user in users] == [("admin", True)]
            # And one agent of the administrator's, which each of them declares.
            agents = server.admin.call("AgentService/ListAgents", scope="LIST_SCOPE_ALL").agents
            assert [agent.agent_slug for agent in agents] == ["admin"]
            changes = server.admin.call("ChangeService/ListChanges").changes
            assert [change.revision for change in changes] == [1, 2]
            server.close()


def caller(process: ServerProcess, secret: str) -> Server:
    """Who calls it, and looks at nothing beside: the tree of files may be another server's."""
    return Server(process.address, cast("App", None), Clock(), secret, 0)


def test_two_hundred_who_create_the_same_agent_if_missing_all_get_the_one(pair: Pair) -> None:
    first, second = (each.server for each in pair)
    with spread(first.admin, first, second, connections=8) as admins:
        outcomes = race(
            [
                partial(
                    admin.call,
                    "AgentService/CreateAgent",
                    agent_slug="one",
                    owner={"user_id": first.admin.user_id},
                    create_if_missing=True,
                )
                for admin in shared_out(admins, 200)
            ]
        )
    assert reasons(outcomes) == []
    assert len({answer.agent.agent_id for answer in answers(outcomes)}) == 1
    assert [answer.created for answer in answers(outcomes)].count(True) == 1


def test_of_fifty_rotations_one_makes_the_successor(pair: Pair) -> None:
    first, second = (each.server for each in pair)
    member = first.user()
    with spread(member, first, second, connections=8) as rotators:
        outcomes = race(
            [
                partial(caller.call, "TokenService/RotateToken", token_id=member.token_id)
                for caller in shared_out(rotators, 50)
            ]
        )
    (rotated,) = answers(outcomes)
    assert Counter(reasons(outcomes)) == {("ABORTED", "TOKEN_ALREADY_ROTATED"): 49}
    for server in (first, second):
        who = server.call("AuthService/WhoAmI", rotated.secret)
        assert who.token.token_id == rotated.token.token_id


def test_a_token_revoked_on_one_does_nothing_more_on_the_other(pair: Pair) -> None:
    first, second = (each.server for each in pair)
    for _ in range(10):
        thief = first.user()
        elsewhere = Person(second, thief.token)
        elsewhere.call("TokenService/CreateToken", **thief.ref, full_rights=True)
        first.admin.call("TokenService/RevokeToken", token_id=thief.token_id)
        for method in ("TokenService/CreateToken", "AgentService/CreateAgent"):
            mint = {**thief.ref, "full_rights": True}
            fields = mint if "Token" in method else {"agent_slug": "late"}
            refusal = elsewhere.refused(method, **fields)
            assert refusal.reason == "TOKEN_INVALID"
        answer = second.admin.call("AuthService/Authenticate", token=thief.token)
        assert answer.WhichOneof("outcome") == "denial"


def test_nothing_is_minted_by_a_token_after_its_revocation_in_the_log(pair: Pair) -> None:
    first, second = (each.server for each in pair)
    for _ in range(5):
        thief = first.user()
        with spread(thief, first, second, connections=6) as callers:
            race(
                [
                    *(
                        partial(
                            caller.call, "TokenService/CreateToken", **thief.ref, full_rights=True
                        )
                        for caller in shared_out(callers, 12)
                    ),
                    partial(first.admin.call, "TokenService/RevokeToken", token_id=thief.token_id),
                ]
            )
        by_thief = {"actor": {"token_id": thief.token_id}}
        made = first.admin.call("ChangeService/ListChanges", filter=by_thief)
        revocations = {"kinds": ["CHANGE_KIND_TOKEN_REVOKED"]}
        about = first.admin.call("ChangeService/ListChanges", filter=revocations)
        (revoked,) = (
            change.revision
            for change in about.changes
            if any(one.subject_id == thief.token_id for one in change.subjects)
        )
        assert all(change.revision < revoked for change in made.changes)


def test_of_the_last_two_administrators_one_stays(two: Pair) -> None:
    first, second = (each.server for each in two)
    made = first.admin.call(
        "UserService/CreateUser", login="second", role="USER_ROLE_ADMINISTRATOR"
    )
    minted = first.admin.call(
        "TokenService/CreateToken", user={"user_id": made.user.user_id}, full_rights=True
    )
    first_token = Person(second, minted.secret, user_id=made.user.user_id)
    other = second.user_token(first_token)

    def demote(caller: Person, victim: Person) -> object:
        return caller.call(
            "UserService/UpdateUser",
            user={"user_id": victim.user_id},
            update={"role": "USER_ROLE_MEMBER"},
        )

    outcomes = race(
        [partial(demote, first.admin, other), partial(demote, other, first.admin)] * 2,
    )
    allowed = {"LAST_ADMIN", "ACTION_MISSING", "MINTER_WITHOUT_RIGHTS"}
    assert {one.reason for one in refusals(outcomes)} <= allowed
    with first.app.store.read() as tx:
        assert tx.users.count_active_administrators() == 1


def test_a_request_is_carried_out_once_on_whichever_it_is_repeated(pair: Pair) -> None:
    first, second = (each.server for each in pair)
    wish: dict[str, Any] = {
        "agent_slug": "requested",
        "owner": {"user_id": first.admin.user_id},
        "request_id": str(uuid.uuid4()),
    }
    with spread(first.admin, first, second, connections=8) as admins:
        outcomes = race(
            [
                partial(admin.call, "AgentService/CreateAgent", **wish)
                for admin in shared_out(admins, 32)
            ]
        )
    assert reasons(outcomes) == []
    assert {answer.created for answer in answers(outcomes)} == {True}
    assert len({answer.agent.agent_id for answer in answers(outcomes)}) == 1
    with pytest.raises(RefusedError, match="REQUEST_ID_REUSED"):
        second.admin.call("AgentService/CreateAgent", **wish | {"agent_slug": "another"})


def test_a_request_is_carried_out_once_even_after_a_crash(two: Pair) -> None:
    first, second = (each.server for each in two)
    wish: dict[str, Any] = {
        "agent_slug": "once",
        "owner": {"user_id": first.admin.user_id},
        "request_id": str(uuid.uuid4()),
    }
    mint: dict[str, Any] = {
        **first.admin.ref,
        "full_rights": True,
        "request_id": str(uuid.uuid4()),
    }
    made = first.admin.call("AgentService/CreateAgent", **wish)
    shown = first.admin.call("TokenService/CreateToken", **mint)
    two[0].kill()
    again = second.admin.call("AgentService/CreateAgent", **wish)
    refusal = second.admin.refused("TokenService/CreateToken", **mint)
    assert (again.agent, again.created) == (made.agent, True)
    assert (refusal.code.name, refusal.reason) == ("ABORTED", "SECRET_ALREADY_SHOWN")
    assert refusal.metadata["token_id"] == shown.token.token_id
