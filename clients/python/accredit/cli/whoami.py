"""`accredit whoami`: who calls, and what the token is good for."""

import click

from accredit.cli.cells import Column, columns
from accredit.cli.expiry import state, warn_of_own
from accredit.cli.options import Command
from accredit.cli.output import show
from accredit.cli.session import Session, pass_session


@click.command("whoami", cls=Command)
@pass_session
def whoami(session: Session) -> None:
    """Say who you are to the server, and what your token is good for."""
    answer = session.client.auth.who_am_i()
    shown = (
        *columns("user_id", "login", "role", "display_name", within="user"),
        *columns("kind", within="principal"),
        *columns("agent_id", "agent_slug", within="agent"),
        *columns("max_role", "full_rights", "capabilities", within="principal"),
        *columns("token_id", "label", "expire_time", within="token"),
        Column("token_state", lambda message: state(message.token, session.now())),
    )
    show(session, answer, shown)
    warn_of_own(session, answer.token)
