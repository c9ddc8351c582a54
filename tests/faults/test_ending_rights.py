"""Taking a right away works while it is being used, and misses nothing that it should take."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from tests.faults.racing import race, reasons, spread
from tests.server import Person, RefusedError, Server

CALLERS = 14
# Generous: with the protection it takes hundredths of a second, without it half a minute.
SOON = 5.0


@dataclass(frozen=True)
class Abused:
    """Somebody whose rights are to end: what they call, and how they are stopped."""

    caller: Person
    call: tuple[str, dict[str, Any]]
    stop: tuple[str, dict[str, Any]]
    refusals: frozenset[str]


def member(server: Server, stop: Callable[[Person], tuple[str, dict[str, Any]]]) -> Abused:
    caller = server.user()
    agent = server.agent(caller)
    grant = {
        "agent": {"agent_id": agent.agent_id},
        "principal": {"user_id": server.admin.user_id},
        "role": "ROLE_VIEWER",
    }
    ended = frozenset({"TOKEN_INVALID", "USER_INACTIVE"})
    return Abused(caller, ("AccessService/GrantAccess", grant), stop(caller), ended)


def stolen_token(server: Server) -> Abused:
    return member(
        server, lambda caller: ("TokenService/RevokeToken", {"token_id": caller.token_id})
    )


def all_tokens(server: Server) -> Abused:
    return member(
        server,
        lambda caller: ("TokenService/RevokeUserTokens", {"user": {"user_id": caller.user_id}}),
    )


def user(server: Server) -> Abused:
    return member(
        server,
        lambda caller: ("UserService/DeactivateUser", {"user": {"user_id": caller.user_id}}),
    )


def minting_user(server: Server) -> Abused:
    abused = user(server)
    mint = ("TokenService/CreateToken", {**abused.caller.ref, "full_rights": True})
    return Abused(abused.caller, mint, abused.stop, abused.refusals)


def agent(server: Server) -> Abused:
    owner = server.user()
    made = server.agent(owner)
    caller = server.agent_token(owner, made.agent_id)
    named = {"agent": {"agent_id": made.agent_id}}
    return Abused(
        caller,
        ("AgentService/UpdateAgent", {**named, "update": {"agent_name": "busy"}}),
        ("AgentService/UpdateAgent", {**named, "update": {"status": "AGENT_STATUS_INACTIVE"}}),
        frozenset({"AGENT_INACTIVE"}),
    )


@pytest.mark.parametrize("abuse", [stolen_token, all_tokens, user, minting_user, agent])
def test_a_flood_of_calls_does_not_keep_its_own_end_waiting(
    server: Server, abuse: Callable[[Server], Abused]
) -> None:
    abused = abuse(server)
    method, fields = abused.call
    seen: Counter[str] = Counter()
    flowing = threading.Barrier(CALLERS + 1)

    def call_until_refused(caller: Person) -> None:
        caller.call(method, **fields)
        flowing.wait()
        try:
            while True:
                caller.call(method, **fields)
                seen["ok"] += 1
        except RefusedError as refusal:
            seen[refusal.reason] += 1

    with spread(abused.caller, connections=CALLERS) as callers, ThreadPoolExecutor(CALLERS) as pool:
        calls = [pool.submit(call_until_refused, caller) for caller in callers]
        flowing.wait()
        began = time.monotonic()
        stop, how = abused.stop
        server.admin.call(stop, **how)
        took = time.monotonic() - began
        done, running = wait(calls, timeout=SOON)
    assert took < SOON
    assert not running
    assert [call.result() for call in done] == [None] * CALLERS
    assert set(seen) - {"ok"} <= abused.refusals


def own_by_itself(server: Server) -> tuple[Person, str, tuple[str, dict[str, Any]]]:
    """A user's token in the hands of a thief, who rotates it as its user ends all of theirs."""
    owner = server.user()
    return (
        owner,
        owner.token_id,
        ("TokenService/RevokeUserTokens", {"user": {"user_id": owner.user_id}}),
    )


def minted_by_the_grantee(server: Server) -> tuple[Person, str, tuple[str, dict[str, Any]]]:
    made, grantee = server.agent(server.user()), server.user()
    server.grant(made.agent_id, grantee, "ADMIN")
    minted = server.agent_token(grantee, made.agent_id)
    pair = {
        "agent": {"agent_id": made.agent_id},
        "principal": {"user_id": grantee.user_id},
    }
    return grantee, minted.token_id, ("AccessService/RevokeAccess", pair)


def of_an_agent_that_goes(server: Server) -> tuple[Person, str, tuple[str, dict[str, Any]]]:
    owner, next_owner = server.user(), server.user()
    made = server.agent(owner)
    minted = server.agent_token(owner, made.agent_id)
    transfer = {
        "agent": {"agent_id": made.agent_id},
        "new_owner": {"user_id": next_owner.user_id},
        "keep_access": True,
    }
    return owner, minted.token_id, ("AgentService/TransferAgent", transfer)


def of_an_agent_whose_tokens_end(
    server: Server,
) -> tuple[Person, str, tuple[str, dict[str, Any]]]:
    owner = server.user()
    made = server.agent(owner)
    minted = server.agent_token(owner, made.agent_id)
    named = {"agent": {"agent_id": made.agent_id}}
    return owner, minted.token_id, ("TokenService/RevokeAgentTokens", named)


@pytest.mark.parametrize(
    "case",
    [own_by_itself, minted_by_the_grantee, of_an_agent_that_goes, of_an_agent_whose_tokens_end],
)
def test_no_successor_outlives_the_end_of_all_tokens(
    server: Server,
    case: Callable[[Server], tuple[Person, str, tuple[str, dict[str, Any]]]],
) -> None:
    for _ in range(8):
        rotator, token_id, (end, how) = case(server)
        with spread(rotator, connections=4) as rotators:
            outcomes = race(
                [
                    *(
                        partial(caller.call, "TokenService/RotateToken", token_id=token_id)
                        for caller in rotators
                    ),
                    partial(server.admin.call, end, **how),
                ]
            )
        assert not isinstance(outcomes[-1], RefusedError)
        assert not live_family(server, token_id), reasons(outcomes)


def live_family(server: Server, token_id: str) -> list[str]:
    """Which of a token and its successors work."""
    with server.app.store.read() as tx:
        everything = tx.tokens.page(
            agent_id=None,
            user_id=None,
            include_inactive=False,
            at=datetime.now(UTC),
            after=None,
            limit=10_000,
        )
    return [one.token_id for one in everything if token_id in (one.token_id, one.rotated_from)]
