"""A scripted peer, and one way to use either client on it."""

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

import pytest

import accredit
from tests.client.peer import Peer

Use = Callable[[Any], Any]
Ask = Callable[..., Any]

AT_ONCE = accredit.Retries(chance=lambda: 0.0)
"""Retries as they are, without the waiting."""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ACCREDIT_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def peer() -> Generator[Peer]:
    with Peer() as running:
        yield running


def _ask(address: str, use: Use, **settings: Any) -> Any:
    with accredit.Client(address, **{"retries": AT_ONCE} | settings) as client:
        result = use(client)
        return list(result) if inspect.isgenerator(result) else result


def _ask_aio(address: str, use: Use, **settings: Any) -> Any:
    async def main() -> Any:
        async with accredit.aio.Client(address, **{"retries": AT_ONCE} | settings) as client:
            result = use(client)
            if isinstance(result, AsyncIterator):
                return [item async for item in result]
            return await result

    return asyncio.run(main())


@pytest.fixture(params=[_ask, _ask_aio], ids=["sync", "aio"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """`ask(address, lambda client: client.….…(…), **settings)` with either client.

    What the function returns is awaited or gone through, so that the same line does for both.
    """
    function: Ask = request.param
    return function
