"""`accredit registry`: declared agents, and what servers know of memory files."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import click

from accredit.cli.applying import (
    OUTCOME,
    apply_manifests,
    definition_columns,
    detail_columns,
    reconciled,
    what_became,
)
from accredit.cli.content import SEED, write_content
from accredit.cli.documents import DOCUMENT, struct
from accredit.cli.failures import ExitCode, listed, paged, warn
from accredit.cli.options import MEMORY_LAYERS, Group, choice, dry_run, etag, member, reason_of
from accredit.cli.output import (
    Column,
    cell_at,
    columns,
    printable,
    progress,
    show,
    show_list,
    write,
)
from accredit.cli.references import user_ref
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


_LISTED = (*definition_columns(), *columns("description"))
_DEFINITION = detail_columns("definition")
_RECONCILED = (
    *columns("agent_slug", "outcome", "agent_id"),
    Column("what", what_became),
)


@click.group(cls=Group)
def registry() -> None:
    """Declare agents that should exist, and create those that do not."""


@registry.command("list")
@paged
@pass_session
def list_definitions(session: Session, limit: int | None) -> None:
    """List the definitions that count, and what is wrong with the server's own manifests."""

    def iterate(**fields: Any) -> Iterator[Any]:
        call = session.client.registry.list_agent_definitions
        page = call(**fields)
        for notice in page.notices:
            warn(notice)
        yield from page.definitions
        while page.next_page_token:
            page = call(**fields, page_token=page.next_page_token)
            yield from page.definitions

    show_list(session, listed(iterate, limit), _LISTED)


@registry.command("show")
@click.argument("slug")
@click.option("--seeds", is_flag=True, help="With the texts that its files begin with.")
@pass_session
def show_definition(session: Session, slug: str, seeds: bool) -> None:
    """Show the definition of a slug, and what would become of it now.

    JSON and YAML have in full where it and the agent that there is differ.
    """
    answer = session.client.registry.get_agent_definition(agent_slug=slug)
    texts = dict(_seed_texts(session, slug)) if seeds else {}
    if session.format == "table":
        show(session, answer, (*_DEFINITION, *OUTCOME))
        for filename, content in texts.items():
            write(f"\n==> {printable(filename)} <==\n")
            write_content(session, [content, b"" if content.endswith(b"\n") else b"\n"])
        return
    for seed in answer.definition.memory_seeds:
        seed.text = texts.get(seed.filename, b"").decode()
    show(session, answer, (*_DEFINITION, *OUTCOME))


@registry.command("apply")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(exists=True))
@click.option(
    "--source",
    metavar="NAME",
    default="apply",
    show_default=True,
    help="Who declares them: of one source, the later definition of a slug replaces the earlier.",
)
@click.option("--no-reconcile", is_flag=True, help="Declare them, and create nothing.")
@dry_run
@pass_session
def apply(
    session: Session, paths: tuple[str, ...], source: str, no_reconcile: bool, dry_run: bool
) -> int:
    """Declare the agents of manifests, files or folders of them, and create those that are missing.

    A bad file or definition does not stop the others. Agents that exist are not touched. Exit
    code 1: a file has errors, or an agent or one of its files could not be created.
    """
    return apply_manifests(
        session, paths, source=source, validate_only=dry_run, reconcile=not no_reconcile
    )


@registry.command("reconcile")
@click.argument("slugs", metavar="[SLUG]...", nargs=-1)
@dry_run
@pass_session
def reconcile(session: Session, slugs: tuple[str, ...], dry_run: bool) -> int:
    """Create the declared agents that do not exist: all, or those of the slugs.

    What exists is not touched; where it differs from its definition is said as drift, and JSON
    and YAML have both values. Exit code 1: one could not be created.
    """
    counted: Counter[str] = Counter()

    def results() -> Iterator[Any]:
        with progress("reconciling", shown=session.format == "table") as tell:
            done = 0
            for answer in reconciled(session, slugs, validate_only=dry_run):
                for result in answer.results:
                    is_meant = reason_of(result.error) == "DEFINITION_SUPPRESSED"
                    counted["suppressed" if is_meant else cell_at(result, "outcome")] += 1
                    yield result
                done += len(answer.results)
                tell(done, answer.total)

    show_list(session, results(), _RECONCILED)
    return ExitCode.NO if counted["skipped"] else ExitCode.OK


@registry.command("suppress")
@click.argument("name")
@pass_session
def suppress(session: Session, name: str) -> None:
    """Keep definitions from counting: those of a slug, or of a source.

    Agents that exist stay.
    """
    answer = session.client.registry.suppress_agent(name=name)
    show(session, answer, columns("changed", "agent_slugs"))


@registry.command("unsuppress")
@click.argument("name")
@pass_session
def unsuppress(session: Session, name: str) -> None:
    """Let the definitions of a slug, or of a source, count again."""
    answer = session.client.registry.unsuppress_agent(name=name)
    show(session, answer, columns("changed", "agent_slugs"))


@registry.command("register")
@click.argument("slug")
@click.option("--label", help="A name for people to read. Default: the slug.")
@click.option("--description", help="One or two sentences.")
@click.option("--owner", metavar="USER", help="Who is to own it. Default: the server's default.")
@click.option("--owner-resolver", metavar="NAME", help="Which resolver of the server finds them.")
@click.option("--config", type=DOCUMENT, help="A JSON object, or @ and the file that it is in.")
@click.option(
    "--seed",
    "seeds",
    type=SEED,
    multiple=True,
    help="What a file of the agent begins with. Repeat it for more.",
)
@click.option("--priority", type=click.IntRange(-1000, 1000), help="The higher wins. Default: 10.")
@click.option("--source", metavar="NAME", help="Who declares it. Default: your login.")
@etag
@dry_run
@pass_session
def register(
    session: Session,
    slug: str,
    label: str | None,
    description: str | None,
    owner: str | None,
    owner_resolver: str | None,
    config: dict[str, Any] | None,
    seeds: tuple[tuple[str, str], ...],
    priority: int | None,
    source: str | None,
    etag: str | None,
    dry_run: bool,
) -> None:
    """Declare an agent, or declare it anew. `accredit registry reconcile SLUG` creates it."""
    answer = session.client.registry.register_agent(
        agent_slug=slug,
        label=label,
        description=description,
        owner=None if owner is None else user_ref(session, owner),
        owner_resolver=owner_resolver,
        default_config=struct(config),
        memory_seeds=[{"filename": filename, "text": text} for filename, text in seeds],
        priority=priority,
        source=source,
        etag=etag,
        validate_only=dry_run,
    )
    show(session, answer, (*_DEFINITION, *columns("changed"), *OUTCOME))
    for notice in answer.notices:
        warn(notice)


@registry.command("unregister")
@click.argument("slug")
@click.option("--source", metavar="NAME", help="Who declared it. Default: your login.")
@etag
@pass_session
def unregister(session: Session, slug: str, source: str | None, etag: str | None) -> None:
    """Take a definition back. An agent that exists stays."""
    answer = session.client.registry.unregister_agent(agent_slug=slug, source=source, etag=etag)
    show(session, answer, _DEFINITION)


def _seed_texts(session: Session, slug: str) -> Iterator[tuple[str, bytes]]:
    """The seeds of a slug's definition, each with its whole text."""
    filename, content = "", b""
    answers = session.client.registry.read_definition_seeds(
        agent_slug=slug, timeout=session.stream_timeout
    )
    for answer in answers:
        if answer.HasField("seed"):
            if filename:
                yield filename, content
            filename, content = answer.seed.filename, b""
        content += answer.content
    if filename:
        yield filename, content


registry.add_command(file_types)
