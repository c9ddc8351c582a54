"""`accredit agents transfer`, `offers`, `accept`, `decline`: another owner. And `default`."""

from typing import Any

import click

from accredit.cli.agents import SHOWN, agents
from accredit.cli.failures import listed, note, paged
from accredit.cli.options import dry_run, etag
from accredit.cli.output import (
    Column,
    cell_at,
    columns,
    moment_text,
    show,
    show_list,
)
from accredit.cli.references import agent_ref, user_ref
from accredit.cli.session import Session, pass_session

_FIELDS = (
    "offer_id",
    "agent_id",
    "agent_slug",
    "owner_id",
    "owner_login",
    "new_owner_id",
    "new_owner_login",
    "create_time",
    "expire_time",
)
_LISTED = columns(*_FIELDS)
_OFFER = columns(*_FIELDS, within="offer")


def _access(answer: Any) -> str:
    return " ".join(f"{grant.login}:{cell_at(grant, 'role')}" for grant in answer.access_grants)


_TRANSFERRED = (
    *SHOWN,
    *columns("former_owner_id", "tokens_revoked"),
    Column("access", _access),
)
_OFFER_ID = click.IntRange(1, 2**63 - 1)


@agents.command("transfer")
@click.argument("agent")
@click.argument("new_owner")
@click.option(
    "--keep-access",
    is_flag=True,
    help="Leave the former owner a grant of admin. Only with manage_agents.",
)
@dry_run
@etag
@pass_session
def transfer_agent(
    session: Session,
    agent: str,
    new_owner: str,
    keep_access: bool,
    dry_run: bool,
    etag: str | None,
) -> None:
    """Give an agent to another user; without manage_agents, offer it to them.

    A transfer revokes every token of the agent. An offer changes nothing until the other user
    accepts it with `accredit agents accept`.
    """
    answer = session.client.agents.transfer_agent(
        agent=agent_ref(agent),
        new_owner=user_ref(session, new_owner),
        keep_access=keep_access,
        validate_only=dry_run,
        etag=etag,
    )
    if not answer.HasField("offer"):
        show(session, answer, _TRANSFERRED)
        return
    offer = answer.offer
    show(session, answer, _OFFER)
    until = moment_text(offer.expire_time)
    if dry_run and not offer.offer_id:
        note(f"{offer.agent_slug} would be offered to {offer.new_owner_login}, until {until}")
        return
    note(
        f"{offer.agent_slug} is offered to {offer.new_owner_login}, who accepts it until {until} "
        f"with `accredit agents accept {offer.offer_id}`; `accredit agents decline "
        f"{offer.offer_id}` withdraws it"
    )


@agents.command("offers")
@click.option("--user", metavar="USER", help="Whose offers, in place of yours.")
@click.option("--made", is_flag=True, help="Only those that the user has made.")
@click.option("--received", is_flag=True, help="Only those that were made to the user.")
@paged
@pass_session
def list_offers(
    session: Session, user: str | None, made: bool, received: bool, limit: int | None
) -> None:
    """List the open offers of agents that you have made or been made."""
    if made and received:
        raise click.UsageError("--made and --received exclude each other: leave both out for all")
    direction = "MADE" if made else "RECEIVED" if received else "UNSPECIFIED"
    found = listed(
        session.client.agents.iterate_transfer_offers,
        limit,
        user=None if user is None else user_ref(session, user),
        direction=f"OFFER_DIRECTION_{direction}",
    )
    show_list(session, found, _LISTED)


@agents.command("accept")
@click.argument("offer_id", type=_OFFER_ID)
@click.option("--keep-access", is_flag=True, help="Leave the former owner a grant of admin.")
@dry_run
@pass_session
def accept_transfer(session: Session, offer_id: int, keep_access: bool, dry_run: bool) -> None:
    """Take an agent that was offered to you, and revoke every token of it.

    With --dry-run you see first who has access to it and keeps it.
    """
    answer = session.client.agents.accept_transfer(
        offer_id=offer_id, keep_access=keep_access, validate_only=dry_run
    )
    show(session, answer, _TRANSFERRED)


@agents.command("decline")
@click.argument("offer_id", type=_OFFER_ID)
@pass_session
def decline_transfer(session: Session, offer_id: int) -> None:
    """Decline an offer that was made to you, or withdraw one that you have made."""
    show(session, session.client.agents.decline_transfer(offer_id=offer_id), _OFFER)


@agents.command("default")
@click.argument("agent", required=False)
@click.option("--none", is_flag=True, help="Choose none any more.")
@pass_session
def set_default_agent(session: Session, agent: str | None, none: bool) -> None:
    """Choose the agent that you mean where you name none, or show which one you chose.

    While that agent is inactive, or you have no access to it, what names no agent is refused; it
    never goes to another one.
    """
    if agent is not None and none:
        raise click.UsageError("AGENT and --none exclude each other")
    if agent is None and not none:
        answer = session.client.auth.who_am_i()
        show(session, answer, columns("user_id", "login", "default_agent_id", within="user"))
        return
    choice: dict[str, Any] = {"none": True} if agent is None else {"agent": agent_ref(agent)}
    show(session, session.client.agents.set_default_agent(**choice), SHOWN)
