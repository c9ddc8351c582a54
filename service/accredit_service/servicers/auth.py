"""AuthService."""

from accredit.v1 import auth_pb2 as pb
from accredit.v1 import types_pb2, user_pb2
from accredit_storage.records import User

from ..abilities import auth
from ..abilities.calls.app import App
from ..abilities.errors import invalid
from ..abilities.policy.rights import Demand, Principal, PrincipalKind
from ..interceptors.calls import Call
from . import fields, messages
from .calls import ask, based

MAX_BATCH = 1000


class AuthServicer:
    """See the proto for what each call promises."""

    def __init__(self, app: App) -> None:
        self._app = app

    def Authenticate(
        self, request: pb.AuthenticateRequest, incoming: Call
    ) -> pb.AuthenticateResponse:
        result = auth.authenticate(self._app, ask(incoming, request.consistency), request.token)
        answer = pb.AuthenticateResponse(basis=based(incoming, result.basis))
        if result.principal is not None:
            answer.principal.CopyFrom(messages.principal(result.principal))
        else:
            answer.denial.CopyFrom(messages.denial(result.decision))
        return answer

    def Authorize(self, request: pb.AuthorizeRequest, incoming: Call) -> pb.AuthorizeResponse:
        result = auth.authorize(
            self._app,
            ask(incoming, request.consistency),
            request.token,
            _demand(incoming, "demand", request.demand),
        )
        answer = pb.AuthorizeResponse(basis=based(incoming, result.basis))
        if result.principal is None or result.effective is None or result.agent is None:
            answer.denial.CopyFrom(messages.denial(result.decision))
            return answer
        answer.principal.CopyFrom(messages.principal(result.principal))
        answer.role = messages.role(result.effective.role)
        answer.role_source = messages.number(
            types_pb2.RoleSource, "ROLE_SOURCE_", result.effective.source
        )
        answer.agent_id = result.agent.agent_id
        answer.agent_slug = result.agent.agent_slug
        return answer

    def BatchAuthorize(
        self, request: pb.BatchAuthorizeRequest, incoming: Call
    ) -> pb.BatchAuthorizeResponse:
        asked = fields.at_most(MAX_BATCH, "demands", request.demands)
        if not asked:
            raise invalid("demands", "at least one")
        demands = [
            _demand(incoming, f"demands[{index}]", demand) for index, demand in enumerate(asked)
        ]
        result = auth.batch_authorize(
            self._app,
            ask(incoming, request.consistency),
            request.token,
            demands,
            with_basis=request.include_basis,
        )
        return pb.BatchAuthorizeResponse(
            decisions=messages.decisions(result.decisions),
            principal=None if result.principal is None else messages.principal(result.principal),
            basis=None if result.basis is None else based(incoming, result.basis),
        )

    def WhoAmI(self, request: pb.WhoAmIRequest, incoming: Call) -> pb.WhoAmIResponse:
        found = auth.who_am_i(self._app, ask(incoming))
        return pb.WhoAmIResponse(
            principal=messages.principal(found.principal),
            user=_seen_by(found.principal, found.user),
            agent=None if found.agent is None else messages.agent(found.agent, config=False),
            token=messages.token(found.token),
        )


def _seen_by(principal: Principal, user: User) -> user_pb2.User:
    if principal.kind is not PrincipalKind.AGENT:
        return messages.user(user)
    return user_pb2.User(user_id=user.user_id, login=user.login, active=user.active)


def _demand(incoming: Call, path: str, demand: pb.Demand) -> auth.AgentDemand:
    return auth.AgentDemand(
        agent=fields.optional_agent_ref(f"{path}.agent", demand),
        demand=Demand(
            minimum_role=fields.required_role(f"{path}.minimum_role", demand.minimum_role),
            site_id=fields.site(incoming, f"{path}.site_id", demand.site_id),
            capability=fields.capability(f"{path}.capability", demand.capability),
            require_active=True,
        ),
    )
