"""A valid request for every method, to be spoilt in one place after another."""

import uuid
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message

from accredit_storage.records import AgentId
from tests.api.asking import about_agent
from tests.server import Person, RefusedError, Server


class Scene:
    """People and things, and requests about them that the administrator may make.

    What a request uses up is made anew for the next one.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._make()

    def _make(self) -> None:
        server = self.server
        self.member = server.user()
        self.guest = server.user()
        self.agent_id = self._agent(self.member)
        server.grant(self.agent_id, self.guest, "OPERATOR")
        self.agent_token = server.agent_token(self.member, self.agent_id)
        self.site_id = self._site()
        self._ready: dict[str, Message] = {}

    def mend(self) -> None:
        """Make it anew if a request has hit it: a bit of an id may do."""
        self._ready = {}
        admin = self.server.admin
        try:
            for method in (
                "AgentService/GetAgent",
                "AccessService/GetAccess",
                "SiteService/GetSite",
            ):
                admin.call(method, **BASELINES[method](self))
            for person in (self.member, self.guest):
                person.call("AuthService/WhoAmI")
            held = admin.call("AuthService/Authenticate", token=self.agent_token.token)
        except RefusedError:
            self._make()
            return
        if held.WhichOneof("outcome") != "principal":
            self._make()

    def request(self, method: str) -> Any:
        """A copy of a valid request."""
        if method not in self._ready:
            fields = BASELINES[method](self)
            self._ready[method] = self.server.request_of(method)(**fields)
        copy = type(self._ready[method])()
        copy.CopyFrom(self._ready[method])
        return copy

    def used(self, method: str) -> None:
        """A call of the method has been answered."""
        if not is_reading(self.server, method):
            self._ready.pop(method, None)

    def own_agent(self) -> dict[str, Any]:
        """A reference to an agent that no other request is about."""
        return {"agent_id": self._agent(self.member)}

    def own_offer(self, to: Person) -> int:
        """An offer to somebody, made by somebody else each time: there is a limit for each side."""
        giver = self.server.user()
        made = giver.call(
            "AgentService/TransferAgent",
            agent={"agent_id": self._agent(giver)},
            new_owner={"user_id": to.user_id},
        )
        return int(made.offer.offer_id)

    def own_grant(self) -> dict[str, Any]:
        agent = self.own_agent()
        self.server.grant(agent["agent_id"], self.guest, "VIEWER")
        return {"agent": agent, "principal": {"user_id": self.guest.user_id}}

    def own_token(self) -> str:
        minted = self.server.agent_token(self.member, self._agent(self.member))
        return minted.token_id

    def own_user(self) -> dict[str, Any]:
        return {"user_id": self.server.user().user_id}

    def own_file(self, path: str = "NOTES.md") -> dict[str, Any]:
        """A file that is there again each time, in the directory of the agent."""
        with self.server.app.store.read() as tx:
            agent = tx.agents.find(AgentId(self.agent_id))
        assert agent is not None
        directories = self.server.app.directories
        directories.reach(agent, lambda place: directories.files.write(place, path, b"A line.\n"))
        return {"directory": {"agent": _ref(self)}, "path": path}

    def own_day(self) -> dict[str, Any]:
        self.own_file("daily/2026/02/28.md")
        return {"agent": _ref(self), "date": "2026-02-28"}

    def own_definition(self) -> dict[str, Any]:
        made: dict[str, Any] = {"agent_slug": self.server.name("declared"), "source": "scene"}
        self.server.admin.call("RegistryService/RegisterAgent", **made)
        return made

    def own_suppression(self) -> str:
        name: str = self.own_definition()["agent_slug"]
        self.server.admin.call("RegistryService/SuppressAgent", name=name)
        return name

    def own_memory_file_type(self) -> dict[str, Any]:
        filename = f"{self.server.name('type')}.md"
        self.server.admin.call(
            "RegistryService/RegisterMemoryFileType", filename=filename, layer="MEMORY_LAYER_AGENT"
        )
        return {"filename": filename}

    def _agent(self, owner: Person) -> int:
        return int(self.server.agent(owner, self.server.name("agent")).agent_id)

    def _site(self) -> int:
        made = self.server.admin.call("SiteService/CreateSite", site_slug=self.server.name("site"))
        return int(made.site.site_id)


def is_reading(server: Server, method: str) -> bool:
    """Whether the contract says that a call of it has no effect.

    What is IDEMPOTENT only is a question that carries a secret.
    """
    level = server.methods[method].GetOptions().idempotency_level
    return bool(level != MethodOptions.IDEMPOTENCY_UNKNOWN)


def _ref(scene: Scene) -> dict[str, Any]:
    return {"agent_id": scene.agent_id}


def _check(scene: Scene) -> dict[str, Any]:
    return {
        "principal": {"user_id": scene.guest.user_id},
        "agent": _ref(scene),
        "minimum_role": "ROLE_VIEWER",
    }


def _demand(scene: Scene) -> dict[str, Any]:
    return {"agent": _ref(scene), "minimum_role": "ROLE_VIEWER"}


def _request_id() -> str:
    return str(uuid.uuid4())


BASELINES: dict[str, Callable[[Scene], dict[str, Any]]] = {
    "AgentService/CreateAgent": lambda s: {
        "agent_slug": s.server.name("made"),
        "agent_name": "Made",
        "owner": {"user_id": s.member.user_id},
        "config": {"description": "of some use"},
        "request_id": _request_id(),
    },
    "AgentService/BatchCreateAgents": lambda s: {
        "requests": [{"agent_slug": s.server.name("made"), "owner": {"user_id": s.member.user_id}}]
    },
    "AgentService/GetAgent": lambda s: {"agent": _ref(s)},
    "AgentService/BatchGetAgents": lambda s: {"agents": [_ref(s)]},
    "AgentService/ListAgents": lambda s: {"scope": "LIST_SCOPE_ALL", "page_size": 3},
    "AgentService/UpdateAgent": lambda s: {
        "agent": s.own_agent(),
        "update": {"agent_name": "Another"},
    },
    "AgentService/SetAgentStatus": lambda s: {
        "agent": s.own_agent(),
        "status": "AGENT_STATUS_INACTIVE",
        "reason": "It wrote to everybody.",
    },
    "AgentService/RenameAgent": lambda s: {
        "agent": s.own_agent(),
        "new_slug": s.server.name("renamed"),
    },
    "AgentService/DeleteAgent": lambda s: {"agent": s.own_agent()},
    "AgentService/TransferAgent": lambda s: {
        "agent": s.own_agent(),
        "new_owner": {"user_id": s.guest.user_id},
    },
    "AgentService/AcceptTransfer": lambda s: {"offer_id": s.own_offer(s.server.admin)},
    "AgentService/DeclineTransfer": lambda s: {"offer_id": s.own_offer(s.server.admin)},
    "AgentService/ListTransferOffers": lambda s: s.member.ref,
    "AgentService/SetDefaultAgent": lambda s: {"agent": s.own_agent()},
    "AgentService/ResolveAgent": lambda s: {"agent": _ref(s)},
    "AgentService/ProvisionAgent": lambda s: s.member.ref,
    "AccessService/GrantAccess": lambda s: {
        "agent": s.own_agent(),
        "principal": {"user_id": s.guest.user_id},
        "role": "ROLE_OPERATOR",
    },
    "AccessService/RevokeAccess": lambda s: s.own_grant(),
    "AccessService/GetAccess": lambda s: {
        "agent": _ref(s),
        "principal": {"user_id": s.guest.user_id},
    },
    "AccessService/ListAgentAccess": lambda s: {"agent": _ref(s), "page_size": 1},
    "AccessService/ListUserAccess": lambda s: s.guest.ref,
    "AccessService/CheckAccess": lambda s: {"check": _check(s)},
    "AccessService/BatchCheckAccess": lambda s: {"checks": [_check(s)]},
    "TokenService/CreateToken": lambda s: {
        "agent": s.own_agent(),
        "label": "for the night",
        "full_rights": True,
    },
    "TokenService/GetToken": lambda s: {"token_id": s.agent_token.token_id},
    "TokenService/ListTokens": lambda s: {"agent": _ref(s)},
    "TokenService/RotateToken": lambda s: {"token_id": s.own_token()},
    "TokenService/RevokeToken": lambda s: {"token_id": s.own_token()},
    "TokenService/RevokeAgentTokens": lambda s: {"agent": s.own_agent()},
    "TokenService/RevokeUserTokens": lambda s: {"user": s.own_user()},
    "AuthService/Authenticate": lambda s: {"token": s.agent_token.token},
    "AuthService/Authorize": lambda s: {
        "token": s.agent_token.token,
        "demand": _demand(s),
    },
    "AuthService/BatchAuthorize": lambda s: {
        "token": s.agent_token.token,
        "demands": [_demand(s)],
    },
    "AuthService/WhoAmI": lambda s: {},
    "UserService/CreateUser": lambda s: {
        "login": s.server.name("made"),
        "role": "USER_ROLE_MEMBER",
        "display_name": "Made",
        "email": "made@example.org",
    },
    "UserService/GetUser": lambda s: {"user": {"user_id": s.guest.user_id}},
    "UserService/ListUsers": lambda s: {"page_size": 3},
    "UserService/UpdateUser": lambda s: {
        "user": s.own_user(),
        "update": {"display_name": "Another"},
    },
    "UserService/DeactivateUser": lambda s: {"user": s.own_user()},
    "UserService/DeleteUser": lambda s: {"user": s.own_user()},
    "SiteService/CreateSite": lambda s: {"site_slug": s.server.name("made")},
    "SiteService/GetSite": lambda s: {"site": {"site_id": s.site_id}},
    "SiteService/ListSites": lambda s: {"page_size": 1},
    "SiteService/DeleteSite": lambda s: {"site": {"site_id": s._site()}},
    "ScopeService/ResolveScope": lambda s: {"token": s.agent_token.token, **_demand(s)},
    "ScopeService/CheckResource": lambda s: {
        "token": s.agent_token.token,
        "resource": {"agent": _ref(s)},
        "minimum_role": "ROLE_VIEWER",
    },
    "ChangeService/ListChanges": lambda s: about_agent(s.agent_id),
    "ChangeService/VerifyChanges": lambda s: {},
    "DirectoryService/ResolveDirectory": lambda s: {"agent": _ref(s)},
    "DirectoryService/ListFiles": lambda s: {"directory": {"agent": _ref(s)}, "page_size": 1},
    "DirectoryService/ReadFile": lambda s: s.own_file(),
    "DirectoryService/WriteFile": lambda s: {**s.own_file(), "content": b"Another line."},
    "DirectoryService/AppendFile": lambda s: {**s.own_file(), "content": b"Another line."},
    "DirectoryService/DeleteFile": lambda s: s.own_file(),
    "DirectoryService/ScaffoldFiles": lambda s: {"directory": {"agent": _ref(s)}},
    "DirectoryService/AppendDailyMemory": lambda s: {**s.own_day(), "text": "Another line."},
    "DirectoryService/ReadDailyMemory": lambda s: s.own_day(),
    "DirectoryService/WriteDailyMemory": lambda s: {**s.own_day(), "content": b"Another line."},
    "DirectoryService/DeleteDailyMemory": lambda s: s.own_day(),
    "DirectoryService/ListDailyMemory": lambda s: {"agent": _ref(s)},
    "DirectoryService/SearchDailyMemory": lambda s: {"agent": _ref(s), "text": "line"},
    "RegistryService/RegisterAgent": lambda s: {
        "agent_slug": s.server.name("declared"),
        "label": "Declared",
        "memory_seeds": [{"filename": "SOUL.md", "text": "Of some use."}],
        "default_config": {"model": "large"},
    },
    "RegistryService/UnregisterAgent": lambda s: s.own_definition(),
    "RegistryService/SuppressAgent": lambda s: {"name": s.server.name("declared")},
    "RegistryService/UnsuppressAgent": lambda s: {"name": s.own_suppression()},
    "RegistryService/ReadDefinitionSeeds": lambda s: {
        "agent_slug": s.own_definition()["agent_slug"]
    },
    "RegistryService/GetAgentDefinition": lambda s: {
        "agent_slug": s.own_definition()["agent_slug"]
    },
    "RegistryService/ListAgentDefinitions": lambda s: {"page_size": 1},
    "RegistryService/ReconcileAgents": lambda s: {
        "agent_slugs": [s.own_definition()["agent_slug"]]
    },
    "RegistryService/RegisterMemoryFileType": lambda s: {
        "filename": f"{s.server.name('type')}.md",
        "layer": "MEMORY_LAYER_AGENT",
    },
    "RegistryService/UnregisterMemoryFileType": lambda s: s.own_memory_file_type(),
    "RegistryService/ListMemoryFileTypes": lambda s: {},
}
