"""The command `accredit`: its groups, its global options, and how it ends."""

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from accredit.cli import (
    access,
    changes,
    files,
    memory,
    registry,
    scope,
    sites,
    tokens,
    transfers,
    users,
)
from accredit.cli import (
    access as check,
)
from accredit.cli import (
    auth as authentication,
)
from accredit.cli import (
    auth as whoami,
)
from accredit.cli import (
    options as completion,
)
from accredit.cli.failures import ExitCode, report
from accredit.cli.options import Group, global_options
from accredit.cli.output import discard
from accredit.cli.session import Session
from accredit.cli.times import renew_own_token

_EPILOG = """
\b
Exit codes:
  0    done; allowed; intact
  1    the answer is no: denied, invalid, or a change log that is broken
  2    what was typed cannot be right
  3    refused by the server: no token, a token that does not work, or not for this
  4    there is no such thing
  5    conflict: taken, changed meanwhile, or not in the state that things are in
  6    no answer from the server, now or in time
  7    anything else
  130  interrupted
  141  whoever read the output has left

\b
Environment:
  ACCREDIT_ADDRESS     the server, a gRPC target such as localhost:50051
  ACCREDIT_TOKEN       the token to call with; there is no option for it, since
                       anybody on the machine can read a command's arguments
  ACCREDIT_TOKEN_FILE  a file with it, where ACCREDIT_TOKEN is not set
  ACCREDIT_CA_FILE     certificates to trust, PEM
  ACCREDIT_SITE        the id of the site that calls relate to
  ACCREDIT_AGENT       the agent meant where a command leaves it out
  ACCREDIT_FORMAT      table, json, csv or yaml

An agent is named by its slug or its id, a user by id, login or e-mail, a site by id or slug;
digits are an id. JSON and YAML are the messages of the API in protobuf's JSON form, where ids are
strings; a list is one array.
"""


class Root(Group):
    """The outermost group: no exception leaves it."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run a command line, the process's own by default, and exit with its code."""
        words = sys.argv[1:] if args is None else list(args)
        status: Any
        try:
            _check_words(words)
            status = super().main(
                words, prog_name or "accredit", complete_var, standalone_mode=False, **extra
            )
            sys.stdout.flush()
        except (KeyboardInterrupt, click.Abort):
            status = ExitCode.INTERRUPTED
        except (_ReaderLeft, BrokenPipeError):
            status = ExitCode.BROKEN_PIPE
            discard()
        except Exception as error:  # noqa: BLE001 - said to the user
            status = report(error)
        sys.exit(status or 0)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Parse; this prints the help as well."""
        with _ours_to_end():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a warning about the caller's token comes after its output."""
        session = ctx.ensure_object(Session)
        ctx.call_on_close(session.close)
        with _ours_to_end():
            status = super().invoke(ctx)
        renew_own_token(session)
        return status


class _ReaderLeft(Exception):
    """Nobody reads the output any more."""


@contextmanager
def _ours_to_end() -> Generator[None]:
    # Click would end on a broken pipe itself, with the code of a denial.
    try:
        yield
    except BrokenPipeError as error:
        raise _ReaderLeft from error


def _check_words(words: list[str]) -> None:
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise click.UsageError("an argument is not UTF-8") from None


@click.group(
    "accredit",
    cls=Root,
    params=list(global_options()),
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="accredit", message="accredit %(version)s")
def accredit() -> None:
    """Ask and administer Accredit, the registry that accredits AI agents."""


for _command in (
    transfers.agents,
    access.access,
    tokens.tokens,
    users.users,
    sites.sites,
    files.files,
    memory.memory,
    registry.registry,
    changes.changes,
    whoami.whoami,
    check.check,
    scope.scope,
    authentication.authenticate,
    completion.completion,
):
    accredit.add_command(_command)
