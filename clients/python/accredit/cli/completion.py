"""`accredit completion`: the script that completes commands and options in a shell."""

import click
from click.shell_completion import get_completion_class

from accredit.cli.options import Command
from accredit.cli.output import write

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
