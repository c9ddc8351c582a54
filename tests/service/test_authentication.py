import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
import pytest
from sqlalchemy import update

from accredit.v1 import auth_pb2
from accredit_service.abilities.credentials import bearer
from accredit_service.abilities.errors import Reason, Unauthenticated
from accredit_service.interceptors.authentication import credential
from accredit_storage.schema import tokens
from tests.minting import FOREIGN_KEY, foreign, forged, key_of, minted, token_id_of
from tests.service.conftest import Start
from tests.service.running import PATIENCE, Running


@dataclass(frozen=True)
class Bad:
    because: str
    headers: tuple[str, ...]
    reason: Reason = Reason.TOKEN_MALFORMED


# Of the right form, and the same in every process that collects the tests.
_BODY = "acr_0123456789abcdef_" + "5" * 43 + FOREIGN_KEY.key_id
GOOD = _BODY + bearer._tag(_BODY, FOREIGN_KEY)


@pytest.mark.parametrize(
    "case",
    [
        Bad("there is none", (), Reason.TOKEN_MISSING),
        Bad("it is empty", ("",), Reason.TOKEN_MISSING),
        Bad("there are two", (f"Bearer {GOOD}", f"Bearer {GOOD}")),
        Bad("there are two of which one is empty", (f"Bearer {GOOD}", "")),
        Bad("it has no scheme", (GOOD,)),
        Bad("it has only a scheme", ("Bearer",)),
        Bad("it has only a scheme and a space", ("Bearer ",)),
        Bad("it is basic", ("Basic YWRtaW46aHVudGVyMg==",)),
        Bad("its scheme is longer", (f"Bearers {GOOD}",)),
        Bad("a space comes first", (f" Bearer {GOOD}",)),
        Bad("there are two spaces", (f"Bearer  {GOOD}",)),
        Bad("a space comes last", (f"Bearer {GOOD} ",)),
        Bad("there is a tab", (f"Bearer\t{GOOD}",)),
        Bad("it has more words", (f"Bearer {GOOD} {GOOD}",)),
        Bad("it has a NUL", (f"Bearer {GOOD}\0",)),
        Bad("it has a newline", (f"Bearer {GOOD}\n",)),
        Bad("it is not ASCII", ("Bearer acr_\u00fc",)),
        Bad("it is enormous", ("Bearer " + "a" * (1 << 20),)),
        Bad("it is one too long", ("Bearer " + "a" * 4097,)),
    ],
)
def test_a_credential_is_refused_when(case: Bad) -> None:
    with pytest.raises(Unauthenticated) as refused:
        credential(case.headers)
    assert refused.value.reason is case.reason
    assert GOOD not in refused.value.message


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_taken_in_any_case(scheme: str) -> None:
    assert credential([f"{scheme} {GOOD}"]) == GOOD


@pytest.mark.parametrize(
    "text",
    [
        "acr_",
        GOOD,
        GOOD[:-1],
        GOOD + "=",
        GOOD.lower(),
        GOOD.removeprefix("acr_"),
        "x" * 4096,
    ],
    ids=lambda text: f"{len(text)}-characters",
)
def test_what_the_store_did_not_mint_is_malformed(server: Running, text: str) -> None:
    failed = server.fails(token=text)
    assert (failed.code, failed.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MALFORMED")


def test_nor_is_a_forged_tag_beside_the_id_of_a_token_that_works(server: Running) -> None:
    assert server.fails(token=forged(server.token)).reason == "TOKEN_MALFORMED"
    server.call()


def test_an_unknown_token_is_invalid_and_no_more_is_said(server: Running) -> None:
    failed = server.fails(token=minted(server.app.store).secret)
    assert (failed.code, failed.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
    assert set(failed.details) == {"ErrorInfo"}


def test_two_headers_are_refused_although_both_are_right(server: Running) -> None:
    again = [("authorization", f"Bearer {server.token}")]
    assert server.fails(metadata=again).reason == "TOKEN_MALFORMED"


def test_a_token_that_worked_is_looked_up_again_each_time(server: Running) -> None:
    server.call()
    with server.app.store.write() as tx:
        tx.tokens.revoke(token_id_of(server.token), server.app.now())
    server.app.memory.feed.forget()
    assert server.fails().reason == "TOKEN_INVALID"


def test_what_somebody_made_up_waits_for_no_thread_whatever_key_it_names(start: Start) -> None:
    server = start(threads=1)
    begun, go_on = threading.Event(), threading.Event()

    def hold(request: object, context: object) -> auth_pb2.WhoAmIResponse:
        begun.set()
        assert go_on.wait(PATIENCE)
        return auth_pb2.WhoAmIResponse()

    server.scripted.script = hold
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(server.call)
        assert begun.wait(PATIENCE)
        texts = [foreign(key_of(server.token)), foreign("zz"), foreign("00"), "x"]
        reasons = {server.fails(token=text).reason for text in texts}
        assert not running.done()
        go_on.set()
        running.result(PATIENCE)
    assert reasons == {"TOKEN_MALFORMED"}


def test_a_restore_is_noticed_where_nobody_who_is_let_in_asks_anything(server: Running) -> None:
    with server.app.store.write() as tx:
        tx.tokens.revoke(token_id_of(server.token), server.app.now())
    server.app.memory.feed.forget()
    server.server._readiness.check()
    assert server.fails().reason == "TOKEN_INVALID"
    # What an older database would have: the token is live again, and the history another one.
    with server.app.store.write() as tx:
        tx._connection.execute(update(tokens).values(revoked_at=None))
        tx.renew_epoch()
    server.server._readiness.check()
    server.call()
