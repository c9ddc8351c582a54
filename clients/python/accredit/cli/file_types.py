"""`accredit registry file-types`: what servers know of the names of memory files."""

import click

from accredit.cli.cells import columns
from accredit.cli.choices import MEMORY_LAYERS, choice, member
from accredit.cli.options import Group
from accredit.cli.output import show, show_list
from accredit.cli.session import Session, pass_session

_FIELDS = (
    *("filename", "layer", "priority", "protected", "editable"),
    *("required_capability", "label", "update_time"),
)
_TYPE = columns(*_FIELDS, within="type")


@click.group("file-types", cls=Group)
def file_types() -> None:
    """The types of memory files."""


@file_types.command("list")
@pass_session
def list_types(session: Session) -> None:
    """List all types, by priority and then by name."""
    show_list(session, session.client.registry.list_memory_file_types().types, columns(*_FIELDS))


@file_types.command("register")
@click.argument("filename")
@click.option("--layer", type=choice(MEMORY_LAYERS), help="Whose file it is. Default: agent.")
@click.option("--priority", type=click.IntRange(0, 1000), help="The lower first. Default: 50.")
@click.option("--protected", is_flag=True, help="Only an admin may delete it.")
@click.option("--read-only", is_flag=True, help="It is made by scaffolding, and never written.")
@click.option("--required-capability", metavar="NAME", help="What writing it takes besides.")
@click.option("--label", help="For people to read. Default: made from the name.")
@pass_session
def register_type(
    session: Session,
    filename: str,
    layer: str | None,
    priority: int | None,
    protected: bool,
    read_only: bool,
    required_capability: str | None,
    label: str | None,
) -> None:
    """Add a type, or replace the one of this name."""
    answer = session.client.registry.register_memory_file_type(
        filename=filename,
        layer=member("MEMORY_LAYER", layer),
        priority=priority,
        protected=protected,
        read_only=read_only,
        required_capability=required_capability,
        label=label,
    )
    show(session, answer, _TYPE)


@file_types.command("deregister")
@click.argument("filename")
@pass_session
def deregister_type(session: Session, filename: str) -> None:
    """Remove a type. Files of that name stay."""
    answer = session.client.registry.deregister_memory_file_type(filename=filename)
    show(session, answer, _TYPE)
