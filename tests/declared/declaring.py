"""Declaring agents, and what became of them, in few words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.rpc.error_details_pb2 import ErrorInfo

from accredit.v1 import registry_pb2 as pb
from accredit_service.abilities.definitions.declaring import define
from accredit_service.abilities.extensions.declarations import Definition, Origin
from accredit_storage.changes import ChangeQuery
from accredit_storage.records import Change, ChangeKind
from tests.server import Person, Server


def register(server: Server, slug: str, **fields: Any) -> Any:
    """RegisterAgent, by the administrator; ``memory_seeds`` are texts by filename."""
    fields["memory_seeds"] = seeds(fields.get("memory_seeds", {}))
    return server.admin.call("RegistryService/RegisterAgent", agent_slug=slug, **fields)


def seeds(texts: Mapping[str, str]) -> list[dict[str, str]]:
    """The same as a request has them."""
    return [{"filename": filename, "text": text} for filename, text in texts.items()]


def seed_texts(server: Server, slug: str) -> dict[str, str]:
    """What ReadDefinitionSeeds streams, by filename."""
    texts: dict[str, bytes] = {}
    filename = ""
    for piece in server.admin.call("RegistryService/ReadDefinitionSeeds", agent_slug=slug):
        if piece.HasField("seed"):
            filename = piece.seed.filename
        texts[filename] = texts.get(filename, b"") + piece.content
    return {name: content.decode() for name, content in texts.items()}


def reconcile(caller: Person, *slugs: str, validate_only: bool = False) -> list[Any]:
    """All results of ReconcileAgents."""
    answers = caller.call(
        "RegistryService/ReconcileAgents", agent_slugs=slugs, validate_only=validate_only
    )
    return [result for answer in answers for result in answer.results]


def outcomes(results: list[Any]) -> list[tuple[str, str]]:
    """Slug and outcome, with the reason of those that were skipped."""
    return [(result.agent_slug, outcome(result)) for result in results]


def outcome(result: Any) -> str:
    """CREATED, EXISTING, PENDING, or "SKIPPED why"."""
    name = pb.ReconcileOutcome.Name(result.outcome).removeprefix("RECONCILE_OUTCOME_")
    return f"{name} {reason(result.error)}".strip()


def reason(status: Any) -> str:
    """The reason in a google.rpc.Status; "" for one that is not set."""
    found = ErrorInfo()
    return found.reason if any(detail.Unpack(found) for detail in status.details) else ""


def listed(server: Server) -> list[Any]:
    """All definitions that win."""
    answer = server.admin.call("RegistryService/ListAgentDefinitions", page_size=500)
    return list(answer.definitions)


def agent(server: Server, slug: str) -> Any:
    """The agent of a slug, as the administrator sees it."""
    answer = server.admin.call("AgentService/GetAgent", agent={"agent_slug": slug})
    return answer.agent


def declared(slug: str, *, origin: Origin = Origin.MANIFEST, **fields: Any) -> Definition:
    """A definition of the server's own."""
    source = fields.pop("source", f"{slug}.yaml")
    seeds = tuple(fields.pop("memory_seeds", {}).items())
    label = fields.pop("label", "")
    definition, notices = define(
        Definition(
            slug=slug, origin=origin, source=source, label=label, memory_seeds=seeds, **fields
        )
    )
    assert notices == []
    return definition


def declare(server: Server, *definitions: Definition) -> None:
    """Have the server declare exactly these of its own."""
    server.app.declarations.replace_manifests(definitions, [])


def changes(server: Server, kind: ChangeKind) -> list[Change]:
    """All changes of a kind, as they are stored, oldest first."""
    with server.app.store.read() as tx:
        return tx.changes.page(ChangeQuery(kinds=(kind,)), after=None, limit=1000)


def revision(server: Server) -> int:
    """How many changes there were: the same as before if nothing was written."""
    with server.app.store.read() as tx:
        return tx.head().revision


def agent_file(server: Server, slug: str, name: str) -> Path:
    """Where a file of an agent is on the disk."""
    return server.app.directories.tree.root / "agents" / slug / name


def no_agent(server: Server, slug: str) -> bool:
    """Whether there is neither the agent nor a directory of that name."""
    with server.app.store.read() as tx:
        row = tx.agents.find_by_slug(slug)
    return row is None and not agent_file(server, slug, "").exists()
