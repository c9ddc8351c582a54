"""Every query that a call makes finds its rows through an index."""

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, text

from accredit_storage.agents import AgentQuery, Viewer
from accredit_storage.changes import ChangeQuery
from accredit_storage.declared_slugs import OwnDefinition, SlugQuery
from accredit_storage.execution import driver_of
from accredit_storage.records import (
    AgentId,
    AgentStatus,
    AgentUpdate,
    ChangeKind,
    Role,
    SiteId,
    UserId,
    UserRole,
)
from accredit_storage.requests import RequestKey
from accredit_storage.store import Store, WriteTransaction
from tests.storage.making import (
    LATER,
    NOW,
    about_agent,
    about_user,
    put_definition,
    put_memory_file_type,
)

Call = Callable[[WriteTransaction], object]
VIEWER = Viewer(user_id=UserId(1), agent_id=AgentId(0), sees_all=False, at=NOW)


def agents(**asked: Any) -> AgentQuery:
    values = {"site_id": 1, "status": AgentStatus.ACTIVE, "text": "x", "at": NOW, "limit": 10}
    return AgentQuery(**{**values, **asked})


def changes(after: int | None = 5, **asked: Any) -> Call:
    return lambda tx: tx.changes.page(ChangeQuery(**asked), after=after, limit=10)


def tokens(**asked: Any) -> Call:
    values = {"agent_id": None, "user_id": None, "after": (NOW, "t"), "include_inactive": False}
    return lambda tx: tx.tokens.page(**{**values, **asked}, at=NOW, limit=10)


def users(**asked: Any) -> Call:
    return lambda tx: tx.users.page(after=5, limit=10, **asked)


def declared_slugs(after: tuple[int, int, int] | None) -> Call:
    query = SlugQuery(
        own=[OwnDefinition("x", "x.yaml", 10, 3, 0)],
        suppressed=["x"],
        after=after,
        limit=10,
        most_others=10,
    )
    return lambda tx: tx.declared_slugs.page(query)


CALLS: dict[str, Call] = {
    "agent by id": lambda tx: tx.agents.find(AgentId(1)),
    "agent by slug": lambda tx: tx.agents.find_by_slug("x"),
    "agents by id": lambda tx: tx.agents.find_many([AgentId(1), AgentId(2)]),
    "agents by slug": lambda tx: tx.agents.find_many_by_slug(["x", "y"]),
    "seen by id": lambda tx: tx.agents.find_many([AgentId(1), AgentId(2)], VIEWER),
    "seen by slug": lambda tx: tx.agents.find_many_by_slug(["x", "y"], VIEWER),
    "one seen by id": lambda tx: tx.agents.find_seen(AgentId(1), VIEWER),
    "one seen by slug": lambda tx: tx.agents.find_seen("x", VIEWER),
    "one seen with the head": lambda tx: tx.questions.of_user_on(UserId(1), "x", VIEWER),
    "how many owned": lambda tx: tx.agents.count_owned(UserId(1)),
    "first owned": lambda tx: tx.agents.first_owned(UserId(1)),
    "my agents": lambda tx: tx.agents.page(agents(user_id=1, everyone=False, after=None)),
    "my agents, on": lambda tx: tx.agents.page(agents(user_id=1, everyone=False, after=(0, 5))),
    "granted agents, on": lambda tx: tx.agents.page(
        agents(user_id=1, everyone=False, after=(1, 5))
    ),
    "all agents, on": lambda tx: tx.agents.page(agents(user_id=1, everyone=True, after=(0, 5))),
    "agent changed": lambda tx: tx.agents.update(AgentId(1), AgentUpdate(agent_slug="x"), at=NOW),
    "agent deleted": lambda tx: tx.agents.delete(AgentId(1)),
    "users by login": lambda tx: tx.users.find_many_by_login(["x", "y"]),
    "hash of a change": lambda tx: tx.changes.hash_at(1),
    "reservation": lambda tx: tx.reservations.find("x", NOW),
    "reservation dropped": lambda tx: tx.reservations.drop("x"),
    "reservations swept": lambda tx: tx.reservations.sweep(NOW),
    "grant": lambda tx: tx.grants.find(AgentId(1), UserId(1)),
    "grants": lambda tx: tx.grants.find_many([(1, 1), (2, 2)]),
    "grant removed": lambda tx: tx.grants.remove(AgentId(1), UserId(1)),
    "grants on an agent": lambda tx: tx.grants.page_for_agent(AgentId(1), after=None, limit=10),
    "grants on an agent, on": lambda tx: tx.grants.page_for_agent(
        AgentId(1), after=(NOW, 1), limit=10
    ),
    "all grants on an agent": lambda tx: tx.grants.all_for_agent(AgentId(1)),
    "grants of a user": lambda tx: tx.grants.page_for_user(
        UserId(1), at=NOW, min_role=Role.OPERATOR, after=5, limit=10
    ),
    "offer": lambda tx: tx.transfer_offers.find(1, NOW),
    "offer of an agent": lambda tx: tx.transfer_offers.find_for_agent(AgentId(1), NOW),
    "offers made": lambda tx: tx.transfer_offers.count(NOW, owner_id=UserId(1)),
    "offers received": lambda tx: tx.transfer_offers.count(NOW, new_owner_id=UserId(1)),
    "offers of a user": lambda tx: tx.transfer_offers.page(
        UserId(1), made=True, received=True, at=NOW, after=5, limit=10
    ),
    "offer of an agent ended": lambda tx: tx.transfer_offers.end(agent_id=AgentId(1)),
    "offers of a user ended": lambda tx: tx.transfer_offers.end_of_user(UserId(1)),
    "offers swept": lambda tx: tx.transfer_offers.sweep(NOW),
    "chosen agent forgotten": lambda tx: tx.users.forget_agent(AgentId(1), NOW),
    "token by id": lambda tx: tx.tokens.find("t"),
    "tokens of an agent": tokens(agent_id=1),
    "tokens of a user": tokens(user_id=1),
    "all tokens": tokens(),
    "token revoked": lambda tx: tx.tokens.revoke("t", NOW),
    "token replaced": lambda tx: tx.tokens.set_replaced("t", successor_id="u", expire_at=NOW),
    "tokens of an agent revoked": lambda tx: tx.tokens.revoke_where(agent_id=AgentId(1), at=NOW),
    "tokens of a user revoked": lambda tx: tx.tokens.revoke_where(user_id=UserId(1), at=NOW),
    "minted tokens revoked": lambda tx: tx.tokens.revoke_where(created_by=UserId(1), at=NOW),
    "tokens touched": lambda tx: tx.tokens.touch({"t": NOW}),
    "tokens minted by": lambda tx: tx.tokens.minted_by(UserId(1)),
    "tokens for an agent": lambda tx: tx.tokens.for_agent(AgentId(1)),
    "tokens for a user": lambda tx: tx.tokens.for_user(UserId(1)),
    "credential": lambda tx: tx.credentials.find_by_digest(b"t"),
    "all grants of a user": lambda tx: tx.grants.all_for_user(UserId(1)),
    "user by id": lambda tx: tx.users.find(UserId(1)),
    "user by login": lambda tx: tx.users.find_by_login("x"),
    "users by id": lambda tx: tx.users.find_many([UserId(1), UserId(2)]),
    "users, on": users(text="x"),
    "users by email": users(email="x"),
    "users by role": users(role=UserRole.MEMBER, active=True),
    "administrators": lambda tx: tx.users.count_active_administrators(),
    "first administrator": lambda tx: tx.users.first_administrator(),
    "owned agents": lambda tx: tx.users.owned_agents(UserId(1)),
    "user deleted": lambda tx: tx.users.delete(UserId(1)),
    "site by id": lambda tx: tx.sites.find(SiteId(1)),
    "site by slug": lambda tx: tx.sites.find_by_slug("x"),
    "sites, on": lambda tx: tx.sites.page(after=5, limit=10),
    "agents of a site": lambda tx: tx.sites.agent_count(SiteId(1)),
    "changes, on": changes(),
    "changes, back": changes(newest_first=True),
    "changes of an agent": changes(subjects=(about_agent(1),)),
    "changes of an agent, back": changes(subjects=(about_agent(1),), newest_first=True),
    "changes of several": changes(subjects=(about_agent(1), about_agent(2), about_user(1))),
    "changes of several, back": changes(
        subjects=(about_agent(1), about_user(1)), newest_first=True, after_revision=1
    ),
    "changes of a hundred": changes(subjects=tuple(map(about_agent, range(100)))),
    "changes of several of a kind": changes(
        subjects=(about_agent(1), about_user(1)), kinds=(ChangeKind.BULK,)
    ),
    "sizes of changes": lambda tx: tx.changes.sizes(
        ChangeQuery(subjects=(about_agent(1), about_user(1))), after=5, limit=10
    ),
    "changes by a user": changes(actor_user_id=1),
    "changes by an agent": changes(actor_agent_id=1),
    "changes by a token": changes(actor_token_id="t"),
    "changes of a kind": changes(kinds=(ChangeKind.BULK,)),
    "changes between times": changes(from_at=NOW, to_at=LATER),
    "log verified": lambda tx: tx.changes.verify(),
    "change redacted": lambda tx: tx.changes.redact([1]),
    "log pruned": lambda tx: tx.changes.prune(NOW),
    "request": lambda tx: tx.requests.claim(
        RequestKey(caller="c", method="m", request_id="r"), b"", NOW
    ),
    "request finished": lambda tx: tx.requests.finish(
        RequestKey(caller="c", method="m", request_id="r"), {}, 1
    ),
    "request released": lambda tx: tx.requests.release(
        RequestKey(caller="c", method="m", request_id="r")
    ),
    "requests swept": lambda tx: tx.requests.sweep(NOW),
    "files of agents made": lambda tx: tx.agents.set_files_made([AgentId(1), AgentId(2)]),
    "files of users made": lambda tx: tx.users.set_files_made([UserId(1), UserId(2)]),
    "agents after": lambda tx: tx.agents.all_after(AgentId(1), 10),
    "last old ids": lambda tx: tx.last_old_ids(),
    "definition": lambda tx: tx.definitions.find("x", source="s", lock=True),
    "definition added": lambda tx: put_definition(tx, label="new"),
    "definition replaced": lambda tx: (
        put_definition(tx, label="old"),
        put_definition(tx, label="new"),
    ),
    "definitions of a slug": lambda tx: tx.definitions.of_slug("x"),
    "seeds of a definition": lambda tx: tx.definitions.seed_texts(1),
    "declared slugs": declared_slugs(after=None),
    "declared slugs, on": declared_slugs(after=(10, 0, 5)),
    "definition removed": lambda tx: tx.definitions.remove("x", source="s"),
    "name suppressed": lambda tx: tx.suppressions.put("x", None, NOW),
    "name suppressed no more": lambda tx: tx.suppressions.remove("x"),
    "memory file type": lambda tx: tx.memory_file_types.find("x", lock=True),
    "memory file types": lambda tx: tx.memory_file_types.page(after=None, limit=10),
    "memory file types, on": lambda tx: tx.memory_file_types.page(after=(5, "x"), limit=10),
    "memory file type registered": lambda tx: put_memory_file_type(tx, "SOUL.md"),
    "memory file type removed": lambda tx: tx.memory_file_types.remove("x"),
}

# The counter has one row, and reading it whole is the best plan.
WHOLE = re.compile(r"store_state")
# What SQLite scans that is a part of the statement, or has been found by it.
NO_TABLE = r"CONSTANT|\(|anon|both|own_definitions|suppressed_names|shared|ranked|first|others"


@contextmanager
def recorded(store: Store) -> Generator[list[tuple[str, Any]]]:
    """The statements that are sent meanwhile, with their parameters."""
    sent: list[tuple[str, Any]] = []

    def record(*arguments: Any) -> None:
        _, _, statement, parameters, _, many = arguments
        sent.append((statement, parameters[0] if many else parameters))

    event.listen(store.engine, "before_cursor_execute", record)
    yield sent
    event.remove(store.engine, "before_cursor_execute", record)


@pytest.mark.parametrize("name", CALLS, ids=lambda name: name.replace(" ", "-"))
def test_no_table_is_read_whole(store: Store, name: str) -> None:
    is_sqlite = store.engine.dialect.name == "sqlite"
    with store.write() as tx:
        with recorded(store) as sent:
            CALLS[name](tx)
        if not is_sqlite:
            # There is nothing in the tables, and a planner that is left a choice would read that.
            for way in ("seqscan", "bitmapscan", "sort"):
                tx._connection.execute(text(f"SET LOCAL enable_{way} = off"))
        explain = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
        for statement, parameters in sent:
            if statement.startswith(("SELECT", "WITH", "UPDATE", "DELETE", "INSERT")):
                lines = explained(tx, explain + statement, parameters)
                assert not [line for line in lines if reads_whole(line)], (statement, lines)


def explained(tx: WriteTransaction, statement: str, parameters: Any) -> list[str]:
    """The lines of a plan; parameters by name are SQLAlchemy's, those in order the driver's."""
    if isinstance(parameters, dict):
        plan = tx._connection.exec_driver_sql(statement, parameters).all()
        return [str(row[-1]) for row in plan]
    return [str(row[-1]) for row in driver_of(tx._connection).execute(statement, parameters)]


def reads_whole(line: str) -> bool:
    """Whether a line of a plan, of either engine, says that a table is read whole."""
    if WHOLE.search(line):
        return False
    return bool(re.search(rf"Seq Scan on|^SCAN (?!{NO_TABLE})\w+$", line))
