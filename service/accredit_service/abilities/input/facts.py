"""The agents and grants that several questions rest on, read at once."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from accredit_storage.records import Agent, UserId

from ..facts import Facts, Pair, Reached
from ..policy.rights import Principal, effective_role
from .agent_refs import AgentRef

_HIDDEN = Reached(None, None)


class AgentFacts:
    """Those of some agents that exist, and the grants on them of the users who ask.

    ``found`` has the agent that is meant in each pair that was asked for, and the user's grant on
    it.
    """

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
        found = facts.reached(pairs)
        self.found: Mapping[Pair, Reached] = found
        if viewer is not None:
            hidden = {
                ref
                for (ref, user_id), (agent, grant) in found.items()
                if user_id == viewer.user.user_id
                and agent is not None
                and effective_role(viewer, agent, grant, now) is None
            }
            self.found = {
                pair: _HIDDEN if pair[0] in hidden else reached for pair, reached in found.items()
            }

    @property
    def agents(self) -> Sequence[Agent]:
        """Each once, lowest id first."""
        found = {agent.agent_id: agent for agent, _ in self.found.values() if agent is not None}
        return [found[agent_id] for agent_id in sorted(found)]
