"""RegistryService."""

from collections.abc import Iterator

from accredit.v1 import registry_pb2 as pb
from accredit_storage.records import MemoryLayer

from ..abilities.calls.app import App
from ..abilities.calls.consistency import token_of
from ..abilities.declared import reconciling, registering
from ..abilities.files import memory_file_types
from ..interceptors.calls import Call
from . import definition_messages, fields
from .calls import ask, mutation, page_of
from .pages import in_replies, packed


class RegistryServicer:
    """See the proto for what each call promises."""

    def __init__(self, app: App) -> None:
        self._app = app

    def RegisterAgent(
        self, request: pb.RegisterAgentRequest, incoming: Call
    ) -> pb.RegisterAgentResponse:
        command = registering.RegisterAgent(
            definition=definition_messages.asked_definition(request), etag=request.etag
        )
        return mutation(
            incoming,
            request,
            pb.RegisterAgentResponse,
            lambda call: registering.register_agent(self._app, call, command),
            lambda registered: pb.RegisterAgentResponse(
                definition=definition_messages.definition(registered.definition),
                changed=registered.changed,
                outcome=definition_messages.result(registered.outcome),
                notices=registered.notices,
            ),
        )

    def UnregisterAgent(
        self, request: pb.UnregisterAgentRequest, incoming: Call
    ) -> pb.UnregisterAgentResponse:
        return mutation(
            incoming,
            request,
            pb.UnregisterAgentResponse,
            lambda call: registering.unregister_agent(
                self._app, call, request.agent_slug, request.source, request.etag
            ),
            lambda gone: pb.UnregisterAgentResponse(
                definition=definition_messages.definition(gone)
            ),
        )

    def SuppressAgent(
        self, request: pb.SuppressAgentRequest, incoming: Call
    ) -> pb.SuppressAgentResponse:
        return mutation(
            incoming,
            request,
            pb.SuppressAgentResponse,
            lambda call: registering.suppress_agent(self._app, call, request.name),
            lambda suppressed: pb.SuppressAgentResponse(
                changed=suppressed.changed, agent_slugs=suppressed.agent_slugs
            ),
        )

    def UnsuppressAgent(
        self, request: pb.UnsuppressAgentRequest, incoming: Call
    ) -> pb.UnsuppressAgentResponse:
        return mutation(
            incoming,
            request,
            pb.UnsuppressAgentResponse,
            lambda call: registering.unsuppress_agent(self._app, call, request.name),
            lambda done: pb.UnsuppressAgentResponse(
                changed=done.changed, agent_slugs=done.agent_slugs
            ),
        )

    def ReadDefinitionSeeds(
        self, request: pb.ReadDefinitionSeedsRequest, incoming: Call
    ) -> Iterator[pb.ReadDefinitionSeedsResponse]:
        texts = registering.read_seeds(
            self._app, ask(incoming, request.consistency), request.agent_slug
        )
        for filename in sorted(texts):
            yield from definition_messages.seed_pieces(filename, texts[filename].encode())

    def GetAgentDefinition(
        self, request: pb.GetAgentDefinitionRequest, incoming: Call
    ) -> pb.GetAgentDefinitionResponse:
        standing, outcome = registering.get_definition(
            self._app, ask(incoming, request.consistency), request.agent_slug
        )
        return pb.GetAgentDefinitionResponse(
            definition=definition_messages.definition(standing),
            outcome=definition_messages.result(outcome),
        )

    def ListAgentDefinitions(
        self, request: pb.ListAgentDefinitionsRequest, incoming: Call
    ) -> pb.ListAgentDefinitionsResponse:
        found = registering.list_definitions(
            self._app, ask(incoming, request.consistency), page_of(incoming, request)
        )
        reply = pb.ListAgentDefinitionsResponse(notices=found.notices)
        definitions, reply.next_page_token = packed(
            found.page, definition_messages.listed_definition, beside=reply.ByteSize()
        )
        reply.definitions.extend(definitions)
        return reply

    def ReconcileAgents(
        self, request: pb.ReconcileAgentsRequest, incoming: Call
    ) -> Iterator[pb.ReconcileAgentsResponse]:
        slugs = fields.at_most(reconciling.MAX_SLUGS, "agent_slugs", request.agent_slugs)
        command = reconciling.ReconcileAgents(
            agent_slugs=list(slugs), validate_only=request.validate_only
        )
        for chunk in reconciling.reconcile_agents(self._app, ask(incoming), command):
            for results in in_replies(map(definition_messages.result, chunk.results)):
                yield pb.ReconcileAgentsResponse(
                    results=results,
                    total=chunk.total,
                    consistency_token="" if chunk.head is None else token_of(chunk.head),
                )

    def RegisterMemoryFileType(
        self, request: pb.RegisterMemoryFileTypeRequest, incoming: Call
    ) -> pb.RegisterMemoryFileTypeResponse:
        layer = fields.required_enum(
            "layer", MemoryLayer, pb.MemoryLayer, request.layer, prefix="MEMORY_LAYER_"
        )
        command = memory_file_types.RegisterMemoryFileType(
            filename=request.filename,
            layer=layer,
            priority=request.priority if request.HasField("priority") else None,
            is_protected=request.is_protected,
            read_only=request.read_only,
            required_capability=request.required_capability,
            label=request.label,
            etag=request.etag,
        )
        return mutation(
            incoming,
            request,
            pb.RegisterMemoryFileTypeResponse,
            lambda call: memory_file_types.register_memory_file_type(self._app, call, command),
            lambda kept: pb.RegisterMemoryFileTypeResponse(
                memory_file_type=definition_messages.memory_file_type(kept)
            ),
        )

    def UnregisterMemoryFileType(
        self, request: pb.UnregisterMemoryFileTypeRequest, incoming: Call
    ) -> pb.UnregisterMemoryFileTypeResponse:
        return mutation(
            incoming,
            request,
            pb.UnregisterMemoryFileTypeResponse,
            lambda call: memory_file_types.unregister_memory_file_type(
                self._app, call, request.filename, request.etag
            ),
            lambda gone: pb.UnregisterMemoryFileTypeResponse(
                memory_file_type=definition_messages.memory_file_type(gone)
            ),
        )

    def ListMemoryFileTypes(
        self, request: pb.ListMemoryFileTypesRequest, incoming: Call
    ) -> pb.ListMemoryFileTypesResponse:
        found = memory_file_types.list_memory_file_types(
            self._app, ask(incoming, request.consistency), page_of(incoming, request)
        )
        types, token = packed(found, definition_messages.memory_file_type)
        return pb.ListMemoryFileTypesResponse(memory_file_types=types, next_page_token=token)
