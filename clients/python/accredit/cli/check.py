"""`accredit check`: may somebody act on an agent?"""

from typing import Any

import click

from accredit.cli.cells import Column, cell_at, column, columns
from accredit.cli.choices import ROLES, choice, member
from accredit.cli.failures import ExitCode
from accredit.cli.options import Command
from accredit.cli.output import show
from accredit.cli.references import optional_user_ref, resolved_agent, site_id_of
from accredit.cli.session import Session, pass_session


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
