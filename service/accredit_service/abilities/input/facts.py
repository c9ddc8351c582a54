"""The agents and grants that several questions rest on, read at once."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from accredit_storage.records import Agent, UserId

from ..facts import NOTHING, Facts, Pair, Reached
from ..policy.rights import Principal, effective_role
from .agent_refs import AgentRef, viewer_of


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
        if viewer is None or viewer.manages_agents:
            self.found: Mapping[Pair, Reached] = facts.reached(pairs)
            return
        user_id = viewer.user.user_id
        seen = facts.seen({ref for ref, _ in pairs}, user_id, viewer_of(viewer, now))
        own = {
            ref: NOTHING
            if agent is None or effective_role(viewer, agent, grant, now) is None
            else Reached(agent, grant)
            for ref, (agent, grant) in seen.items()
        }
        # Of who cannot see an agent, nobody's grant on it is looked for.
        others = {one for one in pairs if one[1] != user_id and own[one[0]].agent is not None}
        self.found = {
            **dict.fromkeys(pairs, NOTHING),
            **{(ref, user_id): reached for ref, reached in own.items()},
            **(facts.reached(others) if others else {}),
        }

    @property
    def agents(self) -> Sequence[Agent]:
        """Each once, lowest id first."""
        found = {agent.agent_id: agent for agent, _ in self.found.values() if agent is not None}
        return [found[agent_id] for agent_id in sorted(found)]
