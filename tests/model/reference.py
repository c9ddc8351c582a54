"""The rules of access once more, as short as they can be said, to hold the server against.

Effective rights are the owner's rights, within the ceiling, within the minter's rights, while the
agent is active. Nothing here is the server's code but the names of roles.
"""

from dataclasses import dataclass, field
from datetime import datetime

VIEWER, OPERATOR, ADMIN = 1, 2, 3


@dataclass
class User:
    """Somebody. Of the roles only ADMINISTRATOR matters: it manages agents and users."""

    administers: bool
    active: bool = True


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
    revoked: bool = False


@dataclass
class Reference:
    """All that is known; ids are the server's."""

    users: dict[int, User] = field(default_factory=dict)
    agents: dict[int, Agent] = field(default_factory=dict)
    grants: dict[tuple[int, int], tuple[int, datetime | None]] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)

    def role(self, user: int, agent: int, now: datetime) -> int:
        """A user's role on an agent; 0 for none."""
        if not self.users[user].active:
            return 0
        if self.users[user].administers or self.agents[agent].owner == user:
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
        if not self.users[token.minter].active:
            return 0
        if token.agent is None:
            assert token.user is not None
            foreign = token.minter != token.user and not self.users[token.minter].administers
            return 0 if foreign else min(self.role(token.user, agent, now), token.max_role)
        owner = self.agents[token.agent].owner
        if not self.users[owner].active:
            return 0
        if token.as_owner:
            return min(self.role(owner, agent, now), token.max_role)
        if agent != token.agent:
            return 0
        return min(self.role(token.minter, agent, now), token.max_role)

    def authorize(
        self, token: Token, agent: int, least: int, site: int | None, now: datetime
    ) -> bool:
        """Whether a token's bearer may act on an agent, which must be active."""
        return (
            self.token_role(token, agent, now) >= least
            and self.agents[agent].active
            and self.on_site(agent, site)
        )

    def transfer(self, agent: int, to: int, keep: bool) -> None:
        """Give an agent away, with nothing of its tokens left."""
        former = self.agents[agent].owner
        self.agents[agent].owner = to
        self.grants[agent, to] = (ADMIN, None)
        if not keep:
            self.grants.pop((agent, former), None)
        for token in self.tokens.values():
            token.revoked |= token.agent == agent

    def revoke(self, agent: int, user: int) -> None:
        """Take a grant, and what its holder minted for the agent."""
        del self.grants[agent, user]
        for token in self.tokens.values():
            token.revoked |= token.agent == agent and token.minter == user

    def delete(self, agent: int) -> None:
        """Remove an agent with its grants and tokens."""
        del self.agents[agent]
        self.grants = {key: value for key, value in self.grants.items() if key[0] != agent}
        self.tokens = {key: one for key, one in self.tokens.items() if one.agent != agent}

    def _by_own(self, user: int, agent: int, now: datetime) -> bool:
        """Owned or granted: what an administrator may do besides does not fill their own list."""
        if not self.users[user].active:
            return False
        role, ends = self.grants.get((agent, user), (0, None))
        granted = role > 0 and (ends is None or now < ends)
        return self.agents[agent].owner == user or granted
