"""What each role of a user may do, and what each call demands.

The two tables are the whole policy. docs/permissions.md is made from them, the interceptor and
the mutations judge by them, and the server does not start for a call without a row.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from accredit_storage.records import Role, UserRole


class Action(enum.StrEnum):
    """Something that a user may do, apart from any one agent."""

    MANAGE_AGENTS = "manage_agents"
    MANAGE_USERS = "manage_users"
    MANAGE_SITES = "manage_sites"
    MANAGE_FLOWS = "manage_flows"
    MANAGE_SETTINGS = "manage_settings"
    VIEW_ANALYTICS = "view_analytics"
    AUDIT = "audit"
    AUTHENTICATE = "authenticate"
    WATCH = "watch"
    CHAT = "chat"
    USE_TOOLS = "use_tools"
    VIEW_LOGS = "view_logs"
    CREATE_OWN_AGENT = "create_own_agent"


ROLE_ACTIONS: Mapping[UserRole, frozenset[Action]] = {
    UserRole.ADMINISTRATOR: frozenset(Action),
    UserRole.SERVICE: frozenset({Action.AUTHENTICATE, Action.WATCH}),
    UserRole.MEMBER: frozenset(
        {Action.CHAT, Action.USE_TOOLS, Action.VIEW_LOGS, Action.CREATE_OWN_AGENT}
    ),
    UserRole.GUEST: frozenset({Action.CHAT}),
}

# Of its owner's actions, all that an agent's own token can have.
AGENT_ACTIONS = frozenset({Action.CHAT, Action.USE_TOOLS, Action.VIEW_LOGS})


class Speaker(enum.Enum):
    """Which kinds of credential a call takes."""

    ANY = "any token"
    OWNER = "a user's token, or one that acts as its owner"
    USER = "a user's token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What a call demands. ``any_action``: one of these. ``role``: on the agent that it names.

    ``note`` says what else the ability judges, for the documentation.
    """

    any_action: frozenset[Action] = frozenset()
    role: Role | None = None
    speaker: Speaker = Speaker.ANY
    note: str = ""


def _row(
    *any_action: Action, role: Role | None = None, speaker: Speaker = Speaker.ANY, note: str = ""
) -> Permission:
    return Permission(any_action=frozenset(any_action), role=role, speaker=speaker, note=note)


_READS = "of an agent VIEWER on it; of a user that user, or manage_users; the common ones nothing"
_WRITES = (
    "of an agent OPERATOR on it; of a user that user, or manage_users; the common ones "
    "manage_settings"
)

PERMISSIONS: Mapping[str, Permission] = {
    "AgentService/CreateAgent": _row(
        Action.MANAGE_AGENTS,
        Action.CREATE_OWN_AGENT,
        speaker=Speaker.OWNER,
        note="without manage_agents: for oneself, up to the limit, on every site",
    ),
    "AgentService/BatchCreateAgents": _row(
        Action.MANAGE_AGENTS,
        Action.CREATE_OWN_AGENT,
        speaker=Speaker.OWNER,
        note="without manage_agents: for oneself, up to the limit, on every site",
    ),
    "AgentService/GetAgent": _row(role=Role.VIEWER),
    "AgentService/BatchGetAgents": _row(note="answers those that the caller may view"),
    "AgentService/ListAgents": _row(
        Action.CHAT, note="manage_agents for scope ALL and for another user's agents"
    ),
    "AgentService/UpdateAgent": _row(role=Role.ADMIN, note="manage_agents for the site scope"),
    "AgentService/SetAgentStatus": _row(role=Role.ADMIN),
    "AgentService/RenameAgent": _row(role=Role.ADMIN, speaker=Speaker.OWNER),
    "AgentService/DeleteAgent": _row(
        role=Role.ADMIN, speaker=Speaker.OWNER, note="the owner, or manage_agents"
    ),
    "AgentService/TransferAgent": _row(
        role=Role.ADMIN,
        speaker=Speaker.OWNER,
        note="the owner, who makes an offer; at once with manage_agents",
    ),
    "AgentService/AcceptTransfer": _row(
        speaker=Speaker.USER,
        note="the user to whom the agent is offered, with a token that reaches ADMIN",
    ),
    "AgentService/DeclineTransfer": _row(
        speaker=Speaker.USER,
        note="the user to whom the agent is offered, or who offers it, with a token that "
        "reaches ADMIN",
    ),
    "AgentService/ListTransferOffers": _row(
        speaker=Speaker.OWNER, note="one's own, or manage_agents"
    ),
    "AgentService/SetDefaultAgent": _row(
        speaker=Speaker.USER, note="VIEWER on the agent, and a token that reaches ADMIN"
    ),
    "AgentService/ResolveAgent": _row(note="VIEWER on the agent, or authenticate"),
    "AgentService/ProvisionAgent": _row(
        Action.MANAGE_AGENTS,
        Action.CREATE_OWN_AGENT,
        speaker=Speaker.OWNER,
        note="manage_agents for another user",
    ),
    "AccessService/GrantAccess": _row(role=Role.ADMIN, speaker=Speaker.OWNER),
    "AccessService/RevokeAccess": _row(
        role=Role.ADMIN,
        speaker=Speaker.OWNER,
        note="one's own grant whatever the role, with one's own token that reaches ADMIN",
    ),
    "AccessService/GetAccess": _row(note="one's own, or ADMIN on the agent"),
    "AccessService/ListAgentAccess": _row(role=Role.ADMIN),
    "AccessService/ListUserAccess": _row(speaker=Speaker.OWNER, note="one's own, or manage_agents"),
    "AccessService/CheckAccess": _row(note="about oneself; ADMIN on the agent, or authenticate"),
    "AccessService/BatchCheckAccess": _row(
        note="about oneself; ADMIN on each agent, or authenticate"
    ),
    "TokenService/CreateToken": _row(
        speaker=Speaker.USER,
        note="ADMIN on the agent; for oneself nothing; for another user manage_users, "
        "manage_agents and every action of their role",
    ),
    "TokenService/GetToken": _row(
        note="OPERATOR on the agent; the user, or manage_users; the token itself"
    ),
    "TokenService/ListTokens": _row(note="OPERATOR on the agent; the user, or manage_users"),
    "TokenService/RotateToken": _row(
        speaker=Speaker.USER,
        note="the minter; manage_agents for an agent's; the owner alone for one that acts as the "
        "owner; for a user's whoever may mint for them and has every action of their role, or the "
        "token itself",
    ),
    "TokenService/RevokeToken": _row(
        note="ADMIN on the agent, or its minter; of a user that user, or manage_users, with every "
        "action of their role; the token itself"
    ),
    "TokenService/RevokeAgentTokens": _row(role=Role.ADMIN, speaker=Speaker.OWNER),
    "TokenService/RevokeUserTokens": _row(
        speaker=Speaker.OWNER,
        note="oneself, or manage_users, with every action of the user's role; manage_agents for "
        "what another user minted",
    ),
    "AuthService/Authenticate": _row(Action.AUTHENTICATE),
    "AuthService/Authorize": _row(Action.AUTHENTICATE),
    "AuthService/BatchAuthorize": _row(Action.AUTHENTICATE),
    "AuthService/WhoAmI": _row(),
    "UserService/CreateUser": _row(
        Action.MANAGE_USERS, speaker=Speaker.OWNER, note="and every action of the new role"
    ),
    "UserService/GetUser": _row(speaker=Speaker.OWNER, note="oneself, or manage_users"),
    "UserService/ListUsers": _row(Action.MANAGE_USERS, speaker=Speaker.OWNER),
    "UserService/UpdateUser": _row(
        speaker=Speaker.OWNER,
        note="oneself: display name and e-mail; all else manage_users; every action of the user's "
        "role, and of a new one",
    ),
    "UserService/DeactivateUser": _row(
        Action.MANAGE_USERS, speaker=Speaker.OWNER, note="and every action of the user's role"
    ),
    "UserService/DeleteUser": _row(
        Action.MANAGE_USERS, speaker=Speaker.OWNER, note="and every action of the user's role"
    ),
    "SiteService/CreateSite": _row(Action.MANAGE_SITES, speaker=Speaker.OWNER),
    "SiteService/GetSite": _row(),
    "SiteService/ListSites": _row(),
    "SiteService/DeleteSite": _row(Action.MANAGE_SITES, speaker=Speaker.OWNER),
    "ScopeService/ResolveScope": _row(note="about oneself, or authenticate"),
    "ScopeService/CheckResource": _row(note="about oneself, or authenticate"),
    "ChangeService/ListChanges": _row(note="audit, or ADMIN on every agent that is filtered by"),
    "ChangeService/VerifyChanges": _row(Action.AUDIT),
    "DirectoryService/ResolveDirectory": _row(note=_READS),
    "DirectoryService/ListFiles": _row(note=_READS),
    "DirectoryService/ReadFile": _row(note=_READS),
    "DirectoryService/WriteFile": _row(note=_WRITES),
    "DirectoryService/AppendFile": _row(note=_WRITES),
    "DirectoryService/DeleteFile": _row(
        note=f"{_WRITES}; for a protected file of an agent ADMIN on it"
    ),
    "DirectoryService/ScaffoldFiles": _row(note=_WRITES),
    "DirectoryService/AppendDailyMemory": _row(role=Role.OPERATOR),
    "DirectoryService/ReadDailyMemory": _row(role=Role.VIEWER),
    "DirectoryService/WriteDailyMemory": _row(role=Role.OPERATOR),
    "DirectoryService/DeleteDailyMemory": _row(role=Role.OPERATOR),
    "DirectoryService/ListDailyMemory": _row(role=Role.VIEWER),
    "DirectoryService/SearchDailyMemory": _row(role=Role.VIEWER),
    "RegistryService/RegisterAgent": _row(Action.MANAGE_AGENTS, speaker=Speaker.OWNER),
    "RegistryService/UnregisterAgent": _row(Action.MANAGE_AGENTS, speaker=Speaker.OWNER),
    "RegistryService/SuppressAgent": _row(Action.MANAGE_AGENTS, speaker=Speaker.OWNER),
    "RegistryService/UnsuppressAgent": _row(Action.MANAGE_AGENTS, speaker=Speaker.OWNER),
    "RegistryService/GetAgentDefinition": _row(Action.MANAGE_AGENTS, speaker=Speaker.OWNER),
    "RegistryService/ReadDefinitionSeeds": _row(Action.MANAGE_AGENTS, speaker=Speaker.OWNER),
    "RegistryService/ListAgentDefinitions": _row(Action.MANAGE_AGENTS, speaker=Speaker.OWNER),
    "RegistryService/ReconcileAgents": _row(Action.MANAGE_AGENTS, speaker=Speaker.OWNER),
    "RegistryService/RegisterMemoryFileType": _row(Action.MANAGE_SETTINGS, speaker=Speaker.OWNER),
    "RegistryService/UnregisterMemoryFileType": _row(Action.MANAGE_SETTINGS, speaker=Speaker.OWNER),
    "RegistryService/ListMemoryFileTypes": _row(),
}
