"""The agents and grants that several questions rest on, read with one statement a kind."""

from collections.abc import Iterable, Sequence

from accredit_storage.agents import Viewer
from accredit_storage.records import Agent, Grant, UserId
from accredit_storage.store import Transaction

from .agent_refs import AgentRef


class AgentFacts:
    """Those of some agents that exist, and the grants on them of the users who ask."""

    def __init__(
        self,
        tx: Transaction,
        asked: Iterable[tuple[AgentRef, UserId]],
        viewer: Viewer | None = None,
    ) -> None:
        """Read what pairs of (agent, user id) rest on.

        An agent on which a ``viewer`` has no role is as one that is not there, and both take the
        same statements. None: the asker may know of every agent.
        """
        pairs = set(asked)
        ids = {ref for ref, _ in pairs if isinstance(ref, int)}
        agent_slugs = {ref for ref, _ in pairs if isinstance(ref, str)}
        found = tx.agents.find_many(ids, viewer)
        found += tx.agents.find_many_by_slug(agent_slugs, viewer)
        self._agents: dict[AgentRef, Agent] = {agent.agent_id: agent for agent in found}
        self._agents |= {agent.agent_slug: agent for agent in found}
        self._grants = tx.grants.find_many(
            {
                (agent.agent_id, user_id)
                for ref, user_id in pairs
                if (agent := self._agents.get(ref)) is not None
            }
        )

    @property
    def agents(self) -> Sequence[Agent]:
        """Each once, lowest id first."""
        found = {agent.agent_id: agent for agent in self._agents.values()}
        return [found[agent_id] for agent_id in sorted(found)]

    def agent(self, ref: AgentRef) -> Agent | None:
        """The agent that is meant."""
        return self._agents.get(ref)

    def grant(self, agent: Agent, user_id: UserId) -> Grant | None:
        """The user's grant on it."""
        return self._grants.get((agent.agent_id, user_id))
