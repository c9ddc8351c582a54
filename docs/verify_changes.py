"""Verify replies of ListChanges without Accredit: see change-log.md. Exit code 0: sound; 1: not.

accredit changes list --format json | python verify_changes.py [--filtered] [REVISION:HASH ...]
"""

import base64
import hashlib
import json
import re
import sys
from datetime import datetime, timedelta
from decimal import Decimal


def canonical(value):
    """The text of a JSON value by RFC 8785."""
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(k)}:{canonical(v)}" for k, v in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if not isinstance(value, float):
        return json.dumps(value, ensure_ascii=False)
    if 1e-6 <= abs(value) < 1e21:
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    return repr(value).replace("e-0", "e-") if value else "0"


def digest(value):
    """SHA-256 over the canonical text, in hex."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def covered(change):
    """What a change's hash is over: the canonical text of this list."""
    since = datetime.fromisoformat(change["createTime"]) - datetime.fromisoformat("1970-01-01T00Z")
    ids = [change.get("actor", {}).get(name) for name in ("userId", "agentId", "tokenId")]
    touched = [[s["kind"][13:].lower(), s.get("subjectId", "")] for s in change.get("subjects", ())]
    listed = [change["previousHash"], change["revision"], str(since // timedelta(microseconds=1))]
    listed += [change["kind"][12:].lower(), *(None if one in ("", "0") else one for one in ids)]
    listed += [change.get("requestId", ""), touched]
    return [*listed, change["beforeDigest"] or None, change["afterDigest"] or None]


def fault(change, last, filtered):
    """What is wrong with a change that comes after ``last``, or None."""
    follows = not last or int(change["revision"]) == int(last["revision"]) + 1
    if not (follows or filtered) or (follows and last and change["previousHash"] != last["hash"]):
        return "it does not follow the change before it"
    if change["view"] != "CHANGE_VIEW_FULL":
        return None if filtered else "not all of it is shown: --filtered passes over it"
    for name in ("before", "after"):
        if name in change and digest(change[name]) != change[name + "Digest"]:
            return f"{name} is not what its digest says"
    return None if digest(covered(change)) == change["hash"] else "its hash is not over all this"


changes, text, filtered = {}, sys.stdin.read().strip(), "--filtered" in sys.argv
heads = {one for one in sys.argv[1:] if one != "--filtered"}
if unknown := sorted(one for one in heads if not re.fullmatch(r"\d+:[0-9a-f]{64}", one)):
    sys.exit(f"neither --filtered nor REVISION:HASH: {', '.join(unknown)}")
while text:
    reply, end = json.JSONDecoder(parse_int=float).raw_decode(text)
    text = text[end:].strip()
    for change in reply if isinstance(reply, list) else reply.get("changes", []):
        for name in ("previousHash", "hash", "beforeDigest", "afterDigest"):
            change[name] = base64.b64decode(change.get(name, "")).hex()
        changes[int(change["revision"])] = change
last = {"revision": "0", "hash": "00" * 32} if 1 in changes else None
for revision, change in sorted(changes.items()):
    if wrong := fault(change, last, filtered):
        sys.exit(f"revision {revision}: {wrong}")
    last = change
if not changes or (missing := heads - {f"{k}:{one['hash']}" for k, one in changes.items()}):
    sys.exit(f"not among them: {', '.join(sorted(missing))}" if changes else "no changes to verify")
partial = sum(one["view"] != "CHANGE_VIEW_FULL" for one in changes.values())
kept = "" if filtered else f"; keep the head: {max(changes)}:{last['hash']}"
print(f"verified {len(changes) - partial} of revisions {min(changes)} to {max(changes)}" + kept)
if partial:
    print(f"{partial} are shown in part and cannot be verified")
