"""Check, batch check, list and authorize answer as the reference does, whatever has happened.

A random history of everything that moves rights runs against a real server on each engine; after
each step every user is asked about every agent, role and site, and every token likewise.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.model.reference import ADMIN, OPERATOR, VIEWER, Agent, Reference, Token, User
from tests.registry import Person, Registry, running_registry

ROLES = {VIEWER: "ROLE_VIEWER", OPERATOR: "ROLE_OPERATOR", ADMIN: "ROLE_ADMIN"}
ALLOWED = 1
picks = st.integers(0, 99)
roles = st.sampled_from(sorted(ROLES))
lifetimes = st.sampled_from([None, 1, 3])


class AccessMachine(RuleBasedStateMachine):
    """A history. The names of the rules are what they do."""

    registry: Registry

    def __init__(self) -> None:
        super().__init__()
        self.known = Reference()
        self.people: dict[int, Person] = {}
        self.secrets: dict[str, str] = {}

    @initialize()
    def some_people(self) -> None:
        self.sites = [self.registry.site(), self.registry.site()]
        for role in ("MEMBER", "MEMBER", "GUEST", "ADMINISTRATOR"):
            person = self.registry.user(role)
            self.people[person.user_id] = person
            self.known.users[person.user_id] = User(administers=role == "ADMINISTRATOR")
            self.known.tokens[person.token_id] = Token(
                None, person.user_id, self.admin.user_id, ADMIN, False, None
            )
            self.secrets[person.token_id] = person.token
        self.known.users[self.admin.user_id] = User(administers=True)

    @property
    def admin(self) -> Person:
        return self.registry.admin

    @property
    def now(self) -> datetime:
        return self.registry.clock()

    def pick(self, among: Any, number: int) -> Any:
        ordered = sorted(among)
        return ordered[number % len(ordered)]

    def someone(self, number: int) -> int:
        found: int = self.pick(self.people, number)
        return found

    def ends(self, hours: int | None) -> datetime | None:
        return None if hours is None else self.now + timedelta(hours=hours)

    @precondition(lambda self: len(self.known.agents) < 4)
    @rule(who=picks, site=st.sampled_from([None, 0, 1]))
    def create_an_agent(self, who: int, site: int | None) -> None:
        owner = self.someone(who)
        if not self.known.users[owner].active:
            return
        scope = None if site is None else self.sites[site]
        made = self.registry.agent(self.people[owner], site_scope=scope or 0)
        self.known.agents[made.agent_id] = Agent(owner, scope)
        self.known.grants[made.agent_id, owner] = (ADMIN, None)

    @precondition(lambda self: self.known.agents)
    @rule(which=picks, who=picks, role=roles, hours=lifetimes)
    def grant(self, which: int, who: int, role: int, hours: int | None) -> None:
        agent, user = self.pick(self.known.agents, which), self.someone(who)
        if user == self.known.agents[agent].owner:
            return
        ends = self.ends(hours)
        self.registry.grant(
            agent, self.people[user], ROLES[role].removeprefix("ROLE_"), expire_time=ends
        )
        self.known.grants[agent, user] = (role, ends)

    @precondition(lambda self: self.known.grants)
    @rule(which=picks)
    def revoke_a_grant(self, which: int) -> None:
        agent, user = self.pick(self.known.grants, which)
        if user == self.known.agents[agent].owner:
            return
        self.admin.call(
            "AccessService/RevokeAccess",
            agent={"agent_id": agent},
            principal={"user_id": user},
        )
        self.known.revoke(agent, user)

    @precondition(lambda self: self.known.agents)
    @rule(which=picks, who=picks, keep=st.booleans())
    def transfer(self, which: int, who: int, keep: bool) -> None:
        agent, to = self.pick(self.known.agents, which), self.someone(who)
        if to == self.known.agents[agent].owner or not self.known.users[to].active:
            return
        self.admin.call(
            "AgentService/TransferAgent",
            agent={"agent_id": agent},
            new_owner={"user_id": to},
            keep_access=keep,
        )
        self.known.transfer(agent, to, keep)

    @precondition(lambda self: self.known.agents)
    @rule(which=picks, active=st.booleans())
    def suspend_or_resume(self, which: int, active: bool) -> None:
        agent = self.pick(self.known.agents, which)
        status = "AGENT_STATUS_ACTIVE" if active else "AGENT_STATUS_INACTIVE"
        self.admin.call(
            "AgentService/UpdateAgent", agent={"agent_id": agent}, update={"status": status}
        )
        self.known.agents[agent].active = active

    @precondition(lambda self: self.known.agents)
    @rule(which=picks)
    def rename(self, which: int) -> None:
        agent = self.pick(self.known.agents, which)
        self.admin.call(
            "AgentService/RenameAgent",
            agent={"agent_id": agent},
            new_slug=self.registry.name("renamed"),
        )

    @precondition(lambda self: len(self.known.agents) > 2)
    @rule(which=picks)
    def delete_an_agent(self, which: int) -> None:
        agent = self.pick(self.known.agents, which)
        self.admin.call("AgentService/DeleteAgent", agent={"agent_id": agent})
        self.known.delete(agent)

    @precondition(lambda self: self.known.agents and len(self.known.tokens) < 8)
    @rule(which=picks, role=roles, hours=lifetimes, full=st.booleans(), as_owner=st.booleans())
    def mint(self, which: int, role: int, hours: int | None, full: bool, as_owner: bool) -> None:
        agent = self.pick(self.known.agents, which)
        owner = self.known.agents[agent].owner
        minters = [
            user
            for user in self.people
            if self.known.role(user, agent, self.now) == ADMIN and (user == owner or not as_owner)
        ]
        if not minters:
            return
        minter = self.pick(minters, which)
        rights: dict[str, Any] = {"full_rights": True}
        if not full:
            rights = {"ceiling": {"max_role": ROLES[role]}}
        ends = self.ends(hours)
        minted = self.people[minter].call(
            "TokenService/CreateToken",
            agent={"agent_id": agent},
            act_as_owner=as_owner,
            expire_time=ends,
            **rights,
        )
        token = Token(agent, None, minter, ADMIN if full else role, as_owner, ends)
        self.known.tokens[minted.token.token_id] = token
        self.secrets[minted.token.token_id] = minted.secret

    @precondition(lambda self: any(one.agent for one in self.known.tokens.values()))
    @rule(which=picks)
    def rotate(self, which: int) -> None:
        minted = [key for key, one in self.known.tokens.items() if one.agent is not None]
        token_id = self.pick(minted, which)
        old = self.known.tokens[token_id]
        dead = old.revoked or (old.ends is not None and self.now >= old.ends)
        assert old.agent is not None
        if dead or self.known.role(old.minter, old.agent, self.now) < ADMIN:
            return
        answer = self.people[old.minter].call(
            "TokenService/RotateToken", token_id=token_id, overlap={"seconds": 0}
        )
        successor = Token(old.agent, None, old.minter, old.max_role, old.as_owner, old.ends)
        del self.known.tokens[token_id]
        self.known.tokens[answer.token.token_id] = successor
        self.secrets[answer.token.token_id] = answer.secret

    @precondition(lambda self: any(one.agent for one in self.known.tokens.values()))
    @rule(which=picks)
    def revoke_a_token(self, which: int) -> None:
        minted = [key for key, one in self.known.tokens.items() if one.agent is not None]
        token_id = self.pick(minted, which)
        self.admin.call("TokenService/RevokeToken", token_id=token_id)
        self.known.tokens[token_id].revoked = True

    @rule(who=picks, active=st.booleans())
    def deactivate_or_reactivate(self, who: int, active: bool) -> None:
        user = self.someone(who)
        self.admin.call("UserService/UpdateUser", user={"user_id": user}, update={"active": active})
        self.known.users[user].active = active

    @rule(who=picks, administers=st.booleans())
    def promote_or_demote(self, who: int, administers: bool) -> None:
        user = self.someone(who)
        role = "USER_ROLE_ADMINISTRATOR" if administers else "USER_ROLE_MEMBER"
        self.admin.call("UserService/UpdateUser", user={"user_id": user}, update={"role": role})
        self.known.users[user].administers = administers

    @rule(hours=st.sampled_from([1, 2]))
    def time_passes(self, hours: int) -> None:
        self.registry.clock.advance(hours=hours)

    @invariant()
    def checks_agree(self) -> None:
        asked = list(product(self.people, self.known.agents, ROLES, self.stated_sites()))
        checks = [
            {
                "principal": {"user_id": user},
                "agent": {"agent_id": agent},
                "minimum_role": ROLES[role],
                "site_id": site or 0,
            }
            for user, agent, role, site in asked
        ]
        answer = self.admin.call("AccessService/BatchCheckAccess", checks=checks)
        now = self.now
        expected = [self.known.check(*question, now) for question in asked]
        assert [decision == ALLOWED for decision in answer.decisions] == expected
        for place in range(0, len(checks), 37):
            single = self.admin.call("AccessService/CheckAccess", check=checks[place])
            assert single.HasField("principal") == expected[place]

    @invariant()
    def lists_agree(self) -> None:
        for user, site in product(self.people, self.stated_sites()):
            listed = set(self.listed(user_id=user, site_id=site or 0))
            assert listed == self.known.listed(user, site, self.now)
        everything = set(self.listed(scope="LIST_SCOPE_ALL"))
        assert set(self.known.agents) <= everything

    @invariant()
    def tokens_agree(self) -> None:
        asked = list(product(self.known.agents, ROLES, self.stated_sites()))
        demands = [
            {"agent": {"agent_id": agent}, "minimum_role": ROLES[role], "site_id": site or 0}
            for agent, role, site in asked
        ]
        for token_id, token in self.known.tokens.items():
            answer = self.admin.call(
                "AuthService/BatchAuthorize", token=self.secrets[token_id], demands=demands
            )
            now = self.now
            expected = [self.known.authorize(token, *question, now) for question in asked]
            assert [decision == ALLOWED for decision in answer.decisions] == expected

    def stated_sites(self) -> list[int | None]:
        return [None, *getattr(self, "sites", [])]

    def listed(self, **fields: Any) -> Iterator[int]:
        answer = self.admin.call(
            "AgentService/ListAgents", status="AGENT_STATUS_FILTER_ANY", page_size=500, **fields
        )
        assert not answer.next_page_token
        return (one.agent_id for one in answer.agents)

    def teardown(self) -> None:
        for agent in list(self.known.agents):
            self.admin.call("AgentService/DeleteAgent", agent={"agent_id": agent})


@contextmanager
def _machine(url: str, folder: Path) -> Generator[type[RuleBasedStateMachine]]:
    with running_registry(url, folder) as running:
        # A class of its own: Hypothesis makes the instances.
        yield type("Machine", (AccessMachine,), {"registry": running})


def _run(machine: type[RuleBasedStateMachine], *, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.timeout(300)
def test_every_answer_is_the_references(database_url: str, tmp_path: Path) -> None:
    with _machine(database_url, tmp_path) as machine:
        _run(machine, examples=8, steps=20)


@pytest.mark.soak
def test_every_answer_is_the_references_for_long(database_url: str, tmp_path: Path) -> None:
    with _machine(database_url, tmp_path) as machine:
        _run(machine, examples=400, steps=60)
