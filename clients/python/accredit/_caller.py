"""Who calls a guarded service, for the length of one call."""

from contextvars import ContextVar
from dataclasses import dataclass, field

from accredit.v1 import types_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """What Accredit answered about the bearer of the call's token."""

    principal: types_pb2.Principal
    """Who they are, and the most that the token may do."""
    agent_id: int = 0
    """The agent that the request names. 0 if the method's rule names none."""
    agent_slug: str = ""
    """Its slug. Empty if the method's rule names no agent."""
    role: int = 0
    """Their role on that agent, a number of `Role`. 0 if the rule names no agent."""
    token: str = field(repr=False)
    """The token itself, to ask Accredit more about them: the service's own client has
    `client.scope.resolve_scope(token=caller.token)`. Never to be logged or stored."""


_caller: ContextVar[Caller] = ContextVar("accredit_caller")


def caller() -> Caller:
    """Who makes the guarded call that this code runs in. Raises LookupError outside of one."""
    try:
        return _caller.get()
    except LookupError:
        raise LookupError("no guarded call is under way here") from None


def principal() -> types_pb2.Principal:
    """`caller().principal`. Raises LookupError outside a guarded call."""
    return caller().principal


def enter(admitted: Caller) -> None:
    """Let the rest of this call know its caller.

    Never reset: gRPC runs every call in a context of its own, the synchronous server in a
    fresh one and the asynchronous server in that of a new task.
    """
    _caller.set(admitted)
