"""What memory keeps: within its room, and no longer than what it rests on."""

import threading

from accredit_service.entries import Entries


def test_entries_stay_within_their_room_and_an_owner_within_their_share() -> None:
    lock = threading.RLock()
    entries: Entries[int, str] = Entries(100_000, lock, share=8)
    for number in range(1000):
        entries.put(number, "x", [f"agent:{number}"], 500, owner="one")
    assert entries.size <= 100_000 // 8
    alone = len(entries)
    for number in range(1000, 9000):
        entries.put(number, "x", [f"agent:{number}"], 500, owner=number % 50)
    assert entries.size <= 100_000
    assert alone < len(entries)
    entries.put(1, "x", ["agent:1"], 100_000, owner="large")
    assert entries.get(1) is None
    entries.drop([f"agent:{number}" for number in range(9000)])
    assert (len(entries), entries.size) == (0, 0)


def test_what_is_asked_for_outlives_what_is_not() -> None:
    entries: Entries[int, int] = Entries(20_000, threading.RLock())
    for number in range(200):
        entries.put(number, number, ["agent:1"], 100)
        assert entries.get(0) is not None
    assert entries.get(100) is None
    entries.drop(["agent:1"])
    assert entries.get(0) is None
