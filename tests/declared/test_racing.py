"""Servers that start together: each declared agent is created once, each file seeded once."""

import multiprocessing
from collections import Counter
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from accredit_service.abilities import bootstrap
from accredit_service.abilities.calls.app import App
from accredit_service.abilities.declared.planning import Outcome
from accredit_service.abilities.declared.reconciling import reconcile_as_server
from accredit_service.abilities.extensions.declarations import Declarations
from accredit_storage.changes import ChangeQuery
from accredit_storage.directory.directories import Directories
from accredit_storage.records import ChangeKind
from accredit_storage.store import Store
from tests.declared.declaring import declared

SERVERS = 3
AGENTS = 120
EXISTING = 7
COUNTED = (Outcome.CREATED, Outcome.EXISTING, Outcome.SKIPPED)


def app_on(database_url: str, folder: Path, *, server: str = "") -> App:
    """A server's; each says in the seeds which one it is."""
    store = Store.open(database_url)
    declarations = Declarations()
    declarations.replace_manifests(
        [
            declared(f"agent-{number:03}", memory_seeds={"SOUL.md": f"{server} made {number}"})
            for number in range(AGENTS)
        ],
        [],
    )
    directories = Directories(store, folder / "files")
    directories.start()
    return App(store=store, directories=directories, declarations=declarations)


def serve(database_url: str, folder: Path, server: str, together: Barrier) -> None:
    """Reconcile at the same moment as the others, and leave the counts in a file."""
    app = app_on(database_url, folder, server=server)
    together.wait()
    counts = reconcile_as_server(app)
    (folder / server).write_text(" ".join(str(counts[outcome]) for outcome in COUNTED))


# Two cores for three servers, and PostgreSQL's locks: usually five seconds.
@pytest.mark.timeout(180)
def test_servers_that_start_together_create_each_agent_once(
    database_url: str, tmp_path: Path
) -> None:
    app = app_on(database_url, tmp_path)
    bootstrap.bootstrap(app, lambda _: None)
    # Some are there already, with a file that a person has changed.
    app.declarations.replace_manifests(app.declarations.definitions[:EXISTING], [])
    reconcile_as_server(app)
    edited = app.directories.tree.root / "agents" / "agent-003" / "SOUL.md"
    edited.write_text("mine")

    context = multiprocessing.get_context("spawn")
    together = context.Barrier(SERVERS)
    names = [f"server-{number}" for number in range(SERVERS)]
    servers = [
        context.Process(target=serve, args=(database_url, tmp_path, name, together))
        for name in names
    ]
    for server in servers:
        server.start()
    for server in servers:
        server.join()
    assert [server.exitcode for server in servers] == [0] * SERVERS

    counts = [[int(count) for count in (tmp_path / name).read_text().split()] for name in names]
    created, existing, skipped = (sum(column) for column in zip(*counts, strict=True))
    assert (created, skipped) == (AGENTS - EXISTING, 0)
    assert existing == SERVERS * AGENTS - created

    with app.store.read() as tx:
        agents = tx.agents.find_many_by_slug([f"agent-{number:03}" for number in range(AGENTS)])
        rows = tx.changes.page(
            ChangeQuery(kinds=(ChangeKind.DEFINITION_RECONCILED,)), after=None, limit=1000
        )
        grants = [tx.grants.all_for_agent(agent.agent_id) for agent in agents]
    told = Counter(one["agent_slug"] for row in rows for one in (row.after or {})["agents"])
    assert len(agents) == AGENTS
    assert set(told.values()) == {1}
    assert len(told) == AGENTS
    assert {len(each) for each in grants} == {1}
    # The seed of exactly the server that made the agent, whole.
    made_by: Counter[str] = Counter()
    for number in range(AGENTS):
        text = (app.directories.tree.root / "agents" / f"agent-{number:03}" / "SOUL.md").read_text()
        if number >= EXISTING:
            maker, _, rest = text.partition(" ")
            assert rest == f"made {number}\n"
            made_by[maker] += 1
    assert [made_by[name] for name in names] == [count[0] for count in counts]
    assert edited.read_text() == "mine"
    app.store.close()
