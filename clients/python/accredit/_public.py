"""Every public name of `accredit`, which loads this module when one of them is asked for."""

from accredit import aio
from accredit._caller import Caller, caller, principal
from accredit._client import Client
from accredit._errors import (
    Aborted,
    AccreditError,
    AlreadyExists,
    Cancelled,
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    Internal,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Unknown,
)
from accredit._guard import Guard
from accredit._refs import Role, agent_ref, principal_ref, site_ref, user_ref
from accredit._retries import Retries
from accredit._rules import Rule, authenticated, open_to_all, require

__all__ = [
    "Aborted",
    "AccreditError",
    "AlreadyExists",
    "Caller",
    "Cancelled",
    "Client",
    "DataLoss",
    "DeadlineExceeded",
    "FailedPrecondition",
    "FieldViolation",
    "Guard",
    "Internal",
    "InvalidArgument",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "ResourceExhausted",
    "Retries",
    "Role",
    "Rule",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
    "agent_ref",
    "aio",
    "authenticated",
    "caller",
    "open_to_all",
    "principal",
    "principal_ref",
    "require",
    "site_ref",
    "user_ref",
]
