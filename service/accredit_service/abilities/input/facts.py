"""The agents and grants that several questions rest on, read at once."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from accredit_storage.records import Agent, Grant, UserId

from ..facts import Facts
from ..policy.rights import Principal, effective_role
from .agent_refs import AgentRef


class AgentFacts:
    """Those of some agents that exist, and the grants on them of the users who ask."""

    def __init__(
        self,
        facts: Facts,
        asked: Iterable[tuple[AgentRef, UserId]],
        now: datetime,
        viewer: Principal | None = None,
    ) -> None:
        """Read what pairs of (agent, user id) rest on.

        An agent on which a ``viewer`` has no role is as one that is not there, and both take the
        same look-ups. None: the asker may know of every agent.
        """
        pairs = set(asked)
        if viewer is not None:
            pairs |= {(ref, viewer.user.user_id) for ref, _ in pairs}
        self._found = facts.reached(pairs)
        self._hidden: set[AgentRef] = set()
        if viewer is not None:
            self._hidden = {
                ref
                for (ref, user_id), (agent, grant) in self._found.items()
                if user_id == viewer.user.user_id
                and agent is not None
                and effective_role(viewer, agent, grant, now) is None
            }

    @property
    def agents(self) -> Sequence[Agent]:
        """Each once, lowest id first."""
        found = {
            agent.agent_id: agent
            for (ref, _), (agent, _grant) in self._found.items()
            if agent is not None and ref not in self._hidden
        }
        return [found[agent_id] for agent_id in sorted(found)]

    def agent(self, ref: AgentRef, user_id: UserId) -> Agent | None:
        """The agent that is meant in a pair that was asked for."""
        return None if ref in self._hidden else self._found[ref, user_id].agent

    def grant(self, ref: AgentRef, user_id: UserId) -> Grant | None:
        """The user's grant on it."""
        return self._found[ref, user_id].grant
