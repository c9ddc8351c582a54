"""The service: who may call what, and which notes they may see."""

import logging
from collections.abc import Collection, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import NoReturn

import grpc
from grpc_reflection.v1alpha import reflection

import accredit
from accredit.v1 import scope_pb2
from notes.store import Note, Notes
from notes.v1 import notes_pb2 as pb
from notes.v1 import notes_pb2_grpc

log = logging.getLogger(__name__)

SERVICE = pb.DESCRIPTOR.services_by_name["NoteService"].full_name

#: What the guard demands before a method runs. One without a rule would be closed.
RULES = {
    # The request names the agent, so that the guard can judge the role by itself.
    f"/{SERVICE}/WriteNote": accredit.require(
        accredit.Role.OPERATOR, agent="agent_slug", site="site_id"
    ),
    # The others name a note or nothing: the guard finds out who calls, the method what they see.
    f"/{SERVICE}/*": accredit.authenticated,
    f"/{reflection.SERVICE_NAME}/*": accredit.open_to_all,
}

LONGEST_TEXT = 10_000


def make_server(registry: accredit.Client, notes: Notes) -> grpc.Server:
    """The service, without a port yet. ``registry`` needs a token with the action authenticate."""
    guard = accredit.Guard(registry, RULES)
    server = grpc.server(
        ThreadPoolExecutor(max_workers=8),
        interceptors=[guard],
        # By default two servers could share a port without noticing.
        options=[("grpc.so_reuseport", 0)],
    )
    notes_pb2_grpc.add_NoteServiceServicer_to_server(NoteServicer(registry, notes), server)
    reflection.enable_server_reflection([SERVICE, reflection.SERVICE_NAME], server)
    return server


class NoteServicer(notes_pb2_grpc.NoteServiceServicer):
    """See the proto for what each call promises."""

    def __init__(self, registry: accredit.Client, notes: Notes) -> None:
        self._scope = registry.scope
        self._notes = notes

    def WriteNote(
        self, request: pb.WriteNoteRequest, context: grpc.ServicerContext
    ) -> pb.WriteNoteResponse:
        """See the proto."""
        if not 1 <= len(request.text) <= LONGEST_TEXT:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "text: 1 to 10 000 characters")
        caller = accredit.caller()
        note = self._notes.add(
            # The agent that was judged, and not the request's own words for it.
            agent_id=caller.agent_id,
            site_id=request.site_id,
            author_id=caller.principal.user_id,
            text=request.text,
        )
        return pb.WriteNoteResponse(note=_message(note))

    def GetNote(
        self, request: pb.GetNoteRequest, context: grpc.ServicerContext
    ) -> pb.GetNoteResponse:
        """See the proto."""
        note = self._permitted(request.note_id, accredit.Role.VIEWER, context)
        return pb.GetNoteResponse(note=_message(note))

    def ListNotes(
        self, request: pb.ListNotesRequest, context: grpc.ServicerContext
    ) -> pb.ListNotesResponse:
        """See the proto."""
        with _asking(context):
            answer = self._scope.resolve_scope(
                token=accredit.caller().token,
                agent=accredit.agent_ref(request.agent_slug) if request.agent_slug else None,
                minimum_role=accredit.Role.VIEWER,
                site_id=request.site_id,
            )
        if answer.WhichOneof("outcome") != "scope":
            _refuse(context, answer.denial.message or "there is nothing here for you")
        found = self._notes.newest(agent_ids=agents_of(answer.scope), site_id=request.site_id)
        return pb.ListNotesResponse(notes=map(_message, found))

    def DeleteNote(
        self, request: pb.DeleteNoteRequest, context: grpc.ServicerContext
    ) -> pb.DeleteNoteResponse:
        """See the proto."""
        note = self._permitted(request.note_id, accredit.Role.ADMIN, context)
        self._notes.remove(note.note_id)
        return pb.DeleteNoteResponse()

    def _permitted(self, note_id: int, role: accredit.Role, context: grpc.ServicerContext) -> Note:
        """The note, if the caller has the role on its agent; the call ends here otherwise."""
        note = self._notes.find(note_id)
        if note is not None:
            with _asking(context):
                answer = self._scope.check_resource(
                    token=accredit.caller().token,
                    # Every note is about an agent, so its agent decides, whoever wrote it.
                    resource={"agent": accredit.agent_ref(note.agent_id)},
                    minimum_role=role,
                    # Where the note was written: an agent may be scoped to a site.
                    site_id=note.site_id,
                )
            if answer.WhichOneof("outcome") == "principal":
                return note
        return _refuse(context, f"there is no note {note_id} that you may do this with")


def agents_of(scope: scope_pb2.Scope) -> Collection[int] | None:
    """The agents whose notes are shown, None for all of them.

    Every note is about an agent, so this half of the scope decides. Rows that belong to a user
    alone would be filtered by the other half, ``scope.users``.
    """
    match scope.WhichOneof("agents"):
        case "all_agents" if scope.all_agents:
            return None
        case "agent_id":
            return [scope.agent_id]
        case "agent_set":
            return scope.agent_set.agent_ids
        case _:
            # What is not understood means nothing, never everything.
            return []


@contextmanager
def _asking(context: grpc.ServicerContext) -> Generator[None]:
    """End the call where Accredit does not answer: without an answer nothing is shown."""
    try:
        yield
    except (accredit.InvalidArgument, accredit.FailedPrecondition) as error:
        # About the caller's request: an agent that cannot be one, or too many to list.
        context.abort(error.code, error.message)
    except accredit.AccreditError as error:
        log.warning("accredit did not answer: %s", error)
        context.abort(
            grpc.StatusCode.UNAVAILABLE, "who may see this cannot be checked now; try again"
        )


def _refuse(context: grpc.ServicerContext, message: str) -> NoReturn:
    context.abort(grpc.StatusCode.PERMISSION_DENIED, message)
    raise AssertionError("abort() does not return")


def _message(note: Note) -> pb.Note:
    message = pb.Note(
        note_id=note.note_id,
        agent_id=note.agent_id,
        site_id=note.site_id,
        author_id=note.author_id,
        text=note.text,
    )
    message.create_time.FromDatetime(datetime.fromisoformat(note.created_at))
    return message
