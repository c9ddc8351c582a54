"""What the store says of files, as refusals: of a call that fails, or of one file among several."""

from typing import Any

from accredit_storage.errors import (
    EtagMismatch,
    FileMissing,
    FileTooLarge,
    PathInvalid,
    QuotaExceeded,
    StoreError,
)

from .errors import Aborted, NotFound, Reason, Refusal, ResourceExhausted, invalid


def file_refusal(error: StoreError, field: str, directory: str) -> Refusal | None:
    """The refusal that a store error is; None for one that is not about a file.

    ``field`` is where the file's path stands, ``directory`` is what people call its directory.
    """
    match error:
        case PathInvalid():
            return invalid(field, "{why}", Reason.PATH_INVALID, why=error)
        case FileMissing():
            return NotFound(
                Reason.FILE_NOT_FOUND, "there is no such file in {directory}", directory=directory
            )
        case EtagMismatch():
            etag: dict[str, Any] = {"etag": error.etag} if error.etag else {}
            return Aborted(Reason.ETAG_MISMATCH, "{why}: read it again", why=error, **etag)
        case FileTooLarge():
            return ResourceExhausted(Reason.FILE_TOO_LARGE, "{why}", limit=error.limit, why=error)
        case QuotaExceeded():
            return ResourceExhausted(
                Reason.QUOTA_EXCEEDED,
                "{why}: delete some",
                limit=error.limit,
                counted=error.counted,
                why=error,
            )
    return None
