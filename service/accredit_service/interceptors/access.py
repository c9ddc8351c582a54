"""What the caller may do, as far as that can be said before the request is read."""

from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager

from ..abilities.calls.callers import permit
from ..abilities.policy.permissions import Permission
from .calls import Call, Step


def check_access(permissions: Mapping[str, Permission]) -> Step:
    """A step that applies a method's row: the kind of token, and the actions.

    The role on an agent is judged by the ability, which knows the agent. A method without a row is
    closed to everybody; a call that nobody had to authenticate for passes.
    """

    @contextmanager
    def step(call: Call) -> Generator[None]:
        if call.principal is not None:
            if (permission := permissions.get(call.method)) is None:
                raise RuntimeError(f"nobody has decided who may call {call.method}")
            permit(call.principal, permission)
        yield

    return step


def check_decided(methods: Collection[str], permissions: Collection[str]) -> None:
    """RuntimeError unless each method has a row and each row a method."""
    if undecided := sorted(set(methods) - set(permissions)):
        raise RuntimeError(f"nobody has decided who may call {', '.join(undecided)}")
    if stale := sorted(set(permissions) - set(methods)):
        raise RuntimeError(f"there are permissions for calls that do not exist: {', '.join(stale)}")
