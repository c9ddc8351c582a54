"""`accredit users`: the people and services that call, own agents and are granted access."""

import click

from accredit.cli.failures import ExitCode, listed, note, paged
from accredit.cli.options import (
    USER_KINDS,
    USER_ROLES,
    Group,
    choice,
    dry_run,
    etag,
    is_confirmed,
    member,
    with_yes,
)
from accredit.cli.output import columns, show, show_list
from accredit.cli.references import user_ref
from accredit.cli.session import Session, pass_session

_IDENTITY = ("user_id", "login", "kind", "role", "display_name", "email", "active")
_LISTED = columns(*_IDENTITY)
_USER = columns(*_IDENTITY, "actions", "create_time", "update_time", "etag", within="user")


@click.group(cls=Group)
def users() -> None:
    """Create, find and change users."""


@users.command("list")
@click.option("--text", help="Only users with this text in their login or display name.")
@click.option("--email", help="Only users with exactly this e-mail.")
@click.option("--role", type=choice(USER_ROLES), help="Only users of this role.")
@click.option("--active/--inactive", default=None, help="Only active ones, or only others.")
@paged
@pass_session
def list_users(
    session: Session,
    text: str | None,
    email: str | None,
    role: str | None,
    active: bool | None,
    limit: int | None,
) -> None:
    """List users, by id."""
    found = listed(
        session.client.users.iterate_users,
        limit,
        text=text,
        email=email,
        role=member("USER_ROLE", role),
        active=active,
    )
    show_list(session, found, _LISTED)


@users.command("create")
@click.argument("login")
@click.option("--kind", type=choice(USER_KINDS), help="Default: human, or service by its role.")
@click.option("--role", type=choice(USER_ROLES), default="member", help="Default: member.")
@click.option("--name", help="A name for people to read. Default: the login.")
@click.option("--email", help="Where to reach them.")
@dry_run
@pass_session
def create_user(
    session: Session,
    login: str,
    kind: str | None,
    role: str,
    name: str | None,
    email: str | None,
    dry_run: bool,
) -> None:
    """Create a user. `accredit tokens create --user LOGIN` then makes a token for them."""
    answer = session.client.users.create_user(
        login=login,
        kind=member("USER_KIND", kind),
        role=member("USER_ROLE", role),
        display_name=name,
        email=email,
        validate_only=dry_run,
    )
    show(session, answer, _USER)


@users.command("get")
@click.argument("user")
@pass_session
def get_user(session: Session, user: str) -> None:
    """Show a user."""
    show(session, session.client.users.get_user(user=user_ref(session, user)), _USER)


@users.command("update")
@click.argument("user")
@click.option("--login", help="A new login.")
@click.option("--kind", type=choice(USER_KINDS), help="A new kind.")
@click.option("--role", type=choice(USER_ROLES), help="A new role.")
@click.option("--name", help="A new name for people to read.")
@click.option("--email", help='A new e-mail; "" for none.')
@click.option("--active/--inactive", default=None, help="Let their tokens work again, or stop.")
@etag
@pass_session
def update_user(
    session: Session,
    user: str,
    login: str | None,
    kind: str | None,
    role: str | None,
    name: str | None,
    email: str | None,
    active: bool | None,
    etag: str | None,
) -> None:
    """Change a user."""
    new = {
        "login": login,
        "kind": member("USER_KIND", kind),
        "role": member("USER_ROLE", role),
        "display_name": name,
        "email": email,
        "active": active,
    }
    update = {field: value for field, value in new.items() if value is not None}
    if not update:
        raise click.UsageError("say what to change")
    answer = session.client.users.update_user(
        user=user_ref(session, user), update=update, update_mask={"paths": list(update)}, etag=etag
    )
    show(session, answer, _USER)


@users.command("deactivate")
@click.argument("user")
@etag
@pass_session
def deactivate_user(session: Session, user: str, etag: str | None) -> None:
    """Stop a user: no token of theirs, of their agents, or minted by them works any more.

    `accredit users update USER --active` undoes it.
    """
    answer = session.client.users.deactivate_user(user=user_ref(session, user), etag=etag)
    show(session, answer, _USER)


@users.command("delete")
@click.argument("user")
@with_yes
@dry_run
@etag
@pass_session
def delete_user(
    session: Session, user: str, yes: bool, dry_run: bool, etag: str | None
) -> int | None:
    """Delete a user with their grants, their tokens and those they minted.

    Asks on a terminal; elsewhere it takes --yes.
    """
    call = session.client.users.delete_user
    ref = user_ref(session, user)

    def question() -> str:
        would = call(user=ref, etag=etag, validate_only=True)
        return (
            f"Delete {would.user.login} (id {would.user.user_id}) with "
            f"{would.tokens_deleted} tokens?"
        )

    if not (dry_run or is_confirmed(question, yes=yes)):
        note("nothing was deleted")
        return ExitCode.NO
    answer = call(user=ref, etag=etag, validate_only=dry_run)
    show(session, answer, (*_USER, *columns("tokens_deleted")))
    return None
