"""Taking payloads out of the change log, which an operator does and no call."""

from collections.abc import Collection

from accredit_storage.changes import Redacted
from accredit_storage.records import Actor, ChangeKind, Draft

from .app import App
from .errors import invalid

#: How many changes are redacted at a time.
MAX_REVISIONS = 1000


def redact(app: App, revisions: Collection[int]) -> Redacted:
    """Take what was before and after out of these changes, and log that.

    Where none of them has a payload any more, nothing is logged. Raises InvalidArgument if one is
    not in the log, or for too many; then nothing is done.
    """
    asked = set(revisions)
    if len(asked) > MAX_REVISIONS:
        raise invalid("revisions", "at most {limit} at a time", limit=MAX_REVISIONS)
    with app.store.write() as tx:
        redacted = tx.changes.redact(asked)
        if redacted.missing:
            missing = ", ".join(map(str, redacted.missing))
            raise invalid(
                "revisions", "not in the log: {missing}; unknown, or pruned", missing=missing
            )
        if redacted.taken:
            tx.record(
                Draft(
                    kind=ChangeKind.CHANGE_REDACTED,
                    actor=Actor(),
                    request_id="",
                    # No answer rests on the log.
                    subjects=(),
                    before=None,
                    after={"revisions": list(redacted.taken)},
                    at=app.now(),
                )
            )
    return redacted
