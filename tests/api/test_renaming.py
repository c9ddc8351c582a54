"""Slugs change hands: renamed, released, and kept for whoever had them."""

import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest

from accredit_storage.records import UserId
from accredit_storage.store import Store
from tests.api.asking import check, works
from tests.server import Person, RefusedError, Server, running_server

MONTH = 30


def _rename(person: Person, old: str, new: str) -> Any:
    return person.call("AgentService/RenameAgent", agent={"agent_slug": old}, new_slug=new)


def _create(person: Person, slug: str, **fields: Any) -> Any:
    return person.call("AgentService/CreateAgent", agent_slug=slug, **fields)


def _refused(person: Person, slug: str) -> str:
    return person.refused("AgentService/CreateAgent", agent_slug=slug).what


def test_a_renamed_agent_keeps_id_owner_grants_and_tokens(server: Server) -> None:
    owner, viewer = server.user(), server.user()
    before = server.agent(owner)
    server.grant(before.agent_id, viewer)
    token = server.agent_token(owner, before.agent_id)
    new = server.name("Renamed Agent")

    answer = _rename(owner, before.agent_slug, new)

    assert answer.old_slug == before.agent_slug
    assert answer.agent.agent_slug == new.lower().replace(" ", "-")
    assert (answer.agent.agent_id, answer.agent.owner_id) == (before.agent_id, owner.user_id)
    assert answer.agent.etag != before.etag
    assert check(server, viewer, before.agent_id) == "ALLOWED"
    assert works(token)
    assert token.call("AuthService/WhoAmI").agent.agent_slug == answer.agent.agent_slug


def test_the_slug_it_has_already_is_refused_however_it_is_written(server: Server) -> None:
    owner = server.user()
    agent = server.agent(owner)
    for written in (agent.agent_slug, f"  {agent.agent_slug.upper()}! "):
        refusal = owner.refused(
            "AgentService/RenameAgent", agent={"agent_id": agent.agent_id}, new_slug=written
        )
        assert refusal.what == "INVALID_ARGUMENT INVALID_AGENT_SLUG"
        assert refusal.fields == ["new_slug"]


def test_a_taken_slug_is_a_conflict_and_nothing_changes(server: Server) -> None:
    owner = server.user()
    one, other = server.agent(owner), server.agent(owner)
    refusal = owner.refused(
        "AgentService/RenameAgent", agent={"agent_id": one.agent_id}, new_slug=other.agent_slug
    )
    assert refusal.what == "ALREADY_EXISTS AGENT_SLUG_CONFLICT"
    again = owner.call("AgentService/GetAgent", agent={"agent_id": one.agent_id})
    assert again.agent == one


def test_a_released_slug_is_kept_thirty_days_for_its_owner_and_no_longer(
    server: Server,
) -> None:
    owner, stranger = server.user(), server.user()
    renamed, deleted = server.agent(owner), server.agent(owner)
    _rename(owner, renamed.agent_slug, server.name("new"))
    owner.call("AgentService/DeleteAgent", agent={"agent_id": deleted.agent_id})
    own = server.agent(stranger)

    def refusals() -> list[str]:
        return [
            *(_refused(stranger, one.agent_slug) for one in (renamed, deleted)),
            stranger.refused(
                "AgentService/RenameAgent",
                agent={"agent_id": own.agent_id},
                new_slug=renamed.agent_slug,
            ).what,
            stranger.refused(
                "AgentService/CreateAgent", agent_slug=deleted.agent_slug, create_if_missing=True
            ).what,
        ]

    assert refusals() == ["FAILED_PRECONDITION SLUG_RESERVED"] * 4
    server.clock.advance(days=MONTH, seconds=-60)
    assert refusals() == ["FAILED_PRECONDITION SLUG_RESERVED"] * 4
    server.clock.advance(seconds=60)
    assert _create(stranger, renamed.agent_slug).created
    assert _create(stranger, deleted.agent_slug).created


def test_the_former_owner_takes_a_slug_back_and_is_then_its_holder(server: Server) -> None:
    owner = server.user()
    agent = server.agent(owner)
    elsewhere = server.name("elsewhere")
    _rename(owner, agent.agent_slug, elsewhere)
    assert _rename(owner, elsewhere, agent.agent_slug).agent.agent_slug == agent.agent_slug
    assert _create(owner, elsewhere).created


def test_an_administrator_may_override_a_reservation_which_is_over_then(
    server: Server,
) -> None:
    owner, other = server.user(), server.user()
    agent = server.agent(owner)
    slug = agent.agent_slug
    owner.call("AgentService/DeleteAgent", agent={"agent_id": agent.agent_id})
    new = server.agent(other, slug)
    other.call("AgentService/DeleteAgent", agent={"agent_id": new.agent_id})
    # It is the last owner's now.
    assert _refused(owner, slug) == "FAILED_PRECONDITION SLUG_RESERVED"
    assert _create(other, slug).created


def test_an_administrator_who_renames_reserves_the_old_slug_for_the_owner(
    server: Server,
) -> None:
    owner, stranger = server.user(), server.user()
    agent = server.agent(owner)
    _rename(server.admin, agent.agent_slug, server.name("new"))
    assert _refused(stranger, agent.agent_slug) == "FAILED_PRECONDITION SLUG_RESERVED"
    assert _create(owner, agent.agent_slug).created


def test_a_name_is_kept_from_whoever_the_agent_is_transferred_to(server: Server) -> None:
    former, owner = server.user(), server.user()
    agent = server.agent(former)
    _rename(former, agent.agent_slug, server.name("new"))
    server.admin.call(
        "AgentService/TransferAgent",
        agent={"agent_id": agent.agent_id},
        new_owner={"user_id": owner.user_id},
    )
    refusal = owner.refused(
        "AgentService/RenameAgent", agent={"agent_id": agent.agent_id}, new_slug=agent.agent_slug
    )
    assert refusal.what == "FAILED_PRECONDITION SLUG_RESERVED"


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_who_waited_for_a_slug_to_be_released_does_not_get_it(
    database_url: str, tmp_path: Path
) -> None:
    # SQLite has one writer at a time: there nobody waits in the midst of a decision.
    with running_server(database_url, tmp_path) as server:
        owner, stranger = server.user(), server.user()
        agent = server.agent(owner)
        outcomes: list[str] = []

        def take() -> None:
            try:
                outcomes.append(_create(stranger, agent.agent_slug).agent.agent_slug)
            except RefusedError as refusal:
                outcomes.append(refusal.what)

        releasing = Store.open(database_url)
        with releasing.write() as tx:
            now = server.clock()
            tx.agents.delete(agent.agent_id)
            tx.reservations.put(
                agent.agent_slug, UserId(owner.user_id), now.replace(year=now.year + 1)
            )
            waiter = threading.Thread(target=take)
            waiter.start()
            _until_somebody_waits(database_url)
        waiter.join()
        releasing.close()

        assert outcomes == ["FAILED_PRECONDITION SLUG_RESERVED"]


def _until_somebody_waits(database_url: str) -> None:
    """Return once a statement waits for a lock that another transaction holds."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while not connection.execute(waiting).fetchone()[0]:  # type: ignore[index]
            pass
