"""Verify changes of Accredit from replies of ListChanges, without Accredit. docs/change-log.md.

    accredit changes list --format json | python verify_changes.py [REVISION:HASH …]

It reads JSON, also several replies after each other as grpcurl prints them, and recomputes every
hash and every digest. Exit code 0: all of it is as it was written; 1: it is not. Give it heads that
you kept elsewhere: only they show that the whole log was written anew. With --filtered, changes may
be missing in between; what was left out there does not show.
"""

import base64
import hashlib
import json
import re
import sys
from datetime import datetime, timedelta
from decimal import Decimal

EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")


def canonical(value):
    """The text of a JSON value by RFC 8785."""
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(k)}:{canonical(v)}" for k, v in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if not isinstance(value, float):
        return json.dumps(value, ensure_ascii=False)
    if value == 0 or 1e-6 <= abs(value) < 1e21:
        return format(abs(Decimal(repr(value))) if value == 0 else Decimal(repr(value)), "f").removesuffix(".0")
    return repr(value).replace("e-0", "e-")


def sha256(value):
    """The digest of a JSON value, in hex."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()
