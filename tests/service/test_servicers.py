"""Servicers without a network, by grpcio-testing, where no step of the pipeline is needed.

It knows no interceptors, so that only calls which need no caller fit; the rest are tested against
a real server.
"""

from datetime import UTC, datetime

import grpc
import grpc_testing

from accredit.v1 import site_pb2, types_pb2
from accredit_service.abilities.app import App
from accredit_service.servicers.sites import SiteServicer
from accredit_storage.store import Store

_SERVICE = site_pb2.DESCRIPTOR.services_by_name["SiteService"]


def test_a_servicer_translates_a_record_into_a_message(store: Store) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 6000, tzinfo=UTC)
    with store.write() as tx:
        made = tx.sites.add(site_slug="events", site_name="Events", at=at)
    assert made is not None
    server = grpc_testing.server_from_dictionary(
        {_SERVICE: SiteServicer(App(store=store))}, grpc_testing.strict_real_time()
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
    assert answer.site.create_time.ToDatetime(tzinfo=UTC) == at
    assert answer.site.etag == '"1"'
