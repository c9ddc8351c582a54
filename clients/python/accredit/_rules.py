"""Who may call which method of a guarded service."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from accredit._refs import Role, agent_ref
from accredit.v1 import auth_pb2

AgentSource: TypeAlias = str | Callable[[Any], Any]
"""A field path such as "note.agent", or a function of the request. Either finds an
AgentRef, a message with its fields, an id (a number) or a slug (text)."""

SiteSource: TypeAlias = str | int | Callable[[Any], int]
"""A field path or a function of the request that finds a site_id, or the site_id itself."""

_INTEGERS = frozenset(
    {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
    }
)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a method demands of its callers. Made by the names below, not by hand."""

    note: str

    def __repr__(self) -> str:
        return f"<accredit rule: {self.note}>"


open_to_all = Rule("open to all")
"""Nothing is asked and nobody is known: for health checks and reflection."""

authenticated = Rule("authenticated")
"""Any token that works."""

closed = Rule("closed")


@dataclass(frozen=True, slots=True)
class Named:
    """The agent and the site that a request names."""

    agent: int | str | None
    site_id: int
    """0: none."""


@dataclass(frozen=True, slots=True, repr=False)
class AgentRule(Rule):
    """A role on the agent that the request names."""

    role: Role
    agent: AgentSource
    site: SiteSource
    capability: str

    def named(self, request: Any) -> Named:
        """What the request names.

        Raises ValueError if it names two agents, and TypeError where a path or a function
        finds something that cannot be an agent or a site.
        """
        agent = _agent(_found(self.agent, request))
        return Named(agent, _site(_found(self.site, request)))

    def demand(self, named: Named) -> auth_pb2.Demand:
        """The same as Accredit is asked it."""
        return auth_pb2.Demand(
            # None would ask about the caller's default agent; named_by refuses it before.
            agent=agent_ref(named.agent or ""),
            minimum_role=self.role.value,
            site_id=named.site_id,
            capability=self.capability,
        )


def require(role: Role, *, agent: AgentSource, site: SiteSource = 0, capability: str = "") -> Rule:
    """Demand a role on the agent that the request names.

    A request that leaves the agent out is refused; it is not taken to mean a default one.
    The agent that was judged is `caller().agent_id`: act on that one, not on the request's
    own words for it, which may be spelt in several ways.

    Of a stream of requests the first names agent and site; a later one may leave them out
    or name them in the same words, and is refused otherwise.

    Args:
        role: The least role that will do.
        agent: Where the request names the agent.
        site: Where it names the site. 0, or nothing there: the guard's client's own site.
        capability: What the caller's token must be good for besides, one of Accredit's
            actions or a capability of the guarded service. Empty: nothing.
    """
    return AgentRule(f"{Role(role).name} on {agent}", Role(role), agent, site, capability)


class RuleBook:
    """The rules of one guard, by method."""

    def __init__(self, rules: Mapping[str, Rule], default: Rule | None) -> None:
        """Raises ValueError for a rule that cannot be meant, as far as that can be seen."""
        for method, rule in rules.items():
            _check(method, rule)
        if not isinstance(default, Rule | None):
            raise ValueError("default: open_to_all, authenticated or require(…)")
        self._rules = MappingProxyType(dict(rules))
        self._default = default or closed

    def of(self, method: str) -> Rule:
        """The method's rule, else its service's, else the default."""
        service = method.rpartition("/")[0]
        return self._rules.get(method) or self._rules.get(f"{service}/*") or self._default


def _found(source: Any, request: Any) -> Any:
    if callable(source):
        return source(request)
    if not isinstance(source, str):
        return source
    value: Any = request
    for name in source.split("."):
        # An unset message reads as an empty one, so that a path through it ends at 0 or "".
        value = getattr(value, name)
    return value


def _agent(value: Any) -> int | str | None:
    """The agent that a value names; None if it names none."""
    if isinstance(value, Message):
        # AgentRef, or whatever the guarded service calls its own copy of it.
        by_id, by_slug = getattr(value, "agent_id", 0), getattr(value, "agent_slug", "")
        if by_id and by_slug:
            # Not a oneof there: we would ask about one and the service might use the other.
            raise ValueError("the request names an agent by id and by slug; one is enough")
        value = by_id or by_slug
    if value is None or (isinstance(value, int | str) and not isinstance(value, bool)):
        if isinstance(value, int):
            _require_id("agent", value)
        return value or None
    raise TypeError(f"a rule's agent is an id or a slug, not a {type(value).__name__}")


def _site(value: Any) -> int:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        _require_id("site", value or 0)
        return value or 0
    raise TypeError(f"a rule's site is a site_id, not a {type(value).__name__}")


def _require_id(kind: str, value: int) -> None:
    """Raise ValueError for what is no id anywhere: a uint64 field may hold more than an int64."""
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"the request names {kind} {value}: ids are at most 2^63 - 1")


def _check(method: str, rule: Rule) -> None:
    """Find out at start what would otherwise be found out by refusing every call."""
    if not isinstance(rule, Rule):
        raise ValueError(f"{method}: a rule is open_to_all, authenticated or require(…)")
    slash, service, name = [*method.split("/"), "", ""][:3]
    if slash or not service or not name or method.count("/") != 2:
        raise ValueError(f'{method}: write "/package.Service/Method" or "/package.Service/*"')
    for descriptor in _descriptors(method, service, name):
        if isinstance(rule, AgentRule):
            _check_path(method, descriptor.input_type, rule.agent, "agent")
            _check_path(method, descriptor.input_type, rule.site, "site")


def _descriptors(method: str, service: str, name: str) -> Sequence[MethodDescriptor]:
    """The methods meant, if their generated code is loaded. Raises ValueError for none."""
    try:
        known = descriptor_pool.Default().FindServiceByName(service)
    except KeyError:
        return ()
    meant = known.methods if name == "*" else [known.methods_by_name.get(name)]
    found = [descriptor for descriptor in meant if descriptor is not None]
    if not found:
        raise ValueError(f"{method}: the service has no such method")
    return found


def _check_path(method: str, message: Descriptor, path: Any, kind: str) -> None:
    if not isinstance(path, str):
        return
    at: Descriptor | None = message
    field: FieldDescriptor | None = None
    for name in path.split("."):
        field = at.fields_by_name.get(name) if at else None
        if field is None:
            raise ValueError(f'{method}: {message.full_name} has no field "{path}"')
        at = field.message_type
    assert field is not None  # noqa: S101 - split() answers at least one name
    fits = field.cpp_type in _INTEGERS
    if kind == "agent":
        fits |= field.cpp_type == FieldDescriptor.CPPTYPE_STRING
        fits |= at is not None and not {"agent_id", "agent_slug"}.isdisjoint(at.fields_by_name)
    # The one way to see it that protobuf 5 and 7 share.
    repeated = isinstance(field.default_value, list)
    if repeated or not fits:
        raise ValueError(f'{method}: "{path}" of {message.full_name} cannot name the {kind}')
