"""`accredit authenticate` and `accredit whoami`: whose token is this?"""

import sys
from pathlib import Path

import click

from accredit.cli.access import OUTCOME
from accredit.cli.failures import ExitCode
from accredit.cli.options import Command
from accredit.cli.output import Column, column, columns, show
from accredit.cli.session import Session, pass_session
from accredit.cli.times import state, warn_of_own

_COLUMNS = (
    *OUTCOME,
    *columns(
        "kind",
        "user_id",
        "login",
        "agent_id",
        "agent_slug",
        "token_id",
        "max_role",
        "full_rights",
        "capabilities",
        "site_scope",
        within="principal",
    ),
    column("basis.valid_until"),
)


@click.command("authenticate", cls=Command)
@click.option(
    "--token-file",
    "subject_file",
    type=click.Path(),
    help="A file with the token that is asked about. Default: standard input. (The one to call "
    "with stands before the command: `accredit --token-file MINE authenticate`.)",
)
@pass_session
def authenticate(session: Session, subject_file: str | None) -> int:
    """Ask whose token this is. Exit code 0: it works; 1: it does not.

    The token is read from standard input or a file, never from the arguments: anybody on the
    machine can read those.
    """
    answer = session.client.auth.authenticate(token=_subject(subject_file))
    show(session, answer, _COLUMNS)
    return ExitCode.OK if answer.HasField("principal") else ExitCode.NO


def _subject(path: str | None) -> str:
    try:
        if path is not None:
            text = Path(path).read_bytes().decode()
        elif sys.stdin.isatty():
            text = click.prompt("Token", hide_input=True, err=True)
        else:
            text = sys.stdin.buffer.read().decode()
    except OSError as error:
        raise click.UsageError(f"{error.filename}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise click.UsageError("the token is not text") from None
    token = text.strip()
    if not token:
        raise click.UsageError("there is no token on standard input or in the file")
    return token


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
