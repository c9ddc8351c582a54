import ipaddress
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from accredit_service.interceptors.guard import (
    SOURCES,
    Attempt,
    Guard,
    KnownCredentials,
    Ration,
    source_of,
)


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize("per_minute", [1, 2, 3, 7, 20, 60])
def test_no_minute_sees_more_than_the_setting(clock: Clock, per_minute: int) -> None:
    ration = Ration(per_minute, clock=clock)
    taken = []
    for _ in range(6000):
        if not ration.take("source"):
            taken.append(clock.now)
        clock.now += 0.05
    assert taken
    busiest = max(sum(1 for at in taken if begin <= at < begin + 60) for begin in taken)
    assert busiest <= per_minute
    # Nor is it much stricter than that.
    assert len(taken) >= per_minute // 2 * 5


def test_the_wait_that_is_told_is_long_enough_and_not_longer(clock: Clock) -> None:
    ration = Ration(20, clock=clock)
    while not (wait := ration.take("source")):
        pass
    clock.now += wait - 0.001
    assert ration.take("source") > 0
    clock.now += 0.001
    assert ration.take("source") == 0


def test_what_is_given_back_can_be_taken_again(clock: Clock) -> None:
    ration = Ration(20, clock=clock)
    for _ in range(1000):
        assert ration.take("source") == 0
        ration.give_back("source")
    assert len(ration) == 0
    ration.give_back("nobody")
    assert len(ration) == 0


def test_sources_do_not_share(clock: Clock) -> None:
    ration = Ration(2, clock=clock)
    assert ration.take("a") == 0
    assert ration.take("a") > 0
    assert ration.take("b") == 0


def test_memory_is_bounded_however_many_sources_there_are(clock: Clock) -> None:
    ration = Ration(20, clock=clock)
    tracemalloc.start()
    for number in range(2 * SOURCES):
        ration.take(number)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(ration) == SOURCES
    assert peak < 40 * 2**20


def test_the_idle_make_room_for_the_busy(clock: Clock) -> None:
    ration = Ration(1, keys=2, clock=clock)
    ration.take("busy")
    ration.take("idle")
    clock.now += 120
    ration.take("busy")
    ration.take("new")
    assert ration.take("busy") > 0
    assert ration.take("idle") == 0


def test_known_credentials_are_bounded_too() -> None:
    known = KnownCredentials(size=2)
    for digest in (b"a", b"b", b"a", b"c"):
        known.add(digest)
    assert len(known) == 2
    assert b"a" in known
    assert b"b" not in known
    known.discard(b"a")
    assert b"a" not in known


def admitted(guard: Guard, source: str, token_id: str, digest: bytes) -> Attempt:
    attempt = guard.admit(source, token_id, digest)
    assert isinstance(attempt, Attempt)
    return attempt


def refused(guard: Guard, source: str, token_id: str, digest: bytes) -> bool:
    return isinstance(guard.admit(source, token_id, digest), timedelta)


def test_wrong_credentials_of_a_source_are_refused_after_a_while(clock: Clock) -> None:
    guard = Guard(20, clock=clock)
    for number in range(10):
        admitted(guard, "here", f"id{number}", b"wrong").failed()
    assert refused(guard, "here", "another", b"wrong")
    assert not refused(guard, "elsewhere", "another", b"wrong")


def test_so_are_those_for_one_token_from_many_sources(clock: Clock) -> None:
    guard = Guard(20, clock=clock)
    for number in range(10):
        admitted(guard, f"source{number}", "id", b"wrong").failed()
    assert refused(guard, "another", "id", b"wrong")


def test_a_refusal_uses_up_nothing_of_the_source(clock: Clock) -> None:
    guard = Guard(20, clock=clock)
    for number in range(10):
        admitted(guard, f"source{number}", "id", b"wrong").failed()
    for _ in range(100):
        assert refused(guard, "here", "id", b"wrong")
    admitted(guard, "here", "another", b"right").worked()


def test_many_at_once_are_not_more(clock: Clock) -> None:
    guard = Guard(20, clock=clock)
    # None of them has ended when the next one begins.
    let_in = [guard.admit("here", f"id{number}", b"wrong") for number in range(100)]
    assert sum(isinstance(attempt, Attempt) for attempt in let_in) == 10


def test_a_credential_that_worked_is_let_in_whatever_its_neighbours_do(clock: Clock) -> None:
    guard = Guard(20, clock=clock)
    admitted(guard, "here", "good", b"right").worked()
    while not refused(guard, "here", "bad", b"wrong"):
        pass
    for _ in range(1000):
        admitted(guard, "here", "good", b"right").worked()


def test_until_it_fails(clock: Clock) -> None:
    guard = Guard(20, clock=clock)
    admitted(guard, "here", "good", b"right").worked()
    while not refused(guard, "here", "bad", b"wrong"):
        pass
    admitted(guard, "here", "good", b"right").failed()
    assert refused(guard, "here", "good", b"right")


def test_what_was_not_found_out_is_not_counted(clock: Clock) -> None:
    guard = Guard(20, clock=clock)
    for _ in range(100):
        admitted(guard, "here", "id", b"either").pardon()


def test_whoever_comes_while_others_are_looked_up_waits_for_them(clock: Clock) -> None:
    # After a restart nobody is known, and a client may begin with many calls at once.
    guard = Guard(20, clock=clock)
    first = [admitted(guard, "here", "id", b"right") for _ in range(10)]
    assert refused(guard, "here", "id", b"right"), "without patience"
    with ThreadPoolExecutor(5) as pool:
        more = [pool.submit(guard.admit, "here", "id", b"right", patience=20.0) for _ in range(5)]
        first.pop().worked()
        assert all(isinstance(one.result(), Attempt) for one in more)
    for attempt in first:
        attempt.worked()


def test_zero_is_no_limit(clock: Clock) -> None:
    guard = Guard(0, clock=clock)
    for _ in range(1000):
        admitted(guard, "here", "id", b"wrong").failed()


PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "source"),
    [
        ("ipv4:192.0.2.1:4711", [], "192.0.2.1"),
        ("ipv6:%5B2001:db8::1%5D:4711", [], "2001:db8::/64"),
        ("ipv6:[2001:db8:0:0:1::1]:4711", [], "2001:db8::/64"),
        ("ipv6:[::ffff:192.0.2.1]:4711", [], "192.0.2.1"),
        ("ipv6:[fe80::1%25eth0]:4711", [], "fe80::/64"),
        ("unix:/run/accredit", [], "unix"),
        ("", [], ""),
        # Anybody can send the header; only a trusted proxy's is believed.
        ("ipv4:192.0.2.1:4711", ["198.51.100.7"], "192.0.2.1"),
        ("ipv4:10.0.0.1:4711", ["198.51.100.7"], "198.51.100.7"),
        ("ipv6:[fd00::1]:4711", ["198.51.100.7"], "198.51.100.7"),
        ("ipv4:10.0.0.1:4711", ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        ("ipv4:10.0.0.1:4711", ["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
        ("ipv4:10.0.0.1:4711", ["203.0.113.9, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("ipv4:10.0.0.1:4711", ["198.51.100.7, nonsense"], "10.0.0.1"),
        ("ipv4:10.0.0.1:4711", [""], "10.0.0.1"),
        ("ipv4:10.0.0.1:4711", ["10.0.0.2"], "10.0.0.2"),
    ],
)
def test_the_source_is_the_last_address_that_somebody_trusted_saw(
    peer: str, forwarded: list[str], source: str
) -> None:
    assert source_of(peer, forwarded, PROXIES) == source
