"""SiteService."""

from accredit.v1 import site_pb2 as pb
from accredit_storage.records import NewSite, Site

from ..abilities import sites
from ..abilities.calls.app import App
from ..interceptors.calls import Call
from . import fields, messages
from .calls import ask, mutation, page_of
from .pages import packed


class SiteServicer:
    """See the proto for what each call promises."""

    def __init__(self, app: App) -> None:
        self._app = app

    def CreateSite(self, request: pb.CreateSiteRequest, incoming: Call) -> pb.CreateSiteResponse:
        new = NewSite(site_slug=request.site_slug, site_name=request.site_name)

        def pack(site: Site) -> pb.CreateSiteResponse:
            message = messages.site(site)
            if request.validate_only:
                message.ClearField("site_id")
            return pb.CreateSiteResponse(site=message)

        return mutation(
            incoming,
            request,
            pb.CreateSiteResponse,
            lambda call: sites.create_site(self._app, call, new),
            pack,
        )

    def GetSite(self, request: pb.GetSiteRequest, incoming: Call) -> pb.GetSiteResponse:
        site = sites.get_site(
            self._app,
            ask(incoming, request.consistency),
            fields.site_ref("site", request.site),
        )
        return pb.GetSiteResponse(site=messages.site(site))

    def ListSites(self, request: pb.ListSitesRequest, incoming: Call) -> pb.ListSitesResponse:
        page = sites.list_sites(
            self._app, ask(incoming, request.consistency), page_of(incoming, request)
        )
        listed, token = packed(page, messages.site)
        return pb.ListSitesResponse(sites=listed, next_page_token=token)

    def DeleteSite(self, request: pb.DeleteSiteRequest, incoming: Call) -> pb.DeleteSiteResponse:
        ref = fields.site_ref("site", request.site)
        return mutation(
            incoming,
            request,
            pb.DeleteSiteResponse,
            lambda call: sites.delete_site(self._app, call, ref, request.etag),
            lambda site: pb.DeleteSiteResponse(site=messages.site(site)),
        )
