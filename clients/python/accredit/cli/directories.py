"""Which directory of files a command means."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

import click

from accredit.cli.references import resolved_agent, user_ref
from accredit.cli.session import Session, pass_session

_COMMON = {
    "shared": "What everybody shares.",
    "network": "What the whole network shares.",
    "legacy": "The one of the time before there were several agents.",
}


def with_directory(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that name a directory. It gets the session and a DirectoryRef."""

    @pass_session
    def call(
        session: Session, /, *, agent: str | None, user: str | None, common: str | None, **more: Any
    ) -> Any:
        return command(session, _directory_ref(session, agent, user, common), **more)

    made: Callable[..., Any] = update_wrapper(call, command)
    for flag, meaning in reversed(_COMMON.items()):
        made = click.option(f"--{flag}", "common", flag_value=flag, default=None, help=meaning)(
            made
        )
    made = click.option(
        "--user", metavar="USER", help="That of the user's own agent, else the user's."
    )(made)
    return click.option(
        "--agent",
        metavar="AGENT",
        help="An agent's. Default: ACCREDIT_AGENT, else the only agent that you own or are "
        "granted.",
    )(made)


def directory_text(ref: Any) -> str:
    """A DirectoryRef in a word: "agent:7", "user:3", "shared"."""
    from accredit.v1.directory_pb2 import CommonDirectory

    match ref.WhichOneof("identifier"):
        case "agent":
            return f"agent:{ref.agent.agent_id or ref.agent.agent_slug}"
        case "user":
            return f"user:{ref.user.user_id or ref.user.login}"
        case "common":
            return CommonDirectory.Name(ref.common).removeprefix("COMMON_DIRECTORY_").lower()
    return ""


def _directory_ref(
    session: Session, agent: str | None, user: str | None, common: str | None
) -> dict[str, Any]:
    if sum(each is not None for each in (agent, user, common)) > 1:
        raise click.UsageError(
            "--agent, --user, --shared, --network and --legacy exclude each other"
        )
    if user is not None:
        return {"user": user_ref(session, user)}
    if common is not None:
        return {"common": f"COMMON_DIRECTORY_{common.upper()}"}
    return {"agent": resolved_agent(session, agent)}
