"""Check, batch check, list and authorize answer as the reference does, whatever has happened.

A random history of everything that moves rights runs against a real server on each engine; after
each step every user is asked about every agent, role and site, and every token likewise. Whoever
tries something must be let or refused as the reference says.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
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
from tests.server import Person, RefusedError, Server, running_server

ROLES = {VIEWER: "ROLE_VIEWER", OPERATOR: "ROLE_OPERATOR", ADMIN: "ROLE_ADMIN"}
ALLOWED = 1
picks = st.integers(0, 99)
roles = st.sampled_from(sorted(ROLES))
lifetimes = st.sampled_from([None, 1, 3])


class AccessMachine(RuleBasedStateMachine):
    """A history. The names of the rules are what they do."""

    server: Server

    def __init__(self) -> None:
        super().__init__()
        self.known = Reference()
        self.people: dict[int, Person] = {}
        self.secrets: dict[str, str] = {}
        #: Every offer there ever was.
        self.offers: set[int] = set()

    @initialize()
    def some_people(self) -> None:
        self.sites = [self.server.site(), self.server.site()]
        for role in ("MEMBER", "MEMBER", "GUEST", "ADMINISTRATOR"):
            person = self.server.user(role)
            self.people[person.user_id] = person
            self.known.users[person.user_id] = User(administers=role == "ADMINISTRATOR")
            self.known.tokens[person.token_id] = Token(
                None, person.user_id, self.admin.user_id, ADMIN, False, None
            )
            self.secrets[person.token_id] = person.token
        self.known.users[self.admin.user_id] = User(administers=True)

    @property
    def admin(self) -> Person:
        return self.server.admin

    @property
    def now(self) -> datetime:
        return self.server.clock()

    def pick(self, among: Any, number: int) -> Any:
        ordered = sorted(among)
        return ordered[number % len(ordered)]

    def someone(self, number: int) -> int:
        found: int = self.pick(self.people, number)
        return found

    def callers(self) -> dict[int, Person]:
        return {**self.people, self.admin.user_id: self.admin}

    def tries(
        self, number: int, may: Callable[[int], bool], method: str, **fields: Any
    ) -> tuple[Any, int]:
        """The answer to somebody's call, None if it was refused; and who that was."""
        callers = self.callers()
        by = self.pick(callers, number)
        allowed = may(by)
        answer = refusal = None
        try:
            answer = callers[by].call(method, **fields)
        except RefusedError as error:
            refusal = error
        assert allowed == (refusal is None), refusal or f"{method} was answered: {answer}"
        return answer, by

    def ends(self, hours: int | None) -> datetime | None:
        return None if hours is None else self.now + timedelta(hours=hours)

    @precondition(lambda self: len(self.known.agents) < 4)
    @rule(who=picks, site=st.sampled_from([None, 0, 1]))
    def create_an_agent(self, who: int, site: int | None) -> None:
        owner = self.someone(who)
        if not self.known.users[owner].active:
            return
        scope = None if site is None else self.sites[site]
        made = self.server.agent(self.people[owner], site_scope=scope or 0)
        self.known.agents[made.agent_id] = Agent(owner, scope)
        self.known.grants[made.agent_id, owner] = (ADMIN, None)

    @precondition(lambda self: self.known.agents)
    @rule(by=picks, which=picks, who=picks, role=roles, hours=lifetimes)
    def grant(self, by: int, which: int, who: int, role: int, hours: int | None) -> None:
        agent, user = self.pick(self.known.agents, which), self.someone(who)
        ends, now = self.ends(hours), self.now
        answer, _ = self.tries(
            by,
            lambda by: self.known.may_grant(by, agent, user, role, ends, now),
            "AccessService/GrantAccess",
            agent={"agent_id": agent},
            principal={"user_id": user},
            role=ROLES[role],
            expire_time=ends,
        )
        if answer:
            self.known.grants[agent, user] = (role, ends)

    @precondition(lambda self: self.known.grants)
    @rule(by=picks, which=picks)
    def revoke_a_grant(self, by: int, which: int) -> None:
        agent, user = self.pick(self.known.grants, which)
        answer, _ = self.tries(
            by,
            lambda by: self.known.may_revoke(by, agent, user, self.now),
            "AccessService/RevokeAccess",
            agent={"agent_id": agent},
            principal={"user_id": user},
        )
        if answer:
            self.known.revoke(agent, user)

    @precondition(lambda self: self.known.agents)
    @rule(by=picks, which=picks, who=picks, keep=st.booleans())
    def transfer_or_offer(self, by: int, which: int, who: int, keep: bool) -> None:
        agent, to = self.pick(self.known.agents, which), self.someone(who)
        answer, giver = self.tries(
            by,
            lambda by: self.known.may_give_away(by, agent, to, keep),
            "AgentService/TransferAgent",
            agent={"agent_id": agent},
            new_owner={"user_id": to},
            keep_access=keep,
        )
        if not answer:
            return
        assert answer.HasField("offer") != self.known.administers(giver)
        if answer.HasField("offer"):
            self.known.offer(answer.offer.offer_id, agent, to, self.now)
            self.offers.add(answer.offer.offer_id)
        else:
            self.known.transfer(agent, to, keep)

    @precondition(lambda self: self.known.agents)
    @rule(which=picks, who=picks)
    def the_owner_offers(self, which: int, who: int) -> None:
        agent = self.pick(self.known.agents, which)
        owner = self.known.agents[agent].owner
        self.transfer_or_offer(sorted(self.callers()).index(owner), which, who, False)

    @precondition(lambda self: self.offers)
    @rule(by=picks, which=picks, keep=st.booleans())
    def accept(self, by: int, which: int, keep: bool) -> None:
        offer, now = self.pick(self.offers, which), self.now
        answer, _ = self.tries(
            by,
            lambda by: self.known.may_accept(by, offer, now),
            "AgentService/AcceptTransfer",
            offer_id=offer,
            keep_access=keep,
        )
        if answer:
            known = self.known.offers[offer]
            self.known.transfer(known.agent, known.receiver, keep)

    @precondition(lambda self: self.known.offers)
    @rule(which=picks, keep=st.booleans())
    def the_receiver_accepts(self, which: int, keep: bool) -> None:
        offer = self.pick(self.known.offers, which)
        by = sorted(self.callers()).index(self.known.offers[offer].receiver)
        self.accept(by, sorted(self.offers).index(offer), keep)

    @precondition(lambda self: self.offers)
    @rule(by=picks, which=picks)
    def decline(self, by: int, which: int) -> None:
        offer, now = self.pick(self.offers, which), self.now
        answer, _ = self.tries(
            by,
            lambda by: self.known.may_decline(by, offer, now),
            "AgentService/DeclineTransfer",
            offer_id=offer,
        )
        if answer:
            del self.known.offers[offer]

    @precondition(lambda self: self.known.agents)
    @rule(by=picks, which=picks, none=st.booleans())
    def choose_an_agent(self, by: int, which: int, none: bool) -> None:
        agent, now = self.pick(self.known.agents, which), self.now
        answer, user = self.tries(
            by,
            lambda by: (
                self.known.users[by].active and (none or self.known.role(by, agent, now) > 0)
            ),
            "AgentService/SetDefaultAgent",
            **({"none": True} if none else {"agent": {"agent_id": agent}}),
        )
        if answer:
            self.known.users[user].chosen = None if none else agent

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
            new_slug=self.server.name("renamed"),
        )

    @precondition(lambda self: len(self.known.agents) > 2)
    @rule(which=picks)
    def delete_an_agent(self, which: int) -> None:
        agent = self.pick(self.known.agents, which)
        self.admin.call("AgentService/DeleteAgent", agent={"agent_id": agent})
        self.known.delete(agent)

    @precondition(lambda self: self.known.agents and len(self.known.tokens) < 8)
    @rule(
        by=picks,
        which=picks,
        role=roles,
        hours=lifetimes,
        full=st.booleans(),
        as_owner=st.booleans(),
    )
    def mint(
        self, by: int, which: int, role: int, hours: int | None, full: bool, as_owner: bool
    ) -> None:
        agent, ends, now = self.pick(self.known.agents, which), self.ends(hours), self.now
        rights: dict[str, Any] = {"full_rights": True}
        if not full:
            rights = {"ceiling": {"max_role": ROLES[role]}}
        minted, minter = self.tries(
            by,
            lambda by: self.known.may_mint(by, agent, as_owner, now),
            "TokenService/CreateToken",
            agent={"agent_id": agent},
            act_as_owner=as_owner,
            expire_time=ends,
            **rights,
        )
        if minted:
            token = Token(
                agent, None, minter, ADMIN if full else role, as_owner, ends, held=not full
            )
            self.known.tokens[minted.token.token_id] = token
            self.secrets[minted.token.token_id] = minted.secret

    @precondition(lambda self: any(one.agent for one in self.known.tokens.values()))
    @rule(by=picks, which=picks)
    def rotate(self, by: int, which: int) -> None:
        minted = [key for key, one in self.known.tokens.items() if one.agent is not None]
        token_id = self.pick(minted, which)
        old = self.known.tokens[token_id]
        answer, rotator = self.tries(
            by,
            lambda by: self.known.may_rotate(by, old, self.now),
            "TokenService/RotateToken",
            token_id=token_id,
            overlap={"seconds": 0},
        )
        if answer:
            del self.known.tokens[token_id]
            vouchers = (old.vouchers | {rotator}) - {old.minter}
            self.known.tokens[answer.token.token_id] = replace(old, vouchers=vouchers)
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
        self.known.set_active(user, active)

    @rule(who=picks, administers=st.booleans())
    def promote_or_demote(self, who: int, administers: bool) -> None:
        user = self.someone(who)
        role = "USER_ROLE_ADMINISTRATOR" if administers else "USER_ROLE_MEMBER"
        self.admin.call("UserService/UpdateUser", user={"user_id": user}, update={"role": role})
        self.known.users[user].administers = administers

    @rule(hours=st.sampled_from([1, 2, 100]))
    def time_passes(self, hours: int) -> None:
        self.server.clock.advance(hours=hours)

    @precondition(lambda self: self.known.agents)
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
            listed = set(self.listed(user={"user_id": user}, site_id=site or 0))
            assert listed == self.known.listed(user, site, self.now)
        everything = set(self.listed(scope="LIST_SCOPE_ALL"))
        assert set(self.known.agents) <= everything

    @precondition(lambda self: self.known.agents)
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

    @invariant()
    def unnamed_questions_agree(self) -> None:
        for token_id, token in self.known.tokens.items():
            answer = self.admin.call(
                "AuthService/Authorize",
                token=self.secrets[token_id],
                demand={"minimum_role": "ROLE_VIEWER"},
            )
            meant = self.known.meant(token)
            allowed = meant is not None and self.known.authorize(
                token, meant, VIEWER, None, self.now
            )
            assert answer.agent_id == (meant if allowed else 0)

    @invariant()
    def offers_agree(self) -> None:
        for user in self.people:
            answer = self.admin.call("AgentService/ListTransferOffers", user={"user_id": user})
            now, known = self.now, self.known.offers
            expected = {
                key: one.agent
                for key, one in sorted(known.items())
                if user in (one.giver, one.receiver) and self.known.is_open(key, now)
            }
            assert {one.offer_id: one.agent_id for one in answer.offers} == expected

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
    with running_server(url, folder) as running:
        # A class of its own: Hypothesis makes the instances.
        yield type("Machine", (AccessMachine,), {"server": running})


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
