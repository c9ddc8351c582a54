"""AccessService."""

from collections.abc import Iterable
from functools import lru_cache

from accredit.v1 import access_pb2 as pb
from accredit.v1 import types_pb2
from accredit_storage.records import SiteId

from ..abilities import access
from ..abilities.calls.app import App
from ..abilities.errors import InvalidArgument, invalid
from ..abilities.input.user_refs import UserRef
from ..abilities.policy.rights import Decision, Demand
from ..interceptors.calls import Call
from . import fields, messages
from .calls import ask, based, mutation, page_of
from .pages import packed


class AccessServicer:
    """See the proto for what each call promises."""

    def __init__(self, app: App) -> None:
        self._app = app

    def GrantAccess(self, request: pb.GrantAccessRequest, incoming: Call) -> pb.GrantAccessResponse:
        if request.only_if_absent and request.etag:
            raise invalid("only_if_absent", "not beside etag: one of them is never met")
        command = access.GrantAccess(
            agent=fields.agent_ref("agent", request.agent),
            user=fields.user_ref("principal", request.principal),
            role=fields.required_role("role", request.role),
            expire_at=fields.optional_moment("expire_time", request, "expire_time"),
            etag=request.etag,
            only_if_absent=request.only_if_absent,
        )
        return mutation(
            incoming,
            request,
            pb.GrantAccessResponse,
            lambda call: access.grant_access(self._app, call, command),
            lambda granted: pb.GrantAccessResponse(
                grant=messages.grant(granted.grant, granted.user), changed=granted.changed
            ),
        )

    def RevokeAccess(
        self, request: pb.RevokeAccessRequest, incoming: Call
    ) -> pb.RevokeAccessResponse:
        command = access.RevokeAccess(
            agent=fields.agent_ref("agent", request.agent),
            user=fields.user_ref("principal", request.principal),
            etag=request.etag,
        )
        return mutation(
            incoming,
            request,
            pb.RevokeAccessResponse,
            lambda call: access.revoke_access(self._app, call, command),
            lambda revoked: pb.RevokeAccessResponse(
                grant=messages.grant(revoked.grant, revoked.user), tokens_revoked=revoked.tokens
            ),
        )

    def GetAccess(self, request: pb.GetAccessRequest, incoming: Call) -> pb.GetAccessResponse:
        found = access.get_access(
            self._app,
            ask(incoming, request.consistency),
            fields.agent_ref("agent", request.agent),
            fields.optional_user_ref(request, "principal"),
        )
        return pb.GetAccessResponse(grant=messages.grant(*found))

    def ListAgentAccess(
        self, request: pb.ListAgentAccessRequest, incoming: Call
    ) -> pb.ListAgentAccessResponse:
        page = access.list_agent_access(
            self._app,
            ask(incoming, request.consistency),
            fields.agent_ref("agent", request.agent),
            page_of(incoming, request),
        )
        grants, token = packed(page, messages.named_grant)
        return pb.ListAgentAccessResponse(grants=grants, next_page_token=token)

    def ListUserAccess(
        self, request: pb.ListUserAccessRequest, incoming: Call
    ) -> pb.ListUserAccessResponse:
        page = access.list_user_access(
            self._app,
            ask(incoming, request.consistency),
            fields.optional_user_ref(request),
            fields.role("minimum_role", request.minimum_role),
            page_of(incoming, request),
        )
        grants, token = packed(page, lambda pair: messages.grant(*pair))
        return pb.ListUserAccessResponse(grants=grants, next_page_token=token)

    def CheckAccess(self, request: pb.CheckAccessRequest, incoming: Call) -> pb.CheckAccessResponse:
        result = access.check_access(
            self._app,
            ask(incoming, request.consistency),
            _check(incoming, "check", request.check),
        )
        answer = pb.CheckAccessResponse(basis=based(incoming, result.basis))
        if result.decision is Decision.ALLOWED and result.principal is not None:
            answer.principal.CopyFrom(messages.principal(result.principal))
        else:
            answer.denial.CopyFrom(messages.denial(result.decision))
        if result.effective is not None:
            answer.role = messages.role(result.effective.role)
            answer.role_source = messages.number(
                types_pb2.RoleSource, "ROLE_SOURCE_", result.effective.source
            )
        return answer

    def BatchCheckAccess(
        self, request: pb.BatchCheckAccessRequest, incoming: Call
    ) -> pb.BatchCheckAccessResponse:
        asked = fields.at_most(access.MAX_BATCH, "checks", request.checks)
        if not asked:
            raise invalid("checks", "at least one")
        checks = _checks(incoming, asked)
        result = access.batch_check_access(
            self._app, ask(incoming, request.consistency), checks, with_basis=request.include_basis
        )
        return pb.BatchCheckAccessResponse(
            decisions=messages.decisions(result.decisions),
            basis=None if result.basis is None else based(incoming, result.basis),
        )


def _check(incoming: Call, path: str, check: pb.AccessCheck) -> access.AccessCheck:
    return _read(path, check, fields.site(incoming, f"{path}.site_id", check.site_id))


def _checks(incoming: Call, asked: Iterable[pb.AccessCheck]) -> list[access.AccessCheck]:
    """All of them; what was read before is not read again, field by field."""
    if incoming.headers.sites:
        return [_check(incoming, f"checks[{index}]", one) for index, one in enumerate(asked)]
    try:
        return [_known(check.SerializeToString()) for check in asked]
    except InvalidArgument:
        # Again, to say which one.
        return [_check(incoming, f"checks[{index}]", one) for index, one in enumerate(asked)]


@lru_cache(maxsize=20_000)
def _known(encoded: bytes) -> access.AccessCheck:
    check = pb.AccessCheck.FromString(encoded)
    return _read("check", check, fields.optional_id("check.site_id", check.site_id, SiteId))


def _read(path: str, check: pb.AccessCheck, site_id: SiteId | None) -> access.AccessCheck:
    return access.AccessCheck(
        user=_subject(path, check),
        agent=fields.agent_ref(f"{path}.agent", check.agent),
        demand=Demand(
            minimum_role=fields.required_role(f"{path}.minimum_role", check.minimum_role),
            site_id=site_id,
            require_active=check.require_active,
        ),
    )


def _subject(path: str, check: pb.AccessCheck) -> UserRef | None:
    which = check.WhichOneof("subject")
    if which is None:
        raise invalid(f"{path}.subject", "say who: principal, or caller: true")
    if which == "principal":
        return fields.user_ref(f"{path}.principal", check.principal)
    fields.true(f"{path}.caller", check.caller)
    return None
