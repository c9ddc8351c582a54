"""Questions of every kind about a small world: named, unnamed, existing, hidden and missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.model.kept import Minted, Question
from tests.model.world import World
from tests.server import Person

Fields = dict[str, Any]
ROLES = ("ROLE_VIEWER", "ROLE_OPERATOR", "ROLE_ADMIN")
CAPABILITIES = ("", "", "", "chat", "use_tools", "manage_agents", "billing.refund")
# No token at all, one that looks like one, and what was never text.
NO_TOKENS = ("", "acr_nothing", "\x00" * 300)


@dataclass
class Asking:
    """Draws questions, with a share for each kind."""

    world: World
    random: Random

    def question(self) -> Question:
        """Any question."""
        kinds = (
            self._authenticate,
            self._authorize,
            self._authorize,
            self._authorize_many,
            self._check_another,
            self._check_another,
            self._check_oneself,
            self._check_oneself,
            self._check_many,
            self._scope,
            self._resource,
        )
        return self.random.choice(kinds)()

    def caller(self) -> Person:
        """Somebody who asks about themself: a user or the bearer of any token."""
        minted = self._minted()
        return Person(self.world.server, minted.secret, minted.token_id, minted.user_id or 0)

    def agent(self) -> Fields:
        """A name of an agent: most are somebody's, or could become so."""
        drawn = self.random.random()
        if drawn < 0.5 or not self.world.agents:
            # A login is the slug of the agent that is provisioned for its user.
            slugs = (*self.world.slugs, *self.world.logins[2:4])
            return {"agent_slug": self.random.choice(slugs)}
        return {"agent_id": self._some_id(self.world.agents[-4:])}

    def user(self) -> Fields:
        """A name of a user, likewise."""
        if self.random.random() < 0.5:
            return {"login": self.random.choice(self.world.logins)}
        users = self.world.users
        return {"user_id": self._some_id([users[0], *users[-5:]])}

    def _some_id(self, known: Sequence[int]) -> int:
        """One that was given, or one of those that will be given next."""
        return self.random.choice([*known, max(known) + 1, max(known) + 2])

    def _minted(self) -> Minted:
        """One of the newest, as most of the older ones work no more, or of the standing ones."""
        if self.random.random() < 0.4:
            return self.random.choice(self.world.standing)
        return self.random.choice(self.world.tokens[-8:])

    def _service(self) -> Person:
        """Somebody who may ask about anybody."""
        return self.random.choice([self.world.service, self.world.service, self.world.server.admin])

    def _token(self) -> tuple[str, Minted | None]:
        if self.random.random() < 0.03:
            return self.random.choice(NO_TOKENS), None
        minted = self._minted()
        return minted.secret, minted

    def _least(self) -> Fields:
        site = self.random.choice((0, 0, *self.world.sites))
        return {"minimum_role": self.random.choice(ROLES), "site_id": site}

    def _demand(self) -> Fields:
        named = {} if self.random.random() < 0.25 else {"agent": self.agent()}
        return {**self._least(), **named, "capability": self.random.choice(CAPABILITIES)}

    def _authenticate(self) -> Question:
        secret, minted = self._token()
        return Question(self._service(), "AuthService/Authenticate", {"token": secret}, minted)

    def _authorize(self) -> Question:
        secret, minted = self._token()
        demand = self._demand()
        fields = {"token": secret, "demand": demand}
        unnamed = "agent" not in demand
        return Question(self._service(), "AuthService/Authorize", fields, minted, unnamed=unnamed)

    def _authorize_many(self) -> Question:
        secret, minted = self._token()
        demands = [self._demand() for _ in range(self.random.choice((1, 2, 2)))]
        fields = {"token": secret, "demands": demands, "include_basis": True}
        unnamed = any("agent" not in demand for demand in demands)
        return Question(
            self._service(), "AuthService/BatchAuthorize", fields, minted, unnamed=unnamed
        )

    def _check(self, **subject: Any) -> Fields:
        active = self.random.random() < 0.3
        return {**self._least(), **subject, "agent": self.agent(), "require_active": active}

    def _check_another(self) -> Question:
        """By a service, or by anybody else, who mostly may not."""
        asker = self._service()
        if self.random.random() < 0.4:
            asker = self.random.choice(list(self.world.people.values()))
        return Question(
            asker, "AccessService/CheckAccess", {"check": self._check(principal=self.user())}
        )

    def _check_oneself(self) -> Question:
        """As the caller, or as the user in person whose caller one is."""
        asker = self.caller()
        if asker.user_id and self.random.random() < 0.6:
            check = self._check(principal={"user_id": asker.user_id})
            return Question(asker, "AccessService/CheckAccess", {"check": check})
        check = self._check(caller=True)
        return Question(asker, "AccessService/CheckAccess", {"check": check}, of_itself=True)

    def _check_many(self) -> Question:
        checks = [self._check(principal=self.user()) for _ in range(self.random.choice((1, 2, 2)))]
        fields = {"checks": checks, "include_basis": True}
        return Question(self._service(), "AccessService/BatchCheckAccess", fields)

    def _subject(self) -> tuple[Person, Fields, Minted | None]:
        """Who asks, in whose name: a token's bearer's or their own."""
        if self.random.random() < 0.5:
            return self.caller(), {"caller": True}, None
        secret, minted = self._token()
        return self._service(), {"token": secret}, minted

    def _scope(self) -> Question:
        asker, subject, minted = self._subject()
        user: Fields = {}
        if self.random.random() < 0.4:
            user = {"user": self.user()}
            if self.random.random() < 0.5:
                # Whose rows are asked for counts for administrators only.
                minted = self.world.standing[0]
                asker, subject = self._service(), {"token": minted.secret}
        fields = {**self._least(), **subject, **user}
        if self.random.random() < 0.7:
            fields["agent"] = self.agent()
        return Question(
            asker,
            "ScopeService/ResolveScope",
            fields,
            minted,
            of_itself="caller" in subject,
            unnamed="agent" not in fields,
        )

    def _resource(self) -> Question:
        asker, subject, minted = self._subject()
        owner = self.random.choice(
            (
                {"agent": self.agent()},
                {"agent": self.agent()},
                {"user": self.user()},
                {"shared": True},
            )
        )
        fields = {**self._least(), **subject, "resource": owner}
        return Question(
            asker, "ScopeService/CheckResource", fields, minted, of_itself="caller" in subject
        )
