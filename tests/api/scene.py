"""A small world, and for every call of the API requests that make sense in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor_pb2 import MethodOptions
from sqlalchemy import select

from accredit_storage.records import AgentId
from accredit_storage.schema import metadata
from tests.server import MODULES, Person, Server

Fields = dict[str, Any]


@dataclass(frozen=True)
class Scene:
    """One agent, its owner, those it was granted to, and people who have nothing to do with it."""

    server: Server
    administrator: Person
    service: Person
    member: Person
    guest: Person
    owner: Person
    viewer: Person
    operator: Person
    grantee: Person
    #: Somebody without an agent and with a low grant, to whom most calls do something.
    heir: Person
    #: Somebody with one agent, which has nothing to do with the others.
    neighbour: Person
    agent_id: int
    #: A token of the agent, minted by the owner.
    token: Person
    #: A site without agents.
    site: int

    @classmethod
    def make(cls, server: Server) -> "Scene":
        """A new one, beside whatever else the server has."""
        owner, viewer, operator, grantee = (server.user() for _ in range(4))
        heir, neighbour = server.user(), server.user()
        agent_id = server.agent(owner).agent_id
        server.agent(neighbour)
        for person, role in ((viewer, "VIEWER"), (operator, "OPERATOR"), (grantee, "ADMIN")):
            server.grant(agent_id, person, role)
        server.grant(agent_id, heir, "VIEWER")
        return cls(
            server=server,
            administrator=server.user("ADMINISTRATOR"),
            service=server.user("SERVICE"),
            member=server.user("MEMBER"),
            guest=server.user("GUEST"),
            owner=owner,
            viewer=viewer,
            operator=operator,
            grantee=grantee,
            heir=heir,
            neighbour=neighbour,
            agent_id=agent_id,
            token=server.agent_token(owner, agent_id),
            site=server.site(),
        )

    @property
    def agent(self) -> Fields:
        """A reference to the agent."""
        return {"agent": {"agent_id": self.agent_id}}

    def oneself(self, caller: Person) -> int:
        """The acting user: an agent's is its owner."""
        return caller.user_id or self.owner.user_id


def _heir(scene: Scene) -> Fields:
    return {"user_id": scene.heir.user_id}


def _of_heir(scene: Scene) -> Fields:
    return {"user": _heir(scene)}


def _check(scene: Scene, **subject: Any) -> Fields:
    return {**scene.agent, **subject, "minimum_role": "ROLE_VIEWER"}


def _demand(scene: Scene) -> Fields:
    return {**scene.agent, "minimum_role": "ROLE_VIEWER"}


def _directory(scene: Scene) -> Fields:
    return {"directory": scene.agent}


def write_file(scene: Scene, path: str = "NOTES.md") -> Fields:
    """A file in the agent's directory, which is there again each time."""
    with scene.server.app.store.read() as tx:
        agent = tx.agents.find(AgentId(scene.agent_id))
    assert agent is not None
    directories = scene.server.app.directories
    directories.reach(agent, lambda place: directories.files.write(place, path, b"A line.\n"))
    return {**_directory(scene), "path": path}


def _unscaffolded(scene: Scene) -> Fields:
    """The agent's directory without one of its starter files."""
    write_file(scene, "MEMORY.md")
    scene.server.admin.call("DirectoryService/DeleteFile", **_directory(scene), path="MEMORY.md")
    return _directory(scene)


def _day(scene: Scene) -> Fields:
    write_file(scene, "daily/2026/02/28.md")
    return {**scene.agent, "date": "2026-02-28"}


def _definition(scene: Scene) -> Fields:
    slug = scene.server.name("declared")
    scene.server.admin.call("RegistryService/RegisterAgent", agent_slug=slug, source="scene")
    return {"agent_slug": slug}


def _suppressed(scene: Scene) -> str:
    name: str = _definition(scene)["agent_slug"]
    scene.server.admin.call("RegistryService/SuppressAgent", name=name)
    return name


def _memory_file_type(scene: Scene) -> Fields:
    filename = f"{scene.server.name('type')}.md"
    scene.server.admin.call(
        "RegistryService/RegisterMemoryFileType", filename=filename, layer="MEMORY_LAYER_AGENT"
    )
    return {"filename": filename}


def _offered(scene: Scene, to: Person) -> Fields:
    """An agent that somebody offers to the acting user."""
    giver = scene.server.user()
    made = giver.call(
        "AgentService/TransferAgent",
        agent={"agent_id": scene.server.agent(giver).agent_id},
        new_owner={"user_id": scene.oneself(to)},
    )
    return {"offer_id": made.offer.offer_id}


#: By method, or by method and what is special about the request. The first of each method is one
#: that an administrator may make.
REQUESTS: Mapping[str, Callable[[Scene, Person], Fields]] = {
    "AgentService/CreateAgent": lambda s, _: {
        "agent_slug": s.server.name("new"),
        "owner": _heir(s),
    },
    "AgentService/CreateAgent own": lambda s, _: {"agent_slug": s.server.name("new")},
    "AgentService/BatchCreateAgents": lambda s, _: {
        "requests": [{"agent_slug": s.server.name("new"), "owner": _heir(s)}]
    },
    "AgentService/GetAgent": lambda s, _: s.agent,
    "AgentService/BatchGetAgents": lambda s, _: {"agents": [{"agent_id": s.agent_id}]},
    "AgentService/ListAgents": lambda s, _: {},
    "AgentService/ListAgents of all": lambda s, _: {"scope": "LIST_SCOPE_ALL"},
    "AgentService/ListAgents of another": lambda s, _: _of_heir(s),
    "AgentService/UpdateAgent": lambda s, _: {**s.agent, "update": {"agent_name": "New"}},
    "AgentService/UpdateAgent its site": lambda s, _: {
        **s.agent,
        "update": {"site_scope": s.site},
    },
    "AgentService/SetAgentStatus": lambda s, _: {**s.agent, "status": "AGENT_STATUS_INACTIVE"},
    "AgentService/RenameAgent": lambda s, _: {**s.agent, "new_slug": s.server.name("new")},
    "AgentService/DeleteAgent": lambda s, _: s.agent,
    "AgentService/TransferAgent": lambda s, _: {**s.agent, "new_owner": _heir(s)},
    "AgentService/AcceptTransfer": lambda s, me: _offered(s, me),
    "AgentService/DeclineTransfer": lambda s, me: _offered(s, me),
    "AgentService/ListTransferOffers": lambda s, _: {},
    "AgentService/ListTransferOffers of another": lambda s, _: _of_heir(s),
    "AgentService/SetDefaultAgent": lambda s, _: s.agent,
    "AgentService/SetDefaultAgent none": lambda s, _: {"none": True},
    "AgentService/ResolveAgent": lambda s, _: s.agent,
    "AgentService/ResolveAgent unnamed": lambda s, _: {},
    "AgentService/ResolveAgent of another": lambda s, _: {"user": {"user_id": s.neighbour.user_id}},
    "AgentService/ProvisionAgent": lambda s, _: _of_heir(s),
    "AgentService/ProvisionAgent own": lambda s, _: {},
    "AccessService/GrantAccess": lambda s, _: {
        **s.agent,
        "principal": _heir(s),
        "role": "ROLE_OPERATOR",
    },
    "AccessService/RevokeAccess": lambda s, _: {**s.agent, "principal": _heir(s)},
    "AccessService/RevokeAccess own": lambda s, me: {
        **s.agent,
        "principal": {"user_id": s.oneself(me)},
    },
    "AccessService/GetAccess": lambda s, _: {**s.agent, "principal": _heir(s)},
    "AccessService/GetAccess own": lambda s, _: s.agent,
    "AccessService/ListAgentAccess": lambda s, _: s.agent,
    "AccessService/ListUserAccess": lambda s, _: _of_heir(s),
    "AccessService/ListUserAccess own": lambda s, _: {},
    "AccessService/CheckAccess": lambda s, _: {"check": _check(s, principal=_heir(s))},
    "AccessService/CheckAccess own": lambda s, _: {"check": _check(s, caller=True)},
    "AccessService/BatchCheckAccess": lambda s, _: {
        "checks": [_check(s, principal=_heir(s)), _check(s, caller=True)]
    },
    "AccessService/BatchCheckAccess own": lambda s, _: {"checks": [_check(s, caller=True)]},
    "TokenService/CreateToken": lambda s, _: {**s.agent, "full_rights": True},
    "TokenService/CreateToken as owner": lambda s, _: {
        **s.agent,
        "full_rights": True,
        "act_as_owner": True,
    },
    "TokenService/CreateToken own": lambda s, me: {
        "user": {"user_id": s.oneself(me)},
        "full_rights": True,
    },
    "TokenService/CreateToken of another": lambda s, _: {**_of_heir(s), "full_rights": True},
    "TokenService/GetToken": lambda s, _: {"token_id": s.token.token_id},
    "TokenService/GetToken of another": lambda s, _: {"token_id": s.heir.token_id},
    "TokenService/GetToken itself": lambda s, me: {"token_id": me.token_id},
    "TokenService/ListTokens": lambda s, _: s.agent,
    "TokenService/ListTokens own": lambda s, _: {},
    "TokenService/ListTokens of another": lambda s, _: _of_heir(s),
    "TokenService/RotateToken": lambda s, _: {"token_id": s.token.token_id},
    "TokenService/RotateToken of another": lambda s, _: {"token_id": s.heir.token_id},
    "TokenService/RevokeToken": lambda s, _: {"token_id": s.token.token_id},
    "TokenService/RevokeToken of another": lambda s, _: {"token_id": s.heir.token_id},
    "TokenService/RevokeToken itself": lambda s, me: {"token_id": me.token_id},
    "TokenService/RevokeAgentTokens": lambda s, _: s.agent,
    "TokenService/RevokeUserTokens": lambda s, _: _of_heir(s),
    "TokenService/RevokeUserTokens own": lambda s, me: {"user": {"user_id": s.oneself(me)}},
    "AuthService/Authenticate": lambda s, _: {"token": s.heir.token},
    "AuthService/Authorize": lambda s, _: {"token": s.heir.token, "demand": _demand(s)},
    "AuthService/BatchAuthorize": lambda s, _: {"token": s.heir.token, "demands": [_demand(s)]},
    "AuthService/WhoAmI": lambda s, _: {},
    "UserService/CreateUser": lambda s, _: {
        "login": s.server.name("new"),
        "role": "USER_ROLE_GUEST",
    },
    "UserService/GetUser": lambda s, _: {"user": _heir(s)},
    "UserService/GetUser own": lambda s, me: {"user": {"user_id": s.oneself(me)}},
    "UserService/ListUsers": lambda s, _: {"page_size": 1},
    "UserService/UpdateUser": lambda s, _: {"user": _heir(s), "update": {"display_name": "New"}},
    "UserService/UpdateUser own": lambda s, me: {
        "user": {"user_id": s.oneself(me)},
        "update": {"display_name": "New"},
    },
    "UserService/UpdateUser own role": lambda s, me: {
        "user": {"user_id": s.oneself(me)},
        "update": {"role": "USER_ROLE_ADMINISTRATOR"},
    },
    "UserService/DeactivateUser": lambda s, _: {"user": _heir(s)},
    "UserService/DeleteUser": lambda s, _: {"user": _heir(s)},
    "SiteService/CreateSite": lambda s, _: {"site_slug": s.server.name("new")},
    "SiteService/GetSite": lambda s, _: {"site": {"site_id": s.site}},
    "SiteService/ListSites": lambda s, _: {"page_size": 1},
    "SiteService/DeleteSite": lambda s, _: {"site": {"site_id": s.site}},
    "ScopeService/ResolveScope": lambda s, _: {
        "token": s.heir.token,
        "minimum_role": "ROLE_VIEWER",
    },
    "ScopeService/ResolveScope own": lambda s, _: {"caller": True, "minimum_role": "ROLE_VIEWER"},
    "ScopeService/CheckResource": lambda s, _: {
        "token": s.heir.token,
        "resource": s.agent,
        "minimum_role": "ROLE_VIEWER",
    },
    "ScopeService/CheckResource own": lambda s, _: {
        "caller": True,
        "resource": s.agent,
        "minimum_role": "ROLE_VIEWER",
    },
    "ChangeService/ListChanges": lambda s, _: {"page_size": 1},
    "ChangeService/ListChanges of an agent": lambda s, _: {
        "filter": {"subjects": [{"kind": "SUBJECT_KIND_AGENT", "subject_id": str(s.agent_id)}]}
    },
    "ChangeService/VerifyChanges": lambda s, _: {},
    "DirectoryService/ResolveDirectory": lambda s, _: s.agent,
    "DirectoryService/ResolveDirectory unnamed": lambda s, _: {},
    "DirectoryService/ResolveDirectory own": lambda s, me: {"user": {"user_id": s.oneself(me)}},
    "DirectoryService/ResolveDirectory of another": lambda s, _: _of_heir(s),
    "DirectoryService/ListFiles": lambda s, _: _directory(s),
    "DirectoryService/ListFiles own": lambda s, me: {
        "directory": {"user": {"user_id": s.oneself(me)}}
    },
    "DirectoryService/ListFiles of another": lambda s, _: {"directory": _of_heir(s)},
    "DirectoryService/ListFiles common": lambda s, _: {
        "directory": {"common": "COMMON_DIRECTORY_SHARED"}
    },
    "DirectoryService/ReadFile": lambda s, _: write_file(s),
    "DirectoryService/WriteFile": lambda s, _: {**write_file(s), "content": b"Another line.\n"},
    "DirectoryService/WriteFile own": lambda s, me: {
        "directory": {"user": {"user_id": s.oneself(me)}},
        "path": "NOTES.md",
    },
    "DirectoryService/WriteFile of another": lambda s, _: {
        "directory": _of_heir(s),
        "path": "NOTES.md",
    },
    "DirectoryService/WriteFile common": lambda s, _: {
        "directory": {"common": "COMMON_DIRECTORY_NETWORK"},
        "path": "NOTES.md",
    },
    "DirectoryService/AppendFile": lambda s, _: {**write_file(s), "content": b"Another line.\n"},
    "DirectoryService/DeleteFile": lambda s, _: write_file(s),
    "DirectoryService/DeleteFile protected": lambda s, _: write_file(s, "SOUL.md"),
    "DirectoryService/ScaffoldFiles": lambda s, _: _unscaffolded(s),
    "DirectoryService/AppendDailyMemory": lambda s, _: {**_day(s), "text": "Another line."},
    "DirectoryService/ReadDailyMemory": lambda s, _: _day(s),
    "DirectoryService/WriteDailyMemory": lambda s, _: {**_day(s), "content": b"Another line.\n"},
    "DirectoryService/DeleteDailyMemory": lambda s, _: _day(s),
    "DirectoryService/ListDailyMemory": lambda s, _: s.agent,
    "DirectoryService/SearchDailyMemory": lambda s, _: {**s.agent, "text": "line"},
    "RegistryService/RegisterAgent": lambda s, _: {"agent_slug": s.server.name("declared")},
    "RegistryService/UnregisterAgent": lambda s, _: {**_definition(s), "source": "scene"},
    "RegistryService/SuppressAgent": lambda s, _: {"name": s.server.name("declared")},
    "RegistryService/UnsuppressAgent": lambda s, _: {"name": _suppressed(s)},
    "RegistryService/GetAgentDefinition": lambda s, _: _definition(s),
    "RegistryService/ReadDefinitionSeeds": lambda s, _: _definition(s),
    "RegistryService/ListAgentDefinitions": lambda s, _: {"page_size": 1},
    "RegistryService/ReconcileAgents": lambda s, _: {"agent_slugs": [_definition(s)["agent_slug"]]},
    "RegistryService/RegisterMemoryFileType": lambda s, _: {
        "filename": f"{s.server.name('type')}.md",
        "layer": "MEMORY_LAYER_AGENT",
    },
    "RegistryService/UnregisterMemoryFileType": lambda s, _: _memory_file_type(s),
    "RegistryService/ListMemoryFileTypes": lambda s, _: {},
}


METHODS: Mapping[str, Any] = {
    f"{service.name}/{method.name}": method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


def mutates(method: str) -> bool:
    """Whether a call changes anything, as its descriptor says.

    What is IDEMPOTENT and not free of side effects is a question that carries a secret.
    """
    return METHODS[method].GetOptions().idempotency_level == MethodOptions.IDEMPOTENCY_UNKNOWN


def methods_with(field: str) -> list[str]:
    """The calls whose request has a field of this name."""
    return [name for name, one in METHODS.items() if field in one.input_type.fields_by_name]


def contents(server: Server) -> Mapping[str, list[str]]:
    """All that is stored, but for when tokens were used: to be compared, and to be searched."""
    found = {}
    with server.app.store.read() as tx:
        for table in metadata.sorted_tables:
            columns = [column for column in table.c if column.name != "last_used_at"]
            rows = tx._connection.execute(select(*columns))
            found[table.name] = sorted(repr(tuple(row)) for row in rows)
    return found
