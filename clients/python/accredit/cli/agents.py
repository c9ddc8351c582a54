"""`accredit agents`: the identities."""

from typing import Any

import click

from accredit.cli.documents import DOCUMENT, struct
from accredit.cli.failures import ExitCode, listed, note, paged
from accredit.cli.options import (
    AGENT_STATUSES,
    LIST_SCOPES,
    STATUS_FILTERS,
    Group,
    choice,
    dry_run,
    etag,
    is_confirmed,
    member,
    with_yes,
)
from accredit.cli.output import column, columns, show, show_list
from accredit.cli.references import (
    agent_ref,
    optional_user_ref,
    own_ref,
    resolved_agent,
    site_id_of,
    user_ref,
)
from accredit.cli.session import Session, pass_session

_IDENTITY = ("agent_id", "agent_slug", "agent_name", "owner_id", "status", "site_scope")
_LISTED = columns(*_IDENTITY, "is_owner", "description")
_LISTED_WITH_ROLE = columns(*_IDENTITY, "is_owner", "user_role", "description")
_TIMES = ("create_time", "update_time", "etag")
_RESOLVED = columns(*_IDENTITY, *_TIMES, within="agent")
_AGENT = columns(*_IDENTITY, "config", *_TIMES, within="agent")
#: What `transfers`, which adds commands to this group, shows of an agent.
SHOWN = _RESOLVED


@click.group(cls=Group)
def agents() -> None:
    """Create, find and change agents."""


@agents.command("list")
@click.option(
    "--scope", type=choice(LIST_SCOPES), help="Yours, or all, for administrators. Default: mine."
)
@click.option("--user", metavar="USER", help="Whose agents, in place of yours.")
@click.option("--site", metavar="SITE", help="Only agents that may be used on this site.")
@click.option("--status", type=choice(STATUS_FILTERS), help="Only this status. Default: active.")
@click.option("--text", help="Only agents with this text in their slug or name.")
@click.option("--include-role", is_flag=True, help="Show the role that the user has on each.")
@paged
@pass_session
def list_agents(
    session: Session,
    scope: str | None,
    user: str | None,
    site: str | None,
    status: str | None,
    text: str | None,
    include_role: bool,
    limit: int | None,
) -> None:
    """List agents: yours, another user's, or all."""
    if scope == "all" and user is not None:
        raise click.UsageError("--scope all lists everybody's agents: leave --user out")
    found = listed(
        session.client.agents.iterate_agents,
        limit,
        scope=member("LIST_SCOPE", scope),
        user=optional_user_ref(session, user),
        site_id=site_id_of(session, site),
        status=member("AGENT_STATUS_FILTER", status),
        text=text,
        include_role=include_role,
    )
    show_list(session, found, _LISTED_WITH_ROLE if include_role else _LISTED)


@agents.command("create")
@click.argument("slug")
@click.option("--owner", metavar="USER", help="Who will own it. Default: you.")
@click.option("--name", help="A name for people to read. Default: the slug.")
@click.option("--config", type=DOCUMENT, help="A JSON object, or @ and the file that it is in.")
@click.option("--site", metavar="SITE", help="The one site where it may be used. Default: all.")
@click.option("--if-missing", is_flag=True, help="Return the agent if there is one of this slug.")
@dry_run
@pass_session
def create_agent(
    session: Session,
    slug: str,
    owner: str | None,
    name: str | None,
    config: dict[str, Any] | None,
    site: str | None,
    if_missing: bool,
    dry_run: bool,
) -> None:
    """Create an agent. The slug is cleaned: "My Agent!" becomes my-agent."""
    answer = session.client.agents.create_agent(
        agent_slug=slug,
        agent_name=name,
        owner=own_ref(session) if owner is None else user_ref(session, owner),
        config=struct(config),
        site_scope=site_id_of(session, site),
        create_if_missing=if_missing,
        validate_only=dry_run,
    )
    show(session, answer, (*_AGENT, *columns("created")))


@agents.command("get")
@click.argument("agent", required=False)
@pass_session
def get_agent(session: Session, agent: str | None) -> None:
    """Show an agent, the default one if none is named.

    Its grants are in JSON and YAML; `accredit access AGENT list` shows them as a table.
    """
    answer = session.client.agents.get_agent(agent=resolved_agent(session, agent))
    directory = column("directory.path", "directory")
    show(session, answer, (*_AGENT, directory, *columns("caller_role")))


@agents.command("update")
@click.argument("agent")
@click.option("--name", help="A new name.")
@click.option("--config", type=DOCUMENT, help="A JSON object, or @ and the file that it is in.")
@click.option("--status", type=choice(AGENT_STATUSES), help="A new status.")
@click.option("--site", metavar="SITE", help="The one site where it may be used.")
@click.option("--network-wide", is_flag=True, help="Let it be used on every site.")
@etag
@pass_session
def update_agent(
    session: Session,
    agent: str,
    name: str | None,
    config: dict[str, Any] | None,
    status: str | None,
    site: str | None,
    network_wide: bool,
    etag: str | None,
) -> None:
    """Change an agent. The config is replaced, not merged.

    To stop an agent there is `accredit agents status`, which takes a reason.
    """
    if site is not None and network_wide:
        raise click.UsageError("--site and --network-wide exclude each other")
    new = {
        "agent_name": name,
        "config": struct(config),
        "status": member("AGENT_STATUS", status),
        "site_scope": site_id_of(session, site),
    }
    update = {field: value for field, value in new.items() if value is not None}
    paths = [*update, *(["site_scope"] if network_wide else [])]
    if not paths:
        raise click.UsageError("say what to change")
    answer = session.client.agents.update_agent(
        agent=agent_ref(agent), update=update, update_mask={"paths": paths}, etag=etag
    )
    show(session, answer, _AGENT)


@agents.command("status")
@click.argument("agent")
@click.argument("status", type=choice(AGENT_STATUSES))
@click.option("--reason", help="Why, for whoever reads the change log. One line.")
@etag
@pass_session
def set_agent_status(
    session: Session, agent: str, status: str, reason: str | None, etag: str | None
) -> None:
    """Stop an agent, or let it go on: inactive, archived (for good) or active.

    The tokens of an agent that is not active are refused at once, and work again once it is active.
    """
    answer = session.client.agents.set_agent_status(
        agent=agent_ref(agent), status=member("AGENT_STATUS", status), reason=reason, etag=etag
    )
    show(session, answer, (*_AGENT, *columns("changed")))


@agents.command("rename")
@click.argument("agent")
@click.argument("new_slug")
@dry_run
@etag
@pass_session
def rename_agent(
    session: Session, agent: str, new_slug: str, dry_run: bool, etag: str | None
) -> None:
    """Give an agent another slug. Its id, owner, grants, tokens and files stay."""
    answer = session.client.agents.rename_agent(
        agent=agent_ref(agent), new_slug=new_slug, validate_only=dry_run, etag=etag
    )
    paths = columns("old_path", "new_path")
    show(session, answer, (*columns("old_slug"), *_AGENT, *paths))


@agents.command("delete")
@click.argument("agent")
@click.option(
    "--delete-files",
    is_flag=True,
    help="Remove its files as well. Default: put them aside, where an operator finds them.",
)
@with_yes
@dry_run
@etag
@pass_session
def delete_agent(
    session: Session, agent: str, delete_files: bool, yes: bool, dry_run: bool, etag: str | None
) -> int | None:
    """Delete an agent with its grants and tokens, and put its files aside.

    Asks on a terminal; elsewhere it takes --yes.
    """
    call = session.client.agents.delete_agent
    ref = agent_ref(agent)

    def question() -> str:
        would = call(agent=ref, etag=etag, validate_only=True)
        files = "all its files" if delete_files else "put its files aside"
        return (
            f"Delete {would.agent.agent_slug} (id {would.agent.agent_id}) with "
            f"{would.grants_deleted} grants and {would.tokens_deleted} tokens, and {files}?"
        )

    if not (dry_run or is_confirmed(question, yes=yes)):
        note("nothing was deleted")
        return ExitCode.NO
    answer = call(agent=ref, etag=etag, validate_only=dry_run, delete_files=delete_files)
    gone = columns("grants_deleted", "tokens_deleted", "files_deleted", "kept_path")
    show(session, answer, (*_AGENT, *gone))
    return None


@agents.command("resolve")
@click.argument("agent", required=False)
@click.option("--user", metavar="USER", help="Whose default agent, in place of yours.")
@pass_session
def resolve_agent(session: Session, agent: str | None, user: str | None) -> None:
    """Say which agent is meant: the one named, else the default one.

    The default is --agent or ACCREDIT_AGENT, else the one that the user chose with
    `accredit agents default`, else the only active agent that they own, else the only one granted
    to them. Several are an error that lists them.
    """
    if agent is not None and user is not None:
        raise click.UsageError("AGENT and --user exclude each other")
    named = agent or (session.default_agent if user is None else None)
    answer = session.client.agents.resolve_agent(
        agent=None if named is None else agent_ref(named),
        user=optional_user_ref(session, user),
    )
    show(session, answer, _RESOLVED)


@agents.command("provision")
@click.option("--user", metavar="USER", help="For whom. Default: you.")
@pass_session
def provision_agent(session: Session, user: str | None) -> None:
    """Show a user's own agent; create one named after their login if they have none."""
    answer = session.client.agents.provision_agent(user=optional_user_ref(session, user))
    show(session, answer, (*_AGENT, *columns("created")))
