"""`accredit scope`: which rows of other services are mine to see?"""

from typing import Any

import click

from accredit.cli.failures import ExitCode
from accredit.cli.options import ROLES, Command, choice, member
from accredit.cli.output import Column, columns, show
from accredit.cli.references import agent_ref, optional_user_ref, site_id_of
from accredit.cli.session import Session, pass_session


def _users(answer: Any) -> str:
    which = answer.scope.WhichOneof("users")
    return {"all_users": "all", "user_id": str(answer.scope.user_id)}.get(which, "")


def _agents(answer: Any) -> str:
    scope = answer.scope
    which = scope.WhichOneof("agents")
    if which == "agent_set":
        return " ".join(map(str, scope.agent_set.agent_ids)) or "none"
    return {"all_agents": "all", "agent_id": str(scope.agent_id)}.get(which, "")


_COLUMNS = (
    Column("users", _users),
    Column("agents", _agents),
    *columns("default_agent_id", within="scope"),
    *columns("reason", "message", within="denial"),
)


@click.command("scope", cls=Command)
@click.option("--user", metavar="USER", help="Only this user's rows.")
@click.option("--agent", metavar="AGENT", help="Only this agent's rows. Default: every agent's.")
@click.option(
    "--role",
    type=choice(ROLES),
    default="viewer",
    help="The least role on the agent that will do. Default: viewer.",
)
@click.option("--site", metavar="SITE", help="On which site.")
@pass_session
def scope(
    session: Session, user: str | None, agent: str | None, role: str, site: str | None
) -> int:
    """Say which users' and which agents' rows your queries filter by. Exit code 1: none, denied.

    Other services ask the same about whoever calls them. Without manage_agents the rows are your
    own, whoever --user names.
    """
    answer = session.client.scope.resolve_scope(
        caller=True,
        user=optional_user_ref(session, user),
        agent=None if agent is None else agent_ref(agent),
        minimum_role=member("ROLE", role),
        site_id=site_id_of(session, site),
    )
    show(session, answer, _COLUMNS)
    return ExitCode.OK if answer.HasField("scope") else ExitCode.NO
