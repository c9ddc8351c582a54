"""AccessService."""

import grpc

from accredit.v1 import access_pb2 as pb
from accredit.v1 import types_pb2
from accredit.v1.access_pb2_grpc import AccessServiceServicer
from accredit_storage.records import Role

from ..abilities import access
from ..abilities.app import App
from ..abilities.rights import Decision, Demand
from . import fields, messages
from .calls import ask, mutation, page_of


class AccessServicer(AccessServiceServicer):
    """See the proto for what each call promises."""

    def __init__(self, app: App) -> None:
        self._app = app

    def GrantAccess(
        self, request: pb.GrantAccessRequest, context: grpc.ServicerContext
    ) -> pb.GrantAccessResponse:
        """See the proto."""
        command = access.GrantAccess(
            agent=fields.agent_ref("agent", request.agent),
            user_id=fields.principal_ref("principal", request.principal),
            role=fields.role("role", request.role) or Role.VIEWER,
            expire_at=fields.optional_moment("expire_time", request, "expire_time"),
            etag=request.etag,
        )
        return mutation(
            request,
            pb.GrantAccessResponse,
            lambda call: access.grant_access(self._app, call, command),
            lambda grant: pb.GrantAccessResponse(grant=messages.grant(grant)),
        )

    def RevokeAccess(
        self, request: pb.RevokeAccessRequest, context: grpc.ServicerContext
    ) -> pb.RevokeAccessResponse:
        """See the proto."""
        command = access.RevokeAccess(
            agent=fields.agent_ref("agent", request.agent),
            user_id=fields.principal_ref("principal", request.principal),
            etag=request.etag,
        )
        return mutation(
            request,
            pb.RevokeAccessResponse,
            lambda call: access.revoke_access(self._app, call, command),
            lambda revoked: pb.RevokeAccessResponse(
                grant=messages.grant(revoked.grant), tokens_revoked=revoked.tokens
            ),
        )

    def GetAccess(
        self, request: pb.GetAccessRequest, context: grpc.ServicerContext
    ) -> pb.GetAccessResponse:
        """See the proto."""
        grant = access.get_access(
            self._app,
            ask(request.consistency),
            fields.agent_ref("agent", request.agent),
            fields.optional_principal_ref("principal", request),
        )
        return pb.GetAccessResponse(grant=messages.grant(grant))

    def ListAgentAccess(
        self, request: pb.ListAgentAccessRequest, context: grpc.ServicerContext
    ) -> pb.ListAgentAccessResponse:
        """See the proto."""
        page = access.list_agent_access(
            self._app,
            ask(request.consistency),
            fields.agent_ref("agent", request.agent),
            page_of(request),
        )
        return pb.ListAgentAccessResponse(
            grants=messages.grants(page.items), next_page_token=page.next_token
        )

    def ListUserAccess(
        self, request: pb.ListUserAccessRequest, context: grpc.ServicerContext
    ) -> pb.ListUserAccessResponse:
        """See the proto."""
        page = access.list_user_access(
            self._app,
            ask(request.consistency),
            fields.optional_id("user_id", request.user_id),
            fields.role("minimum_role", request.minimum_role),
            page_of(request),
        )
        return pb.ListUserAccessResponse(
            grants=[messages.grant(grant) for grant in page.items],
            next_page_token=page.next_token,
        )

    def CheckAccess(
        self, request: pb.CheckAccessRequest, context: grpc.ServicerContext
    ) -> pb.CheckAccessResponse:
        """See the proto."""
        result = access.check_access(
            self._app,
            ask(request.consistency),
            _check("check", request.check),
        )
        answer = pb.CheckAccessResponse(basis=messages.basis(result.basis))
        if result.decision is Decision.ALLOWED and result.principal is not None:
            answer.principal.CopyFrom(messages.principal(result.principal))
        else:
            answer.denial.CopyFrom(messages.denial(result.decision))
        if result.held is not None:
            answer.role = messages.role(result.held.role)
            answer.role_source = messages.number(
                types_pb2.RoleSource, "ROLE_SOURCE_", result.held.source
            )
        return answer

    def BatchCheckAccess(
        self, request: pb.BatchCheckAccessRequest, context: grpc.ServicerContext
    ) -> pb.BatchCheckAccessResponse:
        """See the proto."""
        asked = fields.at_most(access.MAX_BATCH, "checks", request.checks)
        checks = [_check(f"checks[{place}]", check) for place, check in enumerate(asked)]
        result = access.batch_check_access(self._app, ask(request.consistency), checks)
        return pb.BatchCheckAccessResponse(
            decisions=[messages.decision(decision) for decision in result.decisions],
            basis=messages.basis(result.basis),
        )


def _check(path: str, check: pb.AccessCheck) -> access.AccessCheck:
    return access.AccessCheck(
        user_id=fields.optional_principal_ref(f"{path}.principal", check),
        agent=fields.agent_ref(f"{path}.agent", check.agent),
        demand=Demand(
            minimum_role=fields.role(f"{path}.minimum_role", check.minimum_role) or Role.VIEWER,
            site_id=fields.site(f"{path}.site_id", check.site_id),
            require_active=check.require_active,
        ),
    )
