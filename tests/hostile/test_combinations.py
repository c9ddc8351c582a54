"""Several fields at once with whatever Hypothesis thinks of, by callers of every kind."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.scenes import BASELINES, Scene, is_reading
from tests.hostile.spoiling import MAX32, MAX64, MIN32, MIN64, Spoilt, spoils
from tests.hostile.wire import Wire, faults_of

# Small ids are those of the people and things that the requests are about.
INT64S = st.one_of(st.integers(MIN64, 0), st.integers(2**31, MAX64))
INT32S = st.integers(MIN32, MAX32)
CALLERS: dict[str, Callable[[Scene], str]] = {
    "administrator": lambda scene: scene.server.admin.token,
    "owner": lambda scene: scene.member.token,
    "guest": lambda scene: scene.guest.token,
    "agent": lambda scene: scene.agent_token.token,
}


def values_like(value: Any) -> st.SearchStrategy[Any]:
    """Values of the same kind as one of the table's, that one most often."""
    if isinstance(value, bool):
        return st.booleans()
    if isinstance(value, str):
        return st.just(value) | st.text(max_size=300)
    if isinstance(value, bytes):
        return st.just(value) | st.binary(max_size=64)
    if isinstance(value, int):
        small = MIN32 <= value <= MAX32
        return st.just(value) | (INT32S if small else INT64S)
    return st.just(value)


@st.composite
def spoilt_together(draw: st.DrawFn, every: list[Spoilt]) -> list[Spoilt]:
    """Up to five of a request's fields, each with a value of its own."""
    chosen = draw(st.lists(st.sampled_from(every), min_size=1, max_size=5))
    return [
        one if one.repeated else Spoilt(one.path, one.why, draw(values_like(one.value)))
        for one in chosen
    ]


def besiege(wire: Wire, scene: Scene, data: st.DataObject) -> None:
    """One request, spoilt, and what may come of it."""
    methods = sorted(set(BASELINES) - {"AuthService/WhoAmI"})
    method = data.draw(st.sampled_from(methods), label="method")
    caller = data.draw(st.sampled_from(sorted(CALLERS)), label="caller")
    descriptor = wire.server.methods[method].input_type
    request = scene.request(method)
    for spoilt in data.draw(spoilt_together(list(spoils(descriptor))), label="spoilt"):
        spoilt.put_into(request)
    before = wire.head()
    outcome = wire.send(method, request.SerializeToString(), token=CALLERS[caller](scene))
    revisions = wire.head() - before
    if outcome.code == "OK":
        scene.used(method)
        wire.keep_in()
    may_write = outcome.code == "OK" and not is_reading(wire.server, method)
    assert faults_of(outcome, descriptor) == []
    assert revisions <= int(may_write)


QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=250, deadline=None, suppress_health_check=QUIET)
@given(data=st.data())
def test_no_combination_gets_more_than_a_refusal(
    wire: Wire, scene: Scene, data: st.DataObject
) -> None:
    besiege(wire, scene, data)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@settings(max_examples=30_000, deadline=None, suppress_health_check=QUIET)
@given(data=st.data())
def test_nor_does_any_of_very_many(wire: Wire, scene: Scene, data: st.DataObject) -> None:
    besiege(wire, scene, data)
