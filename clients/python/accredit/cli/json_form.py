"""Messages in protobuf's JSON form, as Python values."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.message import Message

_FIRST_INEXACT = 2**53


def json_form(message: "Message") -> Any:
    """The message with all its fields, so that a script finds `created` even where it is false."""
    from google.protobuf.json_format import MessageToDict

    return _whole(MessageToDict(message, always_print_fields_with_no_presence=True))


def _whole(value: Any) -> Any:
    """The same with 1 for 1.0: a Struct has doubles only, and its author meant the integer."""
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < _FIRST_INEXACT
    return int(value) if is_whole else value
