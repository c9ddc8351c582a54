"""What answers are made of: records, from a transaction or from memory.

An answer is the same function of them wherever they come from.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, TypeAlias

from accredit_storage.agents import Viewer
from accredit_storage.records import Agent, AgentId, Credential, Grant, User, UserId, folded
from accredit_storage.store import Transaction

from .credentials.dead_tokens import DeadTokens
from .policy.rights import Decision, Principal, judge

#: An agent by its id or its clean slug, a user by their id or their login.
_AgentRef: TypeAlias = AgentId | str
_UserRef: TypeAlias = UserId | str

#: An agent that is named, and the user whose grant on it is meant.
Pair: TypeAlias = tuple[_AgentRef, UserId]

#: Of how many agents a user may mean one without naming it: more are not looked at.
MOST_OWNED = 20


class Judged(NamedTuple):
    """Whom a token speaks for, or why it speaks for nobody. ``credential`` None: it is dead."""

    credential: Credential | None
    outcome: Principal | Decision


class Reached(NamedTuple):
    """An agent and a user's grant on it, as far as there are any."""

    agent: Agent | None
    grant: Grant | None


NOTHING = Reached(None, None)


class Facts(Protocol):
    """The records of one moment."""

    def judged(self, digest: bytes, now: datetime) -> Judged:
        """The token whose text has this digest, judged at ``now``."""

    def prepare(self, digest: bytes, ref: _AgentRef, now: datetime) -> None:
        """A token and the agent that it will be asked about: to be fetched together."""

    def agent(self, agent_id: AgentId) -> Agent | None:
        """The agent of an id."""

    def reached(self, pairs: Collection[Pair]) -> Mapping[Pair, Reached]:
        """The agents and grants of pairs; one that is not there takes what a hidden one does."""

    def seen(
        self, refs: Collection[_AgentRef], user_id: UserId, viewer: Viewer
    ) -> Mapping[_AgentRef, Reached]:
        """The agents on which a viewer has a role, and a user's grants on them; others as missing.

        The viewer is the user or an agent's token that acts for them, and does not see all.
        """

    def users(self, refs: Collection[_UserRef]) -> Mapping[_UserRef, User]:
        """Those users that there are, by what they are named with."""

    def owned(self, user_id: UserId) -> Sequence[Agent]:
        """The active agents that a user owns, lowest id first, at most MOST_OWNED."""

    def login_digest(self, login: str) -> str:
        """What stands for a login in the log."""


class TransactionFacts:
    """What one transaction sees."""

    def __init__(self, tx: Transaction, dead_tokens: DeadTokens) -> None:
        self._tx = tx
        self._dead_tokens = dead_tokens

    def judged(self, digest: bytes, now: datetime) -> Judged:
        """See Facts."""
        look_up = self._tx.credentials.find_by_digest
        credential = self._dead_tokens.find(digest, look_up, now)
        if credential is None:
            return Judged(None, Decision.TOKEN_INVALID)
        return Judged(credential, judge(credential, now))

    def prepare(self, digest: bytes, ref: _AgentRef, now: datetime) -> None:
        """See Facts."""

    def agent(self, agent_id: AgentId) -> Agent | None:
        """See Facts."""
        return self._tx.agents.find(agent_id)

    def reached(self, pairs: Collection[Pair]) -> Mapping[Pair, Reached]:
        """See Facts."""
        return reached(self._tx, pairs)

    def seen(
        self, refs: Collection[_AgentRef], user_id: UserId, viewer: Viewer
    ) -> Mapping[_AgentRef, Reached]:
        """See Facts."""
        return seen(self._tx, refs, user_id, viewer)

    def users(self, refs: Collection[_UserRef]) -> Mapping[_UserRef, User]:
        """See Facts."""
        return users(self._tx, refs)

    def owned(self, user_id: UserId) -> Sequence[Agent]:
        """See Facts."""
        return self._tx.agents.owned(user_id, MOST_OWNED, only_active=True)

    def login_digest(self, login: str) -> str:
        """See Facts."""
        return self._tx.login_digest(login)


def seen(
    tx: Transaction, refs: Collection[_AgentRef], user_id: UserId, viewer: Viewer
) -> Mapping[_AgentRef, Reached]:
    """See Facts. The database does not return the rows of hidden agents."""
    found = reached(tx, [(ref, user_id) for ref in refs], viewer)
    return {ref: one for (ref, _), one in found.items()}


def reached(
    tx: Transaction, pairs: Collection[Pair], viewer: Viewer | None = None
) -> Mapping[Pair, Reached]:
    """The agents and grants of pairs, with one statement a kind of key.

    An agent on which a ``viewer`` has no role is as one that is not there.
    """
    found = tx.agents.find_many({ref for ref, _ in pairs if isinstance(ref, int)}, viewer)
    agents: dict[_AgentRef, Agent] = {agent.agent_id: agent for agent in found}
    found = tx.agents.find_many_by_slug({ref for ref, _ in pairs if isinstance(ref, str)}, viewer)
    agents |= {agent.agent_slug: agent for agent in found}
    # No agent has the id 0. So the grants are looked up for as many pairs, whatever was found.
    ids = {ref: AgentId(0) if ref not in agents else agents[ref].agent_id for ref, _ in pairs}
    grants = tx.grants.find_many([(ids[ref], user_id) for ref, user_id in pairs])
    return {
        (ref, user_id): Reached(agents.get(ref), grants.get((ids[ref], user_id)))
        for ref, user_id in pairs
    }


def users(tx: Transaction, refs: Collection[_UserRef]) -> Mapping[_UserRef, User]:
    """The users of ids and logins, with one statement for each of both."""
    by_id = tx.users.find_many({ref for ref in refs if isinstance(ref, int)})
    found: dict[_UserRef, User] = {user.user_id: user for user in by_id}
    logins = {ref: folded(ref) for ref in refs if isinstance(ref, str)}
    by_login = {folded(one.login): one for one in tx.users.find_many_by_login(logins)}
    found |= {ref: by_login[login] for ref, login in logins.items() if login in by_login}
    return found
