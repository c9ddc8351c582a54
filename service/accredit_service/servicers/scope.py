"""ScopeService."""

from accredit.v1 import scope_pb2 as pb

from ..abilities import scope
from ..abilities.calls.app import App
from ..abilities.errors import invalid
from ..abilities.policy.rights import Decision, Demand
from ..interceptors.calls import Call
from . import fields, messages
from .calls import ask, based


class ScopeServicer:
    """See the proto for what each call promises."""

    def __init__(self, app: App) -> None:
        self._app = app

    def ResolveScope(
        self, request: pb.ResolveScopeRequest, incoming: Call
    ) -> pb.ResolveScopeResponse:
        query = scope.ResolveScope(
            token=_token(request),
            user=fields.optional_user_ref(request),
            agent=fields.optional_agent_ref("agent", request),
            demand=_demand(incoming, request),
        )
        result = scope.resolve_scope(self._app, ask(incoming, request.consistency), query)
        answer = pb.ResolveScopeResponse(basis=based(incoming, result.basis))
        if result.principal is not None:
            answer.principal.CopyFrom(messages.principal(result.principal))
        if result.scope is not None:
            answer.scope.CopyFrom(_scope(result.scope))
        else:
            answer.denial.CopyFrom(messages.denial(result.decision))
        return answer

    def CheckResource(
        self, request: pb.CheckResourceRequest, incoming: Call
    ) -> pb.CheckResourceResponse:
        query = scope.CheckResource(
            token=_token(request),
            owner=_owner(request.resource),
            demand=_demand(incoming, request),
        )
        result = scope.check_resource(self._app, ask(incoming, request.consistency), query)
        answer = pb.CheckResourceResponse(basis=based(incoming, result.basis))
        if result.decision is Decision.ALLOWED and result.principal is not None:
            answer.principal.CopyFrom(messages.principal(result.principal))
        else:
            answer.denial.CopyFrom(messages.denial(result.decision))
        return answer


def _demand(incoming: Call, request: pb.ResolveScopeRequest | pb.CheckResourceRequest) -> Demand:
    return Demand(
        minimum_role=fields.required_role("minimum_role", request.minimum_role),
        site_id=fields.site(incoming, "site_id", request.site_id),
    )


def _token(request: pb.ResolveScopeRequest | pb.CheckResourceRequest) -> str | None:
    which = request.WhichOneof("subject")
    if which is None:
        raise invalid("subject", "say who: token, or caller: true")
    if which == "token":
        return request.token
    fields.true("caller", request.caller)
    return None


def _owner(resource: pb.Resource) -> scope.OfAgent | scope.OfUser | scope.Shared:
    which = resource.WhichOneof("owner")
    if which == "agent":
        return scope.OfAgent(fields.agent_ref("resource.agent", resource.agent))
    if which == "user":
        return scope.OfUser(fields.user_ref("resource.user", resource.user))
    if which is None:
        raise invalid("resource", "say whose row it is: agent, user, or shared: true")
    fields.true("resource.shared", resource.shared)
    return scope.Shared.SHARED


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
