"""Names, etags and request ids that many ask for at once: one of them has it."""

import uuid
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.faults.racing import answers, race, reasons, refusals, shared_out, spread
from tests.server import Person, RefusedError, Server

WRITERS = 32


def created_user(server: Server, place: int) -> tuple[str, dict[str, Any]]:
    wish = {"login": "wanted", "role": "USER_ROLE_GUEST", "display_name": f"Number {place}"}
    return "UserService/CreateUser", wish


def created_site(server: Server, place: int) -> tuple[str, dict[str, Any]]:
    return "SiteService/CreateSite", {"site_slug": "wanted", "site_name": f"Number {place}"}


def created_agent(server: Server, place: int) -> tuple[str, dict[str, Any]]:
    wanted = {"agent_slug": "wanted", "owner": {"user_id": server.admin.user_id}}
    return "AgentService/CreateAgent", {**wanted, "agent_name": f"Number {place}"}


def renamed_agent(server: Server, place: int) -> tuple[str, dict[str, Any]]:
    slug = server.agent(server.admin).agent_slug
    return "AgentService/RenameAgent", {"agent": {"agent_slug": slug}, "new_slug": "wanted"}


def renamed_user(server: Server, place: int) -> tuple[str, dict[str, Any]]:
    user_id = server.user().user_id
    return "UserService/UpdateUser", {"user": {"user_id": user_id}, "update": {"login": "wanted"}}


@pytest.mark.parametrize(
    ("what", "conflict"),
    [
        (created_user, "LOGIN_CONFLICT"),
        (created_site, "SITE_SLUG_CONFLICT"),
        (created_agent, "AGENT_SLUG_CONFLICT"),
        (renamed_agent, "AGENT_SLUG_CONFLICT"),
        (renamed_user, "LOGIN_CONFLICT"),
    ],
)
def test_of_many_who_want_a_name_one_has_it(
    server: Server,
    what: Callable[[Server, int], tuple[str, dict[str, Any]]],
    conflict: str,
) -> None:
    wishes = [what(server, place) for place in range(WRITERS)]
    with spread(server.admin, connections=8) as admins:
        outcomes = race(
            [
                partial(admin.call, wish[0], **wish[1])
                for admin, wish in zip(shared_out(admins, WRITERS), wishes, strict=True)
            ]
        )
    assert len(answers(outcomes)) == 1
    assert Counter(reasons(outcomes)) == {("ALREADY_EXISTS", conflict): WRITERS - 1}


def test_batches_that_name_the_same_agents_in_different_orders_all_succeed(
    server: Server,
) -> None:
    slugs = [f"shared-{number}" for number in range(20)]

    def items(place: int) -> list[dict[str, Any]]:
        turned = slugs[place:] + slugs[:place]
        turned = turned[::-1] if place % 2 else turned
        return [{"agent_slug": slug, "owner": {"user_id": server.admin.user_id}} for slug in turned]

    with spread(server.admin, connections=8) as admins:
        outcomes = race(
            [
                partial(admin.call, "AgentService/BatchCreateAgents", requests=items(place))
                for place, admin in enumerate(admins)
            ]
        )
    assert reasons(outcomes) == []
    ids = {
        (result.agent.agent_slug, result.agent.agent_id)
        for answer in answers(outcomes)
        for result in answer.results
    }
    assert sorted(slug for slug, _ in ids) == sorted(slugs)


def created_for(server: Server, user_id: int, site_id: int) -> tuple[str, dict[str, Any]]:
    agent = {"agent_slug": "contested", "owner": {"user_id": user_id}, "site_scope": site_id}
    return "AgentService/CreateAgent", agent


def deleted_user(server: Server, user_id: int, site_id: int) -> tuple[str, dict[str, Any]]:
    return "UserService/DeleteUser", {"user": {"user_id": user_id}}


def deleted_site(server: Server, user_id: int, site_id: int) -> tuple[str, dict[str, Any]]:
    return "SiteService/DeleteSite", {"site": {"site_id": site_id}}


@pytest.mark.parametrize(
    ("goes", "refused_as"),
    [
        (deleted_user, {"AGENT_OWNER_NOT_FOUND", "USER_OWNS_AGENTS"}),
        (deleted_site, {"SITE_NOT_FOUND", "SITE_IN_USE"}),
    ],
)
def test_nothing_is_created_for_what_goes_at_the_same_time(
    server: Server,
    goes: Callable[[Server, int, int], tuple[str, dict[str, Any]]],
    refused_as: set[str],
) -> None:
    for round_ in range(8):
        user_id = server.user().user_id
        slug = f"site-{round_}"
        site_id = server.admin.call("SiteService/CreateSite", site_slug=slug).site.site_id
        calls = [made(server, user_id, site_id) for made in (created_for, goes, created_for, goes)]
        with spread(server.admin, connections=4) as admins:
            outcomes = race(
                [
                    partial(admin.call, call[0], **call[1])
                    for admin, call in zip(admins, calls, strict=True)
                ]
            )
        created, gone = answers(outcomes[::2]), answers(outcomes[1::2])
        assert bool(created) != bool(gone)
        others = {"AGENT_SLUG_CONFLICT", "USER_NOT_FOUND", "SITE_NOT_FOUND"}
        assert {one.reason for one in refusals(outcomes)} <= refused_as | others
        for answer in created:
            agent = {"agent_id": answer.agent.agent_id}
            server.admin.call("AgentService/DeleteAgent", agent=agent)


@pytest.mark.parametrize(
    "increments", [2, pytest.param(500, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]
)
def test_no_update_under_an_etag_is_lost(server: Server, increments: int) -> None:
    agent = server.agent(server.admin, config={"count": 0})
    ref = {"agent_id": agent.agent_id}

    def increment(admin: Person) -> Counter[str]:
        mismatches: Counter[str] = Counter()
        for _ in range(increments):
            while True:
                read = admin.call("AgentService/GetAgent", agent=ref).agent
                update = {"config": {"count": read.config["count"] + 1}}
                try:
                    admin.call("AgentService/UpdateAgent", agent=ref, update=update, etag=read.etag)
                except RefusedError as refusal:
                    mismatches[f"{refusal.code.name} {refusal.reason}"] += 1
                else:
                    break
        return mismatches

    with spread(server.admin, connections=WRITERS) as admins:
        outcomes = race([partial(increment, admin) for admin in admins])
    seen = sum(answers(outcomes), Counter[str]())
    assert set(seen) == {"ABORTED ETAG_MISMATCH"}
    final = server.admin.call("AgentService/GetAgent", agent=ref).agent
    assert final.config["count"] == WRITERS * increments


def test_parallel_repeats_of_a_request_have_one_effect_and_one_answer(server: Server) -> None:
    wish: dict[str, Any] = {"agent_slug": "once", "owner": {"user_id": server.admin.user_id}}
    request_id = str(uuid.uuid4())
    with spread(server.admin, connections=8) as admins:
        outcomes = race(
            [
                partial(admin.call, "AgentService/CreateAgent", request_id=request_id, **wish)
                for admin in shared_out(admins, WRITERS)
            ]
        )
    assert reasons(outcomes) == []
    assert len({answer.agent.SerializeToString() for answer in answers(outcomes)}) == 1
    assert all(answer.created for answer in answers(outcomes))
    assert len(changes(server, "AGENT_CREATED")) == 1


def test_a_secret_is_shown_to_one_of_the_parallel_repeats(server: Server) -> None:
    request_id = str(uuid.uuid4())
    with spread(server.admin, connections=8) as admins:
        before = len(changes(server, "TOKEN_CREATED"))
        outcomes = race(
            [
                partial(
                    admin.call,
                    "TokenService/CreateToken",
                    **admin.ref,
                    full_rights=True,
                    request_id=request_id,
                )
                for admin in shared_out(admins, WRITERS)
            ]
        )
    (shown,) = answers(outcomes)
    assert Counter(reasons(outcomes)) == {("ABORTED", "SECRET_ALREADY_SHOWN"): WRITERS - 1}
    assert {one.metadata["token_id"] for one in refusals(outcomes)} == {shown.token.token_id}
    assert len(changes(server, "TOKEN_CREATED")) == before + 1


def test_of_different_requests_under_one_id_one_is_carried_out(server: Server) -> None:
    request_id = str(uuid.uuid4())
    with spread(server.admin, connections=8) as admins:
        outcomes = race(
            [
                partial(
                    admin.call,
                    "UserService/CreateUser",
                    login=f"user-{place}",
                    role="USER_ROLE_GUEST",
                    request_id=request_id,
                )
                for place, admin in enumerate(shared_out(admins, WRITERS))
            ]
        )
    assert len(answers(outcomes)) == 1
    assert Counter(reasons(outcomes)) == {("INVALID_ARGUMENT", "REQUEST_ID_REUSED"): WRITERS - 1}
    assert all(list(one.fields) == ["request_id"] for one in refusals(outcomes))


def changes(server: Server, kind: str) -> list[Any]:
    """What the log has of a kind."""
    listed = server.admin.call(
        "ChangeService/ListChanges", filter={"kinds": [f"CHANGE_KIND_{kind}"]}, page_size=500
    )
    return list(listed.changes)
