"""Asking before something goes for good."""

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from accredit.cli.escapes import printable

F = TypeVar("F", bound=Callable[..., Any])


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
