"""TokenService."""

from accredit.v1 import token_pb2 as pb
from accredit_storage.records import Ceiling

from ..abilities.calls.app import App
from ..abilities.errors import invalid
from ..abilities.input.agent_refs import AgentRef
from ..abilities.input.user_refs import UserRef
from ..abilities.tokens import minting, tokens
from ..interceptors.calls import Call
from . import fields, messages
from .calls import ask, mutation, page_of
from .pages import packed


class TokenServicer:
    """See the proto for what each call promises."""

    def __init__(self, app: App) -> None:
        self._app = app

    def CreateToken(self, request: pb.CreateTokenRequest, incoming: Call) -> pb.CreateTokenResponse:
        agent, user = _holder(request)
        if agent is None and user is None:
            raise invalid("holder", "say whom it shall speak for: agent or user")
        command = minting.CreateToken(
            agent=agent,
            user=user,
            label=request.label,
            ceiling=_ceiling(request),
            act_as_owner=request.act_as_owner,
            expiry=_expiry(request),
        )
        return mutation(
            incoming,
            request,
            pb.CreateTokenResponse,
            lambda call: minting.create_token(self._app, call, command),
            lambda minted: pb.CreateTokenResponse(
                token=messages.token(minted.token), secret=minted.secret
            ),
        )

    def GetToken(self, request: pb.GetTokenRequest, incoming: Call) -> pb.GetTokenResponse:
        token = tokens.get_token(self._app, ask(incoming, request.consistency), request.token_id)
        return pb.GetTokenResponse(token=messages.token(token))

    def ListTokens(self, request: pb.ListTokensRequest, incoming: Call) -> pb.ListTokensResponse:
        agent, user = _holder(request)
        page = tokens.list_tokens(
            self._app,
            ask(incoming, request.consistency),
            tokens.ListTokens(agent=agent, user=user, show_inactive=request.show_inactive),
            page_of(incoming, request),
        )
        listed, token = packed(page, messages.token)
        return pb.ListTokensResponse(tokens=listed, next_page_token=token)

    def RotateToken(self, request: pb.RotateTokenRequest, incoming: Call) -> pb.RotateTokenResponse:
        overlap = minting.DEFAULT_OVERLAP
        if request.HasField("overlap"):
            overlap = fields.span("overlap", request.overlap)
        command = minting.RotateToken(
            token_id=request.token_id,
            overlap=overlap,
            expiry=_expiry(request),
            etag=request.etag,
        )
        return mutation(
            incoming,
            request,
            pb.RotateTokenResponse,
            lambda call: minting.rotate_token(self._app, call, command),
            lambda rotated: pb.RotateTokenResponse(
                token=messages.token(rotated.minted.token),
                secret=rotated.minted.secret,
                replaced=messages.token(rotated.replaced),
            ),
        )

    def RevokeToken(self, request: pb.RevokeTokenRequest, incoming: Call) -> pb.RevokeTokenResponse:
        command = tokens.RevokeToken(token_id=request.token_id, etag=request.etag)
        return mutation(
            incoming,
            request,
            pb.RevokeTokenResponse,
            lambda call: tokens.revoke_token(self._app, call, command),
            lambda token: pb.RevokeTokenResponse(token=messages.token(token)),
        )

    def RevokeAgentTokens(
        self, request: pb.RevokeAgentTokensRequest, incoming: Call
    ) -> pb.RevokeAgentTokensResponse:
        agent = fields.agent_ref("agent", request.agent)
        return mutation(
            incoming,
            request,
            pb.RevokeAgentTokensResponse,
            lambda call: tokens.revoke_agent_tokens(self._app, call, agent),
            lambda revoked: pb.RevokeAgentTokensResponse(tokens_revoked=revoked),
        )

    def RevokeUserTokens(
        self, request: pb.RevokeUserTokensRequest, incoming: Call
    ) -> pb.RevokeUserTokensResponse:
        user = fields.user_ref("user", request.user)
        return mutation(
            incoming,
            request,
            pb.RevokeUserTokensResponse,
            lambda call: tokens.revoke_user_tokens(
                self._app, call, user, include_minted=request.include_minted
            ),
            lambda revoked: pb.RevokeUserTokensResponse(tokens_revoked=revoked),
        )


def _holder(
    request: pb.CreateTokenRequest | pb.ListTokensRequest,
) -> tuple[AgentRef | None, UserRef | None]:
    which = request.WhichOneof("holder")
    if which == "agent":
        return fields.agent_ref("agent", request.agent), None
    if which == "user":
        return None, fields.user_ref("user", request.user)
    return None, None


def _ceiling(request: pb.CreateTokenRequest) -> Ceiling | None:
    which = request.WhichOneof("rights")
    if which == "ceiling":
        return fields.ceiling("ceiling", request.ceiling)
    if which is None:
        raise invalid("rights", "exactly one of ceiling and full_rights: true")
    fields.true("full_rights", request.full_rights)
    return None


def _expiry(request: pb.CreateTokenRequest | pb.RotateTokenRequest) -> minting.Expiry | None:
    which = request.WhichOneof("expiration")
    if which == "expire_time":
        return minting.Expiry(at=fields.moment("expire_time", request.expire_time))
    if which == "ttl":
        return minting.Expiry(after=fields.span("ttl", request.ttl))
    return None
