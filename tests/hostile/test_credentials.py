"""Credentials that are missing, malformed, guessed in masses, or good and all new at once."""

import base64
import shutil
import string
import threading
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from accredit_service.abilities import bearer
from tests.faults.racing import answers, race, reasons, shared_out, spread
from tests.hostile.scenes import BASELINES
from tests.hostile.wire import Outcome, Wire, faults_of
from tests.registry import Person, RefusedError, Registry, running_registry

GOOD = bearer.mint().secret


@pytest.fixture
def guarded(sqlite_template: Path, tmp_path: Path) -> Generator[Registry]:
    """A server of the test's own, with the limits that it has by default."""
    shutil.copyfile(sqlite_template, tmp_path / "accredit.db")
    with running_registry(f"sqlite:///{tmp_path / 'accredit.db'}", tmp_path) as registry:
        yield registry


@contextmanager
def statements(registry: Registry) -> Generator[list[str]]:
    """What the calls of the block send to the database."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    engine = registry.app.store.engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def is_look_up(statement: str) -> bool:
    """Whether it looks for a token by its digest."""
    return "tokens.digest = " in statement


def described(outcome: Outcome) -> str:
    return f"{outcome.code} {outcome.reason}"


@pytest.mark.parametrize("method", BASELINES)
def test_a_stranger_is_refused_before_anything_is_read(wire: Wire, method: str) -> None:
    with statements(wire.registry) as seen:
        outcome = wire.send(method, b"\xff no message at all", token="")
    assert described(outcome) == "UNAUTHENTICATED TOKEN_MISSING"
    assert faults_of(outcome, wire.registry.methods[method].input_type) == []
    assert not any(is_look_up(statement) for statement in seen)


BASIC = f"Basic {base64.b64encode(b'admin:admin').decode()}"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        pytest.param([""], "TOKEN_MISSING", id="empty"),
        pytest.param(["Bearer"], "TOKEN_MALFORMED", id="a-scheme-alone"),
        pytest.param(["Bearer "], "TOKEN_MALFORMED", id="a-scheme-and-a-blank"),
        pytest.param([GOOD], "TOKEN_MALFORMED", id="no-scheme"),
        pytest.param([BASIC], "TOKEN_MALFORMED", id="another-scheme"),
        pytest.param([f"Bearer {GOOD}"] * 2, "TOKEN_MALFORMED", id="two-headers"),
        pytest.param([f"Bearer  {GOOD}"], "TOKEN_MALFORMED", id="two-blanks"),
        pytest.param([f"Bearer {GOOD} {GOOD}"], "TOKEN_MALFORMED", id="two-tokens"),
        pytest.param([f"Bearer {GOOD},"], "TOKEN_MALFORMED", id="a-list"),
        pytest.param([f'Bearer "{GOOD}"'], "TOKEN_MALFORMED", id="quoted"),
        pytest.param([f"Bearer {GOOD}=="], "TOKEN_MALFORMED", id="padding"),
        pytest.param([f"Bearer {GOOD[:-1]}"], "TOKEN_MALFORMED", id="cut"),
        pytest.param([f"Bearer {GOOD.upper()}"], "TOKEN_MALFORMED", id="in-capitals"),
        pytest.param([f"Bearer {'x' * 6000}"], "TOKEN_MALFORMED", id="long"),
        pytest.param([f"Bearer {GOOD}"], "TOKEN_INVALID", id="unknown"),
        pytest.param([f"bEARER {GOOD}"], "TOKEN_INVALID", id="unknown-in-odd-case"),
    ],
)
def test_a_bad_credential_has_one_reason(wire: Wire, headers: Sequence[str], reason: str) -> None:
    sent = [("authorization", header) for header in headers]
    outcome = wire.send("AuthService/WhoAmI", b"", token="", metadata=sent)
    assert described(outcome) == f"UNAUTHENTICATED {reason}"
    assert GOOD not in str(outcome)


def test_the_checksum_refuses_every_single_character_that_is_changed() -> None:
    passed = [
        changed
        for place, character in enumerate(GOOD)
        for other in string.printable
        if other != character
        and bearer.parse(changed := GOOD[:place] + other + GOOD[place + 1 :]) is not None
    ]
    assert passed == []


def test_and_nobody_looks_in_the_database_for_it(guarded: Registry) -> None:
    token = guarded.user().token
    with statements(guarded) as seen:
        for place, character in enumerate(token):
            other = "0" if character != "0" else "1"
            changed = token[:place] + other + token[place + 1 :]
            refusal = Person(guarded, changed).refused("AuthService/WhoAmI")
            assert refusal.what == "UNAUTHENTICATED TOKEN_MALFORMED"
    assert not any(is_look_up(statement) for statement in seen)


@pytest.mark.parametrize(
    "count", [20_000, pytest.param(1_000_000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])]
)
def test_no_two_secrets_are_alike(count: int) -> None:
    made = [bearer.mint() for _ in range(count)]
    assert len({one.digest for one in made}) == count
    assert len({one.token_id for one in made}) == count
    # 43 characters of 62 hold more than 256 bits; all of them are used.
    assert set("".join(one.secret[21:64] for one in made)) == set(
        string.ascii_letters + string.digits
    )


def test_guessing_in_masses_costs_few_look_ups_and_no_neighbour(guarded: Registry) -> None:
    good = guarded.user()
    good.call("AuthService/WhoAmI")
    guesses = [Person(guarded, bearer.mint().secret) for _ in range(600)]
    stopped = threading.Event()

    def work(person: Person) -> int:
        calls = 0
        while not stopped.is_set():
            person.call("AuthService/WhoAmI")
            calls += 1
        return calls

    def guess(registry: Registry, some: Sequence[Person]) -> Counter[str]:
        return Counter(
            replace(one, registry=registry).refused("AuthService/WhoAmI").what for one in some
        )

    def guess_all(guessers: Sequence[Person]) -> Counter[str]:
        outcomes = race(
            [
                partial(guess, one.registry, guesses[place :: len(guessers)])
                for place, one in enumerate(guessers)
            ]
        )
        stopped.set()
        return sum(answers(outcomes), Counter[str]())

    with spread(good, connections=14) as people, statements(guarded) as seen:
        both: list[Callable[[], Any]] = [
            partial(work, people[0]),
            partial(guess_all, people[1:]),
        ]
        worked, seen_by_guessers = answers(race(both))
    assert worked > 0
    invalid = seen_by_guessers.pop("UNAUTHENTICATED TOKEN_INVALID")
    assert invalid <= 20
    assert seen_by_guessers == {"RESOURCE_EXHAUSTED RATE_LIMITED": 600 - invalid}
    assert sum(is_look_up(statement) for statement in seen) <= worked + 20


@contextmanager
def slow_look_ups(registry: Registry) -> Generator[threading.Event]:
    """The first look-ups of the block last until the event is set, or 0.3 s."""
    over = threading.Event()

    def hold(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if is_look_up(statement):
            over.wait(0.3)
            over.set()

    engine = registry.app.store.engine
    event.listen(engine, "before_cursor_execute", hold)
    yield over
    event.remove(engine, "before_cursor_execute", hold)


def all_at_once(registry: Registry, people: Sequence[Person]) -> list[tuple[str, str]]:
    """What is refused where all of them call while the first are being looked up."""

    def call(person: Person, over: Registry, refused: threading.Event) -> None:
        try:
            replace(person, registry=over).call("AuthService/WhoAmI")
        except RefusedError:
            refused.set()
            raise

    with (
        spread(registry.admin, connections=8) as connections,
        slow_look_ups(registry) as refused,
    ):
        return reasons(
            race(
                [
                    partial(call, person, over.registry, refused)
                    for person, over in zip(
                        people, shared_out(connections, len(people)), strict=True
                    )
                ]
            )
        )


def test_a_client_that_begins_with_many_calls_at_once_is_not_taken_for_a_guesser(
    guarded: Registry,
) -> None:
    new = guarded.user()
    assert all_at_once(guarded, [new] * 64) == []


def test_nor_are_many_clients_behind_one_address(guarded: Registry) -> None:
    new = [guarded.user() for _ in range(40)]
    assert all_at_once(guarded, new) == []


def test_wrong_tokens_that_a_service_asks_about_are_not_held_against_it(guarded: Registry) -> None:
    service = guarded.user("SERVICE")
    for _ in range(100):
        answer = service.call("AuthService/Authenticate", token=bearer.mint().secret)
        assert answer.WhichOneof("outcome") == "denial"
    assert service.call("AuthService/Authenticate", token=service.token).HasField("principal")
