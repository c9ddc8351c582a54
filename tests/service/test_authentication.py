import ipaddress
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager
from dataclasses import dataclass

import grpc
import pytest

from accredit_service.abilities import auth, bearer
from accredit_service.abilities.app import App
from accredit_service.abilities.bootstrap import new_token
from accredit_service.abilities.errors import Reason, Unauthenticated
from accredit_service.abilities.rights import Principal
from accredit_service.interceptors.authentication import credential
from accredit_storage.errors import StoreUnavailable
from tests.service.conftest import Start
from tests.service.running import PATIENCE, Running

LookUps = list[str]


@pytest.fixture
def look_ups(monkeypatch: pytest.MonkeyPatch) -> LookUps:
    """The credentials that were looked up in the database."""
    found: LookUps = []
    identify = auth.identify

    def counting(app: App, text: str) -> Principal:
        found.append(text)
        return identify(app, text)

    monkeypatch.setattr(auth, "identify", counting)
    return found


@dataclass(frozen=True)
class Bad:
    because: str
    headers: tuple[str, ...]
    reason: Reason = Reason.TOKEN_MALFORMED


# Well formed, and the same in every process that collects the tests; nobody ever minted it.
GOOD = "acr_0123456789abcdef_" + "5" * 43 + "1nyJM1"


@pytest.mark.parametrize(
    "case",
    [
        Bad("there is none", (), Reason.TOKEN_MISSING),
        Bad("it is empty", ("",), Reason.TOKEN_MISSING),
        Bad("there are two", (f"Bearer {GOOD}", f"Bearer {GOOD}")),
        Bad("there are two of which one is empty", (f"Bearer {GOOD}", "")),
        Bad("it has no scheme", (GOOD,)),
        Bad("it has only a scheme", ("Bearer",)),
        Bad("it has only a scheme and a space", ("Bearer ",)),
        Bad("it is basic", ("Basic YWRtaW46aHVudGVyMg==",)),
        Bad("its scheme is longer", (f"Bearers {GOOD}",)),
        Bad("a space comes first", (f" Bearer {GOOD}",)),
        Bad("there are two spaces", (f"Bearer  {GOOD}",)),
        Bad("a space comes last", (f"Bearer {GOOD} ",)),
        Bad("there is a tab", (f"Bearer\t{GOOD}",)),
        Bad("it has more words", (f"Bearer {GOOD} {GOOD}",)),
        Bad("it has a NUL", (f"Bearer {GOOD}\0",)),
        Bad("it has a newline", (f"Bearer {GOOD}\n",)),
        Bad("it is not ASCII", ("Bearer acr_\u00fc",)),
        Bad("it is enormous", ("Bearer " + "a" * (1 << 20),)),
        Bad("it is one too long", ("Bearer " + "a" * 4097,)),
    ],
)
def test_a_credential_is_refused_when(case: Bad) -> None:
    with pytest.raises(Unauthenticated) as refused:
        credential(case.headers)
    assert refused.value.reason is case.reason
    assert GOOD not in refused.value.message


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_taken_in_any_case(scheme: str) -> None:
    assert credential([f"{scheme} {GOOD}"]) == GOOD


@pytest.mark.parametrize(
    "text",
    [
        "acr_",
        GOOD[:-1],
        GOOD + "=",
        GOOD[:-1] + ("a" if GOOD[-1] != "a" else "b"),
        GOOD.lower(),
        GOOD.removeprefix("acr_"),
        "x" * 4096,
    ],
    ids=lambda text: f"{len(text)}-characters",
)
def test_what_is_not_a_token_of_ours_is_refused_without_a_look_up(
    server: Running, look_ups: LookUps, text: str
) -> None:
    failed = server.fails(token=text)
    assert (failed.code, failed.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "TOKEN_MALFORMED",
    )
    assert look_ups == []


def test_the_token_that_these_tests_bend_is_well_formed() -> None:
    assert bearer.parse(GOOD) == "0123456789abcdef"


def test_an_unknown_token_is_invalid_and_no_more_is_said(server: Running) -> None:
    failed = server.fails(token=GOOD)
    assert (failed.code, failed.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
    assert set(failed.details) == {"ErrorInfo"}


def test_two_headers_are_refused_although_both_are_right(server: Running) -> None:
    again = [("authorization", f"Bearer {server.token}")]
    assert server.fails(metadata=again).reason == "TOKEN_MALFORMED"


def test_wrong_tokens_are_looked_up_at_most_so_often_and_a_neighbour_does_not_notice(
    start: Start, look_ups: LookUps
) -> None:
    # The clock stands still: all of this happens within one minute.
    server = start(failed_credentials_per_minute=20, build_with={"clock": lambda: 7.0})
    server.call()
    worked = 0
    for number in range(600):
        reason = server.fails(token=bearer.mint().secret).reason
        assert reason == ("TOKEN_INVALID" if number < 10 else "RATE_LIMITED")
        if number % 6 == 0:
            server.call()
            worked += 1
    assert worked == 100
    assert sum(text != server.token for text in look_ups) <= 20
    refused = server.fails(token=bearer.mint().secret)
    assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert 1 <= refused.details["RetryInfo"].retry_delay.seconds <= 60


def test_without_the_limit_each_is_looked_up(start: Start, look_ups: LookUps) -> None:
    server = start(failed_credentials_per_minute=0)
    for _ in range(30):
        assert server.fails(token=bearer.mint().secret).reason == "TOKEN_INVALID"
    assert len(look_ups) == 30


def test_wrong_tokens_at_once_are_not_looked_up_more_often(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, at_most, lock = 0, threading.Barrier(10), threading.Lock()

    def identify(app: App, text: str) -> Principal:
        nonlocal inside
        with lock:
            inside += 1
        # All ten that are let in are in the database at the same time.
        at_most.wait(20)
        raise Unauthenticated(Reason.TOKEN_INVALID, "no")

    monkeypatch.setattr(auth, "identify", identify)
    server = start(threads=40, failed_credentials_per_minute=20, build_with={"clock": lambda: 7.0})
    with ThreadPoolExecutor(40) as pool:
        reasons = list(
            pool.map(lambda _: server.fails(token=bearer.mint().secret).reason, range(40))
        )
    assert inside == 10
    assert sorted(reasons) == ["RATE_LIMITED"] * 30 + ["TOKEN_INVALID"] * 10


def test_a_database_that_is_away_counts_against_nobody(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def identify(app: App, text: str) -> Principal:
        raise StoreUnavailable("away")

    monkeypatch.setattr(auth, "identify", identify)
    server = start(failed_credentials_per_minute=2, build_with={"clock": lambda: 7.0})
    for _ in range(30):
        assert server.fails().reason == "DATABASE_UNAVAILABLE"


@pytest.mark.parametrize(("trusted", "reason"), [(True, "TOKEN_INVALID"), (False, "RATE_LIMITED")])
def test_behind_a_trusted_proxy_each_client_is_counted_by_itself(
    run: Callable[..., AbstractContextManager[Running]], trusted: bool, reason: str
) -> None:
    proxies = (ipaddress.ip_network("127.0.0.0/8"),) if trusted else ()
    with run(
        trusted_proxies=proxies,
        failed_credentials_per_minute=2,
        build_with={"clock": lambda: 7.0},
    ) as server:

        def fail(address: str) -> str:
            forwarded = [("x-forwarded-for", address)]
            return server.fails(token=bearer.mint().secret, metadata=forwarded).reason

        assert fail("192.0.2.1") == "TOKEN_INVALID"
        assert fail("192.0.2.1") == "RATE_LIMITED"
        assert fail("192.0.2.2") == reason


def test_a_token_that_worked_is_looked_up_again_each_time(server: Running) -> None:
    server.call()
    token_id = bearer.parse(server.token)
    assert token_id is not None
    with server.app.store.write() as tx:
        tx.tokens.revoke(token_id, server.app.now())
    assert server.fails().reason == "TOKEN_INVALID"


def test_a_victims_id_in_forged_tokens_does_not_shut_out_the_victim(
    start: Start, look_ups: LookUps
) -> None:
    everybody = (ipaddress.ip_network("127.0.0.0/8"),)
    server = start(trusted_proxies=everybody, build_with={"clock": lambda: 7.0})
    reasons = [
        server.fails(
            token=forged(server.token), metadata=[("x-forwarded-for", f"192.0.2.{number}")]
        )
        for number in range(12)
    ]
    assert {one.reason for one in reasons} == {"TOKEN_INVALID"}
    # The first use of the right one in this process.
    server.call()
    assert len(look_ups) == 13


def test_a_revoked_token_that_is_tried_again_does_not_shut_out_its_neighbours(start: Start) -> None:
    server = start(build_with={"clock": lambda: 7.0})
    revoked, *neighbours = [new_token(server.app, print) for _ in range(5)]
    server.call(token=revoked.secret)
    with server.app.store.write() as tx:
        tx.tokens.revoke(revoked.token_id, server.app.now())
    reasons = [server.fails(token=revoked.secret).reason for _ in range(30)]
    assert reasons == ["TOKEN_INVALID"] * 11 + ["RATE_LIMITED"] * 19
    for neighbour in neighbours:
        server.call(token=neighbour.secret)


def test_nor_does_one_that_this_process_has_never_seen_work(start: Start) -> None:
    server = start(build_with={"clock": lambda: 7.0})
    revoked, *neighbours = [new_token(server.app, print) for _ in range(5)]
    with server.app.store.write() as tx:
        tx.tokens.revoke(revoked.token_id, server.app.now())
    reasons = [server.fails(token=revoked.secret).reason for _ in range(30)]
    assert reasons == ["TOKEN_INVALID"] * 3 + ["RATE_LIMITED"] * 27
    for neighbour in neighbours:
        server.call(token=neighbour.secret)


def test_of_those_who_are_out_of_ration_few_hold_a_thread_while_the_database_hangs(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def identify(app: App, text: str) -> Principal:
        begun.set()
        assert go_on.wait(PATIENCE)
        raise Unauthenticated(Reason.TOKEN_INVALID, "no")

    monkeypatch.setattr(auth, "identify", identify)
    monkeypatch.setattr("accredit_service.interceptors.authentication._PATIENCE", 59.0)
    server = start(threads=4, failed_credentials_per_minute=2, build_with={"clock": lambda: 7.0})
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(lambda: server.fails(token=bearer.mint().secret)) for _ in range(4)]
        assert begun.wait(PATIENCE)
        # One is looked up, two wait for how that ends.
        refused = next(as_completed(calls, PATIENCE)).result()
        assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "RetryInfo" in refused.details
        assert sum(call.done() for call in calls) == 1
        go_on.set()
    assert sorted(call.result().reason for call in calls) == ["RATE_LIMITED"] * 3 + [
        "TOKEN_INVALID"
    ]


def forged(text: str) -> str:
    """A well-formed token with the public id of another."""
    token_id = bearer.parse(text)
    body = f"acr_{token_id}_{bearer.mint().secret[21:-6]}"
    return body + bearer._checksum(body)
