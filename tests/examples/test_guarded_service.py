"""The notes of examples/guarded_service, end to end: callers, the service, a real Accredit."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import grpc
import pytest

from accredit.v1 import auth_pb2, scope_pb2, types_pb2
from notes.service import agents_of
from notes.v1 import notes_pb2 as pb
from notes.v1.notes_pb2_grpc import NoteServiceStub
from tests.client.peer import Fail, Peer
from tests.examples.conftest import EXAMPLE, Serve
from tests.server import Person, Server

PATIENCE = 20.0


def as_(who: Person | str) -> dict[str, Any]:
    """Call with this one's token."""
    token = who if isinstance(who, str) else who.token
    return {"metadata": [("authorization", f"Bearer {token}")], "timeout": PATIENCE}


def write(
    stub: NoteServiceStub, who: Person, slug: str, text: str = "hello", site_id: int = 0
) -> Any:
    return stub.WriteNote(
        pb.WriteNoteRequest(agent_slug=slug, text=text, site_id=site_id), **as_(who)
    ).note


def texts(stub: NoteServiceStub, who: Person | str, **fields: Any) -> Sequence[str]:
    return [note.text for note in stub.ListNotes(pb.ListNotesRequest(**fields), **as_(who)).notes]


def get(stub: NoteServiceStub, who: Person, note_id: int) -> Any:
    return stub.GetNote(pb.GetNoteRequest(note_id=note_id), **as_(who)).note


def code(call: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[str, str]:
    """The code and the message of a call that fails."""
    with pytest.raises(grpc.RpcError) as raised:
        call(*args, **kwargs)
    return raised.value.code().name, str(raised.value.details())


@pytest.fixture
def owner(accredited: Server) -> Person:
    return accredited.user(login="olga")


@pytest.fixture
def agent(accredited: Server, owner: Person) -> Any:
    return accredited.agent(owner, "billing")


def test_a_viewer_reads_and_does_not_write(
    accredited: Server, notes: NoteServiceStub, owner: Person, agent: Any
) -> None:
    viewer = accredited.user()
    accredited.grant(agent.agent_id, viewer, "VIEWER")
    note = write(notes, owner, "billing", "only for those who may")
    assert texts(notes, viewer) == ["only for those who may"]
    assert get(notes, viewer, note.note_id) == note
    denied, message = code(write, notes, viewer, "billing")
    assert denied == "PERMISSION_DENIED"
    assert message


def test_an_operator_writes_and_does_not_delete(
    accredited: Server, notes: NoteServiceStub, agent: Any
) -> None:
    operator = accredited.user()
    accredited.grant(agent.agent_id, operator, "OPERATOR")
    note = write(notes, operator, "billing")
    assert (note.agent_id, note.author_id) == (agent.agent_id, operator.user_id)
    request = pb.DeleteNoteRequest(note_id=note.note_id)
    assert code(notes.DeleteNote, request, **as_(operator))[0] == "PERMISSION_DENIED"
    assert texts(notes, operator) == ["hello"]


def test_an_admin_deletes(
    accredited: Server, notes: NoteServiceStub, owner: Person, agent: Any
) -> None:
    admin = accredited.user()
    accredited.grant(agent.agent_id, admin, "ADMIN")
    note = write(notes, owner, "billing")
    notes.DeleteNote(pb.DeleteNoteRequest(note_id=note.note_id), **as_(admin))
    assert texts(notes, owner) == []


def test_a_revoked_token_is_refused_on_the_very_next_call(
    accredited: Server, notes: NoteServiceStub, owner: Person, agent: Any
) -> None:
    worker = accredited.agent_token(owner, agent.agent_id)
    write(notes, worker, "billing")
    owner.call("TokenService/RevokeToken", token_id=worker.token_id)
    assert code(write, notes, worker, "billing")[0] == "UNAUTHENTICATED"
    assert code(texts, notes, worker)[0] == "UNAUTHENTICATED"


def test_a_revoked_grant_ends_reading_on_the_very_next_call(
    accredited: Server, notes: NoteServiceStub, owner: Person, agent: Any
) -> None:
    viewer = accredited.user()
    accredited.grant(agent.agent_id, viewer)
    write(notes, owner, "billing")
    assert texts(notes, viewer) == ["hello"]
    owner.call(
        "AccessService/RevokeAccess",
        agent={"agent_id": agent.agent_id},
        principal={"user_id": viewer.user_id},
    )
    assert texts(notes, viewer) == []


def test_an_agents_token_works_on_its_own_agent_only(
    accredited: Server, notes: NoteServiceStub, owner: Person, agent: Any
) -> None:
    accredited.agent(owner, "other")
    worker = accredited.agent_token(owner, agent.agent_id)
    theirs = write(notes, owner, "other", "not for billing")
    write(notes, worker, "billing", "mine")
    assert code(write, notes, worker, "other")[0] == "PERMISSION_DENIED"
    assert texts(notes, worker) == ["mine"]
    assert code(texts, notes, worker, agent_slug="other")[0] == "PERMISSION_DENIED"
    assert code(get, notes, worker, theirs.note_id)[0] == "PERMISSION_DENIED"
    assert texts(notes, owner) == ["mine", "not for billing"]


def test_an_agent_of_one_site_is_refused_at_another(
    accredited: Server, notes: NoteServiceStub, owner: Person
) -> None:
    here, there = (
        accredited.admin.call("SiteService/CreateSite", site_slug=slug).site.site_id
        for slug in ("here", "there")
    )
    accredited.agent(owner, "local", site_scope=here)
    note = write(notes, owner, "local", "at home", site_id=here)
    assert note.site_id == here
    for elsewhere in (there, 0):
        refused, _ = code(write, notes, owner, "local", site_id=elsewhere)
        assert refused == "PERMISSION_DENIED"
    assert texts(notes, owner, site_id=here) == ["at home"]
    assert texts(notes, owner, site_id=there) == []
    assert get(notes, owner, note.note_id) == note


def test_a_stranger_sees_nothing_and_learns_nothing(
    accredited: Server, notes: NoteServiceStub, owner: Person, agent: Any
) -> None:
    note = write(notes, owner, "billing")
    stranger = accredited.user()
    assert texts(notes, stranger) == []
    refusals = [code(get, notes, stranger, note_id) for note_id in (note.note_id, 404)]
    alike = {(name, re.sub(r"\d+", "N", message)) for name, message in refusals}
    assert len(alike) == 1
    assert refusals[0][0] == "PERMISSION_DENIED"


def test_an_administrator_sees_everybodys(
    accredited: Server, notes: NoteServiceStub, owner: Person, agent: Any
) -> None:
    write(notes, owner, "billing")
    assert texts(notes, accredited.admin) == ["hello"]


def test_nobody_calls_without_a_token(notes: NoteServiceStub) -> None:
    request = pb.WriteNoteRequest(agent_slug="billing", text="hello")
    assert code(notes.ListNotes, pb.ListNotesRequest(), timeout=PATIENCE)[0] == "UNAUTHENTICATED"
    assert code(notes.WriteNote, request, timeout=PATIENCE)[0] == "UNAUTHENTICATED"
    assert code(texts, notes, "not-a-token")[0] == "UNAUTHENTICATED"


def test_a_note_without_an_agent_or_a_text_is_refused(
    notes: NoteServiceStub, owner: Person, agent: Any
) -> None:
    assert code(write, notes, owner, "")[0] == "INVALID_ARGUMENT"
    assert code(write, notes, owner, "billing", "")[0] == "INVALID_ARGUMENT"
    assert code(texts, notes, owner, agent_slug="123")[0] == "INVALID_ARGUMENT"


def test_without_accredit_nothing_is_answered_and_nothing_leaks(
    running: Callable[[], AbstractContextManager[Server]], serve: Serve
) -> None:
    with ExitStack() as up:
        server = up.enter_context(running())
        service = server.user("SERVICE", login="notes")
        owner = server.user(login="olga")
        server.agent(owner, "billing")
        with serve(server.address, service.token) as notes:
            note = write(notes, owner, "billing", "a secret of billing's")
            up.close()
            # At once, because each of them waits for Accredit as long as the guard does.
            with ThreadPoolExecutor() as pool:
                calls = [
                    pool.submit(code, texts, notes, owner),
                    pool.submit(code, write, notes, owner, "billing"),
                    pool.submit(code, get, notes, owner, note.note_id),
                ]
    for name, message in (call.result() for call in calls):
        assert name == "UNAVAILABLE"
        for secret in (owner.token, service.token, server.address, "billing", "olga"):
            assert secret not in message


def test_an_accredit_that_fails_half_way_shows_nothing(serve: Serve) -> None:
    with Peer() as peer, serve(peer.address, "whatever") as stub:
        peer.script(
            "Authenticate", auth_pb2.AuthenticateResponse(principal=types_pb2.Principal(user_id=1))
        )
        peer.script("ResolveScope", Fail(grpc.StatusCode.INTERNAL, "internal error"))
        assert code(texts, stub, "whatever") == (
            "UNAVAILABLE",
            "who may see this cannot be checked now; try again",
        )


@pytest.mark.parametrize(
    ("scope", "agents"),
    [
        (scope_pb2.Scope(all_agents=True), None),
        (scope_pb2.Scope(all_agents=False), []),
        (scope_pb2.Scope(agent_id=7), [7]),
        (scope_pb2.Scope(agent_set=scope_pb2.AgentSet(agent_ids=[1, 2])), [1, 2]),
        (scope_pb2.Scope(agent_set=scope_pb2.AgentSet()), []),
        (scope_pb2.Scope(all_users=True), []),
    ],
)
def test_only_what_is_said_in_so_many_words_means_everything(
    scope: scope_pb2.Scope, agents: list[int] | None
) -> None:
    found = agents_of(scope)
    assert (found if found is None else list(found)) == agents


def test_the_program_serves_and_stops_when_told_to(accredited: Server) -> None:
    service = accredited.user("SERVICE", login="notes")
    owner = accredited.user(login="olga")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ACCREDIT_")},
        "ACCREDIT_ADDRESS": accredited.address,
        "ACCREDIT_TOKEN": service.token,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "notes", "--listen", "127.0.0.1:0"],
        cwd=EXAMPLE,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        address = program.stdout.readline().split()[-1]
        try:
            with grpc.insecure_channel(address) as channel:
                assert texts(NoteServiceStub(channel), owner) == []
        finally:
            program.send_signal(signal.SIGTERM)
        assert program.wait(PATIENCE) == 0
