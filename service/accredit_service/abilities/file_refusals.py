"""What the store says of files, as refusals: of a call that fails, or of one file among several."""

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
            return invalid(field, str(error), Reason.PATH_INVALID)
        case FileMissing():
            return NotFound(
                Reason.FILE_NOT_FOUND,
                f"there is no such file in {directory}",
                metadata={"directory": directory},
            )
        case EtagMismatch():
            return Aborted(
                Reason.ETAG_MISMATCH,
                f"{error}: read it again",
                metadata={"etag": error.etag} if error.etag else None,
            )
        case FileTooLarge():
            return ResourceExhausted(
                Reason.FILE_TOO_LARGE, str(error), metadata={"limit": str(error.limit)}
            )
        case QuotaExceeded():
            return ResourceExhausted(
                Reason.QUOTA_EXCEEDED,
                f"{error}: delete some",
                metadata={"limit": str(error.limit), "counted": error.counted},
            )
    return None
