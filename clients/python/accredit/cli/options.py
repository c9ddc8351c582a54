"""The global options, and the command and group classes that take them.

They may stand before the command or after it: `accredit --format json agents list` and
`accredit agents list --format json` are the same. After it they win.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from accredit.cli.output import FORMATS
from accredit.cli.session import Session

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
