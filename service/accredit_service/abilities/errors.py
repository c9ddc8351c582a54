"""Every way an ability can refuse, by canonical code, each with a reason to branch on.

* Refusal
  + InvalidArgument     the request is wrong, whatever the state
  + Unauthenticated     the caller's own credential does not work
  + PermissionDenied    it works, and is not enough
  + NotFound            there is no such thing, and the caller may know
  + AlreadyExists       the name is taken
  + FailedPrecondition  not in this state
  + Aborted             somebody else was there first
  + ResourceExhausted   a limit is reached
  + Unimplemented       there is no such method
  + DeadlineExceeded    too little time was left to begin

Anything else that is raised is a bug.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any


class Reason(enum.StrEnum):
    """The names of ``ErrorReason`` in errors.proto, without its prefix; a test holds them equal."""

    FIELD_INVALID = "FIELD_INVALID"
    REQUEST_MALFORMED = "REQUEST_MALFORMED"
    INVALID_AGENT_SLUG = "INVALID_AGENT_SLUG"
    INVALID_AGENT_OWNER = "INVALID_AGENT_OWNER"
    INVALID_AGENT_NAME = "INVALID_AGENT_NAME"
    INVALID_AGENT_UPDATE = "INVALID_AGENT_UPDATE"
    INVALID_AGENT_SCOPE = "INVALID_AGENT_SCOPE"
    PAGE_TOKEN_INVALID = "PAGE_TOKEN_INVALID"  # noqa: S105 - a reason, not a secret
    CONSISTENCY_TOKEN_INVALID = "CONSISTENCY_TOKEN_INVALID"  # noqa: S105
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    PATH_INVALID = "PATH_INVALID"
    INVALID_MEMORY_DATE = "INVALID_MEMORY_DATE"
    TOKEN_MISSING = "TOKEN_MISSING"  # noqa: S105
    TOKEN_MALFORMED = "TOKEN_MALFORMED"  # noqa: S105
    TOKEN_INVALID = "TOKEN_INVALID"  # noqa: S105
    USER_INACTIVE = "USER_INACTIVE"
    MINTER_WITHOUT_RIGHTS = "MINTER_WITHOUT_RIGHTS"
    AGENT_INACTIVE = "AGENT_INACTIVE"
    ACTION_MISSING = "ACTION_MISSING"
    AGENT_ACCESS_DENIED = "AGENT_ACCESS_DENIED"
    ROLE_INSUFFICIENT = "ROLE_INSUFFICIENT"
    USER_TOKEN_REQUIRED = "USER_TOKEN_REQUIRED"  # noqa: S105
    OWNER_REQUIRED = "OWNER_REQUIRED"
    CEILING_EXCEEDED = "CEILING_EXCEEDED"
    AGENT_SCOPE_FORBIDDEN = "AGENT_SCOPE_FORBIDDEN"
    AGENT_USER_SCOPE_FORBIDDEN = "AGENT_USER_SCOPE_FORBIDDEN"
    TOKEN_ACCESS_DENIED = "TOKEN_ACCESS_DENIED"  # noqa: S105
    DAILY_MEMORY_DISABLED = "DAILY_MEMORY_DISABLED"
    DIRECTORY_ACCESS_DENIED = "DIRECTORY_ACCESS_DENIED"
    AGENT_NOT_FOUND = "AGENT_NOT_FOUND"
    AGENT_OWNER_NOT_FOUND = "AGENT_OWNER_NOT_FOUND"
    USER_NOT_FOUND = "USER_NOT_FOUND"
    SITE_NOT_FOUND = "SITE_NOT_FOUND"
    AGENT_TOKEN_NOT_FOUND = "AGENT_TOKEN_NOT_FOUND"  # noqa: S105
    GRANT_NOT_FOUND = "GRANT_NOT_FOUND"
    REVOKE_FAILED = "REVOKE_FAILED"
    NO_AGENT = "NO_AGENT"
    METHOD_UNKNOWN = "METHOD_UNKNOWN"
    FILE_NOT_FOUND = "FILE_NOT_FOUND"
    DEFINITION_NOT_FOUND = "DEFINITION_NOT_FOUND"
    CHANNELZ_ENTITY_NOT_FOUND = "CHANNELZ_ENTITY_NOT_FOUND"
    MEMORY_FILE_TYPE_NOT_FOUND = "MEMORY_FILE_TYPE_NOT_FOUND"
    TRANSFER_OFFER_NOT_FOUND = "TRANSFER_OFFER_NOT_FOUND"
    AGENT_SLUG_CONFLICT = "AGENT_SLUG_CONFLICT"
    LOGIN_CONFLICT = "LOGIN_CONFLICT"
    SITE_SLUG_CONFLICT = "SITE_SLUG_CONFLICT"
    SLUG_RESERVED = "SLUG_RESERVED"
    CANNOT_REVOKE_OWNER = "CANNOT_REVOKE_OWNER"
    LAST_ADMIN = "LAST_ADMIN"
    USER_OWNS_AGENTS = "USER_OWNS_AGENTS"
    SITE_IN_USE = "SITE_IN_USE"
    AGENT_AMBIGUOUS = "AGENT_AMBIGUOUS"
    TOKEN_NOT_LIVE = "TOKEN_NOT_LIVE"  # noqa: S105
    SCOPE_TOO_WIDE = "SCOPE_TOO_WIDE"
    ALREADY_OWNER = "ALREADY_OWNER"
    FILE_READ_ONLY = "FILE_READ_ONLY"
    MANIFEST_OWNED = "MANIFEST_OWNED"
    DEFINITION_SUPPRESSED = "DEFINITION_SUPPRESSED"
    ETAG_MISMATCH = "ETAG_MISMATCH"
    TOKEN_ALREADY_ROTATED = "TOKEN_ALREADY_ROTATED"  # noqa: S105
    SECRET_ALREADY_SHOWN = "SECRET_ALREADY_SHOWN"  # noqa: S105
    CONTENTION = "CONTENTION"
    REQUEST_IN_DOUBT = "REQUEST_IN_DOUBT"
    AGENT_LIMIT_REACHED = "AGENT_LIMIT_REACHED"
    TRANSFER_OFFER_LIMIT_REACHED = "TRANSFER_OFFER_LIMIT_REACHED"
    OVERLOADED = "OVERLOADED"
    METADATA_TOO_LARGE = "METADATA_TOO_LARGE"
    STORAGE_FULL = "STORAGE_FULL"
    FILE_TOO_LARGE = "FILE_TOO_LARGE"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"
    DEADLINE_TOO_SHORT = "DEADLINE_TOO_SHORT"
    DATABASE_UNAVAILABLE = "DATABASE_UNAVAILABLE"
    FILES_UNAVAILABLE = "FILES_UNAVAILABLE"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field of the request and the rule that it breaks."""

    path: str
    rule: str


class Refusal(Exception):
    """Base of the refusals.

    ``message`` is a template: each name in braces stands for the part of that name. So every part
    of a message that is not always the same is in ``metadata`` as well, where programs find it.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        /,
        *,
        fields: tuple[FieldError, ...] = (),
        retry_after: timedelta | None = None,
        **parts: Any,
    ) -> None:
        self.reason = reason
        self.message = message.format_map(parts)
        self.fields = fields
        self.metadata = {name: str(part) for name, part in parts.items()}
        self.retry_after = retry_after
        super().__init__(self.message)


class InvalidArgument(Refusal):
    """The request is wrong, whatever the state."""


class Unauthenticated(Refusal):
    """The caller's own credential does not work."""


class PermissionDenied(Refusal):
    """The caller's credential works, and is not enough."""


class NotFound(Refusal):
    """There is no such thing, and the caller may know that."""


class AlreadyExists(Refusal):
    """The name is taken."""


class FailedPrecondition(Refusal):
    """Not while things stand as they do."""


class Aborted(Refusal):
    """Somebody else was there first; reading again may help."""


class ResourceExhausted(Refusal):
    """A limit is reached."""


class Unimplemented(Refusal):
    """There is no such method."""


class DeadlineExceeded(Refusal):
    """Too little time was left to begin."""


def invalid(
    path: str, rule: str, reason: Reason = Reason.FIELD_INVALID, /, **parts: Any
) -> InvalidArgument:
    """The refusal of one field: its path in the request, and the rule as a template of parts."""
    said = FieldError(path, rule.format_map(parts))
    return InvalidArgument(reason, "{field}: " + rule, fields=(said,), field=path, **parts)


def action_missing(action: str, what: str) -> PermissionDenied:
    """The refusal of a caller without an action; ``what`` it takes, such as "to list all users"."""
    return actions_missing([action], what + " takes the action {actions}")


def actions_missing(actions: Iterable[str], message: str, **parts: Any) -> PermissionDenied:
    """The same in other words, or for several actions: {actions} in the message names them."""
    return PermissionDenied(
        Reason.ACTION_MISSING, message, actions=", ".join(sorted(map(str, actions))), **parts
    )
