"""`accredit access AGENT …` and `accredit check`: who may use an agent, and whether they may."""

from typing import Any

import click

from accredit.cli.failures import ExitCode, listed, note, paged
from accredit.cli.options import ROLES, Command, Group, choice, etag, member
from accredit.cli.output import (
    Column,
    cell_at,
    column,
    columns,
    show,
    show_list,
)
from accredit.cli.references import (
    agent_ref,
    optional_user_ref,
    resolved_agent,
    site_id_of,
    user_ref,
)
from accredit.cli.session import Session, pass_session
from accredit.cli.times import (
    MOMENT_OR_SPAN,
    MomentOrSpan,
    moment_of,
    timestamp,
)

_FIELDS = (
    "agent_id",
    "principal.user_id",
    "login",
    "role",
    "granted_by",
    "grant_time",
    "expire_time",
)
_LISTED = columns(
    "principal.user_id",
    "login",
    "display_name",
    "email",
    "role",
    "granted_by",
    "grant_time",
    "expire_time",
)
_GRANT = columns(*_FIELDS, "etag", within="grant")


@click.group(cls=Group)
@click.argument("agent")
@click.pass_context
def access(ctx: click.Context, agent: str) -> None:
    """Grant and revoke access to an agent: `accredit access billing grant ada`."""
    ctx.meta["accredit.agent"] = agent


@access.command("list")
@paged
@pass_session
@click.pass_context
def list_access(ctx: click.Context, session: Session, limit: int | None) -> None:
    """List the grants on the agent, oldest first."""
    grants = listed(session.client.access.iterate_agent_access, limit, agent=_agent(ctx))
    show_list(session, grants, _LISTED)


@access.command("grant")
@click.argument("user")
@click.option(
    "--role",
    type=choice(ROLES),
    help="Which role. Default: viewer, for a user who has none yet.",
)
@click.option(
    "--expires",
    type=MOMENT_OR_SPAN,
    help="When the grant ends: 2026-12-31T00:00Z, or 30d from now. Goes with --role. "
    "Default: never, also where the grant had an end.",
)
@etag
@pass_session
@click.pass_context
def grant_access(
    ctx: click.Context,
    session: Session,
    user: str,
    role: str | None,
    expires: MomentOrSpan | None,
    etag: str | None,
) -> None:
    """Give a user a role on the agent, or with --role change the one that they have."""
    if role is None and (etag is not None or expires is not None):
        named = "--expires" if etag is None else "--etag"
        raise click.UsageError(f"{named} goes with --role: without it no grant is changed")
    answer = session.client.access.grant_access(
        agent=_agent(ctx),
        principal=user_ref(session, user),
        role=member("ROLE", role or "viewer"),
        # Nobody named the role: it must not take the place of one that somebody did.
        only_if_absent=role is None,
        expire_time=timestamp(moment_of(expires, session.now())),
        etag=etag,
    )
    show(session, answer, _GRANT)
    if not answer.changed:
        grant = answer.grant
        note(
            f"{grant.login} has the role {cell_at(grant, 'role')} already, and the grant was left "
            "as it is: --role changes it"
        )


@access.command("revoke")
@click.argument("user")
@etag
@pass_session
@click.pass_context
def revoke_access(ctx: click.Context, session: Session, user: str, etag: str | None) -> None:
    """Take a user's grant away, and revoke the tokens that they minted for the agent."""
    answer = session.client.access.revoke_access(
        agent=_agent(ctx), principal=user_ref(session, user), etag=etag
    )
    show(session, answer, (*_GRANT, *columns("tokens_revoked")))


@access.command("give-up")
@etag
@pass_session
@click.pass_context
def give_up_access(ctx: click.Context, session: Session, etag: str | None) -> None:
    """Give up your own grant on the agent, whatever its role."""
    own = session.client.auth.who_am_i().user
    answer = session.client.access.revoke_access(
        agent=_agent(ctx), principal={"user_id": own.user_id}, etag=etag
    )
    show(session, answer, (*_GRANT, *columns("tokens_revoked")))


def _agent(ctx: click.Context) -> dict[str, object]:
    return agent_ref(ctx.meta["accredit.agent"])


def _decision(answer: Any) -> str:
    # An answer that this client is too old to understand is a denial.
    return "allowed" if answer.HasField("principal") else "denied"


OUTCOME = (
    Column("decision", _decision),
    column("denial.reason"),
    column("denial.message"),
)
"""The columns of an answer that is a principal or a denial."""


def _subjects(answer: Any) -> str:
    return " ".join(f"{cell_at(on, 'kind')}:{on.subject_id}" for on in answer.basis.depends_on)


_BASIS = (
    *columns("cacheable", "valid_until", within="basis"),
    Column("depends_on", _subjects),
)


@click.command("check", cls=Command)
@click.argument("agent", required=False)
@click.option("--user", metavar="USER", help="Who. Default: you.")
@click.option(
    "--role",
    type=choice(ROLES),
    default="viewer",
    help="The least role that will do. Default: viewer.",
)
@click.option("--site", metavar="SITE", help="On which site.")
@click.option("--require-active", is_flag=True, help="Deny an agent that is not active.")
@click.option(
    "--why", is_flag=True, help="Show the role found, where it is from, what it rests on."
)
@pass_session
def check(
    session: Session,
    agent: str | None,
    user: str | None,
    role: str,
    site: str | None,
    require_active: bool,
    why: bool,
) -> int:
    """Ask whether a user may act on an agent. Exit code 0: allowed; 1: denied.

    Without AGENT the default one is meant. An unknown agent or user is denied like any other. To
    ask about another user takes admin on the agent, or the action authenticate.
    """
    about = optional_user_ref(session, user)
    subject = {"caller": True} if about is None else {"principal": about}
    answer = session.client.access.check_access(
        check={
            **subject,
            "agent": resolved_agent(session, agent, user=about),
            "minimum_role": member("ROLE", role),
            "site_id": site_id_of(session, site),
            "require_active": require_active,
        }
    )
    shown = (*OUTCOME, *columns("role", "role_source"), *_BASIS) if why else OUTCOME
    show(session, answer, shown)
    return ExitCode.OK if answer.HasField("principal") else ExitCode.NO
