"""`accredit sites`: the places that share one network of agents."""

import click

from accredit.cli.failures import ExitCode, listed, note, paged
from accredit.cli.options import Group, dry_run, etag, is_confirmed, with_yes
from accredit.cli.output import columns, show, show_list
from accredit.cli.references import site_ref
from accredit.cli.session import Session, pass_session

_IDENTITY = ("site_id", "site_slug", "site_name")
_LISTED = columns(*_IDENTITY, "create_time")
_SITE = columns(*_IDENTITY, "create_time", "update_time", "etag", within="site")


@click.group(cls=Group)
def sites() -> None:
    """Create, find and delete sites."""


@sites.command("list")
@paged
@pass_session
def list_sites(session: Session, limit: int | None) -> None:
    """List sites, by id."""
    show_list(session, listed(session.client.sites.iterate_sites, limit), _LISTED)


@sites.command("create")
@click.argument("slug")
@click.option("--name", help="A name for people to read. Default: the slug.")
@dry_run
@pass_session
def create_site(session: Session, slug: str, name: str | None, dry_run: bool) -> None:
    """Create a site. The slug is cleaned as an agent's."""
    answer = session.client.sites.create_site(site_slug=slug, site_name=name, validate_only=dry_run)
    show(session, answer, _SITE)


@sites.command("get")
@click.argument("site")
@pass_session
def get_site(session: Session, site: str) -> None:
    """Show a site."""
    show(session, session.client.sites.get_site(site=site_ref(site)), _SITE)


@sites.command("delete")
@click.argument("site")
@with_yes
@dry_run
@etag
@pass_session
def delete_site(
    session: Session, site: str, yes: bool, dry_run: bool, etag: str | None
) -> int | None:
    """Delete a site that no agent is scoped to.

    Asks on a terminal; elsewhere it takes --yes.
    """
    call = session.client.sites.delete_site
    ref = site_ref(site)

    def question() -> str:
        would = call(site=ref, etag=etag, validate_only=True)
        return f"Delete {would.site.site_slug} (id {would.site.site_id})?"

    if not (dry_run or is_confirmed(question, yes=yes)):
        note("nothing was deleted")
        return ExitCode.NO
    show(session, call(site=ref, etag=etag, validate_only=dry_run), _SITE)
    return None
