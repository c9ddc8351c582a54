"""Who comes to own a declared agent."""

import logging

import pytest

from accredit_service.abilities.declared import reconciling
from accredit_service.abilities.declared.planning import Outcome
from accredit_service.abilities.extensions.declarations import Origin
from accredit_storage.records import UserId, UserUpdate
from tests.declared.declaring import (
    agent,
    declare,
    declared,
    no_agent,
    outcome,
    outcomes,
    reconcile,
    register,
)
from tests.server import Server


def test_the_default_owner_and_a_resolver_are_no_drift(server: Server) -> None:
    other = server.user()
    for slug in ("plain", "resolved"):
        server.agent(other, slug)
    resolved = declared("resolved", origin=Origin.ENTRY_POINT, resolve_owner=_never)
    declare(server, declared("plain"), resolved)
    assert [list(one.drift) for one in reconcile(server.admin)] == [[], []]


def _never() -> object:
    raise AssertionError("an agent that exists has its owner")


def test_without_an_owner_stated_it_is_the_default_owners(server: Server) -> None:
    register(server, "one")
    reconcile(server.admin)
    assert agent(server, "one").owner_id == server.admin.user_id
    ann = server.user(login="ann")
    server.app.declarations.default_owner = "ann"
    register(server, "two")
    reconcile(server.admin)
    assert agent(server, "two").owner_id == ann.user_id


def test_a_definition_whose_owner_is_unknown_or_inactive_is_skipped(server: Server) -> None:
    gone = server.user()
    server.admin.call("UserService/DeactivateUser", user={"user_id": gone.user_id})
    declare(server, declared("a", owner="nobody", priority=9))
    register(server, "b", owner={"user_id": gone.user_id})
    register(server, "c")
    planned = reconcile(server.admin, validate_only=True)
    results = reconcile(server.admin)
    assert outcomes(results) == [
        ("a", "SKIPPED AGENT_OWNER_NOT_FOUND"),
        ("b", "SKIPPED AGENT_OWNER_NOT_FOUND"),
        ("c", "CREATED"),
    ]
    assert outcomes(planned) == [*outcomes(results)[:2], ("c", "PENDING")]
    assert results[0].error.message == "there is no active user 'nobody'"
    assert results[0].error.code == 5
    assert not results[2].HasField("error")
    assert no_agent(server, "a")


def test_a_resolver_is_asked_once_when_the_agent_is_created(server: Server) -> None:
    owner, asked = server.user(), []

    def by_team(slug: str) -> object:
        asked.append(slug)
        return owner.user_id

    server.app.declarations.owner_resolvers = {"by-team": by_team}
    register(server, "scribe", owner_resolver="by-team")
    (planned,) = reconcile(server.admin, validate_only=True)
    assert outcome(planned) == "PENDING"
    assert asked == []
    for _ in range(2):
        reconcile(server.admin)
    assert asked == ["scribe"]
    assert agent(server, "scribe").owner_id == owner.user_id


@pytest.mark.parametrize("answer", [0, -1, None, True, "7", 1.0, 2**63], ids=str)
def test_what_is_no_id_leaves_it_to_the_default_owner(server: Server, answer: object) -> None:
    # Not user 1, whom True would be.
    default = server.user(login="default")
    server.app.declarations.default_owner = "default"
    declare(server, declared("scribe", resolve_owner=lambda: answer))
    assert outcomes(reconcile(server.admin)) == [("scribe", "CREATED")]
    assert agent(server, "scribe").owner_id == default.user_id


def test_a_resolver_that_fails_costs_its_own_agent_only(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> object:
        raise ValueError("no directory service")

    declare(
        server,
        declared("a", resolve_owner=fails),
        declared("b", resolve_owner=lambda: 987654),
        declared("c", owner_resolver="unknown"),
        declared("d"),
    )
    results = reconcile(server.admin)
    assert outcomes(results) == [
        ("a", "SKIPPED AGENT_OWNER_NOT_FOUND"),
        ("b", "SKIPPED AGENT_OWNER_NOT_FOUND"),
        ("c", "SKIPPED AGENT_OWNER_NOT_FOUND"),
        ("d", "CREATED"),
    ]
    (failure,) = [one for one in caplog.records if one.message == "owner resolver failed"]
    assert failure.levelno == logging.WARNING
    assert failure.exc_info
    # What it says is the operator's to read, not the caller's.
    assert "directory service" not in results[0].error.message


def test_without_any_administrator_nothing_is_created_for_the_default_owner(
    server: Server,
) -> None:
    declare(server, declared("scribe"))
    with server.app.store.write() as tx:
        tx.users.update(UserId(server.admin.user_id), UserUpdate(active=False), at=server.clock())
    assert reconciling.reconcile_as_server(server.app)[Outcome.SKIPPED] == 1
    assert no_agent(server, "scribe")


def test_a_default_owner_who_is_gone_or_inactive_is_replaced_by_nobody(server: Server) -> None:
    ann = server.user(login="ann")
    server.app.declarations.default_owner = "ann"
    server.admin.call("UserService/DeactivateUser", user={"user_id": ann.user_id})
    register(server, "scribe")
    declare(server, declared("resolved", resolve_owner=lambda: None))
    skipped = [
        ("scribe", "SKIPPED AGENT_OWNER_NOT_FOUND"),
        ("resolved", "SKIPPED AGENT_OWNER_NOT_FOUND"),
    ]
    results = reconcile(server.admin)
    assert outcomes(results) == skipped
    assert results[0].error.message == "the default owner 'ann' is no active user"
    server.admin.call("UserService/DeleteUser", user={"user_id": ann.user_id})
    assert outcomes(reconcile(server.admin)) == skipped
    assert no_agent(server, "scribe")


def test_an_owner_who_is_deactivated_meanwhile_gets_no_agent(server: Server) -> None:
    ann = server.user(login="ann")

    def deactivate() -> object:
        server.admin.call("UserService/DeactivateUser", user={"user_id": ann.user_id})
        return None

    declare(server, declared("a", owner="ann"), declared("b", resolve_owner=deactivate))
    assert outcomes(reconcile(server.admin)) == [
        ("a", "SKIPPED AGENT_OWNER_NOT_FOUND"),
        ("b", "CREATED"),
    ]
    assert no_agent(server, "a")
