"""What each role of a user may do. With ``methods`` this is the whole policy."""

import enum
from collections.abc import Mapping

from accredit_storage.records import UserRole


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
