"""ChangeService."""

from accredit.v1 import change_pb2 as pb
from accredit.v1 import types_pb2
from accredit_storage.records import AgentId, ChangeKind, Subject, SubjectKind

from ..abilities import changes
from ..abilities.calls.app import App
from ..abilities.errors import invalid
from ..interceptors.calls import Call
from . import fields, messages
from .calls import ask, page_of
from .pages import packed

_MAX_TOKEN_ID = 100


class ChangeServicer:
    """See the proto for what each call promises."""

    def __init__(self, app: App) -> None:
        self._app = app

    def ListChanges(self, request: pb.ListChangesRequest, incoming: Call) -> pb.ListChangesResponse:
        page = changes.list_changes(
            self._app,
            ask(incoming, request.consistency),
            change_filter(request.filter),
            page_of(incoming, request),
            after_revision=request.after_revision,
            newest_first=request.newest_first,
        )
        fitting, token = packed(page, messages.change)
        return pb.ListChangesResponse(changes=fitting, next_page_token=token)

    def VerifyChanges(
        self, request: pb.VerifyChangesRequest, incoming: Call
    ) -> pb.VerifyChangesResponse:
        anchor = None
        if request.HasField("anchor"):
            anchor = changes.Anchor(request.anchor.revision, request.anchor.hash)
        found = changes.verify_changes(self._app, ask(incoming), anchor, page_of(incoming, request))
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


def change_filter(message: pb.ChangeFilter) -> changes.ChangeFilter:
    """The filter of a request, whose field is called ``filter``."""
    actor = message.actor
    if len(actor.token_id) > _MAX_TOKEN_ID or "\0" in actor.token_id:
        raise invalid("filter.actor.token_id", "the public id of a token")
    if message.HasField("actor") and not actor.ByteSize():
        raise invalid("filter.actor", "a user, an agent_id or a token_id, or not set at all")
    return changes.ChangeFilter(
        kinds=tuple(
            _kind(f"filter.kinds[{index}]", value)
            for index, value in enumerate(
                fields.at_most(changes.MAX_KINDS, "filter.kinds", message.kinds)
            )
        ),
        subjects=tuple(
            _subject(f"filter.subjects[{index}]", one)
            for index, one in enumerate(
                fields.at_most(changes.MAX_SUBJECTS, "filter.subjects", message.subjects)
            )
        ),
        actor_user=fields.optional_user_ref(actor, path="filter.actor.user"),
        actor_agent_id=fields.optional_id("filter.actor.agent_id", actor.agent_id, AgentId),
        actor_token_id=actor.token_id or None,
        from_at=fields.optional_moment("filter.start_time", message, "start_time"),
        to_at=fields.optional_moment("filter.end_time", message, "end_time"),
    )


def _kind(path: str, value: int) -> ChangeKind:
    return fields.required_enum(path, ChangeKind, pb.ChangeKind, value, prefix="CHANGE_KIND_")


def _subject(path: str, message: types_pb2.Subject) -> Subject:
    kind = fields.required_enum(
        f"{path}.kind", SubjectKind, types_pb2.SubjectKind, message.kind, prefix="SUBJECT_KIND_"
    )
    return Subject(kind=kind, subject_id=message.subject_id)
