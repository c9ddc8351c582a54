"""The services as type checkers see them. tools/client_faces.py writes this file."""

from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from accredit.v1 import access_pb2 as access
from accredit.v1 import agent_pb2 as agent
from accredit.v1 import auth_pb2 as auth
from accredit.v1 import change_pb2 as change
from accredit.v1 import directory_pb2 as directory
from accredit.v1 import registry_pb2 as registry
from accredit.v1 import scope_pb2 as scope
from accredit.v1 import site_pb2 as site
from accredit.v1 import token_pb2 as token
from accredit.v1 import user_pb2 as user

_Request = TypeVar("_Request", bound=Message, contravariant=True)
_Response = TypeVar("_Response", bound=Message, covariant=True)

class Call(Generic[_Request, _Response]):
    def __call__(
        self, request: _Request | None = None, /, *, timeout: float | None = None, **fields: Any
    ) -> _Response: ...

class Iterate(Generic[_Request, _Response]):
    def __call__(
        self, request: _Request | None = None, /, *, timeout: float | None = None, **fields: Any
    ) -> Iterator[_Response]: ...

class AsyncCall(Generic[_Request, _Response]):
    def __call__(
        self, request: _Request | None = None, /, *, timeout: float | None = None, **fields: Any
    ) -> Coroutine[Any, Any, _Response]: ...

class AsyncIterate(Generic[_Request, _Response]):
    def __call__(
        self, request: _Request | None = None, /, *, timeout: float | None = None, **fields: Any
    ) -> AsyncIterator[_Response]: ...

class AgentService:
    create_agent: Call[agent.CreateAgentRequest, agent.CreateAgentResponse]
    batch_create_agents: Call[agent.BatchCreateAgentsRequest, agent.BatchCreateAgentsResponse]
    get_agent: Call[agent.GetAgentRequest, agent.GetAgentResponse]
    batch_get_agents: Call[agent.BatchGetAgentsRequest, agent.BatchGetAgentsResponse]
    iterate_named_agents: Iterate[agent.BatchGetAgentsRequest, agent.Agent]
    list_agents: Call[agent.ListAgentsRequest, agent.ListAgentsResponse]
    iterate_agents: Iterate[agent.ListAgentsRequest, agent.ListedAgent]
    update_agent: Call[agent.UpdateAgentRequest, agent.UpdateAgentResponse]
    set_agent_status: Call[agent.SetAgentStatusRequest, agent.SetAgentStatusResponse]
    rename_agent: Call[agent.RenameAgentRequest, agent.RenameAgentResponse]
    delete_agent: Call[agent.DeleteAgentRequest, agent.DeleteAgentResponse]
    transfer_agent: Call[agent.TransferAgentRequest, agent.TransferAgentResponse]
    accept_transfer: Call[agent.AcceptTransferRequest, agent.AcceptTransferResponse]
    decline_transfer: Call[agent.DeclineTransferRequest, agent.DeclineTransferResponse]
    list_transfer_offers: Call[agent.ListTransferOffersRequest, agent.ListTransferOffersResponse]
    iterate_transfer_offers: Iterate[agent.ListTransferOffersRequest, agent.TransferOffer]
    resolve_agent: Call[agent.ResolveAgentRequest, agent.ResolveAgentResponse]
    set_default_agent: Call[agent.SetDefaultAgentRequest, agent.SetDefaultAgentResponse]
    provision_agent: Call[agent.ProvisionAgentRequest, agent.ProvisionAgentResponse]

class AccessService:
    grant_access: Call[access.GrantAccessRequest, access.GrantAccessResponse]
    revoke_access: Call[access.RevokeAccessRequest, access.RevokeAccessResponse]
    get_access: Call[access.GetAccessRequest, access.GetAccessResponse]
    list_agent_access: Call[access.ListAgentAccessRequest, access.ListAgentAccessResponse]
    iterate_agent_access: Iterate[access.ListAgentAccessRequest, access.AccessGrant]
    list_user_access: Call[access.ListUserAccessRequest, access.ListUserAccessResponse]
    iterate_user_access: Iterate[access.ListUserAccessRequest, access.AccessGrant]
    check_access: Call[access.CheckAccessRequest, access.CheckAccessResponse]
    batch_check_access: Call[access.BatchCheckAccessRequest, access.BatchCheckAccessResponse]

class TokenService:
    create_token: Call[token.CreateTokenRequest, token.CreateTokenResponse]
    get_token: Call[token.GetTokenRequest, token.GetTokenResponse]
    list_tokens: Call[token.ListTokensRequest, token.ListTokensResponse]
    iterate_tokens: Iterate[token.ListTokensRequest, token.Token]
    rotate_token: Call[token.RotateTokenRequest, token.RotateTokenResponse]
    revoke_token: Call[token.RevokeTokenRequest, token.RevokeTokenResponse]
    revoke_agent_tokens: Call[token.RevokeAgentTokensRequest, token.RevokeAgentTokensResponse]
    revoke_user_tokens: Call[token.RevokeUserTokensRequest, token.RevokeUserTokensResponse]

class AuthService:
    authenticate: Call[auth.AuthenticateRequest, auth.AuthenticateResponse]
    authorize: Call[auth.AuthorizeRequest, auth.AuthorizeResponse]
    batch_authorize: Call[auth.BatchAuthorizeRequest, auth.BatchAuthorizeResponse]
    who_am_i: Call[auth.WhoAmIRequest, auth.WhoAmIResponse]

class UserService:
    create_user: Call[user.CreateUserRequest, user.CreateUserResponse]
    get_user: Call[user.GetUserRequest, user.GetUserResponse]
    list_users: Call[user.ListUsersRequest, user.ListUsersResponse]
    iterate_users: Iterate[user.ListUsersRequest, user.User]
    update_user: Call[user.UpdateUserRequest, user.UpdateUserResponse]
    deactivate_user: Call[user.DeactivateUserRequest, user.DeactivateUserResponse]
    delete_user: Call[user.DeleteUserRequest, user.DeleteUserResponse]

class SiteService:
    create_site: Call[site.CreateSiteRequest, site.CreateSiteResponse]
    get_site: Call[site.GetSiteRequest, site.GetSiteResponse]
    list_sites: Call[site.ListSitesRequest, site.ListSitesResponse]
    iterate_sites: Iterate[site.ListSitesRequest, site.Site]
    delete_site: Call[site.DeleteSiteRequest, site.DeleteSiteResponse]

class ScopeService:
    resolve_scope: Call[scope.ResolveScopeRequest, scope.ResolveScopeResponse]
    check_resource: Call[scope.CheckResourceRequest, scope.CheckResourceResponse]

class ChangeService:
    list_changes: Call[change.ListChangesRequest, change.ListChangesResponse]
    iterate_changes: Iterate[change.ListChangesRequest, change.Change]
    verify_changes: Call[change.VerifyChangesRequest, change.VerifyChangesResponse]

class DirectoryService:
    resolve_directory: Call[directory.ResolveDirectoryRequest, directory.ResolveDirectoryResponse]
    list_files: Call[directory.ListFilesRequest, directory.ListFilesResponse]
    iterate_files: Iterate[directory.ListFilesRequest, directory.MemoryFile]
    read_file: Iterate[directory.ReadFileRequest, directory.ReadFileResponse]
    write_file: Call[directory.WriteFileRequest, directory.WriteFileResponse]
    append_file: Call[directory.AppendFileRequest, directory.AppendFileResponse]
    delete_file: Call[directory.DeleteFileRequest, directory.DeleteFileResponse]
    scaffold_files: Call[directory.ScaffoldFilesRequest, directory.ScaffoldFilesResponse]
    append_daily_memory: Call[directory.AppendDailyMemoryRequest, directory.AppendDailyMemoryResponse]
    read_daily_memory: Iterate[directory.ReadDailyMemoryRequest, directory.ReadDailyMemoryResponse]
    write_daily_memory: Call[directory.WriteDailyMemoryRequest, directory.WriteDailyMemoryResponse]
    delete_daily_memory: Call[directory.DeleteDailyMemoryRequest, directory.DeleteDailyMemoryResponse]
    list_daily_memory: Call[directory.ListDailyMemoryRequest, directory.ListDailyMemoryResponse]
    iterate_daily_memory: Iterate[directory.ListDailyMemoryRequest, directory.ListDailyMemoryResponse.Month]
    search_daily_memory: Call[directory.SearchDailyMemoryRequest, directory.SearchDailyMemoryResponse]

class RegistryService:
    register_agent: Call[registry.RegisterAgentRequest, registry.RegisterAgentResponse]
    unregister_agent: Call[registry.UnregisterAgentRequest, registry.UnregisterAgentResponse]
    suppress_agent: Call[registry.SuppressAgentRequest, registry.SuppressAgentResponse]
    unsuppress_agent: Call[registry.UnsuppressAgentRequest, registry.UnsuppressAgentResponse]
    get_agent_definition: Call[registry.GetAgentDefinitionRequest, registry.GetAgentDefinitionResponse]
    read_definition_seeds: Iterate[registry.ReadDefinitionSeedsRequest, registry.ReadDefinitionSeedsResponse]
    list_agent_definitions: Call[registry.ListAgentDefinitionsRequest, registry.ListAgentDefinitionsResponse]
    iterate_agent_definitions: Iterate[registry.ListAgentDefinitionsRequest, registry.AgentDefinition]
    reconcile_agents: Iterate[registry.ReconcileAgentsRequest, registry.ReconcileAgentsResponse]
    register_memory_file_type: Call[registry.RegisterMemoryFileTypeRequest, registry.RegisterMemoryFileTypeResponse]
    unregister_memory_file_type: Call[registry.UnregisterMemoryFileTypeRequest, registry.UnregisterMemoryFileTypeResponse]
    list_memory_file_types: Call[registry.ListMemoryFileTypesRequest, registry.ListMemoryFileTypesResponse]
    iterate_memory_file_types: Iterate[registry.ListMemoryFileTypesRequest, registry.MemoryFileType]

class Services:
    def __init__(self, transport: object) -> None: ...
    agents: AgentService
    access: AccessService
    tokens: TokenService
    auth: AuthService
    users: UserService
    sites: SiteService
    scope: ScopeService
    changes: ChangeService
    directories: DirectoryService
    registry: RegistryService

class AsyncAgentService:
    create_agent: AsyncCall[agent.CreateAgentRequest, agent.CreateAgentResponse]
    batch_create_agents: AsyncCall[agent.BatchCreateAgentsRequest, agent.BatchCreateAgentsResponse]
    get_agent: AsyncCall[agent.GetAgentRequest, agent.GetAgentResponse]
    batch_get_agents: AsyncCall[agent.BatchGetAgentsRequest, agent.BatchGetAgentsResponse]
    iterate_named_agents: AsyncIterate[agent.BatchGetAgentsRequest, agent.Agent]
    list_agents: AsyncCall[agent.ListAgentsRequest, agent.ListAgentsResponse]
    iterate_agents: AsyncIterate[agent.ListAgentsRequest, agent.ListedAgent]
    update_agent: AsyncCall[agent.UpdateAgentRequest, agent.UpdateAgentResponse]
    set_agent_status: AsyncCall[agent.SetAgentStatusRequest, agent.SetAgentStatusResponse]
    rename_agent: AsyncCall[agent.RenameAgentRequest, agent.RenameAgentResponse]
    delete_agent: AsyncCall[agent.DeleteAgentRequest, agent.DeleteAgentResponse]
    transfer_agent: AsyncCall[agent.TransferAgentRequest, agent.TransferAgentResponse]
    accept_transfer: AsyncCall[agent.AcceptTransferRequest, agent.AcceptTransferResponse]
    decline_transfer: AsyncCall[agent.DeclineTransferRequest, agent.DeclineTransferResponse]
    list_transfer_offers: AsyncCall[agent.ListTransferOffersRequest, agent.ListTransferOffersResponse]
    iterate_transfer_offers: AsyncIterate[agent.ListTransferOffersRequest, agent.TransferOffer]
    resolve_agent: AsyncCall[agent.ResolveAgentRequest, agent.ResolveAgentResponse]
    set_default_agent: AsyncCall[agent.SetDefaultAgentRequest, agent.SetDefaultAgentResponse]
    provision_agent: AsyncCall[agent.ProvisionAgentRequest, agent.ProvisionAgentResponse]

class AsyncAccessService:
    grant_access: AsyncCall[access.GrantAccessRequest, access.GrantAccessResponse]
    revoke_access: AsyncCall[access.RevokeAccessRequest, access.RevokeAccessResponse]
    get_access: AsyncCall[access.GetAccessRequest, access.GetAccessResponse]
    list_agent_access: AsyncCall[access.ListAgentAccessRequest, access.ListAgentAccessResponse]
    iterate_agent_access: AsyncIterate[access.ListAgentAccessRequest, access.AccessGrant]
    list_user_access: AsyncCall[access.ListUserAccessRequest, access.ListUserAccessResponse]
    iterate_user_access: AsyncIterate[access.ListUserAccessRequest, access.AccessGrant]
    check_access: AsyncCall[access.CheckAccessRequest, access.CheckAccessResponse]
    batch_check_access: AsyncCall[access.BatchCheckAccessRequest, access.BatchCheckAccessResponse]

class AsyncTokenService:
    create_token: AsyncCall[token.CreateTokenRequest, token.CreateTokenResponse]
    get_token: AsyncCall[token.GetTokenRequest, token.GetTokenResponse]
    list_tokens: AsyncCall[token.ListTokensRequest, token.ListTokensResponse]
    iterate_tokens: AsyncIterate[token.ListTokensRequest, token.Token]
    rotate_token: AsyncCall[token.RotateTokenRequest, token.RotateTokenResponse]
    revoke_token: AsyncCall[token.RevokeTokenRequest, token.RevokeTokenResponse]
    revoke_agent_tokens: AsyncCall[token.RevokeAgentTokensRequest, token.RevokeAgentTokensResponse]
    revoke_user_tokens: AsyncCall[token.RevokeUserTokensRequest, token.RevokeUserTokensResponse]

class AsyncAuthService:
    authenticate: AsyncCall[auth.AuthenticateRequest, auth.AuthenticateResponse]
    authorize: AsyncCall[auth.AuthorizeRequest, auth.AuthorizeResponse]
    batch_authorize: AsyncCall[auth.BatchAuthorizeRequest, auth.BatchAuthorizeResponse]
    who_am_i: AsyncCall[auth.WhoAmIRequest, auth.WhoAmIResponse]

class AsyncUserService:
    create_user: AsyncCall[user.CreateUserRequest, user.CreateUserResponse]
    get_user: AsyncCall[user.GetUserRequest, user.GetUserResponse]
    list_users: AsyncCall[user.ListUsersRequest, user.ListUsersResponse]
    iterate_users: AsyncIterate[user.ListUsersRequest, user.User]
    update_user: AsyncCall[user.UpdateUserRequest, user.UpdateUserResponse]
    deactivate_user: AsyncCall[user.DeactivateUserRequest, user.DeactivateUserResponse]
    delete_user: AsyncCall[user.DeleteUserRequest, user.DeleteUserResponse]

class AsyncSiteService:
    create_site: AsyncCall[site.CreateSiteRequest, site.CreateSiteResponse]
    get_site: AsyncCall[site.GetSiteRequest, site.GetSiteResponse]
    list_sites: AsyncCall[site.ListSitesRequest, site.ListSitesResponse]
    iterate_sites: AsyncIterate[site.ListSitesRequest, site.Site]
    delete_site: AsyncCall[site.DeleteSiteRequest, site.DeleteSiteResponse]

class AsyncScopeService:
    resolve_scope: AsyncCall[scope.ResolveScopeRequest, scope.ResolveScopeResponse]
    check_resource: AsyncCall[scope.CheckResourceRequest, scope.CheckResourceResponse]

class AsyncChangeService:
    list_changes: AsyncCall[change.ListChangesRequest, change.ListChangesResponse]
    iterate_changes: AsyncIterate[change.ListChangesRequest, change.Change]
    verify_changes: AsyncCall[change.VerifyChangesRequest, change.VerifyChangesResponse]

class AsyncDirectoryService:
    resolve_directory: AsyncCall[directory.ResolveDirectoryRequest, directory.ResolveDirectoryResponse]
    list_files: AsyncCall[directory.ListFilesRequest, directory.ListFilesResponse]
    iterate_files: AsyncIterate[directory.ListFilesRequest, directory.MemoryFile]
    read_file: AsyncIterate[directory.ReadFileRequest, directory.ReadFileResponse]
    write_file: AsyncCall[directory.WriteFileRequest, directory.WriteFileResponse]
    append_file: AsyncCall[directory.AppendFileRequest, directory.AppendFileResponse]
    delete_file: AsyncCall[directory.DeleteFileRequest, directory.DeleteFileResponse]
    scaffold_files: AsyncCall[directory.ScaffoldFilesRequest, directory.ScaffoldFilesResponse]
    append_daily_memory: AsyncCall[directory.AppendDailyMemoryRequest, directory.AppendDailyMemoryResponse]
    read_daily_memory: AsyncIterate[directory.ReadDailyMemoryRequest, directory.ReadDailyMemoryResponse]
    write_daily_memory: AsyncCall[directory.WriteDailyMemoryRequest, directory.WriteDailyMemoryResponse]
    delete_daily_memory: AsyncCall[directory.DeleteDailyMemoryRequest, directory.DeleteDailyMemoryResponse]
    list_daily_memory: AsyncCall[directory.ListDailyMemoryRequest, directory.ListDailyMemoryResponse]
    iterate_daily_memory: AsyncIterate[directory.ListDailyMemoryRequest, directory.ListDailyMemoryResponse.Month]
    search_daily_memory: AsyncCall[directory.SearchDailyMemoryRequest, directory.SearchDailyMemoryResponse]

class AsyncRegistryService:
    register_agent: AsyncCall[registry.RegisterAgentRequest, registry.RegisterAgentResponse]
    unregister_agent: AsyncCall[registry.UnregisterAgentRequest, registry.UnregisterAgentResponse]
    suppress_agent: AsyncCall[registry.SuppressAgentRequest, registry.SuppressAgentResponse]
    unsuppress_agent: AsyncCall[registry.UnsuppressAgentRequest, registry.UnsuppressAgentResponse]
    get_agent_definition: AsyncCall[registry.GetAgentDefinitionRequest, registry.GetAgentDefinitionResponse]
    read_definition_seeds: AsyncIterate[registry.ReadDefinitionSeedsRequest, registry.ReadDefinitionSeedsResponse]
    list_agent_definitions: AsyncCall[registry.ListAgentDefinitionsRequest, registry.ListAgentDefinitionsResponse]
    iterate_agent_definitions: AsyncIterate[registry.ListAgentDefinitionsRequest, registry.AgentDefinition]
    reconcile_agents: AsyncIterate[registry.ReconcileAgentsRequest, registry.ReconcileAgentsResponse]
    register_memory_file_type: AsyncCall[registry.RegisterMemoryFileTypeRequest, registry.RegisterMemoryFileTypeResponse]
    unregister_memory_file_type: AsyncCall[registry.UnregisterMemoryFileTypeRequest, registry.UnregisterMemoryFileTypeResponse]
    list_memory_file_types: AsyncCall[registry.ListMemoryFileTypesRequest, registry.ListMemoryFileTypesResponse]
    iterate_memory_file_types: AsyncIterate[registry.ListMemoryFileTypesRequest, registry.MemoryFileType]

class AsyncServices:
    def __init__(self, transport: object) -> None: ...
    agents: AsyncAgentService
    access: AsyncAccessService
    tokens: AsyncTokenService
    auth: AsyncAuthService
    users: AsyncUserService
    sites: AsyncSiteService
    scope: AsyncScopeService
    changes: AsyncChangeService
    directories: AsyncDirectoryService
    registry: AsyncRegistryService
