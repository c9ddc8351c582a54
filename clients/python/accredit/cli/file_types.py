"""`accredit registry file-types`: what servers know of the names of memory files."""

import click

from accredit.cli.cells import columns
from accredit.cli.choices import MEMORY_LAYERS, choice, member
from accredit.cli.listing import listed, paged
from accredit.cli.options import Group, etag
from accredit.cli.output import show, show_list
from accredit.cli.session import Session, pass_session

_FIELDS = (
    *("filename", "layer", "priority", "is_protected", "read_only"),
    *("required_capability", "label", "update_time", "etag"),
)
_TYPE = columns(*_FIELDS, within="memory_file_type")


@click.group("file-types", cls=Group)
def file_types() -> None:
    """The types of memory files."""


@file_types.command("list")
@paged
@pass_session
def list_types(session: Session, limit: int | None) -> None:
    """List the types, by priority and then by name."""
    types = listed(session.client.registry.iterate_memory_file_types, limit)
    show_list(session, types, columns(*_FIELDS))


@file_types.command("register")
@click.argument("filename")
@click.option("--layer", type=choice(MEMORY_LAYERS), required=True, help="Whose file it is.")
@click.option("--priority", type=click.IntRange(0, 1000), help="The lower first. Default: 50.")
@click.option("--protected", is_flag=True, help="Only an admin may delete it.")
@click.option("--read-only", is_flag=True, help="It is made by scaffolding, and never written.")
@click.option("--required-capability", metavar="NAME", help="What writing it takes besides.")
@click.option("--label", help="For people to read. Default: made from the name.")
@etag
@pass_session
def register_type(
    session: Session,
    filename: str,
    layer: str,
    priority: int | None,
    protected: bool,
    read_only: bool,
    required_capability: str | None,
    label: str | None,
    etag: str | None,
) -> None:
    """Add a type, or replace the one of this name."""
    answer = session.client.registry.register_memory_file_type(
        filename=filename,
        layer=member("MEMORY_LAYER", layer),
        priority=priority,
        is_protected=protected,
        read_only=read_only,
        required_capability=required_capability,
        label=label,
        etag=etag,
    )
    show(session, answer, _TYPE)


@file_types.command("unregister")
@click.argument("filename")
@etag
@pass_session
def unregister_type(session: Session, filename: str, etag: str | None) -> None:
    """Remove a type. Files of that name stay."""
    answer = session.client.registry.unregister_memory_file_type(filename=filename, etag=etag)
    show(session, answer, _TYPE)
