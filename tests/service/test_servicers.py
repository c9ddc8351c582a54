"""Servicers without a network, by grpcio-testing.

It knows no interceptors: what the pipeline does before a servicer is called is done here by hand.
All that needs more than that is tested against a real server.
"""

from pathlib import Path

import grpc
import grpc_testing

from accredit.v1 import site_pb2, types_pb2
from accredit_service.abilities import bootstrap
from accredit_service.abilities.calls import introspection
from accredit_service.abilities.calls.app import App
from accredit_service.interceptors.calls import Call
from accredit_service.servicers.sites import SiteServicer
from accredit_storage.directory.directories import Directories
from accredit_storage.records import NewSite
from accredit_storage.store import Store

_SERVICE = site_pb2.DESCRIPTOR.services_by_name["SiteService"]


class IdentifiedSiteServicer:
    """A servicer that the first administrator calls."""

    def __init__(self, app: App) -> None:
        self._inner = SiteServicer(app)
        made = bootstrap.bootstrap(app, lambda _: None)
        assert made is not None
        self._caller, self._digest = introspection.identify(app, made.secret)

    def GetSite(
        self, request: site_pb2.GetSiteRequest, context: grpc.ServicerContext
    ) -> site_pb2.GetSiteResponse:
        call = Call("SiteService/GetSite", context)
        call.principal, call.digest = self._caller, self._digest
        return self._inner.GetSite(request, call)


def test_a_servicer_translates_a_record_into_a_message(store: Store, tmp_path: Path) -> None:
    app = App(store=store, directories=Directories(store, tmp_path / "files"))
    with store.write() as tx:
        made = tx.sites.add(NewSite(site_slug="events", site_name="Events"), at=app.now())
    assert made is not None
    server = grpc_testing.server_from_dictionary(
        {_SERVICE: IdentifiedSiteServicer(app)}, grpc_testing.strict_real_time()
    )
    call = server.invoke_unary_unary(
        _SERVICE.methods_by_name["GetSite"],
        (),
        site_pb2.GetSiteRequest(site=types_pb2.SiteRef(site_slug=" EVENTS ")),
        None,
    )
    answer, _, code, _ = call.termination()
    assert code is grpc.StatusCode.OK
    assert answer.site.site_id == made.site_id
    assert (answer.site.site_slug, answer.site.site_name) == ("events", "Events")
    assert answer.site.create_time.ToMicroseconds() == int(made.created_at.timestamp() * 1e6)
    assert answer.site.etag == '"1"'
