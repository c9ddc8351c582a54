"""The rules of access once more, as short as they can be said, to hold the server against.

Effective rights are the owner's rights, within the ceiling, within the minter's rights, while the
agent is active. Nothing here is the server's code but the names of roles.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

VIEWER, OPERATOR, ADMIN = 1, 2, 3
OFFERED_FOR = timedelta(days=7)


@dataclass
class User:
    """Somebody. Of the roles only ADMINISTRATOR matters: it manages agents and users."""

    administers: bool
    active: bool = True
    #: The agent they mean where they name none.
    chosen: int | None = None


@dataclass
class Agent:
    """One agent."""

    owner: int
    site: int | None
    active: bool = True


@dataclass
class Token:
    """An agent's token, or a user's if ``agent`` is None."""

    agent: int | None
    user: int | None
    minter: int
    max_role: int
    as_owner: bool
    ends: datetime | None
    #: Held to a role, and to no action: what its owner may as an administrator it may not.
    held: bool = False
    revoked: bool = False
    #: Who rotated it although another minted it.
    vouchers: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Offer:
    """An agent that its owner would give to somebody."""

    agent: int
    giver: int
    receiver: int
    ends: datetime


@dataclass
class Reference:
    """All that is known; ids are the server's."""

    users: dict[int, User] = field(default_factory=dict)
    agents: dict[int, Agent] = field(default_factory=dict)
    grants: dict[tuple[int, int], tuple[int, datetime | None]] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    #: Those that have not ended, but by their time.
    offers: dict[int, Offer] = field(default_factory=dict)

    def role(self, user: int, agent: int, now: datetime, *, managing: bool = True) -> int:
        """A user's role on an agent, as an administrator too if they are one; 0 for none."""
        if not self.users[user].active:
            return 0
        manages = managing and self.users[user].administers
        if manages or self.agents[agent].owner == user:
            return ADMIN
        role, ends = self.grants.get((agent, user), (0, None))
        return role if ends is None or now < ends else 0

    def on_site(self, agent: int, site: int | None) -> bool:
        """Whether an agent may be used there; None states no site."""
        return self.agents[agent].site in (None, site)

    def check(self, user: int, agent: int, least: int, site: int | None, now: datetime) -> bool:
        """Whether a user may act on an agent, whatever its status."""
        return self.role(user, agent, now) >= least and self.on_site(agent, site)

    def listed(self, user: int, site: int | None, now: datetime) -> set[int]:
        """A user's own and granted agents of any status; without a site, of all sites."""
        return {
            agent
            for agent in self.agents
            if self._by_own(user, agent, now) and (site is None or self.on_site(agent, site))
        }

    def token_role(self, token: Token, agent: int, now: datetime) -> int:
        """A token's role on an agent; 0 for none, or if the token does not work."""
        if token.revoked or (token.ends is not None and now >= token.ends):
            return 0
        if token.agent is not None and not self.agents[token.agent].active:
            return 0
        if not self.users[token.minter].active or not self.vouched_for(token):
            return 0
        if token.agent is None:
            assert token.user is not None
            foreign = token.minter != token.user and not self.users[token.minter].administers
            return 0 if foreign else min(self.role(token.user, agent, now), token.max_role)
        owner = self.agents[token.agent].owner
        if not self.users[owner].active:
            return 0
        if token.as_owner:
            role = self.role(owner, agent, now, managing=not token.held)
            return min(role, token.max_role)
        if agent != token.agent:
            return 0
        return min(self.role(token.minter, agent, now), token.max_role)

    def administers(self, user: int) -> bool:
        """Whether a user manages agents and users now."""
        return self.users[user].active and self.users[user].administers

    def vouched_for(self, token: Token) -> bool:
        """Whether a token is an administrator's, or those who learnt it since still are."""
        return self.administers(token.minter) or all(map(self.administers, token.vouchers))

    def authorize(
        self, token: Token, agent: int, least: int, site: int | None, now: datetime
    ) -> bool:
        """Whether a token's bearer may act on an agent, which must be active."""
        return (
            self.token_role(token, agent, now) >= least
            and self.agents[agent].active
            and self.on_site(agent, site)
        )

    def may_grant(
        self, by: int, agent: int, to: int, role: int, ends: datetime | None, now: datetime
    ) -> bool:
        """Whether somebody may give another a role: nothing the owner loses by, nor for longer."""
        if self.role(by, agent, now) < ADMIN:
            return False
        if to == self.agents[agent].owner and (role < ADMIN or ends is not None):
            return False
        if self.administers(by) or self.agents[agent].owner == by:
            return True
        own = self.grants[agent, by][1]
        return own is None or (ends is not None and ends <= own)

    def meant(self, token: Token) -> int | None:
        """The agent that a token's bearer means by naming none."""
        if token.agent is not None:
            return token.agent
        assert token.user is not None
        if (chosen := self.users[token.user].chosen) is not None:
            return chosen
        owned = [key for key, one in self.agents.items() if one.owner == token.user and one.active]
        return owned[0] if len(owned) == 1 else None

    def may_revoke(self, by: int, agent: int, user: int, now: datetime) -> bool:
        """Whether somebody may take a grant away, or give up theirs; the owner's nobody may."""
        may = self.role(by, agent, now) == ADMIN or (by == user and self.users[by].active)
        return may and user != self.agents[agent].owner

    def may_give_away(self, by: int, agent: int, to: int, keep: bool) -> bool:
        """Whether somebody may transfer or offer an agent to somebody else who is active.

        Its owner may, and who administers; only the latter says what the owner keeps.
        """
        owner = self.agents[agent].owner
        may = self.administers(by) or (owner == by and self.users[by].active and not keep)
        return may and to != owner and self.users[to].active

    def is_open(self, offer: int, now: datetime) -> bool:
        """Whether an offer has not ended."""
        return offer in self.offers and now < self.offers[offer].ends

    def may_accept(self, by: int, offer: int, now: datetime) -> bool:
        """Whether somebody may take what is offered: to them."""
        return (
            self.is_open(offer, now) and self.offers[offer].receiver == by and self.users[by].active
        )

    def may_decline(self, by: int, offer: int, now: datetime) -> bool:
        """Whether somebody may end an offer: either side."""
        if not self.is_open(offer, now) or not self.users[by].active:
            return False
        return by in (self.offers[offer].giver, self.offers[offer].receiver)

    def may_mint(self, by: int, agent: int, as_owner: bool, now: datetime) -> bool:
        """Whether somebody may mint for an agent; what acts as the owner, only the owner."""
        may = self.role(by, agent, now) == ADMIN
        return may and (not as_owner or self.agents[agent].owner == by)

    def may_rotate(self, by: int, token: Token, now: datetime) -> bool:
        """Whether somebody may learn an agent's token anew, which must be live."""
        if token.agent is None or token.revoked or (token.ends is not None and now >= token.ends):
            return False
        may = by == token.minter or (self.administers(by) and not token.as_owner)
        return may and self.role(by, token.agent, now) == ADMIN

    def offer(self, number: int, agent: int, to: int, now: datetime) -> None:
        """Offer an agent to one user and to nobody else, once."""
        if not self.is_open(number, now):
            self._end_offers(lambda one: one.agent == agent)
            giver = self.agents[agent].owner
            self.offers[number] = Offer(agent, giver, to, now + OFFERED_FOR)

    def transfer(self, agent: int, to: int, keep: bool) -> None:
        """Give an agent away, with nothing of its tokens left."""
        former = self.agents[agent].owner
        self.agents[agent].owner = to
        self.grants[agent, to] = (ADMIN, None)
        self._end_offers(lambda one: one.agent == agent)
        if not keep:
            self.grants.pop((agent, former), None)
            self._forget(agent, former)
        for token in self.tokens.values():
            token.revoked |= token.agent == agent

    def revoke(self, agent: int, user: int) -> None:
        """Take a grant, and what its holder minted for the agent."""
        del self.grants[agent, user]
        self._forget(agent, user)
        for token in self.tokens.values():
            token.revoked |= token.agent == agent and token.minter == user

    def delete(self, agent: int) -> None:
        """Remove an agent with its grants and tokens."""
        del self.agents[agent]
        self.grants = {key: value for key, value in self.grants.items() if key[0] != agent}
        self.tokens = {key: one for key, one in self.tokens.items() if one.agent != agent}
        self._end_offers(lambda one: one.agent == agent)
        for user in self.users.values():
            user.chosen = None if user.chosen == agent else user.chosen

    def set_active(self, user: int, active: bool) -> None:
        """Deactivate somebody, with whom their offers end, or make them active again."""
        self.users[user].active = active
        if not active:
            self._end_offers(lambda one: user in (one.giver, one.receiver))

    def _forget(self, agent: int, user: int) -> None:
        """End the choice of an agent on which somebody has no grant any more."""
        one = self.users[user]
        if one.chosen == agent and not one.administers and self.agents[agent].owner != user:
            one.chosen = None

    def _end_offers(self, which: Callable[[Offer], bool]) -> None:
        self.offers = {key: one for key, one in self.offers.items() if not which(one)}

    def _by_own(self, user: int, agent: int, now: datetime) -> bool:
        """Owned or granted: what an administrator may do besides does not fill their own list."""
        if not self.users[user].active:
            return False
        role, ends = self.grants.get((agent, user), (0, None))
        granted = role > 0 and (ends is None or now < ends)
        return self.agents[agent].owner == user or granted
