"""Lists of definitions page by page: one query each, and together the whole."""

import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from accredit_service.abilities.definitions.definitions import (
    Standing,
    all_standings,
    page_of_standings,
)
from accredit_service.abilities.extensions.declarations import Definition, Origin
from accredit_storage.execution import Executor, Rows
from accredit_storage.store import WriteTransaction
from tests.api.asking import pages
from tests.declared.declaring import declare, declared, listed
from tests.server import Server
from tests.statements import statements
from tests.storage.making import NOW, put_definition, put_memory_file_type

STORED = 200
SIZE = 10
LIST = "RegistryService/ListAgentDefinitions"
TABLES = ("definitions", "definition_seeds", "suppressions", "memory_file_types")


def fill(server: Server) -> None:
    """Many in the store, some of them of several sources, some in manifests, some suppressed."""
    with server.app.store.write() as tx:
        for number in range(STORED):
            put_definition(tx, f"agent-{number}", priority=10 + number % 3)
            if number % 7 == 0:
                put_definition(tx, f"agent-{number}", "another", priority=9 + number % 4)
        tx.suppressions.put("another", None, NOW)
        tx.suppressions.put("agent-8", None, NOW)
        tx.suppressions.put("manifest-3.yaml", None, NOW)
    declare(
        server,
        *(declared(f"manifest-{number}", priority=11) for number in range(15)),
        *(declared(f"agent-{number}", priority=number % 20) for number in range(0, STORED, 9)),
    )


def walked(server: Server, method: str, size: int) -> Iterator[tuple[Any, list[str]]]:
    """The pages of a list, each with the statements that read what is listed."""
    server.admin.call(method, page_size=1)
    token = ""
    while True:
        with statements(server) as sent:
            page = server.admin.call(method, page_size=size, page_token=token)
        yield page, [one for one in sent if any(table in one for table in TABLES)]
        if not (token := page.next_page_token):
            return


def test_each_page_is_one_query_and_together_they_are_the_list(server: Server) -> None:
    fill(server)
    # What is found of its owner is no part of the list.
    server.app.declarations.default_agent = True
    found = []
    for page, sent in walked(server, LIST, SIZE):
        assert len(sent) == 1, sent
        assert "LIMIT" in sent[0]
        found.append(list(page.definitions))
    assert {len(page) for page in found[:-1]} == {SIZE}
    whole = listed(server)
    assert len(whole) == STORED + 16
    assert [one for page in found for one in page] == whole


def test_a_page_reads_no_more_of_the_store_than_it_shows(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(server)
    read: list[int] = []
    execute = Executor.execute

    def counted(executor: Executor, *asked: Any) -> Rows:
        found = execute(executor, *asked)
        read.append(len(found.all()))
        return found

    with server.app.store.read() as tx:
        monkeypatch.setattr(Executor, "execute", counted)
        shown = page_of_standings(server.app, tx, after=None, limit=SIZE + 1)
        monkeypatch.undo()
    assert len(shown) == SIZE + 1
    assert SIZE + 1 in read
    assert max(read) == SIZE + 1


def test_a_list_keeps_its_order_while_definitions_come(server: Server) -> None:
    fill(server)
    before = {one.agent_slug for one in listed(server)}
    begun, ended = threading.Event(), threading.Event()

    def register() -> None:
        number = 0
        while not ended.is_set():
            with server.app.store.write() as tx:
                tx.exclusive("definitions")
                put_definition(tx, f"new-{number}", priority=8 + number % 6, memory_seeds={})
            begun.set()
            number += 1

    writer = threading.Thread(target=register)
    writer.start()
    try:
        assert begun.wait(30)
        found = pages(server.admin, LIST, "definitions", page_size=SIZE)
    finally:
        ended.set()
        writer.join()
    slugs = [one.agent_slug for page in found for one in page]
    assert len(set(slugs)) == len(slugs)
    assert before <= set(slugs)
    assert set(slugs) - before
    # What is there now has them in the same order, whatever else came behind the reader's back.
    now = [one.agent_slug for one in every(server)]
    places = {slug: place for place, slug in enumerate(now)}
    assert sorted(slugs, key=places.__getitem__) == slugs


def every(server: Server) -> list[Any]:
    """The whole list, which may be longer than a page may be."""
    return [one for page in pages(server.admin, LIST, "definitions", page_size=500) for one in page]


@pytest.mark.parametrize("seed", range(12))
def test_pages_say_what_all_definitions_together_say(server: Server, seed: int) -> None:
    chance = random.Random(seed)
    slugs, sources = ["a", "b", "c", "d", "e", "f"], ["p", "q", "r", "s"]
    with server.app.store.write() as tx:
        # Some twice: that keeps their place and takes a new turn.
        for _ in range(chance.choice((0, 5, 25))):
            some_stored(tx, chance, slugs, sources)
        for name in chance.sample([*slugs, *sources], chance.randrange(4)):
            tx.suppressions.put(name, None, NOW)
    server.app.declarations.suppressed = frozenset(chance.sample([*slugs, *sources], 2))
    declare(server, *(some_own(chance, slugs, sources) for _ in range(chance.choice((0, 4, 12)))))
    server.app.declarations.default_agent = chance.random() < 0.5
    with server.app.store.read() as tx:
        whole = all_standings(server.app, tx)
        for limit in (1, 2, 5, 100):
            found: list[Standing] = []
            while page := page_of_standings(
                server.app, tx, after=found[-1].order if found else None, limit=limit
            ):
                assert len(page) <= limit
                found += page
            assert found == whole


def test_of_what_loses_the_strongest_hundred_are_told_wherever_they_come_from(
    server: Server,
) -> None:
    with server.app.store.write() as tx:
        for number in range(103):
            put_definition(tx, "scribe", f"source-{number:03}", memory_seeds={})
    declare(server, declared("scribe", priority=9), declared("scribe", priority=11, source="wins"))
    with server.app.store.read() as tx:
        (found,) = page_of_standings(server.app, tx, after=None, limit=2)
        assert [found] == all_standings(server.app, tx)
    assert found.definition.source == "wins"
    assert list(found.overrides) == [f"source-{number:03}" for number in range(3, 103)]


def some_stored(
    tx: WriteTransaction, chance: random.Random, slugs: list[str], sources: list[str]
) -> None:
    put_definition(
        tx,
        chance.choice(slugs),
        chance.choice(sources),
        priority=chance.choice((-1000, 9, 10, 11, 1000)),
        label=str(chance.random()),
        memory_seeds=chance.choice(({}, {'é "\\.md': "1", "B.md": "two"})),
    )


def some_own(chance: random.Random, slugs: list[str], sources: list[str]) -> Definition:
    return declared(
        chance.choice(slugs),
        origin=chance.choice((Origin.ENTRY_POINT, Origin.MANIFEST)),
        source=chance.choice([*sources, "é\"'\\{,.yaml"]),
        priority=chance.choice((9, 10, 11)),
    )


def test_types_of_memory_files_are_one_query_a_page(server: Server) -> None:
    with server.app.store.write() as tx:
        for number in range(200):
            put_memory_file_type(tx, f"{number:03}-é.md", priority=number % 3 * 10)
    method = "RegistryService/ListMemoryFileTypes"
    found = []
    for page, sent in walked(server, method, SIZE):
        assert len(sent) == 1, sent
        assert "LIMIT" in sent[0]
        found += page.memory_file_types
    whole = server.admin.call(method, page_size=500).memory_file_types
    assert found == list(whole)
    assert len(found) == 206
    keys = [(one.priority, one.filename) for one in found]
    assert keys == sorted(keys)
