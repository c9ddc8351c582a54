"""ScopeService."""

import grpc

from accredit.v1 import scope_pb2 as pb
from accredit.v1.scope_pb2_grpc import ScopeServiceServicer
from accredit_storage.records import Role

from ..abilities import scope
from ..abilities.app import App
from ..abilities.rights import Decision, Demand
from . import fields, messages
from .calls import ask


class ScopeServicer(ScopeServiceServicer):
    """See the proto for what each call promises."""

    def __init__(self, app: App) -> None:
        self._app = app

    def ResolveScope(
        self, request: pb.ResolveScopeRequest, context: grpc.ServicerContext
    ) -> pb.ResolveScopeResponse:
        """See the proto."""
        query = scope.ResolveScope(
            token=fields.optional_token("token", request.token),
            user_id=fields.optional_id("user_id", request.user_id),
            agent=fields.optional_agent_ref("agent", request),
            demand=_demand(request),
        )
        result = scope.resolve_scope(self._app, ask(request.consistency), query)
        answer = pb.ResolveScopeResponse(basis=messages.basis(result.basis))
        if result.principal is not None:
            answer.principal.CopyFrom(messages.principal(result.principal))
        if result.scope is not None:
            answer.scope.CopyFrom(_scope(result.scope))
        else:
            answer.denial.CopyFrom(messages.denial(result.decision))
        return answer

    def CheckResource(
        self, request: pb.CheckResourceRequest, context: grpc.ServicerContext
    ) -> pb.CheckResourceResponse:
        """See the proto."""
        resource = request.resource
        query = scope.CheckResource(
            token=fields.optional_token("token", request.token),
            user_id=fields.optional_id("resource.user_id", resource.user_id) or 0,
            agent_id=fields.optional_id("resource.agent_id", resource.agent_id),
            demand=_demand(request),
        )
        result = scope.check_resource(self._app, ask(request.consistency), query)
        answer = pb.CheckResourceResponse(basis=messages.basis(result.basis))
        if result.decision is Decision.ALLOWED and result.principal is not None:
            answer.principal.CopyFrom(messages.principal(result.principal))
        else:
            answer.denial.CopyFrom(messages.denial(result.decision))
        return answer


def _demand(request: pb.ResolveScopeRequest | pb.CheckResourceRequest) -> Demand:
    return Demand(
        minimum_role=fields.role("minimum_role", request.minimum_role) or Role.VIEWER,
        site_id=fields.site("site_id", request.site_id),
    )


def _scope(value: scope.Scope) -> pb.Scope:
    message = pb.Scope(default_agent_id=value.default_agent_id or 0)
    if value.user_id is None:
        message.all_users = True
    else:
        message.user_id = value.user_id
    if value.agent_ids is None:
        message.all_agents = True
    elif value.named:
        message.agent_id = value.agent_ids[0]
    else:
        message.agent_set.SetInParent()
        message.agent_set.agent_ids.extend(value.agent_ids)
    return message
