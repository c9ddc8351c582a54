"""From the fields of a request to plain values. Whatever breaks its rule is named by its path."""

import enum
import re
from collections.abc import Callable, Mapping, Sized
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from accredit.v1 import types_pb2
from accredit_storage.records import AgentId, Ceiling, Role, SiteId, UserId

from ..abilities.calls.consistency import Consistency
from ..abilities.errors import Reason, invalid
from ..abilities.input import texts
from ..abilities.input.agent_refs import AgentRef, clean_slug
from ..abilities.input.user_refs import UserRef
from ..abilities.sites import SiteRef
from ..interceptors.calls import SITE_METADATA, Call

E = TypeVar("E", bound=enum.Enum)
Id = TypeVar("Id", bound=int)
Items = TypeVar("Items", bound=Sized)

_SITE_ID = re.compile("[1-9][0-9]{0,18}")
_BILLION = 1_000_000_000


def at_most(limit: int, path: str, items: Items) -> Items:
    """The items of a repeated field, counted before anything is made of them.

    A mebibyte has room for a million small ones, and would keep a thread busy for seconds.
    """
    if len(items) > limit:
        raise invalid(path, "at most {limit}", limit=limit)
    return items


def required_id(path: str, value: int, kind: Callable[[int], Id]) -> Id:
    """An id of a kind that must be stated."""
    if value <= 0:
        raise invalid(path, "an id from 1 up")
    return kind(value)


def optional_id(path: str, value: int, kind: Callable[[int], Id]) -> Id | None:
    """An id of a kind, None for 0."""
    if value < 0:
        raise invalid(path, "an id from 1 up, or 0 for none")
    return kind(value) if value else None


def agent_ref(path: str, ref: types_pb2.AgentRef) -> AgentRef:
    """The agent named: an id or a slug."""
    which = ref.WhichOneof("identifier")
    if which is None:
        raise invalid(path, "name an agent by agent_id or by agent_slug")
    if which == "agent_id":
        return required_id(f"{path}.agent_id", ref.agent_id, AgentId)
    return clean_slug(f"{path}.agent_slug", ref.agent_slug)


def optional_agent_ref(path: str, message: Message, field: str = "agent") -> AgentRef | None:
    """The agent named in a field of a message, None if it is not set."""
    return agent_ref(path, getattr(message, field)) if message.HasField(field) else None


def user_ref(path: str, ref: types_pb2.UserRef | types_pb2.PrincipalRef) -> UserRef:
    """The user named: an id or a login."""
    if isinstance(ref, types_pb2.UserRef):
        which = ref.WhichOneof("identifier")
    else:
        which = ref.WhichOneof("principal")
    if which is None:
        raise invalid(path, "name a user by user_id or by login")
    if which == "user_id":
        return required_id(f"{path}.user_id", ref.user_id, UserId)
    if not ref.login or len(ref.login) > 60 or "\0" in ref.login:
        raise invalid(f"{path}.login", "a login: 1 to 60 characters")
    return ref.login


def optional_user_ref(message: Message, field: str = "user", path: str = "") -> UserRef | None:
    """The user named in a field of a message, None if it is not set."""
    return user_ref(path or field, getattr(message, field)) if message.HasField(field) else None


def site_ref(path: str, ref: types_pb2.SiteRef) -> SiteRef:
    """The site named: an id or a slug."""
    which = ref.WhichOneof("identifier")
    if which is None:
        raise invalid(path, "name a site by site_id or by site_slug")
    if which == "site_id":
        return required_id(f"{path}.site_id", ref.site_id, SiteId)
    return clean_slug(f"{path}.site_slug", ref.site_slug, Reason.FIELD_INVALID)


def true(path: str, value: bool) -> None:
    """A choice that is made by saying true. Raises InvalidArgument for false."""
    if not value:
        raise invalid(path, "true, or not set")


def capability(path: str, text: str) -> str:
    """A capability, empty for none."""
    return texts.capability(path, text) if text else ""


def enum_of(
    path: str,
    kind: type[E],
    wrapper: Any,
    value: int,
    *,
    prefix: str,
    reason: Reason = Reason.FIELD_INVALID,
) -> E | None:
    """The member that a proto enum's value stands for; None where it is not stated."""
    if not value:
        return None
    member = _members(kind, wrapper, prefix).get(value)
    if member is None:
        raise invalid(path, "one of {known}", reason, known=_known(wrapper))
    return member


@cache
def _members(kind: type[E], wrapper: Any, prefix: str) -> Mapping[int, E]:
    members = {f"{prefix}{member.name}": member for member in kind}
    return {number: members[name] for name, number in wrapper.items() if name in members}


def required_enum(path: str, kind: type[E], wrapper: Any, value: int, *, prefix: str) -> E:
    """A member that must be stated, since what decides has no default.

    The message has the names as they are sent: who sent ADMIN for ROLE_ADMIN may have a library
    that dropped it.
    """
    member = enum_of(path, kind, wrapper, value, prefix=prefix)
    if member is None:
        raise invalid(path, "required: one of {known}", known=_known(wrapper))
    return member


def _known(wrapper: Any) -> str:
    return ", ".join(name for name, number in wrapper.items() if number)


def role(path: str, value: int) -> Role | None:
    """A role; None where it is not stated."""
    return enum_of(path, Role, types_pb2.Role, value, prefix="ROLE_")


def required_role(path: str, value: int) -> Role:
    """A role that must be stated."""
    return required_enum(path, Role, types_pb2.Role, value, prefix="ROLE_")


def ceiling(path: str, message: types_pb2.Ceiling) -> Ceiling:
    """A ceiling, its capabilities as they came."""
    max_role = required_role(f"{path}.max_role", message.max_role)
    return Ceiling(max_role=max_role, capabilities=tuple(message.capabilities))


def moment(path: str, message: Timestamp) -> datetime:
    """A point in time, to the microsecond."""
    try:
        if not 0 <= message.nanos < _BILLION:
            raise ValueError
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise invalid(path, "a moment from year 1 to year 9999") from None


def optional_moment(path: str, message: Message, field: str) -> datetime | None:
    """The same for a field that may be left out."""
    return moment(path, getattr(message, field)) if message.HasField(field) else None


def span(path: str, message: Duration) -> timedelta:
    """A length of time, to the microsecond."""
    try:
        if abs(message.nanos) >= _BILLION or message.nanos * message.seconds < 0:
            raise ValueError
        return message.ToTimedelta()
    except (ValueError, OverflowError):
        raise invalid(path, "a duration of at most 10 000 years") from None


def struct(message: Struct) -> Mapping[str, Any]:
    """A JSON object as plain values; numbers as doubles, not finite ones too."""
    return {key: _value(value) for key, value in message.fields.items()}


def consistency(message: types_pb2.Consistency) -> Consistency:
    """How fresh an answer must be."""
    which = message.WhichOneof("requirement")
    if which in ("minimize_latency", "fully_consistent"):
        true(f"consistency.{which}", getattr(message, which))
    if which == "at_least_as_fresh" and not message.at_least_as_fresh:
        raise invalid(
            "consistency.at_least_as_fresh",
            "a consistency_token that this store has given",
            Reason.CONSISTENCY_TOKEN_INVALID,
        )
    return Consistency(at_least=message.at_least_as_fresh, fully=which == "fully_consistent")


def site(incoming: Call, path: str, value: int) -> SiteId | None:
    """The site stated in a field, else by the metadata; None if it is stated nowhere."""
    stated = optional_id(path, value, SiteId)
    if stated is not None:
        return stated
    headers = incoming.headers.sites
    if not headers:
        return None
    text = headers[0]
    if len(headers) > 1 or not _SITE_ID.fullmatch(text) or int(text) >= 2**63:
        raise invalid(SITE_METADATA, "one site_id, from 1 up, as metadata")
    return SiteId(int(text))


def masked(
    request: Message, allowed: Mapping[str, Callable[[], Any]], *, unstated: frozenset[str]
) -> dict[str, Any]:
    """The values of ``request.update`` that its mask names, read by ``allowed``.

    Without a mask, the fields that are set. ``unstated``: those that may be named and unset; any
    other must then have a value.
    """
    update: Any = request.update  # type: ignore[attr-defined]
    if request.HasField("update_mask"):
        named = _paths(request.update_mask, allowed)  # type: ignore[attr-defined]
    else:
        named = [descriptor.name for descriptor, _ in update.ListFields()]
    present = {descriptor.name for descriptor, _ in update.ListFields()}
    for name in named:
        if name not in present and name not in unstated:
            raise invalid(f"update.{name}", "a value: the update_mask names it")
    return {name: allowed[name]() for name in named}


def _paths(mask: FieldMask, allowed: Mapping[str, Any]) -> list[str]:
    paths = list(dict.fromkeys(mask.paths))
    if not paths:
        raise invalid(
            "update_mask",
            '"*", or at least one of {allowed}; or no mask',
            allowed=", ".join(allowed),
        )
    if paths == ["*"]:
        return list(allowed)
    for path in paths:
        if path not in allowed:
            raise invalid(
                "update_mask",
                '"*" alone, or of {allowed}; not {path!r}',
                allowed=", ".join(allowed),
                path=path[:50],
            )
    return paths


def _value(message: Value) -> Any:
    which = message.WhichOneof("kind")
    if which == "struct_value":
        return struct(message.struct_value)
    if which == "list_value":
        return [_value(item) for item in message.list_value.values]
    if which is None or which == "null_value":
        return None
    return getattr(message, which)
