"""How definitions of agents are shown, and what became of them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from accredit.cli.cells import Column, cell_at, columns
from accredit.cli.session import Session
from accredit.cli.statuses import status_text

if TYPE_CHECKING:
    from accredit.v1.registry_pb2 import AgentDefinition, ReconcileAgentsResponse, ReconcileResult

_LARGEST_BATCH = 1000


def reconciled(
    session: Session, slugs: Sequence[str], *, validate_only: bool
) -> Iterator["ReconcileAgentsResponse"]:
    """What becomes of the definitions of these slugs, or of all without one, as it happens."""
    for at in range(0, max(1, len(slugs)), _LARGEST_BATCH):
        yield from session.client.registry.reconcile_agents(
            agent_slugs=slugs[at : at + _LARGEST_BATCH],
            validate_only=validate_only,
            timeout=session.stream_timeout,
        )


def definition_columns(within: str = "") -> tuple[Column, ...]:
    """What a list has of a definition."""

    def of(message: Any) -> Any:
        return getattr(message, within) if within else message

    return (
        *columns("agent_slug", "label", within=within),
        Column("owner", lambda message: _owner(of(message))),
        *columns("priority", "origin", "source", "suppressed", "overrides", within=within),
    )


def detail_columns(within: str) -> tuple[Column, ...]:
    """All that there is of a definition but the texts of its seeds."""
    return (
        *definition_columns(within),
        *columns("description", "default_config", "meta", within=within),
        Column("memory_seeds", lambda message: _seeds(getattr(message, within).memory_seeds)),
        *columns("update_time", "etag", within=within),
    )


OUTCOME = (
    Column("outcome", lambda answer: cell_at(answer, "outcome.outcome")),
    Column("agent_id", lambda answer: cell_at(answer, "outcome.agent_id")),
    Column("what", lambda answer: what_became(answer.outcome)),
)


def what_became(result: "ReconcileResult") -> str:
    """In a line: why it was skipped, where its agent differs, which of its files are missing."""
    why = status_text(result.error)
    drift = ", ".join(drift.field for drift in result.drift)
    failed = ", ".join(unmade(result))
    return "; ".join(
        filter(None, (why, f"drift: {drift}" if drift else "", f"failed: {failed}" * bool(failed)))
    )


def unmade(result: "ReconcileResult") -> list[str]:
    """Which of a new agent's files could not be made, and why, a line each."""
    from accredit.v1.directory_pb2 import SCAFFOLD_OUTCOME_FAILED

    return [
        f"{file.path}: {status_text(file.error)}"
        for file in result.files
        if file.outcome == SCAFFOLD_OUTCOME_FAILED
    ]


def _owner(definition: "AgentDefinition") -> str:
    if definition.owner_resolver:
        return f"resolver:{definition.owner_resolver}"
    if not definition.HasField("owner"):
        return ""
    owner = definition.owner
    return str(getattr(owner, owner.WhichOneof("identifier") or "user_id"))


def _seeds(seeds: Iterable[Any]) -> str:
    return " ".join(f"{seed.filename}:{seed.size}" for seed in seeds)
