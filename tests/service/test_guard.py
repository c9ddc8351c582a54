import ipaddress
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from accredit_service.interceptors.guard import (
    APPEALS,
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


def wrong(number: int) -> bytes:
    return b"wrong %d" % number


def forge(guard: Guard, token_id: str) -> int:
    """Guess at a token from one address after the other until it is refused: how often it was."""
    for number in range(1000):
        guess = f"{token_id} {number}".encode()
        attempt = guard.admit(f"address {number}", token_id, guess)
        if not isinstance(attempt, Attempt):
            return number
        attempt.failed()
    raise AssertionError("nobody was refused")


def test_wrong_credentials_of_a_source_are_refused_after_a_while(clock: Clock) -> None:
    guard = Guard(20, clock=clock)
    for number in range(10):
        admitted(guard, "here", f"id{number}", wrong(number)).failed()
    assert refused(guard, "here", "another", b"wrong")
    assert not refused(guard, "elsewhere", "another", b"wrong")


def test_so_are_those_for_one_token_from_many_sources(clock: Clock) -> None:
    guard = Guard(20, clock=clock)
    forge(guard, "id")
    assert refused(guard, "another", "id", b"wrong")


def test_a_refusal_uses_up_nothing_of_the_source(clock: Clock) -> None:
    guard = Guard(20, clock=clock)
    forge(guard, "id")
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
    for _ in range(10):
        admitted(guard, "here", "good", b"right").failed()
    assert refused(guard, "here", "good", b"right")


def test_a_guessed_id_does_not_shut_out_whoever_has_the_token(clock: Clock) -> None:
    guard = Guard(20, clock=clock)
    forge(guard, "id")
    # Its first use in this process; a second later there is room for it again.
    clock.now += 1.0
    admitted(guard, "here", "id", b"right").worked()
    for _ in range(1000):
        admitted(guard, "here", "id", b"right").worked()


def test_nor_while_the_guessing_goes_on(clock: Clock) -> None:
    guard = Guard(20, clock=clock)
    got_in = 0
    for number in range(600):
        # From a new address each time, faster than the budget allows, and never the ration of one.
        for guess in range(3):
            attempt = guard.admit(f"address {number}.{guess}", "id", wrong(3 * number + guess))
            if isinstance(attempt, Attempt):
                attempt.failed()
        clock.now += 0.1
        attempt = guard.admit("here", "id", b"right %d" % number)
        if isinstance(attempt, Attempt):
            attempt.worked()
            got_in += 1
    assert got_in >= 594


def test_all_guesses_at_ids_have_one_budget(clock: Clock) -> None:
    guard = Guard(20, clock=clock)
    for number in range(5):
        forge(guard, f"id{number}")
    taken = []
    for number in range(6000):
        attempt = guard.admit(f"new {number}", f"id{number % 5}", b"new %d" % number)
        if isinstance(attempt, Attempt):
            attempt.failed()
            taken.append(clock.now)
        clock.now += 0.002
    busiest = max(sum(1 for at in taken if begin <= at < begin + 1) for begin in taken)
    # And what comes back of the ids' own rations meanwhile.
    assert busiest <= APPEALS + 5


def test_a_source_has_its_ration_whatever_ids_it_makes_up(clock: Clock) -> None:
    guard = Guard(20, clock=clock)
    forge(guard, "id")
    looked_up = 0
    for number in range(6000):
        attempt = guard.admit("here", "id", wrong(10_000 + number))
        if isinstance(attempt, Attempt):
            attempt.failed()
            looked_up += 1
        clock.now += 0.01
    assert 10 <= looked_up <= 20


def test_a_revoked_token_counts_for_its_id_and_not_for_its_address(clock: Clock) -> None:
    guard = Guard(20, clock=clock)
    admitted(guard, "here", "revoked", b"revoked").worked()
    looked_up = 0
    for number in range(6000):
        attempt = guard.admit("here", "revoked", b"revoked")
        if isinstance(attempt, Attempt):
            attempt.failed()
            looked_up += 1
        if number % 60 == 0:
            # Somebody who comes for the first time.
            admitted(guard, "here", f"new{number}", b"new %d" % number).worked()
        clock.now += 0.01
    assert 10 <= looked_up <= 21


def test_a_wrong_token_tried_again_and_again_leaves_room_for_its_neighbours(clock: Clock) -> None:
    # As the one above, but this process has never seen it work: it has just been started.
    guard = Guard(20, clock=clock)
    looked_up = 0
    for number in range(6000):
        attempt = guard.admit("here", "dead", b"dead")
        if isinstance(attempt, Attempt):
            attempt.failed()
            looked_up += 1
        if number % 60 == 0:
            admitted(guard, "here", f"new{number}", b"new %d" % number).worked()
        clock.now += 0.01
    assert 3 <= looked_up <= 6


def test_no_more_wait_than_may(clock: Clock) -> None:
    guard = Guard(20, patient=3, clock=clock)
    first = [admitted(guard, "here", "id", b"right") for _ in range(10)]
    with ThreadPoolExecutor(3) as pool:
        waiting = [
            pool.submit(guard.admit, "here", "id", b"right", patience=60.0) for _ in range(3)
        ]
        while guard.waiting < 3:
            pass
        # At once: it would hold a thread, for as long as the database hangs.
        assert isinstance(guard.admit("here", "id", b"right", patience=60.0), timedelta)
        first.pop().worked()
        assert all(isinstance(one.result(), Attempt) for one in waiting)
    assert guard.waiting == 0
    for attempt in first:
        attempt.worked()


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
