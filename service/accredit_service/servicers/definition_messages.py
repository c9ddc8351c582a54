"""Definitions and types of memory files, from records to messages."""

from collections.abc import Mapping

from accredit.v1 import registry_pb2 as pb
from accredit.v1 import types_pb2
from accredit_storage.records import MemoryFileType

from ..abilities.registry.definitions import Standing
from ..abilities.registry.planning import Drift, Result
from ..abilities.registry.registering import Listed, sizes
from . import file_messages, messages


def definition(standing: Standing, *, with_texts: bool = False) -> pb.AgentDefinition:
    """A definition; on request with the texts of its seeds."""
    one = standing.definition
    texts = one.memory_seeds if with_texts else {}
    message = _definition(standing, sizes(one.memory_seeds), texts)
    message.default_config.CopyFrom(messages.struct(one.default_config))
    message.meta.CopyFrom(messages.struct(one.meta))
    return message


def listed_definition(listed: Listed) -> pb.AgentDefinition:
    """A definition in a list: without texts, config and meta."""
    return _definition(listed.standing, listed.seed_sizes, {})


def result(value: Result) -> pb.ReconcileResult:
    """What became of a definition."""
    return pb.ReconcileResult(
        agent_slug=value.agent_slug,
        outcome=messages.number(pb.ReconcileOutcome, "RECONCILE_OUTCOME_", value.outcome),
        reason=value.reason,
        message=value.message,
        agent_id=value.agent_id or 0,
        drift=[_drift(one) for one in value.drift],
        files=[file_messages.scaffolded_file(one) for one in value.files],
    )


def memory_file_type(value: MemoryFileType) -> pb.MemoryFileType:
    """A type of memory file."""
    return pb.MemoryFileType(
        filename=value.filename,
        layer=messages.number(pb.MemoryLayer, "MEMORY_LAYER_", value.layer),
        priority=value.priority,
        protected=value.protected,
        editable=value.editable,
        required_capability=value.required_capability,
        label=value.label,
        update_time=messages.time(value.updated_at),
    )


def _definition(
    standing: Standing, seed_sizes: Mapping[str, int], texts: Mapping[str, str]
) -> pb.AgentDefinition:
    one = standing.definition
    return pb.AgentDefinition(
        agent_slug=one.slug,
        label=one.label,
        description=one.description,
        memory_seeds=[
            pb.AgentDefinition.MemorySeed(
                filename=filename, size=size, text=texts.get(filename, "")
            )
            for filename, size in sorted(seed_sizes.items())
        ],
        owner=_owner(one.owner),
        owner_resolver=one.owner_resolver,
        priority=one.priority,
        origin=messages.number(pb.DefinitionOrigin, "DEFINITION_ORIGIN_", one.origin),
        source=one.source,
        suppressed=standing.suppressed,
        overrides=standing.overrides,
        update_time=messages.time(one.updated_at),
    )


def _owner(owner: int | str | None) -> types_pb2.UserRef | None:
    if owner is None:
        return None
    if isinstance(owner, int):
        return types_pb2.UserRef(user_id=owner)
    return types_pb2.UserRef(login=owner)


def _drift(value: Drift) -> pb.ReconcileResult.Drift:
    return pb.ReconcileResult.Drift(
        field=value.field,
        agent_value=value.agent_value,
        definition_value=value.definition_value,
    )
