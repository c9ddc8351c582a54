"""AgentService."""

from accredit.v1 import agent_pb2 as pb
from accredit_storage.directory.places import AGENTS
from accredit_storage.records import (
    AgentStatus,
    AgentUpdate,
    NewAgent,
    SiteId,
)

from ..abilities.agents import (
    agents,
    creation,
    default_agents,
    deletion,
    queries,
    renaming,
    transfers,
)
from ..abilities.calls.app import App
from ..abilities.errors import Reason, Refusal, invalid
from ..interceptors.calls import Call
from . import fields, file_messages, messages
from .calls import ask, mutation, page_of
from .pages import packed


class AgentServicer:
    """See the proto for what each call promises."""

    def __init__(self, app: App) -> None:
        self._app = app

    def CreateAgent(self, request: pb.CreateAgentRequest, incoming: Call) -> pb.CreateAgentResponse:
        command = _create_command("", request)
        return mutation(
            incoming,
            request,
            pb.CreateAgentResponse,
            lambda call: agents.create_agent(self._app, call, command),
            lambda made: pb.CreateAgentResponse(
                agent=_made(made, request.validate_only),
                created=made.created,
                files=[file_messages.scaffolded_file(one) for one in made.files],
            ),
        )

    def BatchCreateAgents(
        self, request: pb.BatchCreateAgentsRequest, incoming: Call
    ) -> pb.BatchCreateAgentsResponse:
        items = fields.at_most(agents.MAX_BATCH, "requests", request.requests)
        if not items:
            raise invalid("requests", "at least one")
        commands = [_batch_command(index, item) for index, item in enumerate(items)]
        return mutation(
            incoming,
            request,
            pb.BatchCreateAgentsResponse,
            lambda call: agents.batch_create_agents(self._app, call, commands),
            lambda outcomes: pb.BatchCreateAgentsResponse(
                results=[_result(outcome, request.validate_only) for outcome in outcomes]
            ),
        )

    def GetAgent(self, request: pb.GetAgentRequest, incoming: Call) -> pb.GetAgentResponse:
        view = queries.get_agent(
            self._app,
            ask(incoming, request.consistency),
            fields.agent_ref("agent", request.agent),
        )
        return pb.GetAgentResponse(
            agent=messages.agent(view.agent),
            caller_role=messages.role(view.caller_role),
            access_grants=map(messages.named_grant, view.grants),
            directory=None
            if view.directory is None
            else file_messages.directory_info(view.directory_path, view.directory),
        )

    def BatchGetAgents(
        self, request: pb.BatchGetAgentsRequest, incoming: Call
    ) -> pb.BatchGetAgentsResponse:
        refs = [
            fields.agent_ref(f"agents[{index}]", ref)
            for index, ref in enumerate(fields.at_most(queries.MAX_BATCH, "agents", request.agents))
        ]
        if not refs:
            raise invalid("agents", "at least one")
        page = queries.batch_get_agents(
            self._app, ask(incoming, request.consistency), refs, page_of(incoming, request)
        )
        found, token = packed(page, messages.agent)
        return pb.BatchGetAgentsResponse(agents=found, next_page_token=token)

    def ListAgents(self, request: pb.ListAgentsRequest, incoming: Call) -> pb.ListAgentsResponse:
        page = queries.list_agents(
            self._app,
            ask(incoming, request.consistency),
            _list_query(incoming, request),
            page_of(incoming, request),
        )
        listed, token = packed(
            page, lambda one: messages.listed_agent(one, include_role=request.include_role)
        )
        return pb.ListAgentsResponse(agents=listed, next_page_token=token)

    def UpdateAgent(self, request: pb.UpdateAgentRequest, incoming: Call) -> pb.UpdateAgentResponse:
        command = _update_command(request)
        return mutation(
            incoming,
            request,
            pb.UpdateAgentResponse,
            lambda call: agents.update_agent(self._app, call, command),
            lambda agent: pb.UpdateAgentResponse(agent=messages.agent(agent)),
        )

    def SetAgentStatus(
        self, request: pb.SetAgentStatusRequest, incoming: Call
    ) -> pb.SetAgentStatusResponse:
        command = agents.SetAgentStatus(
            agent=fields.agent_ref("agent", request.agent),
            status=fields.required_enum(
                "status", AgentStatus, pb.AgentStatus, request.status, prefix="AGENT_STATUS_"
            ),
            why=request.reason,
            etag=request.etag,
        )
        return mutation(
            incoming,
            request,
            pb.SetAgentStatusResponse,
            lambda call: agents.set_agent_status(self._app, call, command),
            lambda done: pb.SetAgentStatusResponse(
                agent=messages.agent(done.agent), changed=done.changed
            ),
        )

    def RenameAgent(self, request: pb.RenameAgentRequest, incoming: Call) -> pb.RenameAgentResponse:
        command = renaming.RenameAgent(
            agent=fields.agent_ref("agent", request.agent),
            new_slug=request.new_slug,
            etag=request.etag,
        )
        return mutation(
            incoming,
            request,
            pb.RenameAgentResponse,
            lambda call: renaming.rename_agent(self._app, call, command),
            lambda renamed: pb.RenameAgentResponse(
                agent=messages.agent(renamed.agent),
                old_slug=renamed.old_slug,
                old_path=f"{AGENTS}/{renamed.old_slug}",
                new_path=f"{AGENTS}/{renamed.agent.agent_slug}",
            ),
        )

    def DeleteAgent(self, request: pb.DeleteAgentRequest, incoming: Call) -> pb.DeleteAgentResponse:
        command = deletion.DeleteAgent(
            agent=fields.agent_ref("agent", request.agent),
            etag=request.etag,
            delete_files=request.delete_files,
        )
        return mutation(
            incoming,
            request,
            pb.DeleteAgentResponse,
            lambda call: deletion.delete_agent(self._app, call, command),
            lambda deleted: pb.DeleteAgentResponse(
                agent=messages.agent(deleted.agent),
                grants_deleted=deleted.grants,
                tokens_deleted=deleted.tokens,
                files_deleted=deleted.files_deleted,
                kept_path=deleted.kept_path,
            ),
        )

    def TransferAgent(
        self, request: pb.TransferAgentRequest, incoming: Call
    ) -> pb.TransferAgentResponse:
        command = transfers.TransferAgent(
            agent=fields.agent_ref("agent", request.agent),
            new_owner=fields.user_ref("new_owner", request.new_owner),
            keep_access=request.keep_access,
            etag=request.etag,
        )
        return mutation(
            incoming,
            request,
            pb.TransferAgentResponse,
            lambda call: transfers.transfer_agent(self._app, call, command),
            lambda done: _transferred(done, request.validate_only),
        )

    def AcceptTransfer(
        self, request: pb.AcceptTransferRequest, incoming: Call
    ) -> pb.AcceptTransferResponse:
        command = transfers.AcceptTransfer(
            offer_id=fields.required_id("offer_id", request.offer_id, int),
            keep_access=request.keep_access,
        )
        return mutation(
            incoming,
            request,
            pb.AcceptTransferResponse,
            lambda call: transfers.accept_transfer(self._app, call, command),
            lambda done: pb.AcceptTransferResponse(
                agent=messages.agent(done.agent),
                former_owner_id=done.former_owner_id,
                tokens_revoked=done.tokens_revoked,
                access_grants=map(messages.named_grant, done.grants),
            ),
        )

    def DeclineTransfer(
        self, request: pb.DeclineTransferRequest, incoming: Call
    ) -> pb.DeclineTransferResponse:
        offer_id = fields.required_id("offer_id", request.offer_id, int)
        return mutation(
            incoming,
            request,
            pb.DeclineTransferResponse,
            lambda call: transfers.decline_transfer(self._app, call, offer_id),
            lambda view: pb.DeclineTransferResponse(offer=messages.offer(view)),
        )

    def ListTransferOffers(
        self, request: pb.ListTransferOffersRequest, incoming: Call
    ) -> pb.ListTransferOffersResponse:
        side = fields.enum_of(
            "direction",
            transfers.Side,
            pb.OfferDirection,
            request.direction,
            prefix="OFFER_DIRECTION_",
        )
        query = transfers.ListOffers(user=fields.optional_user_ref(request), side=side)
        page = transfers.list_offers(
            self._app, ask(incoming, request.consistency), query, page_of(incoming, request)
        )
        offers, token = packed(page, messages.offer)
        return pb.ListTransferOffersResponse(offers=offers, next_page_token=token)

    def SetDefaultAgent(
        self, request: pb.SetDefaultAgentRequest, incoming: Call
    ) -> pb.SetDefaultAgentResponse:
        which = request.WhichOneof("choice")
        if which is None:
            raise invalid("choice", "say which: agent, or none: true")
        if which == "none":
            fields.true("none", request.none)
        ref = fields.agent_ref("agent", request.agent) if which == "agent" else None
        return mutation(
            incoming,
            request,
            pb.SetDefaultAgentResponse,
            lambda call: default_agents.set_default_agent(self._app, call, ref),
            lambda agent: pb.SetDefaultAgentResponse(
                agent=None if agent is None else messages.agent(agent, config=False)
            ),
        )

    def ResolveAgent(
        self, request: pb.ResolveAgentRequest, incoming: Call
    ) -> pb.ResolveAgentResponse:
        if request.HasField("agent") and request.HasField("user"):
            raise invalid("user", "not beside agent: only a default agent is a user's")
        agent = queries.resolve_agent(
            self._app,
            ask(incoming, request.consistency),
            fields.optional_agent_ref("agent", request),
            fields.optional_user_ref(request),
        )
        return pb.ResolveAgentResponse(agent=messages.agent(agent, config=False))

    def ProvisionAgent(
        self, request: pb.ProvisionAgentRequest, incoming: Call
    ) -> pb.ProvisionAgentResponse:
        user = fields.optional_user_ref(request)
        return mutation(
            incoming,
            request,
            pb.ProvisionAgentResponse,
            lambda call: creation.provision_agent(self._app, call, user),
            lambda made: pb.ProvisionAgentResponse(
                agent=messages.agent(made.agent), created=made.created
            ),
        )


def _create_command(path: str, request: pb.CreateAgentRequest) -> agents.CreateAgent:
    return agents.CreateAgent(
        new=NewAgent(
            agent_slug=request.agent_slug,
            agent_name=request.agent_name,
            config=fields.struct(request.config),
            site_scope=fields.optional_id(f"{path}site_scope", request.site_scope, SiteId),
        ),
        owner=fields.optional_user_ref(request, "owner", f"{path}owner"),
        create_if_missing=request.create_if_missing,
    )


def _batch_command(index: int, item: pb.CreateAgentRequest) -> agents.CreateAgent:
    path = f"requests[{index}]."
    if item.validate_only or item.request_id:
        named = "validate_only" if item.validate_only else "request_id"
        raise invalid(f"{path}{named}", "unset in an item: it is the batch's")
    as_missing = pb.CreateAgentRequest()
    as_missing.CopyFrom(item)
    as_missing.create_if_missing = True
    return _create_command(path, as_missing)


def _update_command(request: pb.UpdateAgentRequest) -> agents.UpdateAgent:
    update = request.update
    values = fields.masked(
        request,
        {
            "agent_name": lambda: update.agent_name,
            "config": lambda: fields.struct(update.config),
            "status": lambda: _status("update.status", update.status),
            "site_scope": lambda: fields.optional_id(
                "update.site_scope", update.site_scope, SiteId
            ),
        },
        unstated=frozenset({"config", "site_scope"}),
    )
    return agents.UpdateAgent(
        agent=fields.agent_ref("agent", request.agent),
        etag=request.etag,
        update=AgentUpdate(**values),
    )


def _list_query(incoming: Call, request: pb.ListAgentsRequest) -> queries.ListAgents:
    scope = fields.enum_of(
        "scope",
        queries.ListScope,
        pb.ListScope,
        request.scope,
        prefix="LIST_SCOPE_",
        reason=Reason.INVALID_AGENT_SCOPE,
    )
    everyone = scope is queries.ListScope.ALL
    if everyone and request.HasField("user"):
        raise invalid("user", "not beside scope ALL, which lists everybody's agents")
    return queries.ListAgents(
        everyone=everyone,
        user=fields.optional_user_ref(request),
        site_id=fields.site(incoming, "site_id", request.site_id),
        status=_status_filter(request.status),
        text=request.text,
    )


def _status(path: str, value: int) -> AgentStatus | None:
    return fields.enum_of(path, AgentStatus, pb.AgentStatus, value, prefix="AGENT_STATUS_")


def _status_filter(value: int) -> AgentStatus | None:
    if value == pb.AGENT_STATUS_FILTER_ANY:
        return None
    status = fields.enum_of(
        "status", AgentStatus, pb.AgentStatusFilter, value, prefix="AGENT_STATUS_FILTER_"
    )
    return status or AgentStatus.ACTIVE


def _made(made: creation.Created, validate_only: bool, *, config: bool = True) -> pb.Agent:
    message = messages.agent(made.agent, config=config)
    if made.created and validate_only:
        # The number that it had for a moment may be another agent's tomorrow.
        message.ClearField("agent_id")
    return message


def _transferred(
    done: transfers.Transferred | transfers.Offered, validate_only: bool
) -> pb.TransferAgentResponse:
    if isinstance(done, transfers.Transferred):
        return pb.TransferAgentResponse(
            agent=messages.agent(done.agent),
            former_owner_id=done.former_owner_id,
            tokens_revoked=done.tokens_revoked,
            access_grants=map(messages.named_grant, done.grants),
        )
    offer = messages.offer(done.view)
    if done.made and validate_only:
        # The number that it had for a moment may be another offer's tomorrow.
        offer.ClearField("offer_id")
    return pb.TransferAgentResponse(agent=messages.agent(done.agent), offer=offer)


def _result(
    outcome: creation.Created | Refusal, validate_only: bool
) -> pb.BatchCreateAgentsResponse.Result:
    if isinstance(outcome, Refusal):
        return pb.BatchCreateAgentsResponse.Result(error=messages.error(outcome))
    # Without configs: of agents that were there already, a hundred may be more than a reply holds.
    agent = _made(outcome, validate_only, config=False)
    return pb.BatchCreateAgentsResponse.Result(agent=agent, created=outcome.created)
