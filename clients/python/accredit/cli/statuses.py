"""Why one of several things failed: the google.rpc.Status of an answer in a line."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.rpc.status_pb2 import Status


def reason_of(status: "Status") -> str:
    """The reason in the status, such as "DEFINITION_SUPPRESSED"; empty where it has none."""
    from google.rpc.error_details_pb2 import ErrorInfo

    info = ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            return str(info.reason)
    return ""


def status_text(status: "Status") -> str:
    """Reason and message; empty for a status that is not set."""
    return ": ".join(filter(None, (reason_of(status), status.message)))
