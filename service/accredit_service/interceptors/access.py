"""What the caller may do, as far as that can be said before the request is read."""

from collections.abc import Mapping

from ..abilities.calls.callers import permit
from ..abilities.policy.methods import STREAMING, Method
from .calls import Call, Step


def check_access(rows: Mapping[str, Method]) -> Step:
    """A step that applies a method's row: the kind of token, and the actions.

    The role on an agent is judged by the ability, which knows the agent. A method without a row is
    closed to everybody; a call that nobody had to authenticate for passes.
    """

    def step(call: Call) -> None:
        # Who was remembered was held against the row when they were.
        if call.principal is not None and not call.is_permitted:
            if (row := rows.get(call.method)) is None:
                raise RuntimeError(f"nobody has decided who may call {call.method}")
            permit(call.principal, row)

    return step


def check_rows(rows: Mapping[str, Method], streams: Mapping[str, bool]) -> None:
    """RuntimeError unless each method has a row that fits it, and each row a method.

    ``streams`` has every method, and whether it answers a stream.
    """
    if undecided := sorted(set(streams) - set(rows)):
        raise RuntimeError(f"nobody has decided who may call {', '.join(undecided)}")
    if stale := sorted(set(rows) - set(streams)):
        raise RuntimeError(f"there are rows for methods that do not exist: {', '.join(stale)}")
    if misfits := sorted(
        method for method, row in rows.items() if (row.pool in STREAMING) != streams[method]
    ):
        raise RuntimeError(f"the pool of threads is not for {', '.join(misfits)}")
