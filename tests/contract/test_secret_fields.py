"""What carries a secret says so, and is never sent in a way that servers put into a URL."""

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from tests.api.scene import METHODS

#: What holds the whole text of a token.
NAMES = {"token", "secret"}


def _fields(message: Descriptor, seen: frozenset[str] = frozenset()) -> Iterator[FieldDescriptor]:
    """Every field of a message and of those inside it."""
    for field in message.fields:
        yield field
        inside = field.message_type
        if inside is not None and inside.full_name not in seen:
            yield from _fields(inside, seen | {inside.full_name})


def _is_secret(field: FieldDescriptor) -> bool:
    return bool(field.GetOptions().debug_redact)


def test_a_request_with_a_secret_is_no_free_read() -> None:
    # Connect servers take such a call as a GET, and their logs would have the token.
    carrying = {
        method for method, one in METHODS.items() if any(map(_is_secret, _fields(one.input_type)))
    }
    assert carrying == {
        "AuthService/Authenticate",
        "AuthService/Authorize",
        "AuthService/BatchAuthorize",
        "ScopeService/ResolveScope",
        "ScopeService/CheckResource",
    }
    for method in carrying:
        options = METHODS[method].GetOptions()
        # It may be repeated all the same.
        assert options.idempotency_level == MethodOptions.IDEMPOTENT, method


def test_nor_is_an_answer_with_one() -> None:
    for method, one in METHODS.items():
        if any(map(_is_secret, _fields(one.output_type))):
            level = one.GetOptions().idempotency_level
            assert level == MethodOptions.IDEMPOTENCY_UNKNOWN, method


def test_every_field_that_carries_the_text_of_a_token_says_so() -> None:
    found = set()
    for one in METHODS.values():
        for field in (*_fields(one.input_type), *_fields(one.output_type)):
            is_text = field.type == FieldDescriptor.TYPE_STRING
            assert _is_secret(field) is (is_text and field.name in NAMES), field.full_name
            found |= {field.name} if _is_secret(field) else set()
    assert found == NAMES
