"""Bodies that no client of ours would make: cut, bent, random, nested, from the future."""

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.message import DecodeError

from tests.hostile.scenes import BASELINES, Scene, is_reading
from tests.hostile.wire import Outcome, Wire, faults_of

MEBIBYTE = 1 << 20
# Field 1000, a text.
FROM_THE_FUTURE = b"\xc2\x3e\x05later"


def bent(body: bytes, chance: random.Random, count: int) -> Iterator[bytes]:
    """So many neighbours of a body, and as many of no kin."""
    for cut in range(0, len(body), 1 + len(body) // 12):
        yield body[:cut]
    for _ in range(count):
        yield chance.randbytes(chance.randrange(1, 64))
        place = chance.randrange(len(body) + 1)
        yield body[:place] + chance.randbytes(chance.randrange(1, 9)) + body[place:]
        if body:
            changed = bytearray(body)
            changed[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
            yield bytes(changed)
            start, stop = sorted(chance.choices(range(len(body) + 1), k=2))
            yield body[:start] + body[stop:]


def parses(wire: Wire, method: str, body: bytes) -> bool:
    """Whether the body is a message of the type that the method takes."""
    try:
        wire.server.request_of(method).FromString(body)
    except DecodeError:
        return False
    return True


def faults_of_sending(wire: Wire, scene: Scene, method: str, body: bytes) -> list[str]:
    descriptor = wire.server.methods[method].input_type
    before = wire.head()
    outcome = wire.send(method, body)
    revisions = wire.head() - before
    faults = faults_of(outcome, descriptor)
    if not parses(wire, method, body) and not is_malformed(outcome):
        faults.append(f"{outcome.code} {outcome.reason} for what is no message")
    if outcome.code == "OK":
        scene.used(method)
        wire.keep_in()
    if revisions > int(outcome.code == "OK" and not is_reading(wire.server, method)):
        faults.append(f"{revisions} changes were written")
    return [f"{body[:200].hex()}: {fault}" for fault in faults]


def is_malformed(outcome: Outcome) -> bool:
    return (outcome.code, outcome.reason) == ("INVALID_ARGUMENT", "REQUEST_MALFORMED")


@pytest.mark.parametrize(
    "count", [6, pytest.param(600, marks=[pytest.mark.soak, pytest.mark.timeout(900)])]
)
@pytest.mark.parametrize("method", BASELINES)
def test_no_bytes_get_more_than_a_refusal(
    wire: Wire, scene: Scene, method: str, count: int
) -> None:
    seed = random.randrange(2**32)
    wrong = []
    for body in bent(scene.request(method).SerializeToString(), random.Random(seed), count):
        wrong += faults_of_sending(wire, scene, method, body)
    assert not wrong, (seed, *wrong)


@pytest.mark.parametrize("method", BASELINES)
def test_fields_from_the_future_are_passed_over(wire: Wire, scene: Scene, method: str) -> None:
    body = scene.request(method).SerializeToString()
    outcome = wire.send(method, body + FROM_THE_FUTURE)
    scene.used(method)
    assert outcome.code == "OK", outcome


@pytest.mark.parametrize("method", BASELINES)
def test_a_field_of_another_type_gets_no_more_than_a_refusal(
    wire: Wire, scene: Scene, method: str
) -> None:
    wrong = []
    body = scene.request(method).SerializeToString()
    for one in wire.server.methods[method].input_type.fields:
        # A number, eight bytes, some bytes, a group that never ends or begins, four bytes.
        for wire_type, value in enumerate((b"\x07", bytes(8), b"\x02\xff\x00", b"", b"", bytes(4))):
            tag = varint(one.number << 3 | wire_type)
            wrong += faults_of_sending(wire, scene, method, body + tag + value)
            wrong += faults_of_sending(wire, scene, method, tag + value)
    assert not wrong, "\n".join(wrong)


def test_text_that_is_not_utf_8_is_malformed(wire: Wire) -> None:
    # Field 1, agent_slug: an overlong slash, a lone surrogate, a byte that begins nothing.
    for text in (b"\xc0\xaf", b"\xed\xa0\x80", b"\xff"):
        body = b"\x0a" + bytes([len(text)]) + text
        assert is_malformed(wire.send("AgentService/CreateAgent", body))


@pytest.mark.parametrize("levels", [60, 101, 10_000])
def test_what_is_nested_too_deep_is_refused(wire: Wire, scene: Scene, levels: int) -> None:
    request = scene.request("AgentService/CreateAgent")
    request.ClearField("config")
    body = request.SerializeToString() + b"\x22" + with_length(deep_struct(levels))
    before = wire.head()
    outcome = wire.send("AgentService/CreateAgent", body)
    assert outcome.code == "INVALID_ARGUMENT"
    assert outcome.reason in ("FIELD_INVALID", "REQUEST_MALFORMED")
    assert wire.head() == before


def deep_struct(levels: int) -> bytes:
    """A Struct in a Struct in a Struct, by hand: the library itself does not go so deep."""
    inside = b""
    for _ in range(levels):
        value = b"\x2a" + with_length(inside)  # Value.struct_value
        entry = b"\x0a\x01d\x12" + with_length(value)  # its key and value
        inside = b"\x0a" + with_length(entry)  # Struct.fields
    return inside


def with_length(data: bytes) -> bytes:
    return varint(len(data)) + data


def varint(number: int) -> bytes:
    encoded = b""
    while number > 0x7F:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("AgentService/BatchCreateAgents", {"requests": [{}]}),
        ("AgentService/BatchGetAgents", {"agents": [{"agent_id": 1}]}),
        ("AccessService/BatchCheckAccess", {"checks": [{"agent": {"agent_id": 1}}]}),
        ("AuthService/BatchAuthorize", {"token": "x", "demands": [{"agent": {"agent_id": 1}}]}),
        ("ChangeService/ListChanges", {"filter": {"kinds": ["CHANGE_KIND_BULK"]}}),
        ("TokenService/CreateToken", {"ceiling": {"capabilities": ["chat"]}}),
        ("AgentService/UpdateAgent", {"update_mask": {"paths": ["x"]}}),
    ],
)
def test_a_mebibyte_of_small_items_is_refused_before_much_is_made_of_it(
    wire: Wire, scene: Scene, method: str, fields: dict[str, Any]
) -> None:
    request = scene.request(method)
    (name,) = set(fields) - {"token"}
    item = wire.server.request_of(method)(**{name: fields[name]}).SerializeToString()
    first = request.SerializeToString()
    # Concatenated messages are merged: their repeated fields add up.
    body = first + item * ((MEBIBYTE - len(first)) // len(item))
    began = time.process_time()
    outcome = wire.send(method, body)
    took = time.process_time() - began
    assert outcome.code == "INVALID_ARGUMENT"
    assert {path.partition(".")[0] for path in outcome.fields} == {name}
    # Seconds of the processor's time; where each item is looked at first it takes several.
    assert took < 1.0
