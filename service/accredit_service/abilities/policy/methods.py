"""One row for each method: what it demands, which threads work on it, how much it may bring.

docs/permissions.md is made from the rows, the interceptors and the abilities go by them, and the
server does not start for a method without a row, or for a row that does not fit its method.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from accredit_storage.records import Role

from .permissions import Action, Speaker


class Pool(enum.Enum):
    """The pools of threads, so that none of these kinds of calls keeps another waiting."""

    #: What the database answers.
    CALLS = "calls"
    #: What waits for the disk with the files: one that hangs keeps no token from being judged.
    FILES = "files"
    #: What streams a file, or the text of one.
    DOWNLOADS = "downloads"
    #: Every other stream.
    STREAMS = "streams"


#: The pools of methods that answer a stream.
STREAMING = frozenset({Pool.DOWNLOADS, Pool.STREAMS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """What a call demands. ``any_action``: one of these. ``role``: on the agent that it names.

    ``note`` says what else the ability judges, for the documentation. ``pool`` are the threads that
    work on it, ``brings_file`` says that its request may be as large as a file, ``kept`` that its
    reply has a basis, and may be sent again for as long as that holds.
    """

    any_action: frozenset[Action] = frozenset()
    role: Role | None = None
    speaker: Speaker = Speaker.ANY
    note: str = ""
    pool: Pool = Pool.CALLS
    brings_file: bool = False
    kept: bool = False


def _row(
    *any_action: Action,
    role: Role | None = None,
    speaker: Speaker = Speaker.ANY,
    note: str = "",
    pool: Pool = Pool.CALLS,
    brings_file: bool = False,
    kept: bool = False,
) -> Method:
    return Method(
        any_action=frozenset(any_action),
        role=role,
        speaker=speaker,
        note=note,
        pool=pool,
        brings_file=brings_file,
        kept=kept,
    )


_READS = "of an agent VIEWER on it; of a user that user, or manage_users; the common ones nothing"
_WRITES = (
    "of an agent OPERATOR on it; of a user that user, or manage_users; the common ones "
    "manage_settings"
)

METHODS: Mapping[str, Method] = {
    "AgentService/CreateAgent": _row(
        Action.MANAGE_AGENTS,
        Action.CREATE_OWN_AGENT,
        speaker=Speaker.OWNER,
        note="without manage_agents: for oneself, up to the limit, on every site",
        pool=Pool.FILES,
    ),
    "AgentService/BatchCreateAgents": _row(
        Action.MANAGE_AGENTS,
        Action.CREATE_OWN_AGENT,
        speaker=Speaker.OWNER,
        note="without manage_agents: for oneself, up to the limit, on every site",
        pool=Pool.FILES,
    ),
    "AgentService/GetAgent": _row(role=Role.VIEWER, pool=Pool.FILES),
    "AgentService/BatchGetAgents": _row(note="answers those that the caller may view"),
    "AgentService/ListAgents": _row(
        Action.CHAT, note="manage_agents for scope ALL and for another user's agents"
    ),
    "AgentService/UpdateAgent": _row(role=Role.ADMIN, note="manage_agents for the site scope"),
    "AgentService/SetAgentStatus": _row(role=Role.ADMIN),
    "AgentService/RenameAgent": _row(role=Role.ADMIN, speaker=Speaker.OWNER, pool=Pool.FILES),
    "AgentService/DeleteAgent": _row(
        role=Role.ADMIN, speaker=Speaker.OWNER, note="the owner, or manage_agents", pool=Pool.FILES
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
        pool=Pool.FILES,
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
    "AccessService/CheckAccess": _row(
        note="about oneself; ADMIN on the agent, or authenticate", kept=True
    ),
    "AccessService/BatchCheckAccess": _row(
        note="about oneself; ADMIN on each agent, or authenticate", kept=True
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
    "AuthService/Authenticate": _row(Action.AUTHENTICATE, kept=True),
    "AuthService/Authorize": _row(Action.AUTHENTICATE, kept=True),
    "AuthService/BatchAuthorize": _row(Action.AUTHENTICATE, kept=True),
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
    "ScopeService/ResolveScope": _row(note="about oneself, or authenticate", kept=True),
    "ScopeService/CheckResource": _row(note="about oneself, or authenticate", kept=True),
    "ChangeService/ListChanges": _row(note="audit, or ADMIN on every agent that is filtered by"),
    "ChangeService/VerifyChanges": _row(Action.AUDIT),
    "DirectoryService/ResolveDirectory": _row(note=_READS, pool=Pool.FILES),
    "DirectoryService/ListFiles": _row(note=_READS, pool=Pool.FILES),
    "DirectoryService/ReadFile": _row(note=_READS, pool=Pool.DOWNLOADS),
    "DirectoryService/WriteFile": _row(note=_WRITES, pool=Pool.FILES, brings_file=True),
    "DirectoryService/AppendFile": _row(note=_WRITES, pool=Pool.FILES, brings_file=True),
    "DirectoryService/DeleteFile": _row(
        note=f"{_WRITES}; for a protected file of an agent ADMIN on it", pool=Pool.FILES
    ),
    "DirectoryService/ScaffoldFiles": _row(note=_WRITES, pool=Pool.FILES),
    "DirectoryService/AppendDailyMemory": _row(
        role=Role.OPERATOR, pool=Pool.FILES, brings_file=True
    ),
    "DirectoryService/ReadDailyMemory": _row(role=Role.VIEWER, pool=Pool.DOWNLOADS),
    "DirectoryService/WriteDailyMemory": _row(
        role=Role.OPERATOR, pool=Pool.FILES, brings_file=True
    ),
    "DirectoryService/DeleteDailyMemory": _row(role=Role.OPERATOR, pool=Pool.FILES),
    "DirectoryService/ListDailyMemory": _row(role=Role.VIEWER, pool=Pool.FILES),
    "DirectoryService/SearchDailyMemory": _row(role=Role.VIEWER, pool=Pool.FILES),
    "RegistryService/RegisterAgent": _row(
        Action.MANAGE_AGENTS, speaker=Speaker.OWNER, brings_file=True
    ),
    "RegistryService/UnregisterAgent": _row(Action.MANAGE_AGENTS, speaker=Speaker.OWNER),
    "RegistryService/SuppressAgent": _row(Action.MANAGE_AGENTS, speaker=Speaker.OWNER),
    "RegistryService/UnsuppressAgent": _row(Action.MANAGE_AGENTS, speaker=Speaker.OWNER),
    "RegistryService/GetAgentDefinition": _row(Action.MANAGE_AGENTS, speaker=Speaker.OWNER),
    "RegistryService/ReadDefinitionSeeds": _row(
        Action.MANAGE_AGENTS, speaker=Speaker.OWNER, pool=Pool.DOWNLOADS
    ),
    "RegistryService/ListAgentDefinitions": _row(Action.MANAGE_AGENTS, speaker=Speaker.OWNER),
    "RegistryService/ReconcileAgents": _row(
        Action.MANAGE_AGENTS, speaker=Speaker.OWNER, pool=Pool.STREAMS
    ),
    "RegistryService/RegisterMemoryFileType": _row(Action.MANAGE_SETTINGS, speaker=Speaker.OWNER),
    "RegistryService/UnregisterMemoryFileType": _row(Action.MANAGE_SETTINGS, speaker=Speaker.OWNER),
    "RegistryService/ListMemoryFileTypes": _row(),
}
