"""Requests, metadata and errors at the very edge of their sizes, forty times out of forty."""

from typing import Any

import pytest

from accredit_service.interceptors.limits import MESSAGE_LIMIT, METADATA_LIMIT
from tests.hostile.scenes import Scene
from tests.hostile.wire import Wire, faults_of

TIMES = 40


def test_a_message_of_a_mebibyte_is_read_and_a_byte_more_never(wire: Wire, scene: Scene) -> None:
    method = "AgentService/CreateAgent"
    padding = b"\xc2\x3e"  # Field 1000, of the future.
    body = scene.request(method).SerializeToString() + padding
    room = MESSAGE_LIMIT - len(body)
    fitting = body + length_prefixed(room)
    assert len(fitting) == MESSAGE_LIMIT
    assert wire.send(method, fitting).code == "OK"
    scene.used(method)
    before = wire.head()
    outcomes = {wire.send(method, fitting + b"\0").code for _ in range(TIMES)}
    assert outcomes == {"RESOURCE_EXHAUSTED"}
    assert wire.head() == before


def length_prefixed(room: int) -> bytes:
    """Bytes with their length before them, which fill the room."""
    size = room - 3
    prefix = bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14])
    return prefix + bytes(size)


def test_metadata_of_8_kib_is_taken_and_a_byte_more_never(wire: Wire) -> None:
    credential = len("authorization") + len(f"Bearer {wire.server.admin.token}")
    room = METADATA_LIMIT - credential - len("padding")
    for _ in range(TIMES):
        fits = wire.send("AuthService/WhoAmI", b"", metadata=[("padding", "x" * room)])
        assert fits.code == "OK"
        over = wire.send("AuthService/WhoAmI", b"", metadata=[("padding", "x" * (room + 1))])
        assert (over.code, over.reason) == ("RESOURCE_EXHAUSTED", "METADATA_TOO_LARGE")
        assert faults_of(over, wire.server.methods["AuthService/WhoAmI"].input_type) == []


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        # As long as a thousand of them may be in a mebibyte.
        ("AccessService/BatchCheckAccess", {"checks": [{"agent": {"agent_slug": "-" * 900}}]}),
        ("AuthService/BatchAuthorize", {"token": "x", "demands": [{"capability": "ü" * 450}]}),
    ],
)
def test_a_thousand_bad_items_arrive_as_what_they_are_every_time(
    wire: Wire, method: str, fields: dict[str, Any]
) -> None:
    request_of = wire.server.request_of(method)
    (name,) = set(fields) - {"token"}
    body = request_of(**(fields | {name: fields[name] * 1000})).SerializeToString()
    for _ in range(TIMES):
        outcome = wire.send(method, body)
        assert outcome.code == "INVALID_ARGUMENT"
        assert faults_of(outcome, wire.server.methods[method].input_type) == []


def test_answers_with_the_longest_names_arrive(wire: Wire) -> None:
    """An error repeats what it is about; with the longest of it the code is not lost either."""
    slug = "".join(chr(0x4E00 + number) for number in range(1000))
    for method in ("AgentService/GetAgent", "AgentService/ResolveAgent"):
        request = wire.server.request_of(method)(agent={"agent_slug": slug})
        outcomes = {wire.send(method, request.SerializeToString()).code for _ in range(TIMES)}
        assert outcomes == {"NOT_FOUND"}
