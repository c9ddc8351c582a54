"""What people type for an agent, a user or a site, and which one is meant.

Digits are an id, anything else a slug or a login; an "@" makes it an e-mail. Slugs and logins
are never digits only, so nothing can be read two ways.
"""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

import click

from accredit.cli.failures import ExitCode, Failure
from accredit.cli.session import Session, as_id, pass_session


class _TokenId(click.ParamType):
    """The public id of a token; a whole token is refused without being repeated."""

    name = "token_id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See ParamType."""
        if not (value.isascii() and value.isalnum()):
            self.fail("the public id, letters and digits only; never a whole token", param, ctx)
        return str(value)


TOKEN_ID = _TokenId()


def agent_ref(agent: str) -> dict[str, Any]:
    """An AgentRef. Whether there is such an agent is the called server's to say."""
    agent_id = as_id(agent)
    return {"agent_slug": agent} if agent_id is None else {"agent_id": agent_id}


def resolved_agent(
    session: Session, agent: str | None, *, user: dict[str, Any] | None = None
) -> dict[str, Any]:
    """An AgentRef: the agent named here, by --agent or by the environment, else the default one.

    The default agent is that of the user, a UserRef, and the caller's own without one. Several that
    could be meant are an error that lists them.
    """
    named = agent or session.default_agent
    if named is not None:
        return agent_ref(named)
    answer = session.client.agents.resolve_agent(user=user)
    return {"agent_id": answer.agent.agent_id}


def agent_id_of(session: Session, agent: str) -> int:
    """The id of an agent, for calls that take nothing else.

    Digits are taken as they are: the log remembers agents that are gone.
    """
    agent_id = as_id(agent)
    if agent_id is not None:
        return agent_id
    return session.client.agents.resolve_agent(agent=agent_ref(agent)).agent.agent_id


def user_ref(session: Session, user: str) -> dict[str, Any]:
    """A UserRef or a PrincipalRef, from an id, a login or an e-mail.

    The server knows ids and logins. An e-mail is looked up here, which takes manage_users.
    """
    user_id = as_id(user)
    if user_id is None and "@" not in user:
        return {"login": user}
    return {"user_id": user_id or _user_of_email(session, user)}


def own_ref(session: Session) -> dict[str, Any]:
    """A UserRef of the caller."""
    return {"user_id": session.client.auth.who_am_i().user.user_id}


def optional_user_ref(session: Session, user: str | None) -> dict[str, Any] | None:
    """The same where no user need be named."""
    return None if user is None else user_ref(session, user)


def user_id_of(session: Session, user: str) -> int:
    """The id of a user, for calls that take nothing else.

    A login or an e-mail has to be looked up, which takes manage_users unless it is one's own.
    """
    ref = user_ref(session, user)
    if "user_id" in ref:
        return int(ref["user_id"])
    return session.client.users.get_user(user=ref).user.user_id


def _user_of_email(session: Session, email: str) -> int:
    found = list(session.client.users.iterate_users(email=email))
    if not found:
        raise Failure(
            ExitCode.NOT_FOUND, f"there is no user with the e-mail {email}", reason="USER_NOT_FOUND"
        )
    if len(found) > 1:
        raise Failure(
            ExitCode.CONFLICT,
            f"{len(found)} users have the e-mail {email}: name one by id or login",
            reason="USER_AMBIGUOUS",
            details=[f"{user.user_id} {user.login}" for user in found],
        )
    return found[0].user_id


def site_ref(site: str) -> dict[str, Any]:
    """A SiteRef, from an id or a slug."""
    site_id = as_id(site)
    return {"site_slug": site} if site_id is None else {"site_id": site_id}


def site_id_of(session: Session, site: str | None) -> int | None:
    """The id of a site, where one is named."""
    if site is None:
        return None
    site_id = as_id(site)
    if site_id is not None:
        return site_id
    return session.client.sites.get_site(site=site_ref(site)).site.site_id


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
