"""A cacheable answer stands until its time is up or a change has one of its subjects.

A random history of everything that answers go by runs against a real server on each engine, beside
a cache that keeps the answers to all kinds of questions as their bases allow. After each step the
cache has to say what the server says. Changes have to list what they give, change and free.
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.model.hiding import require_nothing_told
from tests.model.kept import KeptAnswers, Minted
from tests.model.listed import require_listed
from tests.model.questions import ROLES, Asking
from tests.model.world import World
from tests.server import Person, RefusedError, Server, running_server

#: How many questions are kept at a time, and how many of the oldest give way to new ones each step.
KEPT, RENEWED = 30, 5
MOST_AGENTS = 5
MOMENT = timedelta(milliseconds=1)
# A refusal of a rule is a part of the history; these would be faults.
FAULTS = ("INTERNAL", "UNKNOWN", "UNAVAILABLE", "DEADLINE_EXCEEDED", "UNIMPLEMENTED")
picks = st.integers(0, 99)
roles = st.sampled_from(ROLES)
lifetimes = st.sampled_from([None, 1, 1, 3])
STATUSES = ("AGENT_STATUS_ACTIVE", "AGENT_STATUS_INACTIVE", "AGENT_STATUS_ARCHIVED")
USER_ROLES = ("USER_ROLE_ADMINISTRATOR", "USER_ROLE_MEMBER", "USER_ROLE_GUEST")


class BasesMachine(RuleBasedStateMachine):
    """A history. The names of the rules are what they do."""

    server: Server
    world: World

    @initialize(seed=st.integers(0, 2**32))
    def a_small_world(self, seed: int) -> None:
        server = self.server
        self.kept = KeptAnswers(server)
        self.world = World(
            server=server,
            service=server.user("SERVICE"),
            slugs=tuple(server.name("slug") for _ in range(4)),
            logins=tuple(server.name("login") for _ in range(6)),
            sites=(server.site(), server.site()),
            users=[self.admin.user_id],
        )
        self.stand(self.admin, self.admin.call("AuthService/WhoAmI").token.token_id)
        self.deputy = server.user("ADMINISTRATOR", self.world.logins[0])
        people = [self.deputy, *(server.user("MEMBER", self.world.logins[n]) for n in (1, 2))]
        people += [server.user("GUEST", self.world.logins[n]) for n in (3, 4)]
        for person in people:
            self.join(person)
        made = server.agent(people[1], self.world.slugs[0])
        self.begin([made.agent_id])
        self.grant(0, 2, "ROLE_ADMIN", 3)
        self.mint_for_an_agent(0, 2, "ROLE_OPERATOR", None, True, False)
        self.mint_for_an_agent(0, 1, "ROLE_ADMIN", 3, False, True)
        self.rotate(0, "deputy", 2)
        self.mint_for_a_user(False, 0, "ROLE_VIEWER", None, False)
        self.world.standing.append(self.world.tokens.pop())
        self.asking = Asking(self.world, Random(seed))
        self.hold()
        self.top_up()
        self.delete_a_user(4)  # So that every history has somebody who goes.

    @property
    def admin(self) -> Person:
        return self.server.admin

    def join(self, person: Person) -> None:
        self.world.people[person.user_id] = person
        self.world.users.append(person.user_id)
        self.stand(person, person.token_id)

    def stand(self, person: Person, token_id: str) -> None:
        """Their first token is there to ask about, and nobody rotates or revokes it by itself."""
        self.world.standing.append(
            Minted(person.token, token_id, self.admin.user_id, user_id=person.user_id)
        )

    def top_up(self) -> None:
        """Ask new questions; some of them have no answer that could be kept."""
        for _ in range(3 * KEPT):
            if len(self.kept) >= KEPT:
                break
            self.kept.add(self.asking.question())

    def begin(self, agent_ids: Iterable[int]) -> None:
        for agent_id in agent_ids:
            self.world.begins(agent_id)

    def agent(self, number: int) -> dict[str, Any]:
        return {"agent": {"agent_id": self.world.an_agent(number)}}

    def user(self, number: int) -> dict[str, Any]:
        return {"user_id": self.world.someone(number).user_id}

    def token(self, number: int) -> Minted:
        latest = self.world.tokens[-8:]
        return latest[number % len(latest)]

    def ends(self, hours: int | None) -> datetime | None:
        return None if hours is None else self.server.clock() + timedelta(hours=hours)

    def tries(self, who: Person, method: str, **fields: Any) -> Any:
        """The answer, or None if it is refused."""
        try:
            return who.call(method, **fields)
        except RefusedError as refusal:
            if refusal.what.startswith(FAULTS):
                raise
            return None

    # Agents.

    @precondition(lambda self: len(self.world.living) < MOST_AGENTS)
    @rule(who=picks, slug=picks, site=st.sampled_from([None, None, 0, 1]))
    def create_an_agent(self, who: int, slug: int, site: int | None) -> None:
        made = self.tries(
            self.admin,
            "AgentService/CreateAgent",
            agent_slug=self.world.free_slug(slug),
            owner=self.user(who),
            site_scope=0 if site is None else self.world.sites[site],
        )
        self.begin([made.agent.agent_id] if made else [])

    @precondition(lambda self: len(self.world.living) < MOST_AGENTS)
    @rule(who=picks, slugs=st.lists(picks, min_size=1, max_size=3))
    def create_many_agents(self, who: int, slugs: list[int]) -> None:
        requests = [
            {"agent_slug": self.world.free_slug(one), "owner": self.user(who)} for one in slugs
        ]
        made = self.tries(self.admin, "AgentService/BatchCreateAgents", requests=requests)
        self.begin(one.agent.agent_id for one in made.results if one.created)

    @precondition(lambda self: len(self.world.living) < MOST_AGENTS)
    @rule(who=picks, slug=picks)
    def create_a_declared_agent(self, who: int, slug: int) -> None:
        name = self.world.free_slug(slug)
        of_name: dict[str, Any] = {"agent_slug": name, "source": "tests"}
        self.tries(self.admin, "RegistryService/RegisterAgent", owner=self.user(who), **of_name)
        for answer in self.admin.call("RegistryService/ReconcileAgents", agent_slugs=[name]):
            self.begin(one.agent_id for one in answer.results if one.agent_id)
        self.admin.call("RegistryService/UnregisterAgent", **of_name)

    @precondition(lambda self: len(self.world.living) < MOST_AGENTS)
    @rule(who=picks)
    def provision(self, who: int) -> None:
        made = self.tries(self.admin, "AgentService/ProvisionAgent", user=self.user(who))
        self.begin([made.agent.agent_id] if made else [])

    @rule(which=picks, slug=picks)
    def rename(self, which: int, slug: int) -> None:
        named, new = self.agent(which), self.world.free_slug(slug)
        self.tries(self.admin, "AgentService/RenameAgent", new_slug=new, **named)

    @rule(which=picks)
    def delete_an_agent(self, which: int) -> None:
        named = self.agent(which)
        if self.tries(self.admin, "AgentService/DeleteAgent", delete_files=True, **named):
            self.world.living.remove(named["agent"]["agent_id"])

    @precondition(lambda self: len(self.world.living) > 1)
    @rule(first=picks, second=picks)
    def pass_a_slug_on(self, first: int, second: int) -> None:
        """From one agent to another, with nothing asked in between."""
        giver, taker = self.agent(first), self.agent(second)
        slug = self.admin.call("AgentService/GetAgent", **giver).agent.agent_slug
        freed = self.server.name("freed")
        self.tries(self.admin, "AgentService/RenameAgent", new_slug=freed, **giver)
        self.tries(self.admin, "AgentService/RenameAgent", new_slug=slug, **taker)

    @rule(which=picks, who=picks, keep=st.booleans())
    def transfer(self, which: int, who: int, keep: bool) -> None:
        self.tries(
            self.admin,
            "AgentService/TransferAgent",
            new_owner=self.user(who),
            keep_access=keep,
            **self.agent(which),
        )

    @rule(which=picks, who=picks, accept=st.booleans(), keep=st.booleans())
    def offer(self, which: int, who: int, accept: bool, keep: bool) -> None:
        """An owner offers an agent; who is offered it takes it or does not."""
        named, receiver = self.agent(which), self.world.someone(who)
        owner = self.world.owner(named["agent"]["agent_id"])
        if owner is None:
            return
        to = {"user_id": receiver.user_id}
        made = self.tries(owner, "AgentService/TransferAgent", new_owner=to, **named)
        self.hold()
        if made and made.HasField("offer"):
            about: dict[str, Any] = {"offer_id": made.offer.offer_id}
            if accept:
                self.tries(receiver, "AgentService/AcceptTransfer", keep_access=keep, **about)
            else:
                self.tries(receiver, "AgentService/DeclineTransfer", **about)

    @rule(who=picks, which=picks, none=st.sampled_from([False, False, True]))
    def choose_an_agent(self, who: int, which: int, none: bool) -> None:
        """The one that is meant where they name none; administrators may choose any."""
        chosen: dict[str, Any] = {"none": True} if none else self.agent(which)
        self.tries(self.world.someone(who), "AgentService/SetDefaultAgent", **chosen)

    @rule(which=picks, status=st.sampled_from(STATUSES), plainly=st.booleans())
    def set_status(self, which: int, status: str, plainly: bool) -> None:
        if plainly:
            fields: dict[str, Any] = {"status": status}
            self.tries(self.admin, "AgentService/SetAgentStatus", **self.agent(which), **fields)
        else:
            fields = {"update": {"status": status}}
            self.tries(self.admin, "AgentService/UpdateAgent", **self.agent(which), **fields)

    @rule(which=picks, site=st.sampled_from([None, 0, 1]))
    def move_to_a_site(self, which: int, site: int | None) -> None:
        update = {"site_scope": 0 if site is None else self.world.sites[site]}
        self.tries(self.admin, "AgentService/UpdateAgent", update=update, **self.agent(which))

    # Grants.

    @rule(which=picks, who=picks, role=roles, hours=lifetimes)
    def grant(self, which: int, who: int, role: str, hours: int | None) -> None:
        self.tries(
            self.admin,
            "AccessService/GrantAccess",
            principal=self.user(who),
            role=role,
            expire_time=self.ends(hours),
            **self.agent(which),
        )

    @rule(which=picks, who=picks)
    def revoke_a_grant(self, which: int, who: int) -> None:
        self.tries(
            self.admin,
            "AccessService/RevokeAccess",
            principal=self.user(who),
            **self.agent(which),
        )

    @rule(which=picks, who=picks)
    def give_up_a_grant(self, which: int, who: int) -> None:
        person = self.world.someone(who)
        about: dict[str, Any] = {"principal": {"user_id": person.user_id}, **self.agent(which)}
        self.tries(person, "AccessService/RevokeAccess", **about)

    # Users.

    @rule(login=picks, role=st.sampled_from(("ADMINISTRATOR", "MEMBER", "GUEST")))
    def create_a_user(self, login: int, role: str) -> None:
        try:
            self.join(self.server.user(role, self.world.free_login(login)))
        except RefusedError as refusal:
            if refusal.reason != "LOGIN_CONFLICT":
                raise

    def update_user(self, who: int, **update: Any) -> Any:
        return self.tries(self.admin, "UserService/UpdateUser", user=self.user(who), update=update)

    @rule(who=picks, role=st.sampled_from(USER_ROLES))
    def change_a_users_role(self, who: int, role: str) -> None:
        self.update_user(who, role=role)

    @rule(role=st.sampled_from(USER_ROLES), active=st.booleans())
    def the_deputy_falls_or_rises(self, role: str, active: bool) -> None:
        """Whose word many tokens need."""
        ref = {"user_id": self.deputy.user_id}
        update = {"role": role, "active": active}
        self.tries(self.admin, "UserService/UpdateUser", user=ref, update=update)

    @rule(who=picks, login=picks)
    def change_a_login(self, who: int, login: int) -> None:
        self.update_user(who, login=self.world.free_login(login))

    @rule(first=picks, second=picks)
    def pass_a_login_on(self, first: int, second: int) -> None:
        login = self.admin.call("UserService/GetUser", user=self.user(first)).user.login
        self.update_user(first, login=self.server.name("freed"))
        self.update_user(second, login=login)

    @rule(who=picks, active=st.booleans())
    def deactivate_or_reactivate(self, who: int, active: bool) -> None:
        if active:
            self.update_user(who, active=True)
        else:
            self.tries(self.admin, "UserService/DeactivateUser", user=self.user(who))

    @rule(who=picks)
    def delete_a_user(self, who: int) -> None:
        """With nothing left that they own."""
        user, heir = self.world.someone(who), self.world.someone(who + 1)
        if len(self.world.people) < 3:
            return
        for agent_id in self.world.living:
            if self.world.owner(agent_id) is user:
                about: dict[str, Any] = {"agent": {"agent_id": agent_id}}
                to = {"user_id": heir.user_id}
                self.tries(self.admin, "AgentService/TransferAgent", new_owner=to, **about)
        self.hold()
        if self.tries(self.admin, "UserService/DeleteUser", user=self.user(who)):
            del self.world.people[user.user_id]
            for token in self.world.tokens:
                token.vouchers.discard(user.user_id)

    # Tokens.

    @rule(
        which=picks,
        who=picks,
        role=roles,
        hours=lifetimes,
        full=st.booleans(),
        as_owner=st.booleans(),
    )
    def mint_for_an_agent(
        self, which: int, who: int, role: str, hours: int | None, full: bool, as_owner: bool
    ) -> None:
        named, minter = self.agent(which), self.world.someone(who)
        minted = self.tries(
            minter,
            "TokenService/CreateToken",
            act_as_owner=as_owner,
            expire_time=self.ends(hours),
            **named,
            **self.rights(full, role),
        )
        if minted:
            # The administrator minted the token that it is minted with.
            vouchers = {self.admin.user_id}
            self.keep_token(minted, minter.user_id, vouchers, **named["agent"])

    @rule(by_deputy=st.booleans(), who=picks, role=roles, hours=lifetimes, full=st.booleans())
    def mint_for_a_user(
        self, by_deputy: bool, who: int, role: str, hours: int | None, full: bool
    ) -> None:
        user = self.user(who)
        minter = self.deputy if by_deputy else self.world.someone(who)
        minted = self.tries(
            minter,
            "TokenService/CreateToken",
            user=user,
            expire_time=self.ends(hours),
            **self.rights(full, role),
        )
        if minted:
            self.keep_token(minted, minter.user_id, set(), **user)

    def rights(self, full: bool, role: str) -> dict[str, Any]:
        if full:
            return {"full_rights": True}
        return {"ceiling": {"max_role": role, "capabilities": ["billing.refund", "chat"]}}

    def keep_token(self, made: Any, minter: int, vouchers: set[int], **holder: Any) -> None:
        """Of a user's own token the server may forget minter and vouchers: see Tokens.adopt."""
        token = made.token
        ends = token.expire_time.ToDatetime(tzinfo=UTC) if token.HasField("expire_time") else None
        vouchers = vouchers - {minter} if "agent_id" in holder else set()
        self.world.tokens.append(
            Minted(made.secret, token.token_id, minter, ends=ends, vouchers=vouchers, **holder)
        )

    @rule(which=picks, by=st.sampled_from(["admin", "deputy", "minter"]), hours=st.integers(0, 2))
    def rotate(self, which: int, by: str, hours: int) -> None:
        old = self.token(which)
        minter = self.world.people.get(old.minter, self.admin)
        who = {"admin": self.admin, "deputy": self.deputy, "minter": minter}[by]
        rotated = self.tries(
            who,
            "TokenService/RotateToken",
            token_id=old.token_id,
            overlap={"seconds": 3600 * hours},
        )
        if rotated:
            holder = {"agent_id": old.agent_id} if old.agent_id else {"user_id": old.user_id}
            self.keep_token(rotated, old.minter, old.vouchers | {who.user_id}, **holder)

    @rule(which=picks)
    def revoke_a_token(self, which: int) -> None:
        self.tries(self.admin, "TokenService/RevokeToken", token_id=self.token(which).token_id)

    @rule(who=picks, minted=st.booleans())
    def revoke_a_users_tokens(self, who: int, minted: bool) -> None:
        user = self.user(who)
        fields = {"user": user, "include_minted": minted}
        self.tries(self.admin, "TokenService/RevokeUserTokens", **fields)

    @rule(which=picks)
    def revoke_an_agents_tokens(self, which: int) -> None:
        self.tries(self.admin, "TokenService/RevokeAgentTokens", **self.agent(which))

    # Time.

    @rule(hours=st.sampled_from([1, 2]))
    def time_passes(self, hours: int) -> None:
        self.server.clock.advance(hours=hours)

    @rule()
    def the_next_end_comes(self) -> None:
        """To the last moment before it, in which nothing may be different yet; then to it."""
        end = self.kept.next_end()
        if end is None:
            return
        left = end - self.server.clock()
        self.server.clock.advance(seconds=(left - MOMENT).total_seconds())
        self.kept.confirm([])
        self.server.clock.advance(seconds=MOMENT.total_seconds())

    @rule(which=picks, hours=st.sampled_from([1, 2, 3]))
    def an_agent_stops_for_hours(self, which: int, hours: int) -> None:
        named = self.agent(which)
        status: dict[str, Any] = {"status": "AGENT_STATUS_INACTIVE"}
        self.tries(self.admin, "AgentService/SetAgentStatus", **named, **status)
        self.hold()
        self.server.clock.advance(hours=hours)

    # What holds after each of them.

    @invariant()
    def kept_answers_are_the_servers(self) -> None:
        self.hold()
        self.kept.forget(RENEWED)
        self.top_up()

    def hold(self) -> None:
        """Hold what was kept against what is, after the changes that have come."""
        changes = self.kept.read_changes()
        with self.server.app.store.read() as tx:
            for change in changes:
                require_listed(tx, change)
        self.kept.confirm(changes)

    @invariant()
    def hidden_agents_look_missing(self) -> None:
        caller, slug = self.asking.caller(), self.asking.random.choice(self.world.slugs)
        require_nothing_told(caller, slug, missing=self.server.name("nobody"))

    def teardown(self) -> None:
        for agent_id in self.world.agents if hasattr(self, "world") else ():
            self.tries(
                self.admin,
                "AgentService/DeleteAgent",
                agent={"agent_id": agent_id},
                delete_files=True,
            )


@contextmanager
def _machine(url: str, folder: Path) -> Generator[type[RuleBasedStateMachine]]:
    with running_server(url, folder) as running:
        # So that every answer of one step is of one moment.
        running.clock.stop()
        # A class of its own: Hypothesis makes the instances.
        yield type("Machine", (BasesMachine,), {"server": running})


def run(machine: type[RuleBasedStateMachine], *, examples: int, steps: int) -> None:
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        # A history that fails is told as it was: to shorten it takes longer than to read it.
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=chosen)


@pytest.mark.timeout(300)
def test_a_cacheable_answer_stands_until_its_basis_says(
    database_url: str, engine_name: str, tmp_path: Path
) -> None:
    with _machine(database_url, tmp_path) as machine:
        # The rules are the same on both engines, and PostgreSQL takes twice the time.
        run(machine, examples=6 if engine_name == "sqlite" else 2, steps=25)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_cacheable_answer_stands_for_long(database_url: str, tmp_path: Path) -> None:
    with _machine(database_url, tmp_path) as machine:
        run(machine, examples=200, steps=50)
