"""Definitions and types of memory files, from messages and to messages."""

from collections.abc import Iterator, Sequence

from accredit.v1 import registry_pb2 as pb
from accredit.v1 import types_pb2
from accredit_storage.records import MemoryFileType

from ..abilities.declared.planning import Drift, Result
from ..abilities.definitions.declaring import MAX_SEEDS
from ..abilities.definitions.definitions import Standing
from ..abilities.errors import invalid
from ..abilities.extensions.declarations import DEFAULT_PRIORITY, Definition, Origin
from ..abilities.files.memory_file_types import type_etag
from . import fields, file_messages, messages

_SEED_CHUNK = 64 * 1024


def asked_definition(request: pb.RegisterAgentRequest) -> Definition:
    """The definition that a request brings, as it is written there. Raises InvalidArgument."""
    return Definition(
        slug=request.agent_slug,
        label=request.label,
        description=request.description,
        memory_seeds=_asked_seeds(request),
        owner=fields.optional_user_ref(request, "owner"),
        owner_resolver=request.owner_resolver,
        default_config=fields.struct(request.default_config),
        meta=fields.struct(request.meta),
        priority=request.priority if request.HasField("priority") else DEFAULT_PRIORITY,
        origin=Origin.REGISTERED,
        source=request.source,
    )


def _asked_seeds(request: pb.RegisterAgentRequest) -> Sequence[tuple[str, str]]:
    """Filenames with texts. InvalidArgument for one without a name, or that states its size."""
    seeds = fields.at_most(MAX_SEEDS, "memory_seeds", request.memory_seeds)
    for index, seed in enumerate(seeds):
        if not seed.filename:
            raise invalid(f"memory_seeds[{index}].filename", "required: the name of a file")
        if seed.size:
            raise invalid(f"memory_seeds[{index}].size", "not set: the server counts it")
    return [(seed.filename, seed.text) for seed in seeds]


def seed_pieces(filename: str, content: bytes) -> Iterator[pb.ReadDefinitionSeedsResponse]:
    """A seed as the messages of a stream; the first one says which it is."""
    yield pb.ReadDefinitionSeedsResponse(
        seed=pb.MemorySeed(filename=filename, size=len(content)), content=content[:_SEED_CHUNK]
    )
    for start in range(_SEED_CHUNK, len(content), _SEED_CHUNK):
        yield pb.ReadDefinitionSeedsResponse(content=content[start : start + _SEED_CHUNK])


def definition(standing: Standing) -> pb.AgentDefinition:
    """A definition, without the texts of its seeds."""
    one = standing.definition
    message = listed_definition(standing)
    message.default_config.CopyFrom(messages.struct(one.default_config))
    message.meta.CopyFrom(messages.struct(one.meta))
    return message


def listed_definition(standing: Standing) -> pb.AgentDefinition:
    """A definition in a list: without texts, config and meta."""
    one = standing.definition
    return pb.AgentDefinition(
        agent_slug=one.slug,
        label=one.label,
        description=one.description,
        memory_seeds=[
            pb.MemorySeed(filename=filename, size=size)
            for filename, size in sorted(one.seed_sizes.items())
        ],
        owner=_owner(one.owner),
        owner_resolver=one.owner_resolver,
        priority=one.priority,
        origin=messages.number(pb.DefinitionOrigin, "DEFINITION_ORIGIN_", one.origin),
        source=one.source,
        suppressed=standing.suppressed,
        overrides=standing.overrides,
        update_time=messages.time(one.updated_at),
        etag=one.etag,
    )


def result(value: Result) -> pb.ReconcileResult:
    """What became of a definition."""
    return pb.ReconcileResult(
        agent_slug=value.agent_slug,
        outcome=messages.number(pb.ReconcileOutcome, "RECONCILE_OUTCOME_", value.outcome),
        error=None if value.error is None else messages.error(value.error),
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
        is_protected=value.is_protected,
        read_only=value.read_only,
        required_capability=value.required_capability,
        label=value.label,
        update_time=messages.time(value.updated_at),
        etag=type_etag(value),
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
