"""ChangeService."""

import grpc

from accredit.v1 import change_pb2 as pb
from accredit.v1.change_pb2_grpc import ChangeServiceServicer
from accredit_storage.changes import ChangeQuery
from accredit_storage.records import ChangeKind

from ..abilities import changes
from ..abilities.app import App
from ..abilities.errors import invalid
from . import fields, messages
from .calls import ask, page_of


class ChangeServicer(ChangeServiceServicer):
    """See the proto for what each call promises."""

    def __init__(self, app: App) -> None:
        self._app = app

    def ListChanges(
        self, request: pb.ListChangesRequest, context: grpc.ServicerContext
    ) -> pb.ListChangesResponse:
        """See the proto."""
        page = changes.list_changes(
            self._app,
            ask(request.consistency),
            _query(request),
            page_of(request),
        )
        return pb.ListChangesResponse(
            changes=[messages.change(change) for change in page.items],
            next_page_token=page.next_token,
        )

    def VerifyChanges(
        self, request: pb.VerifyChangesRequest, context: grpc.ServicerContext
    ) -> pb.VerifyChangesResponse:
        """See the proto."""
        anchor = None
        if request.HasField("anchor"):
            anchor = changes.Anchor(request.anchor.revision, request.anchor.hash)
        found = changes.verify_changes(self._app, ask(), anchor, page_of(request))
        verification = found.verification
        revision, hash_ = verification.reached
        return pb.VerifyChangesResponse(
            intact=verification.first_broken is None,
            first_broken_revision=verification.first_broken or 0,
            checked_count=verification.checked,
            head=pb.ChangeAnchor(revision=revision, hash=hash_ if revision else b""),
            next_page_token=found.next_token,
            verified_after_revision=verification.start,
        )


def _query(request: pb.ListChangesRequest) -> ChangeQuery:
    token_id = request.actor.token_id
    if len(token_id) > 100 or "\0" in token_id:
        raise invalid("actor.token_id", "the public id of a token")
    return ChangeQuery(
        agent_id=fields.optional_id("agent_id", request.agent_id),
        user_id=fields.optional_id("user_id", request.user_id),
        actor_user_id=fields.optional_id("actor.user_id", request.actor.user_id),
        actor_agent_id=fields.optional_id("actor.agent_id", request.actor.agent_id),
        actor_token_id=token_id or None,
        kinds=tuple(
            _kind(f"kinds[{place}]", value)
            for place, value in enumerate(fields.at_most(changes.MAX_KINDS, "kinds", request.kinds))
        ),
        from_at=fields.optional_moment("start_time", request, "start_time"),
        to_at=fields.optional_moment("end_time", request, "end_time"),
        newest_first=request.newest_first,
    )


def _kind(path: str, value: int) -> ChangeKind:
    kind = fields.enum_of(path, ChangeKind, pb.ChangeKind, value, prefix="CHANGE_KIND_")
    if kind is None:
        raise invalid(path, "a kind")
    return kind
