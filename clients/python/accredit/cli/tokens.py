"""`accredit tokens`: bearer tokens, of agents and of users."""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any, TypeVar

import click

from accredit.cli.content import SecretFile
from accredit.cli.failures import ExitCode, Failure, listed, paged, warn
from accredit.cli.options import ROLES, Group, choice, etag, member
from accredit.cli.output import (
    Column,
    cell_at,
    columns,
    discard,
    show,
    show_list,
    write,
)
from accredit.cli.references import (
    TOKEN_ID,
    agent_ref,
    own_ref,
    user_ref,
)
from accredit.cli.session import Session, pass_session
from accredit.cli.times import (
    MOMENT_OR_SPAN,
    NOTICE,
    SPAN,
    MomentOrSpan,
    duration,
    expiration,
    state,
)

F = TypeVar("F", bound=Callable[..., Any])


_token_id = click.argument("token_id", type=TOKEN_ID)


def _columns(session: Session, within: str = "") -> tuple[Column, ...]:
    def of(message: Any) -> Any:
        return getattr(message, within) if within else message

    return (
        Column("token_id", lambda message: cell_at(of(message), "token_id")),
        Column("holder", lambda message: _holder(of(message))),
        Column("label", lambda message: cell_at(of(message), "label")),
        Column("rights", lambda message: _rights(of(message))),
        Column("state", lambda message: state(of(message), session.now())),
        *columns(
            "act_as_owner",
            "expire_time",
            "last_used_time",
            "created_by",
            "create_time",
            within=within,
        ),
    )


def _details(session: Session, within: str) -> tuple[Column, ...]:
    more = columns("revoke_time", "rotated_from", "replaced_by", "etag", within=within)
    return (*_columns(session, within), *more)


def _holder(token: Any) -> str:
    kind = token.WhichOneof("holder")
    return f"{kind.removesuffix('_id')}:{getattr(token, kind)}" if kind else ""


def _rights(token: Any) -> str:
    if token.full_rights:
        return "full"
    return " ".join([cell_at(token, "ceiling.max_role"), *token.ceiling.capabilities]).strip()


def _of_holder(command: F) -> F:
    """Give a command --agent and --user."""
    agent = click.option("--agent", metavar="AGENT", help="An agent's. Default: ACCREDIT_AGENT.")
    user = click.option("--user", metavar="USER", help="A user's. Without either: your own.")
    return agent(user(command))


def _holder_fields(session: Session, agent: str | None, user: str | None) -> dict[str, Any]:
    """Whose token. Neither named nor set: the caller's own."""
    if agent is not None and user is not None:
        raise click.UsageError("--agent and --user exclude each other")
    if user is not None:
        return {"user": user_ref(session, user)}
    agent = agent or session.default_agent
    return {} if agent is None else {"agent": agent_ref(agent)}


def _shows_secret(command: F) -> F:
    """Give a command --secret-only and --secret-file."""
    only = click.option(
        "--secret-only", is_flag=True, help="Print the secret and nothing else, for scripts."
    )
    file = click.option(
        "--secret-file",
        type=click.Path(),
        help="Write the secret there, for your eyes only (0600), and do not print it.",
    )
    return only(file(command))


@click.group(cls=Group)
def tokens() -> None:
    """Mint, rotate and revoke tokens."""


@tokens.command("list")
@_of_holder
@click.option("--show-inactive", is_flag=True, help="Also those that are revoked or expired.")
@paged
@pass_session
def list_tokens(
    session: Session,
    agent: str | None,
    user: str | None,
    show_inactive: bool,
    limit: int | None,
) -> None:
    """List an agent's or a user's tokens, newest first; by default your own."""
    expiring = []

    def noticed(found: Any) -> Any:
        for token in found:
            if state(token, session.now()) == "expiring":
                expiring.append(token.token_id)
            yield token

    found = listed(
        session.client.tokens.iterate_tokens,
        limit,
        show_inactive=show_inactive,
        **_holder_fields(session, agent, user),
    )
    show_list(session, noticed(found), _columns(session))
    if expiring:
        which = "of them expires" if len(expiring) == 1 else "of them expire"
        warn(f"{len(expiring)} {which} within {NOTICE.days} days: {', '.join(expiring)}")


@tokens.command("create")
@_of_holder
@click.option("--label", help="What it is for.")
@click.option(
    "--full-rights", is_flag=True, help="No ceiling: everything that its holder and you have."
)
@click.option("--max-role", type=choice(ROLES), help="The highest role that it reaches.")
@click.option(
    "--capability",
    "capabilities",
    multiple=True,
    help="What it may be used for, such as chat or billing.refund. Repeat it for more.",
)
@click.option("--act-as-owner", is_flag=True, help="Let it act as the agent's owner: you.")
@click.option(
    "--expires",
    type=MOMENT_OR_SPAN,
    help="When it ends: 2026-12-31T00:00Z, or 30d from now. Default: never.",
)
@_shows_secret
@pass_session
def create_token(
    session: Session,
    agent: str | None,
    user: str | None,
    label: str | None,
    full_rights: bool,
    max_role: str | None,
    capabilities: tuple[str, ...],
    act_as_owner: bool,
    expires: MomentOrSpan | None,
    secret_only: bool,
    secret_file: str | None,
) -> None:
    """Mint a token for an agent or a user; by default for yourself. Its secret is shown once.

    It takes --full-rights, or a ceiling: --max-role, and --capability for what else it may do.
    """
    if full_rights == (max_role is not None or bool(capabilities)):
        raise click.UsageError("either --full-rights, or a ceiling: --max-role, --capability")
    if not full_rights and max_role is None:
        raise click.UsageError("--capability goes with --max-role: say the highest role")
    ceiling = {"max_role": member("ROLE", max_role), "capabilities": capabilities}
    request: dict[str, Any] = {
        "label": label,
        "act_as_owner": act_as_owner,
        **({"full_rights": True} if full_rights else {"ceiling": ceiling}),
        **expiration(expires),
    }
    holder = _holder_fields(session, agent, user)

    def mint() -> Any:
        whose = holder or {"user": own_ref(session)}
        return session.client.tokens.create_token(**request, **whose)

    _show_minted(session, mint, secret_only, secret_file, replace=False)


@tokens.command("get")
@_token_id
@pass_session
def get_token(session: Session, token_id: str) -> None:
    """Show a token, never its secret."""
    answer = session.client.tokens.get_token(token_id=token_id)
    show(session, answer, _details(session, "token"))


@tokens.command("rotate")
@_token_id
@click.option(
    "--overlap", type=SPAN, help="How long the old token goes on working. Default: 1h; 0: not."
)
@click.option(
    "--expires",
    type=MOMENT_OR_SPAN,
    help="When the successor ends. Default: when the old one was to end.",
)
@etag
@_shows_secret
@pass_session
def rotate_token(
    session: Session,
    token_id: str,
    overlap: timedelta | None,
    expires: MomentOrSpan | None,
    etag: str | None,
    secret_only: bool,
    secret_file: str | None,
) -> None:
    """Mint a successor that carries everything over, and end the old token after an overlap.

    A --secret-file that is there is replaced, in one step: clients that watch it change over.
    """
    rotate = session.client.tokens.rotate_token
    request = {"overlap": duration(overlap), "etag": etag, **expiration(expires)}
    _show_minted(
        session,
        lambda: rotate(token_id=token_id, **request),
        secret_only,
        secret_file,
        replace=True,
    )


@tokens.command("revoke")
@_token_id
@etag
@pass_session
def revoke_token(session: Session, token_id: str, etag: str | None) -> None:
    """End a token at once and for good."""
    answer = session.client.tokens.revoke_token(token_id=token_id, etag=etag)
    show(session, answer, _details(session, "token"))


@tokens.command("revoke-all")
@click.option("--agent", metavar="AGENT", help="An agent's.")
@click.option("--user", metavar="USER", help="A user's.")
@click.option("--include-minted", is_flag=True, help="With --user: also those minted for agents.")
@pass_session
def revoke_all_tokens(
    session: Session, agent: str | None, user: str | None, include_minted: bool
) -> None:
    """Revoke all live tokens of an agent or of a user, at once and for good.

    Name one of the two, here or by the global --agent. Neither you nor ACCREDIT_AGENT is meant
    where none is named.
    """
    agent = agent or (session.agent if user is None else None)
    if agent is None and user is None:
        raise click.UsageError("say whose: --agent or --user")
    if agent is not None and include_minted:
        raise click.UsageError("--include-minted goes with --user")
    holder = _holder_fields(session, agent, user)
    client = session.client.tokens
    answer = (
        client.revoke_user_tokens(include_minted=include_minted, **holder)
        if agent is None
        else client.revoke_agent_tokens(**holder)
    )
    show(session, answer, columns("tokens_revoked"))


def _show_minted(
    session: Session,
    mint: Callable[[], Any],
    secret_only: bool,
    secret_file: str | None,
    *,
    replace: bool,
) -> None:
    """Mint, and hand the secret to where it was asked for."""
    if secret_only and secret_file is not None:
        raise click.UsageError("--secret-only and --secret-file exclude each other")
    target = None if secret_file is None else SecretFile(secret_file, replace=replace)
    with target or nullcontext():
        answer = mint()
        try:
            if target is not None:
                target.write(answer.secret)
            elif secret_only:
                write(f"{answer.secret}\n")
            else:
                show(session, answer, (*_details(session, "token"), *columns("secret")))
            sys.stdout.flush()
        except OSError as error:
            discard()
            raise _lost(answer.token.token_id, error) from error
    if target is not None:
        answer.ClearField("secret")
        show(session, answer, _details(session, "token"))
    elif not secret_only:
        warn("the secret is shown this once: keep it now, or revoke the token")


def _lost(token_id: str, error: OSError) -> Failure:
    return Failure(
        ExitCode.FAILED,
        f"the token {token_id} was minted, but its secret could not be written "
        f"({error.strerror}) and is lost: revoke it",
        reason="SECRET_LOST",
    )
