"""Reconciling: the declared agents that do not exist are created. What exists is never touched.

It goes in chunks, each a transaction and a change of its own: so nobody waits long for the
writers' lock however many there are, and what was told of stays done.
"""

import json
import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from accredit_storage.errors import StoreError
from accredit_storage.records import Head
from accredit_storage.store import Transaction

from ..calls.app import App
from ..calls.mutations import (
    Effect,
    MutatingCall,
    RightsLock,
    Written,
    mutate,
    record,
)
from ..calls.reads import Ask, reading
from ..calls.retries import until_it_wins
from ..definitions.definitions import Standing, all_standings, not_declared
from ..errors import Reason, Refusal
from ..input.agent_refs import clean_slug
from .creating import Making, Results, create_declared
from .planning import (
    Outcome,
    Result,
    described,
    plan,
    skipped,
)

log = logging.getLogger(__name__)

#: Definitions in a chunk, and bytes of their configs as JSON: its change must fit into a message.
CHUNK = 50
CHUNK_BYTES = 512 * 1024
MAX_SLUGS = 1000
# What a run that creates agents can come to.
_OUTCOMES = (Outcome.CREATED, Outcome.EXISTING, Outcome.SKIPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileAgents:
    """Which definitions, by slug; none stands for all. ``validate_only``: change nothing."""

    agent_slugs: Sequence[str]
    validate_only: bool


@dataclass(frozen=True, slots=True)
class Chunk:
    """What became of the next definitions, of ``total``, and the state after that.

    ``head`` None: nothing was to be changed.
    """

    results: Sequence[Result]
    total: int
    head: Head | None


def reconcile_agents(app: App, ask: Ask, command: ReconcileAgents) -> Iterator[Chunk]:
    """Create what is missing, for a caller who is judged anew for each chunk."""
    slugs = [
        clean_slug(f"agent_slugs[{index}]", slug) for index, slug in enumerate(command.agent_slugs)
    ]
    return _chunks(app, _AsCaller(app, ask), slugs, validate_only=command.validate_only)


def reconcile_as_server(app: App) -> Mapping[Outcome, int]:
    """Create what is missing, as the server itself: how many definitions came to which outcome."""
    counts = dict.fromkeys(_OUTCOMES, 0)
    for chunk in _chunks(app, _AsServer(app), [], validate_only=False):
        for result in chunk.results:
            counts[result.outcome] += 1
            error = result.error
            if error is not None and not _is_suppressed(error):
                fields = {"agent_slug": result.agent_slug, "why": str(error)}
                log.warning("declared agent skipped", extra={"fields": fields})
    return counts


def _is_suppressed(error: Refusal | StoreError) -> bool:
    return isinstance(error, Refusal) and error.reason is Reason.DEFINITION_SUPPRESSED


class _Snapshot(NamedTuple):
    tx: Transaction
    head: Head


class _Speaker(Protocol):
    """On whose behalf it is done."""

    def read(self) -> AbstractContextManager[_Snapshot]:
        """A snapshot."""
        ...

    def write(self, perform: Callable[[Making], Effect[Results]]) -> Written[Results]:
        """One change."""
        ...


class _AsCaller:
    """On behalf of a caller, who may lose the right to it in between."""

    def __init__(self, app: App, ask: Ask) -> None:
        self._app = app
        self._ask = ask

    @contextmanager
    def read(self) -> Generator[_Snapshot]:
        with reading(self._app, self._ask) as (tx, _caller, _now, head):
            yield _Snapshot(tx, head)

    def write(self, perform: Callable[[Making], Effect[Results]]) -> Written[Results]:
        written = mutate(
            self._app,
            MutatingCall(
                method=self._ask.method, token_id=self._ask.token_id, encode=lambda _: b""
            ),
            lambda one: perform(Making(one.tx, one.now, one.caller.user.user_id)),
            lock=RightsLock.SHARED,
        )
        assert isinstance(written, Written)  # noqa: S101 - there is no request id to replay
        return written


class _AsServer:
    """On the server's own behalf, when it starts or its manifests change."""

    def __init__(self, app: App) -> None:
        self._app = app

    @contextmanager
    def read(self) -> Generator[_Snapshot]:
        with self._app.store.read() as tx:
            yield _Snapshot(tx, tx.head())

    def write(self, perform: Callable[[Making], Effect[Results]]) -> Written[Results]:
        return until_it_wins(lambda: self._written(perform))

    def _written(self, perform: Callable[[Making], Effect[Results]]) -> Written[Results]:
        with self._app.store.write() as tx:
            now = self._app.now()
            effect = perform(Making(tx, now, None))
            record(tx, effect, now)
            return Written(value=effect.value, head=tx.head())


def _chunks(
    app: App, speaker: _Speaker, slugs: Sequence[str], *, validate_only: bool
) -> Iterator[Chunk]:
    with speaker.read() as (tx, head):
        standings = all_standings(app, tx)
    unknown: list[Result] = []
    if slugs:
        asked = dict.fromkeys(slugs)
        standings = [one for one in standings if one.definition.slug in asked]
        known = {one.definition.slug for one in standings}
        unknown = [skipped(slug, not_declared(slug)) for slug in asked if slug not in known]
    total = len(standings) + len(unknown)
    for some in _portions(standings):
        results, head = _reconcile(app, speaker, some, validate_only=validate_only)
        yield Chunk(results, total, None if validate_only else head)
    if unknown or not standings:
        yield Chunk(unknown, total, None if validate_only else head)


def _portions(standings: Sequence[Standing]) -> Iterator[Sequence[Standing]]:
    """The same in portions that are no more than a chunk may be."""
    portion: list[Standing] = []
    size = 0
    for standing in standings:
        config = len(json.dumps(described(standing.definition)))
        if portion and (len(portion) == CHUNK or size + config > CHUNK_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(standing)
        size += config
    if portion:
        yield portion


def _reconcile(
    app: App, speaker: _Speaker, standings: Sequence[Standing], *, validate_only: bool
) -> tuple[Sequence[Result], Head]:
    with speaker.read() as (tx, head):
        found = tx.agents.find_many_by_slug([one.definition.slug for one in standings])
        agents = {agent.agent_slug: agent for agent in found}
        results = {
            one.definition.slug: plan(app, tx, one, agents.get(one.definition.slug))
            for one in standings
        }
    missing = [
        one.definition
        for one in standings
        if results[one.definition.slug].outcome is Outcome.PENDING
    ]
    if missing and not validate_only:
        created, after = create_declared(app, speaker.write, missing)
        results |= created
        head = after or head
    return [results[one.definition.slug] for one in standings], head
