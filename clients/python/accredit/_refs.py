"""Short ways to write what requests name: agents, users, sites and roles."""

import enum

from accredit.v1 import types_pb2


class Role(enum.IntEnum):
    """What a principal may do with one agent. Each role includes those below it.

    The numbers are those of `accredit.v1.Role`, so a member goes wherever the API takes a
    role, and `principal.max_role >= Role.OPERATOR` means what it says.
    """

    VIEWER = types_pb2.ROLE_VIEWER
    """See the agent and what belongs to it."""
    OPERATOR = types_pb2.ROLE_OPERATOR
    """Run the agent's work, see its jobs, list its tokens."""
    ADMIN = types_pb2.ROLE_ADMIN
    """Full control: change the agent, grant access to it, mint its tokens."""


def agent_ref(agent: int | str) -> types_pb2.AgentRef:
    """Name an agent by its id (a number) or its slug (text)."""
    if isinstance(agent, str):
        return types_pb2.AgentRef(agent_slug=agent)
    return types_pb2.AgentRef(agent_id=agent)


def user_ref(user: int | str) -> types_pb2.UserRef:
    """Name a user by their id (a number) or their login (text)."""
    if isinstance(user, str):
        return types_pb2.UserRef(login=user)
    return types_pb2.UserRef(user_id=user)


def principal_ref(user: int | str) -> types_pb2.PrincipalRef:
    """Name whom access is granted to: a user, by their id (a number) or their login (text)."""
    if isinstance(user, str):
        return types_pb2.PrincipalRef(login=user)
    return types_pb2.PrincipalRef(user_id=user)


def site_ref(site: int | str) -> types_pb2.SiteRef:
    """Name a site by its id (a number) or its slug (text)."""
    if isinstance(site, str):
        return types_pb2.SiteRef(site_slug=site)
    return types_pb2.SiteRef(site_id=site)
