"""`accredit changes`: the audit trail."""

import base64
import binascii
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from accredit.cli.failures import ExitCode, listed, paged
from accredit.cli.options import (
    CHANGE_KINDS,
    SUBJECT_KINDS,
    Group,
    choice,
    member,
)
from accredit.cli.output import (
    Column,
    cell_at,
    column,
    columns,
    show,
    show_list,
)
from accredit.cli.references import (
    TOKEN_ID,
    agent_id_of,
    user_id_of,
    user_ref,
)
from accredit.cli.session import Session, pass_session
from accredit.cli.times import MOMENT, timestamp

if TYPE_CHECKING:
    from accredit.v1.change_pb2 import Change, VerifyChangesResponse

_HASH_LENGTH = 32
# Of what one change touched; JSON and YAML have all of it.
_SHOWN = 6


def _subjects(change: "Change") -> str:
    shown = [
        f"{cell_at(subject, 'kind')}:{subject.subject_id}" for subject in change.subjects[:_SHOWN]
    ]
    more = len(change.subjects) - len(shown)
    return " ".join([*shown, *([f"and {more} more"] if more else [])])


def _head(answer: "VerifyChangesResponse") -> str:
    return f"{answer.head.revision}:{answer.head.hash.hex()}"


_LISTED = (
    *columns("revision", "create_time", "kind"),
    column("actor.user_id", "actor_user_id"),
    column("actor.agent_id", "actor_agent_id"),
    column("actor.token_id", "actor_token_id"),
    Column("subjects", _subjects),
    column("request_id"),
)
_VERIFIED = (
    *columns("intact"),
    column("checked_count", "checked"),
    Column(
        "first_broken_revision",
        lambda answer: "" if answer.intact else str(answer.first_broken_revision),
    ),
    Column("head", _head),
)


class _Subject(click.ParamType):
    """Something that a change touched, as the table of `list` shows it."""

    name = "kind:id"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, Any]:
        """See ParamType."""
        if isinstance(value, dict):
            return value
        kind, _, subject_id = value.partition(":")
        if kind.lower() not in SUBJECT_KINDS:
            known = ", ".join(SUBJECT_KINDS)
            self.fail(f"{value!r}: a kind, a colon and an id; the kinds are {known}", param, ctx)
        return _subject(kind, subject_id)


class _Anchor(click.ParamType):
    """A revision and its hash, as `verify` prints its head."""

    name = "revision:hash"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, Any]:
        """See ParamType."""
        if isinstance(value, dict):
            return value
        revision, _, digest = value.partition(":")
        found = _digest(digest)
        is_number = revision.isascii() and revision.isdecimal() and len(revision) < 19
        # Before the first change there is nothing to have a hash.
        wanted = _HASH_LENGTH if is_number and int(revision) else 0
        if not is_number or found is None or len(found) != wanted:
            self.fail(f"{value!r}: a revision, a colon and its hash of 64 hex digits", param, ctx)
        return {"revision": int(revision), "hash": found}


def _digest(text: str) -> bytes | None:
    """The hash in hex, or in base64 as JSON and YAML have it."""
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        try:
            digest = base64.b64decode(text, validate=True)
        except binascii.Error:
            return None
    return digest if len(digest) in (0, _HASH_LENGTH) else None


def _subject(kind: str, subject_id: object) -> dict[str, Any]:
    return {"kind": member("SUBJECT_KIND", kind), "subject_id": str(subject_id)}


@click.group(cls=Group)
def changes() -> None:
    """Read and verify the log of all changes."""


@changes.command("list")
@click.option(
    "--agent",
    "agents",
    multiple=True,
    metavar="AGENT",
    help="Only changes that touched this agent. Repeat it, or the next two, for any of several.",
)
@click.option(
    "--user",
    "users",
    multiple=True,
    metavar="USER",
    help="Only changes that touched this user.",
)
@click.option(
    "--subject",
    "subjects",
    type=_Subject(),
    multiple=True,
    metavar="KIND:ID",
    help="Only changes that touched this, such as grant:3:user:14 or agent_slug:billing; store: "
    "alone for those that touched too much to list it.",
)
@click.option("--actor", metavar="USER", help="Only changes that this user made.")
@click.option("--actor-agent", metavar="AGENT", help="Only changes that this agent made.")
@click.option("--actor-token", type=TOKEN_ID, help="Only changes made with this token.")
@click.option(
    "--kind",
    "kinds",
    type=choice(CHANGE_KINDS),
    multiple=True,
    metavar="KIND",
    help=f"Only these kinds; repeat it for more: {', '.join(CHANGE_KINDS)}.",
)
@click.option("--since", type=MOMENT, help="Only changes made at or after this moment.")
@click.option("--until", type=MOMENT, help="Only changes made before this moment.")
@click.option(
    "--after-revision",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    metavar="REVISION",
    help="Only changes after this one.",
)
@click.option("--newest-first", is_flag=True, help="Newest first. Default: oldest first.")
@paged
@pass_session
def list_changes(
    session: Session,
    agents: tuple[str, ...],
    users: tuple[str, ...],
    subjects: tuple[dict[str, Any], ...],
    actor: str | None,
    actor_agent: str | None,
    actor_token: str | None,
    kinds: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    after_revision: int,
    newest_first: bool,
    limit: int | None,
) -> None:
    """List changes. JSON and YAML have all of each, enough to verify it without the server.

    By id, agents and users are found even after they are gone.
    """
    made_by = {
        "user": None if actor is None else user_ref(session, actor),
        "agent_id": None if actor_agent is None else agent_id_of(session, actor_agent),
        "token_id": actor_token,
    }
    wanted = {
        "kinds": [member("CHANGE_KIND", kind) for kind in kinds],
        "subjects": [
            *(_subject("agent", agent_id_of(session, agent)) for agent in agents),
            *(_subject("user", user_id_of(session, user)) for user in users),
            *subjects,
        ],
        "actor": {field: value for field, value in made_by.items() if value is not None} or None,
        "start_time": timestamp(since),
        "end_time": timestamp(until),
    }
    found = listed(
        session.client.changes.iterate_changes,
        limit,
        filter=wanted,
        after_revision=after_revision,
        newest_first=newest_first,
    )
    show_list(session, found, _LISTED)


@changes.command("verify")
@click.option(
    "--anchor",
    type=_Anchor(),
    metavar="REVISION:HASH",
    help="Begin after this change, which has to be as it was. Default: the first that is kept.",
)
@pass_session
def verify_changes(session: Session, anchor: dict[str, Any] | None) -> int:
    """Recompute the chain to its end. Exit code 0: intact; 1: it was tampered with.

    Keep the head that it prints outside the database, and give it as --anchor the next time:
    without one, somebody who can write the whole table can write a whole new chain.
    """
    verify = session.client.changes.verify_changes
    answer = verify(anchor=anchor)
    checked = answer.checked_count
    while answer.next_page_token:
        answer = verify(anchor=anchor, page_token=answer.next_page_token)
        checked += answer.checked_count
    answer.checked_count = checked
    show(session, answer, _VERIFIED)
    return ExitCode.OK if answer.intact else ExitCode.NO
