"""What the store says of files, as refusals: of a call that fails, or of one file among several."""

from accredit_storage.errors import (
    EtagMismatch,
    FileMissing,
    FileTooLarge,
    OwnerMissing,
    PathInvalid,
    QuotaExceeded,
    StoreError,
)

from ..errors import (
    Aborted,
    NotFound,
    Reason,
    Refusal,
    ResourceExhausted,
    invalid,
)


def file_refusal(error: StoreError, field: str, directory: str) -> Refusal | None:
    """The refusal that a store error is; None for one that is not about a file.

    ``field`` is where the file's path stands, ``directory`` is what people call its directory.
    """
    match error:
        case PathInvalid():
            return invalid(field, "{why}", Reason.PATH_INVALID, why=error)
        case OwnerMissing():
            of_agent = directory.startswith("agents/")
            reason = Reason.AGENT_NOT_FOUND if of_agent else Reason.USER_NOT_FOUND
            return NotFound(reason, "{directory} is not there any more", directory=directory)
        case FileMissing():
            return NotFound(
                Reason.FILE_NOT_FOUND, "there is no such file in {directory}", directory=directory
            )
        case EtagMismatch(etag=None):
            return Aborted(Reason.ETAG_MISMATCH, "there is no such file: read it again")
        case EtagMismatch():
            changed = "it has changed since it was read: read it again"
            return Aborted(Reason.ETAG_MISMATCH, changed, etag=error.etag)
        case FileTooLarge():
            large = "a file has at most {limit} bytes"
            return ResourceExhausted(Reason.FILE_TOO_LARGE, large, limit=error.limit)
        case QuotaExceeded():
            return ResourceExhausted(
                Reason.QUOTA_EXCEEDED,
                "a directory has at most {limit} {counted}: delete some",
                limit=error.limit,
                counted=error.counted,
            )
    return None
