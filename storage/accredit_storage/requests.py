"""Requests: what a call under one request id led to, so that repeating it has no second effect."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, delete, select, update

from accredit_storage.errors import Conflict
from accredit_storage.execution import Executor, prepared
from accredit_storage.records import Request
from accredit_storage.schema import requests
from accredit_storage.statements import by_dialect

_key = and_(
    requests.c.caller == bindparam("of_caller"),
    requests.c.method == bindparam("of_method"),
    requests.c.request_id == bindparam("of_request_id"),
)
_claim = by_dialect(
    lambda insert: (
        insert(requests)
        .on_conflict_do_nothing(index_elements=list(requests.primary_key))
        .returning(requests.c.request_id)
    )
)
_find = prepared(select(requests.c.body_digest, requests.c.result, requests.c.revision).where(_key))
_finish = prepared(update(requests).where(_key))
_release = prepared(delete(requests).where(_key, requests.c.result.is_(None)))
_sweep = prepared(delete(requests).where(requests.c.created_at < bindparam("before")))


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKey:
    """Under what an outcome is kept: ``caller`` is the id of the token that asked."""

    caller: str
    method: str
    request_id: str


class Requests:
    """The requests that one transaction sees."""

    def __init__(self, connection: Executor) -> None:
        self._connection = connection

    def claim(self, key: RequestKey, body_digest: bytes, at: datetime) -> Request | None:
        """None where this transaction is the first to use the id, otherwise the earlier request.

        The claim is kept if the transaction commits. Where another one has claimed the id and not
        ended, waits for how it ends. Raises Conflict where the earlier one is swept meanwhile.
        """
        values = {
            "caller": key.caller,
            "method": key.method,
            "request_id": key.request_id,
            "body_digest": body_digest,
            "created_at": at,
        }
        if self._connection.execute(_claim, values).one_or_none() is not None:
            return None
        earlier = self._connection.execute(_find, _values(key)).one_or_none()
        if earlier is None:
            raise Conflict("the earlier request was swept at the same time")
        body_digest, result, revision = earlier
        return Request(
            body_digest=body_digest,
            result=result or {},
            revision=revision or 0,
            finished=result is not None,
        )

    def finish(self, key: RequestKey, result: Mapping[str, Any], revision: int) -> None:
        """Keep with the claim the key that finds the outcome, and the revision it became.

        The one statement that may follow ``record()``, whose answer it needs.
        """
        values = {**_values(key), "result": result, "revision": revision}
        self._connection.execute(_finish, values)

    def release(self, key: RequestKey) -> bool:
        """Give up a claim that led to nothing, so that the id may be claimed again.

        False if there is none; one that is finished stays.
        """
        return self._connection.execute(_release, _values(key)).rowcount > 0

    def sweep(self, before: datetime) -> int:
        """Remove the requests made before that time: how many there were."""
        return self._connection.execute(_sweep, {"before": before}).rowcount


def _values(key: RequestKey) -> dict[str, str]:
    """The values of ``_key``, whose names must not be those of columns that an UPDATE sets."""
    return {
        "of_caller": key.caller,
        "of_method": key.method,
        "of_request_id": key.request_id,
    }
