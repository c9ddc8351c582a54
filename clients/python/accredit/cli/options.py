"""The global options, and the command and group classes that take them.

They may stand before the command or after it: `accredit --format json agents list` and
`accredit agents list --format json` are the same. After it they win.
"""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import get_completion_class

from accredit.cli.output import FORMATS, printable, write
from accredit.cli.session import Session

ROLES = ("viewer", "operator", "admin")
AGENT_STATUSES = ("active", "inactive", "archived")
STATUS_FILTERS = (*AGENT_STATUSES, "any")
LIST_SCOPES = ("mine", "all")
USER_KINDS = ("human", "service")
SUBJECT_KINDS = (
    "agent",
    "user",
    "token",
    "site",
    "grant",
    "directory",
    "definition",
    "memory_file_type",
    "agent_slug",
    "login",
    "store",
    "transfer_offer",
)
MEMORY_LAYERS = ("shared", "agent", "user", "network")
USER_ROLES = ("administrator", "service", "member", "guest")
CHANGE_KINDS = (
    "bootstrapped",
    "user_created",
    "user_updated",
    "user_deactivated",
    "user_deleted",
    "site_created",
    "site_deleted",
    "agent_created",
    "agent_updated",
    "agent_renamed",
    "agent_transferred",
    "agent_deleted",
    "grant_changed",
    "grant_revoked",
    "token_created",
    "token_rotated",
    "token_revoked",
    "bulk",
    "file_written",
    "file_deleted",
    "files_scaffolded",
    "definition_registered",
    "definition_unregistered",
    "definition_suppressed",
    "definition_reconciled",
    "memory_file_type_changed",
    "change_redacted",
    "transfer_offered",
    "transfer_declined",
    "default_agent_set",
    "token_key_rotated",
    "token_key_retired",
)


def choice(words: tuple[str, ...]) -> click.Choice:
    """One of these words, in any case."""
    return click.Choice(words, case_sensitive=False)


def member(prefix: str, word: str | None) -> str | None:
    """The name of the enum's member, such as ROLE_VIEWER."""
    return None if word is None else f"{prefix}_{word.upper()}"


if TYPE_CHECKING:
    from google.rpc.status_pb2 import Status


def reason_of(status: "Status") -> str:
    """The reason in the status, such as "DEFINITION_SUPPRESSED"; empty where it has none."""
    from google.rpc.error_details_pb2 import ErrorInfo

    info = ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            return str(info.reason)
    return ""


def status_text(status: "Status") -> str:
    """Reason and message; empty for a status that is not set."""
    return ": ".join(filter(None, (reason_of(status), status.message)))


F = TypeVar("F", bound=Callable[..., Any])

# Commands have arguments of the same names, and click has one namespace for both.
_PREFIX = "global_"


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value is not None and not ctx.resilient_parsing:
        setattr(ctx.ensure_object(Session), str(param.name).removeprefix(_PREFIX), value)


def _option(*flags: str, **attributes: Any) -> click.Option:
    name = flags[0].partition("/")[0].strip("-").replace("-", "_")
    return click.Option(
        [*flags, _PREFIX + name],
        expose_value=False,
        callback=_keep,
        default=None,
        **attributes,
    )


def _repeatable(*, hidden: bool) -> list[click.Option]:
    """Those that a command takes itself as well."""
    return [
        _option(
            "--format",
            type=click.Choice(FORMATS),
            # One place reads the environment, so that what is typed wins wherever it stands.
            envvar=None if hidden else "ACCREDIT_FORMAT",
            help="How answers look. Default: table.",
        ),
        _option(
            "--address",
            metavar="HOST:PORT",
            hidden=hidden,
            help="The server, a gRPC target. Default: ACCREDIT_ADDRESS.",
        ),
        _option(
            "--token-file",
            type=click.Path(),
            hidden=hidden,
            help="A file with the token to call with. Default: ACCREDIT_TOKEN, else "
            "ACCREDIT_TOKEN_FILE.",
        ),
        _option(
            "--ca-file",
            type=click.Path(),
            hidden=hidden,
            help="Certificates to trust, PEM. Default: ACCREDIT_CA_FILE, else the system's.",
        ),
        _option(
            "--insecure",
            is_flag=True,
            flag_value=True,
            hidden=hidden,
            help="Send everything, the token too, in plaintext to any host.",
        ),
        _option(
            "--site",
            metavar="SITE",
            hidden=hidden,
            help="The site that calls relate to, by id or slug. Default: ACCREDIT_SITE, an id.",
        ),
        _option(
            "--timeout",
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            hidden=hidden,
            help="How long a call may take, repeats included. Default: 10, of streams 600.",
        ),
        _option(
            "--warn/--no-warn",
            hidden=hidden,
            help="Say when your token is about to expire. Default: on a terminal.",
        ),
    ]


def global_options() -> list[click.Option]:
    """The options of `accredit` itself."""
    agent = _option(
        "--agent",
        metavar="AGENT",
        help="The agent meant where a command leaves it out, by slug or id. Default: "
        "ACCREDIT_AGENT, else the one that you chose, else the only one that you own or are "
        "granted.",
    )
    return [*_repeatable(hidden=False), agent]


class Command(click.Command):
    """A command that also takes the global options, except where it has its own of that name."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        own = {flag for param in self.params for flag in param.opts}
        self.params += [
            option for option in _repeatable(hidden=True) if own.isdisjoint(option.opts)
        ]


class Group(click.Group):
    """A group of such commands."""

    command_class = Command
    group_class = type


def dry_run(command: F) -> F:
    """Give a command --dry-run, as the API's validate_only."""
    return click.option(
        "--dry-run",
        "--validate-only",
        "dry_run",
        is_flag=True,
        help="Judge and answer as if, but change nothing.",
    )(command)


def etag(command: F) -> F:
    """Give a command --etag."""
    return click.option("--etag", help="Only if it still has this etag.")(command)


def with_yes(command: F) -> F:
    """Give a command --yes."""
    return click.option("--yes", "-y", is_flag=True, help="Do not ask.")(command)


def is_confirmed(question: Callable[[], str], *, yes: bool) -> bool:
    """Whether to go on. Asks on a terminal; raises click.UsageError where nobody can answer."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise click.UsageError("nobody is there to ask: say --yes")
    return click.confirm(printable(question()), err=True)


_SHELLS = ("bash", "zsh", "fish")


@click.command("completion", cls=Command)
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a shell's completion script: `eval "$(accredit completion bash)"`."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"there is no completion for {shell}")
    root = ctx.find_root()
    name = "accredit"
    write(kind(root.command, {}, name, f"_{name.upper()}_COMPLETE").source())
