"""Who may make which call: kinds of caller by calls, as one table."""

from collections.abc import Callable, Mapping

import pytest

from accredit_service.abilities.policy import methods
from tests.api.scene import REQUESTS, Scene, mutates
from tests.contract.conftest import World
from tests.server import Person, RefusedError


def _held(scene: Scene, minter: Person, role: str) -> Person:
    ceiling = {"max_role": f"ROLE_{role}", "capabilities": ["chat"]}
    return scene.server.user_token(minter, ceiling=ceiling)


def _of_agent(scene: Scene, role: str) -> Person:
    ceiling = {"max_role": f"ROLE_{role}", "capabilities": ["chat", "create_own_agent"]}
    return scene.server.agent_token(scene.owner, scene.agent_id, ceiling=ceiling)


def _as_owner(scene: Scene) -> Person:
    return scene.server.agent_token(scene.owner, scene.agent_id, act_as_owner=True)


#: The columns of the table.
CALLERS: Mapping[str, Callable[[Scene], Person]] = {
    "st": lambda scene: Person(scene.server, "", token_id="0" * 16),  # a stranger, without token
    "ad": lambda scene: scene.administrator,
    "se": lambda scene: scene.service,
    "me": lambda scene: scene.member,  # with nothing to do with the agent
    "gu": lambda scene: scene.guest,
    "ow": lambda scene: scene.owner,  # of the agent, a member
    "vi": lambda scene: scene.viewer,  # members with a grant
    "op": lambda scene: scene.operator,
    "gr": lambda scene: scene.grantee,  # of ADMIN
    "ag": lambda scene: _of_agent(scene, "OPERATOR"),  # the agent itself
    "aa": lambda scene: _of_agent(scene, "ADMIN"),
    "ao": _as_owner,  # the agent, acting as its owner
    "lo": lambda scene: _held(scene, scene.owner, "VIEWER"),  # the owner's token, held to little
    "la": lambda scene: _held(scene, scene.administrator, "ADMIN"),  # an admin's, without actions
}

#: What the cells say.
REASONS = {
    "ok": "",
    "--": "TOKEN_MISSING",
    "ac": "ACTION_MISSING",
    "da": "AGENT_ACCESS_DENIED",
    "ro": "ROLE_INSUFFICIENT",
    "ut": "USER_TOKEN_REQUIRED",
    "or": "OWNER_REQUIRED",
    "io": "INVALID_AGENT_OWNER",
    "td": "TOKEN_ACCESS_DENIED",
    "cx": "CEILING_EXCEEDED",
    "sf": "AGENT_SCOPE_FORBIDDEN",
    "uf": "AGENT_USER_SCOPE_FORBIDDEN",
    "na": "NO_AGENT",
    "ng": "GRANT_NOT_FOUND",
    "rf": "REVOKE_FAILED",
    "co": "CANNOT_REVOKE_OWNER",
    "dd": "DIRECTORY_ACCESS_DENIED",
}

TABLE = """
                                              st ad se me gu ow vi op gr ag aa ao lo la
AgentService/CreateAgent                      -- ok ac ac ac ac ac ac ac ut ut ac ac ac
AgentService/CreateAgent own                  -- io ac ok ac ok ok ok ok ut ut ok ac ac
AgentService/BatchCreateAgents                -- ok ac ok ac ok ok ok ok ut ut ok ac ac
AgentService/GetAgent                         -- ok da da da ok ok ok ok ok ok ok ok da
AgentService/BatchGetAgents                   -- ok ok ok ok ok ok ok ok ok ok ok ok ok
AgentService/ListAgents                       -- ok ac ok ok ok ok ok ok ok ok ok ok ok
AgentService/ListAgents of all                -- ok ac sf sf sf sf sf sf sf sf sf sf sf
AgentService/ListAgents of another            -- ok ac uf uf uf uf uf uf uf uf uf uf uf
AgentService/UpdateAgent                      -- ok da da da ok ro ro ok ro ok ok ro da
AgentService/UpdateAgent its site             -- ok da da da ac ro ro ac ro ac ac ro da
AgentService/SetAgentStatus                   -- ok da da da ok ro ro ok ro ok ok ro da
AgentService/RenameAgent                      -- ok da da da ok ro ro ok ut ut ok ro da
AgentService/DeleteAgent                      -- ok da da da ok ro ro or ut ut ok ro da
AgentService/TransferAgent                    -- ok da da da ok ro ro or ut ut ok ro da
AgentService/AcceptTransfer                   -- ok ok ok ok ok ok ok ok ut ut ut ro ok
AgentService/DeclineTransfer                  -- ok ok ok ok ok ok ok ok ut ut ut ro ok
AgentService/ListTransferOffers               -- ok ok ok ok ok ok ok ok ut ut ok ok ok
AgentService/ListTransferOffers of another    -- ok ac ac ac ac ac ac ac ut ut ac ac ac
AgentService/SetDefaultAgent                  -- ok da da da ok ok ok ok ut ut ut ro da
AgentService/SetDefaultAgent none             -- ok ok ok ok ok ok ok ok ut ut ut ro ok
AgentService/ResolveAgent                     -- ok ok da da ok ok ok ok ok ok ok ok da
AgentService/ResolveAgent unnamed             -- na na na na ok ok ok ok ok ok ok ok na
AgentService/ResolveAgent of another          -- ok ok ac ac ac ac ac ac ac ac ac ac ac
AgentService/ProvisionAgent                   -- ok ac ac ac ac ac ac ac ut ut ac ac ac
AgentService/ProvisionAgent own               -- ok ac ok ac ok ok ok ok ut ut ok ac ac
AccessService/GrantAccess                     -- ok da da da ok ro ro ok ut ut ok ro da
AccessService/RevokeAccess                    -- ok da da da ok ro ro ok ut ut ok ro da
AccessService/RevokeAccess own                -- rf da da da co ok ok ok ut ut co ro da
AccessService/GetAccess                       -- ok da da da ok ro ro ok ro ok ok ro da
AccessService/GetAccess own                   -- ng da da da ok ok ok ok ro ok ok ok da
AccessService/ListAgentAccess                 -- ok da da da ok ro ro ok ro ok ok ro da
AccessService/ListUserAccess                  -- ok ac ac ac ac ac ac ac ut ut ac ac ac
AccessService/ListUserAccess own              -- ok ok ok ok ok ok ok ok ut ut ok ok ok
AccessService/CheckAccess                     -- ok ok ac ac ok ac ac ok ac ok ok ac ac
AccessService/CheckAccess own                 -- ok ok ok ok ok ok ok ok ok ok ok ok ok
AccessService/BatchCheckAccess                -- ok ok ac ac ok ac ac ok ac ok ok ac ac
AccessService/BatchCheckAccess own            -- ok ok ok ok ok ok ok ok ok ok ok ok ok
TokenService/CreateToken                      -- ok da da da ok ro ro ok ut ut ut ro da
TokenService/CreateToken as owner             -- or da da da ok ro ro or ut ut ut ro da
TokenService/CreateToken own                  -- ok ok ok ok ok ok ok ok ut ut ut ro cx
TokenService/CreateToken of another           -- ok ac ac ac ac ac ac ac ut ut ut ac ac
TokenService/GetToken                         -- ok td td td ok td ok ok ok ok ok td td
TokenService/GetToken of another              -- ok td td td td td td td td td td td td
TokenService/GetToken itself                  -- ok ok ok ok ok ok ok ok ok ok ok ok ok
TokenService/ListTokens                       -- ok da da da ok ro ok ok ok ok ok ro da
TokenService/ListTokens own                   -- ok ok ok ok ok ok ok ok ok ok ok ro ok
TokenService/ListTokens of another            -- ok ac ac ac ac ac ac ac ac ac ac ac ac
TokenService/RotateToken                      -- ok td td td ok td td td ut ut ut td td
TokenService/RotateToken of another           -- ok td td td td td td td ut ut ut td td
TokenService/RevokeToken                      -- ok td td td ok td td ok td ok ok td td
TokenService/RevokeToken of another           -- ok td td td td td td td td td td td td
TokenService/RevokeToken itself               -- ok ok ok ok ok ok ok ok ok ok ok ok ok
TokenService/RevokeAgentTokens                -- ok da da da ok ro ro ok ut ut ok ro da
TokenService/RevokeUserTokens                 -- ok ac ac ac ac ac ac ac ut ut ac ac ac
TokenService/RevokeUserTokens own             -- ok ok ok ok ok ok ok ok ut ut ok ro ac
AuthService/Authenticate                      -- ok ok ac ac ac ac ac ac ac ac ac ac ac
AuthService/Authorize                         -- ok ok ac ac ac ac ac ac ac ac ac ac ac
AuthService/BatchAuthorize                    -- ok ok ac ac ac ac ac ac ac ac ac ac ac
AuthService/WhoAmI                            -- ok ok ok ok ok ok ok ok ok ok ok ok ok
UserService/CreateUser                        -- ok ac ac ac ac ac ac ac ut ut ac ac ac
UserService/GetUser                           -- ok ac ac ac ac ac ac ac ut ut ac ac ac
UserService/GetUser own                       -- ok ok ok ok ok ok ok ok ut ut ok ok ok
UserService/ListUsers                         -- ok ac ac ac ac ac ac ac ut ut ac ac ac
UserService/UpdateUser                        -- ok ac ac ac ac ac ac ac ut ut ac ac ac
UserService/UpdateUser own                    -- ok ok ok ok ok ok ok ok ut ut ok ro ac
UserService/UpdateUser own role               -- ok ac ac ac ac ac ac ac ut ut ac ac ac
UserService/DeactivateUser                    -- ok ac ac ac ac ac ac ac ut ut ac ac ac
UserService/DeleteUser                        -- ok ac ac ac ac ac ac ac ut ut ac ac ac
SiteService/CreateSite                        -- ok ac ac ac ac ac ac ac ut ut ac ac ac
SiteService/GetSite                           -- ok ok ok ok ok ok ok ok ok ok ok ok ok
SiteService/ListSites                         -- ok ok ok ok ok ok ok ok ok ok ok ok ok
SiteService/DeleteSite                        -- ok ac ac ac ac ac ac ac ut ut ac ac ac
ScopeService/ResolveScope                     -- ok ok ac ac ac ac ac ac ac ac ac ac ac
ScopeService/ResolveScope own                 -- ok ok ok ok ok ok ok ok ok ok ok ok ok
ScopeService/CheckResource                    -- ok ok ac ac ac ac ac ac ac ac ac ac ac
ScopeService/CheckResource own                -- ok ok ok ok ok ok ok ok ok ok ok ok ok
ChangeService/ListChanges                     -- ok ac ac ac ac ac ac ac ac ac ac ac ac
ChangeService/ListChanges of an agent         -- ok da da da ok ro ro ok ro ok ok ro da
ChangeService/VerifyChanges                   -- ok ac ac ac ac ac ac ac ac ac ac ac ac
DirectoryService/ResolveDirectory             -- ok da da da ok ok ok ok ok ok ok ok da
DirectoryService/ResolveDirectory unnamed     -- ok ok ok ok ok ok ok ok ok ok ok ok ok
DirectoryService/ResolveDirectory own         -- ok ok ok ok ok ok ok ok dd dd ok ok ok
DirectoryService/ResolveDirectory of another  -- ok dd dd dd dd dd dd dd dd dd dd dd dd
DirectoryService/ListFiles                    -- ok da da da ok ok ok ok ok ok ok ok da
DirectoryService/ListFiles own                -- ok ok ok ok ok ok ok ok dd dd ok ok ok
DirectoryService/ListFiles of another         -- ok dd dd dd dd dd dd dd dd dd dd dd dd
DirectoryService/ListFiles common             -- ok ok ok ok ok ok ok ok ok ok ok ok ok
DirectoryService/ReadFile                     -- ok da da da ok ok ok ok ok ok ok ok da
DirectoryService/WriteFile                    -- ok da da da ok ro ok ok ok ok ok ro da
DirectoryService/WriteFile own                -- ok ok ok ok ok ok ok ok dd dd ok ro ok
DirectoryService/WriteFile of another         -- ok dd dd dd dd dd dd dd dd dd dd dd dd
DirectoryService/WriteFile common             -- ok ac ac ac ac ac ac ac ac ac ac ac ac
DirectoryService/AppendFile                   -- ok da da da ok ro ok ok ok ok ok ro da
DirectoryService/DeleteFile                   -- ok da da da ok ro ok ok ok ok ok ro da
DirectoryService/DeleteFile protected         -- ok da da da ok ro ro ok ro ok ok ro da
DirectoryService/ScaffoldFiles                -- ok da da da ok ro ok ok ok ok ok ro da
DirectoryService/AppendDailyMemory            -- ok da da da ok ro ok ok ok ok ok ro da
DirectoryService/ReadDailyMemory              -- ok da da da ok ok ok ok ok ok ok ok da
DirectoryService/WriteDailyMemory             -- ok da da da ok ro ok ok ok ok ok ro da
DirectoryService/DeleteDailyMemory            -- ok da da da ok ro ok ok ok ok ok ro da
DirectoryService/ListDailyMemory              -- ok da da da ok ok ok ok ok ok ok ok da
DirectoryService/SearchDailyMemory            -- ok da da da ok ok ok ok ok ok ok ok da
RegistryService/RegisterAgent                 -- ok ac ac ac ac ac ac ac ut ut ac ac ac
RegistryService/UnregisterAgent               -- ok ac ac ac ac ac ac ac ut ut ac ac ac
RegistryService/SuppressAgent                 -- ok ac ac ac ac ac ac ac ut ut ac ac ac
RegistryService/UnsuppressAgent               -- ok ac ac ac ac ac ac ac ut ut ac ac ac
RegistryService/GetAgentDefinition            -- ok ac ac ac ac ac ac ac ut ut ac ac ac
RegistryService/ReadDefinitionSeeds           -- ok ac ac ac ac ac ac ac ut ut ac ac ac
RegistryService/ListAgentDefinitions          -- ok ac ac ac ac ac ac ac ut ut ac ac ac
RegistryService/ReconcileAgents               -- ok ac ac ac ac ac ac ac ut ut ac ac ac
RegistryService/RegisterMemoryFileType        -- ok ac ac ac ac ac ac ac ut ut ac ac ac
RegistryService/UnregisterMemoryFileType      -- ok ac ac ac ac ac ac ac ut ut ac ac ac
RegistryService/ListMemoryFileTypes           -- ok ok ok ok ok ok ok ok ok ok ok ok ok
"""


def _rows() -> Mapping[str, list[str]]:
    header, *lines = TABLE.strip("\n").splitlines()
    assert header.split() == list(CALLERS)
    width = header.index("st")
    return {line[:width].strip(): line[width:].split() for line in lines}


ROWS = _rows()


@pytest.fixture(scope="module")
def callers(world: World) -> Mapping[str, Person]:
    made = {column: make(world.scene) for column, make in CALLERS.items()}
    world.keep()
    return made


def test_every_call_has_a_row_and_every_row_a_call() -> None:
    calls = {row.split(" ")[0] for row in ROWS}
    assert calls == set(methods.METHODS)
    assert list(ROWS) == list(REQUESTS)


@pytest.mark.parametrize("row", ROWS)
def test_the_table_says_who_may(world: World, callers: Mapping[str, Person], row: str) -> None:
    method, request = row.split(" ")[0], REQUESTS[row]
    found = []
    for caller in callers.values():
        outcome = _outcome(caller, method, request(world.scene, caller))
        if outcome == "ok" and mutates(method):
            world.restore()
        found.append(outcome)
    assert " ".join(found) == " ".join(ROWS[row])


def _outcome(caller: Person, method: str, fields: dict[str, object]) -> str:
    try:
        caller.server.call(method, caller.token or None, (), **fields)
    except RefusedError as refusal:
        return next((cell for cell, why in REASONS.items() if why == refusal.reason), str(refusal))
    return "ok"
