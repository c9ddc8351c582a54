"""Who and what there is in a small world, and which of its names are free."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from accredit_storage.records import AgentId
from tests.model.kept import Minted
from tests.server import Person, Server


@dataclass
class World:
    """What can be asked about. Ids stay in it when what they named is gone;
    ``living`` are the agents that are not.

    The first of ``users`` is the administrator. ``standing`` are the tokens that people began
    with, ``tokens`` those that were minted later.
    """

    server: Server
    service: Person
    slugs: tuple[str, ...]
    logins: tuple[str, ...]
    sites: tuple[int, ...]
    people: dict[int, Person] = field(default_factory=dict)
    users: list[int] = field(default_factory=list)
    agents: list[int] = field(default_factory=list)
    living: list[int] = field(default_factory=list)
    standing: list[Minted] = field(default_factory=list)
    tokens: list[Minted] = field(default_factory=list)

    def free_slug(self, number: int) -> str:
        """A slug that nobody has; any if all are taken."""
        with self.server.app.store.read() as tx:
            found = tx.agents.find_many_by_slug(set(self.slugs))
        return _one_of_free(self.slugs, {one.agent_slug for one in found}, number)

    def free_login(self, number: int) -> str:
        """Likewise."""
        with self.server.app.store.read() as tx:
            found = tx.users.find_many_by_login(set(self.logins))
        return _one_of_free(self.logins, {one.login for one in found}, number)

    def begins(self, agent_id: int) -> None:
        """There is an agent, perhaps a new one."""
        if agent_id not in self.agents:
            self.agents.append(agent_id)
            self.living.append(agent_id)

    def an_agent(self, number: int) -> int:
        """An agent that there is, or one that there was if there is none."""
        among = self.living or self.agents
        return among[number % len(among)]

    def someone(self, number: int) -> Person:
        """One of those who are still there."""
        people = list(self.people.values())
        return people[number % len(people)]

    def owner(self, agent_id: int) -> Person | None:
        """Who owns an agent, if it is there and that is one of them."""
        with self.server.app.store.read() as tx:
            agent = tx.agents.find(AgentId(agent_id))
        return None if agent is None else self.people.get(agent.owner_id)


def _one_of_free(names: Sequence[str], taken: set[str], number: int) -> str:
    free = [name for name in names if name not in taken] or names
    return free[number % len(free)]
