"""SiteService."""

import grpc

from accredit.v1 import site_pb2 as pb
from accredit.v1.site_pb2_grpc import SiteServiceServicer
from accredit_storage.records import Site

from ..abilities import sites
from ..abilities.calls.app import App
from . import fields, messages
from .calls import ask, mutation, page_of
from .pages import packed


class SiteServicer(SiteServiceServicer):
    """See the proto for what each call promises."""

    def __init__(self, app: App) -> None:
        self._app = app

    def CreateSite(
        self, request: pb.CreateSiteRequest, context: grpc.ServicerContext
    ) -> pb.CreateSiteResponse:
        """See the proto."""
        command = sites.CreateSite(site_slug=request.site_slug, site_name=request.site_name)

        def pack(site: Site) -> pb.CreateSiteResponse:
            message = messages.site(site)
            if request.validate_only:
                message.ClearField("site_id")
            return pb.CreateSiteResponse(site=message)

        return mutation(
            request,
            pb.CreateSiteResponse,
            lambda call: sites.create_site(self._app, call, command),
            pack,
        )

    def GetSite(
        self, request: pb.GetSiteRequest, context: grpc.ServicerContext
    ) -> pb.GetSiteResponse:
        """See the proto."""
        site = sites.get_site(
            self._app,
            ask(request.consistency),
            fields.site_ref("site", request.site),
        )
        return pb.GetSiteResponse(site=messages.site(site))

    def ListSites(
        self, request: pb.ListSitesRequest, context: grpc.ServicerContext
    ) -> pb.ListSitesResponse:
        """See the proto."""
        page = sites.list_sites(self._app, ask(request.consistency), page_of(request))
        listed, token = packed(page, messages.site)
        return pb.ListSitesResponse(sites=listed, next_page_token=token)

    def DeleteSite(
        self, request: pb.DeleteSiteRequest, context: grpc.ServicerContext
    ) -> pb.DeleteSiteResponse:
        """See the proto."""
        ref = fields.site_ref("site", request.site)
        return mutation(
            request,
            pb.DeleteSiteResponse,
            lambda call: sites.delete_site(self._app, call, ref, request.etag),
            lambda site: pb.DeleteSiteResponse(site=messages.site(site)),
        )
