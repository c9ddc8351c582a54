"""Writes what the documentation repeats of the code: docs/permissions.md, the table of settings.

`make docs` runs it; a test holds the pages to it.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from accredit_service.abilities.policy.methods import METHODS, Method
from accredit_service.abilities.policy.permissions import AGENT_ACTIONS, ROLE_ACTIONS, Action
from accredit_service.settings import SETTINGS, Setting

DOCS = Path(__file__).parents[1] / "docs"

_PERMISSIONS = """\
# Permissions

<!-- Made by `make docs` from service/accredit_service/abilities/policy/methods.py. -->

What a call demands is one row of one table in the code, and the server does not start for a call
without a row. This page is made from that table.

A caller must present a token that works; then the row is judged, in this order:

1. **Token**: which kind of credential the call takes. "any token" includes an agent's own.
2. **Action**: one of these, held by the caller's user and left to them by the token's ceiling.
3. **Role**: at least this one on the agent that the request names. Owning the agent is ADMIN on
   it, and so is `manage_agents`, on every agent; anybody else needs a grant. A ceiling lowers all
   of them.
4. **Besides**: what the call judges beyond that.

Method is judged before existence: who has no role on an agent is told AGENT_ACCESS_DENIED
whether it exists or not. Only a caller with `manage_agents` is told AGENT_NOT_FOUND.

## What a call demands

{calls}

## What a user's role can do

{roles}

An agent's own token has at most {agent_actions}: each of them only
if the agent's owner and whoever minted the token both have it and, where the token has a ceiling,
the ceiling lists it. A token that acts as its owner has the owner's actions, within its ceiling.

The actions that no call demands are for the services that ask Accredit: they name one as the
`capability` of Authorize. So they can name capabilities of their own, any text of `[a-z0-9_.:-]`.
"""

_BEGIN = "<!-- Made by `make docs` from service/accredit_service/settings.py. -->\n"
_END = "<!-- End of what `make docs` makes. -->\n"


def pages() -> Mapping[Path, str]:
    """Every page with something made in it, as it should be."""
    operations = DOCS / "operations.md"
    return {
        DOCS / "permissions.md": permissions(),
        operations: _with_settings(operations.read_text()),
    }


def permissions() -> str:
    """The page of permissions."""
    return _PERMISSIONS.format(
        calls=_table(
            ("Call", "Token", "Action", "Role", "Besides"),
            (_call_row(method, permission) for method, permission in METHODS.items()),
        ),
        roles=_table(("Action", *(role.name for role in ROLE_ACTIONS)), map(_action_row, Action)),
        agent_actions=", ".join(_code(action) for action in sorted(AGENT_ACTIONS)),
    )


def _action_row(action: Action) -> tuple[str, ...]:
    return (_code(action), *("yes" if action in held else "" for held in ROLE_ACTIONS.values()))


def _call_row(method: str, permission: Method) -> tuple[str, ...]:
    return (
        _code(method),
        permission.speaker.value,
        " or ".join(_code(action) for action in sorted(permission.any_action)),
        "" if permission.role is None else permission.role.name,
        permission.note,
    )


def _with_settings(page: str) -> str:
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    table = _table(
        ("Flag", "Variable", "Default", "What it is"), map(_setting_row, SETTINGS.values())
    )
    return f"{before}{_BEGIN}\n{table}\n\n{_END}{after}"


def _setting_row(setting: Setting) -> tuple[str, ...]:
    flag = f"{setting.flag}, --no-{setting.flag[2:]}" if setting.is_switch else setting.flag
    return (_code(flag), _code(setting.variable), _default(setting), setting.help)


def _default(setting: Setting) -> str:
    if setting.is_switch:
        return "on" if setting.default else "off"
    if setting.default in (None, "", ()):
        return ""
    value = f"{setting.default:g}" if isinstance(setting.default, float) else str(setting.default)
    return _code(value)


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _code(text: str) -> str:
    return f"`{text}`"


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
