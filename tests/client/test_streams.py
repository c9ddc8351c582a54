"""A call that answers with a stream, which the contract does not have yet.

The client must need no code of its own for the first one, so another service's is used.
"""

from typing import Any

import pytest
from google.protobuf import descriptor_pool

import accredit
from accredit import _aio_client, _client
from accredit._methods import _method
from tests.client import notes
from tests.client.conftest import Ask
from tests.client.notes import NoteRequest, path
from tests.client.peer import Peer

WATCH = _method(descriptor_pool.Default().FindServiceByName(notes.SERVICE).methods_by_name["Watch"])
OPEN = {path("Watch"): accredit.open_to_all}


def watch(client: Any) -> Any:
    module: Any = _client if isinstance(client, accredit.Client) else _aio_client
    transport = module.Transport(client._stubs, client._options)
    return transport.call(WATCH, NoteRequest(text="hello"), None)


def test_answers_are_an_iterator(peer: Peer, ask: Ask) -> None:
    with notes.serving(peer.address, OPEN) as service:
        answers = ask(service.address, watch)
    assert [answer.said for answer in answers] == ["nobody wrote hello"] * 2


def test_a_stream_fails_with_a_typed_error_and_is_not_begun_again(peer: Peer, ask: Ask) -> None:
    assert not WATCH.repeatable
    with notes.serving(peer.address, {}) as service, pytest.raises(accredit.PermissionDenied):
        ask(service.address, watch)


def test_a_stream_has_a_deadline_too(peer: Peer, ask: Ask) -> None:
    left = []

    def watching(request: Any, context: Any) -> Any:
        left.append(context.time_remaining())
        return notes.watch(request, context)

    functions = (notes.write, watching, notes.upload, notes.chat)
    with notes.serving(peer.address, OPEN, functions=functions) as service:
        ask(service.address, watch, timeout=60)
        ask(service.address, watch)
    assert left[1] < 12 < left[0] < 70


def test_a_stream_that_is_left_is_cancelled(peer: Peer) -> None:
    with notes.serving(peer.address, OPEN) as service, accredit.Client(service.address) as client:
        answers = watch(client)
        assert next(answers).said == "nobody wrote hello"
        answers.close()
        # The service has one thread: it answers only if the stream has let go of it.
        assert service.call("Watch", NoteRequest(text="again")) == ["nobody wrote again"] * 2
