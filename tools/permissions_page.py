"""Writes docs/permissions.md from the two tables by which the server judges."""

from collections.abc import Iterable

from accredit_service.abilities.permissions import (
    AGENT_ACTIONS,
    PERMISSIONS,
    ROLE_ACTIONS,
    Action,
    Permission,
)

_TOP = """\
# Permissions

<!-- Made by `make docs` from service/accredit_service/abilities/permissions.py. -->

What a call demands is one row of one table in the code, and the server does not start for a call
without a row. This page is made from that table.

A caller must present a token that works; then the row is judged, in this order:

1. **Token**: which kind of credential the call takes. "any token" includes an agent's own.
2. **Action**: one of these, held by the caller's user and not taken away by the token's ceiling.
3. **Role**: at least this one on the agent that the request names. `manage_agents` is ADMIN on
   every agent, and so is owning it; anybody else needs a grant. A ceiling lowers all of them.
4. **Besides**: what the call judges beyond that.

Permission is judged before existence: who has no role on an agent is told AGENT_ACCESS_DENIED
whether it exists or not. Only a caller with `manage_agents` is told AGENT_NOT_FOUND.
"""

_ROLES = """\
## What a user's role can do

{table}

An agent's own token has at most {agent_actions}, and each of them only if the agent's owner and
whoever minted the token both have it and, where the token has a ceiling, the ceiling lists it. A
token that acts as its owner has the owner's actions within its ceiling.

The actions that no call demands are for the services that ask Accredit: they name one as the
`capability` of Authorize. So they can name capabilities of their own, any text of
`[a-z0-9_.:-]`.
"""


def page() -> str:
    """The whole page."""
    agent_actions = ", ".join(_code(action) for action in sorted(AGENT_ACTIONS))
    roles = _ROLES.format(table=_role_table(), agent_actions=agent_actions)
    return "\n".join([_TOP, "## What a call demands\n", _call_table(), "", roles]).rstrip() + "\n"


def _call_table() -> str:
    rows = (_call_row(method, permission) for method, permission in PERMISSIONS.items())
    return _table(("Call", "Token", "Action", "Role", "Besides"), rows)


def _call_row(method: str, permission: Permission) -> tuple[str, ...]:
    return (
        _code(method),
        permission.speaker.value,
        " or ".join(_code(action) for action in sorted(permission.any_action)),
        "" if permission.role is None else permission.role.name,
        permission.note,
    )


def _role_table() -> str:
    heads = [role.name for role in ROLE_ACTIONS]
    rows = (
        (_code(action), *("yes" if action in held else "" for held in ROLE_ACTIONS.values()))
        for action in Action
    )
    return _table(("Action", *heads), rows)


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _code(text: str) -> str:
    return f"`{text}`"


if __name__ == "__main__":
    print(page(), end="")
