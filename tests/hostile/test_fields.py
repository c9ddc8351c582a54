"""Each field of each method with values that nobody should send."""

import pytest

from accredit_service.abilities.policy.methods import METHODS
from tests.hostile.scenes import BASELINES, Scene, is_reading
from tests.hostile.spoiling import Spoilt, spoils
from tests.hostile.wire import Outcome, Wire, faults_of


def test_there_is_a_request_for_every_method(wire: Wire) -> None:
    assert set(BASELINES) == set(wire.server.methods) == set(METHODS)


@pytest.mark.parametrize("method", BASELINES)
def test_no_value_of_a_field_gets_more_than_a_refusal_that_names_it(
    wire: Wire, scene: Scene, method: str
) -> None:
    baseline = wire.send(method, scene.request(method).SerializeToString())
    scene.used(method)
    assert baseline.code == "OK", baseline
    descriptor = wire.server.methods[method].input_type
    wrong = []
    for spoilt in spoils(descriptor):
        request = scene.request(method)
        spoilt.put_into(request)
        before = wire.head()
        outcome = wire.send(method, request.SerializeToString())
        after = wire.head()
        faults = faults_of(outcome, descriptor)
        faults += misnamed(outcome, spoilt)
        faults += undue_change(wire, method, outcome, after - before)
        wrong += [f"{spoilt.name} {spoilt.why}: {fault}" for fault in faults]
        if outcome.code == "OK":
            scene.used(method)
            wire.keep_in()
    assert not wrong, "\n".join(wrong)


def misnamed(outcome: Outcome, spoilt: Spoilt) -> list[str]:
    """The fields that are named although another one was spoilt."""
    if outcome.code != "INVALID_ARGUMENT" or outcome.reason == "REQUEST_MALFORMED":
        return []
    return [f"{path!r} is named" for path in outcome.fields if not is_about(path, spoilt.name)]


def is_about(named: str, spoilt: str) -> bool:
    """Whether a refusal that names the one field may come of having spoilt the other."""
    if named.startswith(spoilt) or spoilt.startswith(named):
        return True
    # Neighbours in one message may need each other, a mask needs values; "rights" is the oneof
    # that full_rights is in.
    parent = spoilt.rpartition(".")[0]
    if parent and named.startswith(f"{parent}."):
        return True
    return (named.partition(".")[0], spoilt) in {
        ("update", "update_mask"),
        ("rights", "full_rights"),
    }


def undue_change(wire: Wire, method: str, outcome: Outcome, revisions: int) -> list[str]:
    """What was written although the call was refused, or only reads."""
    allowed = int(outcome.code == "OK" and not is_reading(wire.server, method))
    return [f"{revisions} changes were written"] if revisions > allowed else []
