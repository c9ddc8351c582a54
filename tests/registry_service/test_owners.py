"""Who comes to own a declared agent."""

import logging

import pytest

from accredit_service.abilities.declared import reconciling
from accredit_service.abilities.declared.planning import Outcome
from accredit_service.abilities.extensions.declarations import Origin
from tests.registry import Registry
from tests.registry_service.declaring import (
    agent,
    declare,
    declared,
    no_agent,
    outcome,
    outcomes,
    reconcile,
    register,
)


def test_the_default_owner_and_a_resolver_are_no_drift(registry: Registry) -> None:
    other = registry.user()
    for slug in ("plain", "resolved"):
        registry.agent(other, slug)
    resolved = declared("resolved", origin=Origin.ENTRY_POINT, resolve_owner=_never)
    declare(registry, declared("plain"), resolved)
    assert [list(one.drift) for one in reconcile(registry.admin)] == [[], []]


def _never() -> object:
    raise AssertionError("an agent that exists has its owner")


def test_without_an_owner_stated_it_is_the_default_owners(registry: Registry) -> None:
    register(registry, "one")
    reconcile(registry.admin)
    assert agent(registry, "one").owner_id == registry.admin.user_id
    ann = registry.user(login="ann")
    registry.app.declarations.default_owner = "ann"
    register(registry, "two")
    reconcile(registry.admin)
    assert agent(registry, "two").owner_id == ann.user_id


def test_a_definition_whose_owner_is_unknown_or_inactive_is_skipped(registry: Registry) -> None:
    gone = registry.user()
    registry.admin.call("UserService/DeactivateUser", user={"user_id": gone.user_id})
    declare(registry, declared("a", owner="nobody", priority=9))
    register(registry, "b", owner={"user_id": gone.user_id})
    register(registry, "c")
    planned = reconcile(registry.admin, validate_only=True)
    results = reconcile(registry.admin)
    assert outcomes(results) == [
        ("a", "SKIPPED AGENT_OWNER_NOT_FOUND"),
        ("b", "SKIPPED AGENT_OWNER_NOT_FOUND"),
        ("c", "CREATED"),
    ]
    assert outcomes(planned) == [*outcomes(results)[:2], ("c", "PENDING")]
    assert results[0].error.message == "there is no active user 'nobody'"
    assert results[0].error.code == 5
    assert not results[2].HasField("error")
    assert no_agent(registry, "a")


def test_a_resolver_is_asked_once_when_the_agent_is_created(registry: Registry) -> None:
    owner, asked = registry.user(), []

    def by_team(slug: str) -> object:
        asked.append(slug)
        return owner.user_id

    registry.app.declarations.owner_resolvers = {"by-team": by_team}
    register(registry, "scribe", owner_resolver="by-team")
    (planned,) = reconcile(registry.admin, validate_only=True)
    assert outcome(planned) == "PENDING"
    assert asked == []
    for _ in range(2):
        reconcile(registry.admin)
    assert asked == ["scribe"]
    assert agent(registry, "scribe").owner_id == owner.user_id


@pytest.mark.parametrize("answer", [0, -1, None, True, "7", 1.0, 2**63], ids=str)
def test_what_is_no_id_leaves_it_to_the_default_owner(registry: Registry, answer: object) -> None:
    # Not user 1, whom True would be.
    default = registry.user(login="default")
    registry.app.declarations.default_owner = "default"
    declare(registry, declared("scribe", resolve_owner=lambda: answer))
    assert outcomes(reconcile(registry.admin)) == [("scribe", "CREATED")]
    assert agent(registry, "scribe").owner_id == default.user_id


def test_a_resolver_that_fails_costs_its_own_agent_only(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> object:
        raise ValueError("no directory service")

    declare(
        registry,
        declared("a", resolve_owner=fails),
        declared("b", resolve_owner=lambda: 987654),
        declared("c", owner_resolver="unknown"),
        declared("d"),
    )
    results = reconcile(registry.admin)
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
    registry: Registry,
) -> None:
    declare(registry, declared("scribe"))
    with registry.app.store.write() as tx:
        tx.users.update(registry.admin.user_id, at=registry.clock(), active=False)
    assert reconciling.reconcile_as_server(registry.app)[Outcome.SKIPPED] == 1
    assert no_agent(registry, "scribe")


def test_a_default_owner_who_is_gone_or_inactive_is_replaced_by_nobody(registry: Registry) -> None:
    ann = registry.user(login="ann")
    registry.app.declarations.default_owner = "ann"
    registry.admin.call("UserService/DeactivateUser", user={"user_id": ann.user_id})
    register(registry, "scribe")
    declare(registry, declared("resolved", resolve_owner=lambda: None))
    skipped = [
        ("scribe", "SKIPPED AGENT_OWNER_NOT_FOUND"),
        ("resolved", "SKIPPED AGENT_OWNER_NOT_FOUND"),
    ]
    results = reconcile(registry.admin)
    assert outcomes(results) == skipped
    assert results[0].error.message == "the default owner 'ann' is no active user"
    registry.admin.call("UserService/DeleteUser", user={"user_id": ann.user_id})
    assert outcomes(reconcile(registry.admin)) == skipped
    assert no_agent(registry, "scribe")


def test_an_owner_who_is_deactivated_meanwhile_gets_no_agent(registry: Registry) -> None:
    ann = registry.user(login="ann")

    def deactivate() -> object:
        registry.admin.call("UserService/DeactivateUser", user={"user_id": ann.user_id})
        return None

    declare(registry, declared("a", owner="ann"), declared("b", resolve_owner=deactivate))
    assert outcomes(reconcile(registry.admin)) == [
        ("a", "SKIPPED AGENT_OWNER_NOT_FOUND"),
        ("b", "CREATED"),
    ]
    assert no_agent(registry, "a")
