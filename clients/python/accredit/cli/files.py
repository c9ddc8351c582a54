"""`accredit files`: the memory files of agents, users and everybody."""

from collections.abc import Iterator
from typing import IO, Any

import click

from accredit.cli.content import (
    only_if_absent,
    read_all,
    with_file,
    write_content,
)
from accredit.cli.documents import edited
from accredit.cli.failures import ExitCode, listed, note, paged
from accredit.cli.options import Group, etag, is_confirmed, status_text, with_yes
from accredit.cli.output import Column, columns, json_form, show, show_list
from accredit.cli.references import directory_text, with_directory
from accredit.cli.session import Session

_FIELDS = ("path", "size", "update_time", "etag")
_LISTED = columns(*_FIELDS)
_FILE = columns(*_FIELDS, within="file")
_SCAFFOLDED = (*columns("path", "outcome"), Column("why", lambda file: status_text(file.error)))
_PLACE = (
    Column("directory", lambda answer: directory_text(answer.directory)),
    *columns("path", "exists", "has_files", within="info"),
)
# A deletion's answer, with the path that it is the answer for.
_DELETED = (
    Column("path", lambda done: done[0]),
    Column("consistency_token", lambda done: done[1].consistency_token),
)


@click.group(cls=Group)
def files() -> None:
    """Read and write memory files: an agent's, a user's, or everybody's.

    A path is relative to the directory: SOUL.md, contexts/house.md.
    """


@files.command("list")
@click.argument("folder", required=False)
@paged
@with_directory
def list_files(
    session: Session, directory: dict[str, Any], folder: str | None, limit: int | None
) -> None:
    """List the files of a directory, or those below a folder of it."""
    found = listed(
        session.client.directories.iterate_files, limit, directory=directory, folder=folder
    )
    show_list(session, found, _LISTED)


@files.command("cat")
@click.argument("path")
@with_directory
def cat_file(session: Session, directory: dict[str, Any], path: str) -> None:
    """Print a file, byte for byte and nothing else.

    Only on a terminal are the characters spelt out that it would obey.
    """
    answers = _read(session, directory, path)
    write_content(session, (answer.content for answer in answers))


@files.command("put")
@click.argument("path")
@with_file
@etag
@only_if_absent
@with_directory
def put_file(
    session: Session,
    directory: dict[str, Any],
    path: str,
    file: IO[bytes],
    etag: str | None,
    only_if_absent: bool,
) -> None:
    """Replace a file's content, or make the file, from FILE or standard input."""
    answer = session.client.directories.write_file(
        directory=directory,
        path=path,
        content=read_all(file),
        etag=etag,
        only_if_absent=only_if_absent,
    )
    show(session, answer, _FILE)


@files.command("append")
@click.argument("path")
@with_file
@etag
@with_directory
def append_file(
    session: Session,
    directory: dict[str, Any],
    path: str,
    file: IO[bytes],
    etag: str | None,
) -> None:
    """Add to the end of a file, or make it, from FILE or standard input."""
    answer = session.client.directories.append_file(
        directory=directory, path=path, content=read_all(file), etag=etag
    )
    show(session, answer, _FILE)


@files.command("edit")
@click.argument("path")
@with_directory
def edit_file(session: Session, directory: dict[str, Any], path: str) -> None:
    """Edit a file, or a new one, in $VISUAL or $EDITOR.

    It is written back only if nobody else has changed it meanwhile; otherwise your text is kept
    in a file on this machine.
    """
    content, read = _content(session, directory, path)
    condition: dict[str, Any] = {"only_if_absent": True} if read is None else {"etag": read}
    with edited(path, content) as text:
        if text == content:
            note("nothing changed")
            return
        answer = session.client.directories.write_file(
            directory=directory, path=path, content=text, **condition
        )
    show(session, answer, _FILE)


@files.command("rm")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@etag
@with_yes
@with_directory
def remove_files(
    session: Session,
    directory: dict[str, Any],
    paths: tuple[str, ...],
    etag: str | None,
    yes: bool,
) -> int | None:
    """Delete files, one after the other; the first that cannot be deleted ends it.

    Asks on a terminal; elsewhere it takes --yes.
    """
    if etag is not None and len(paths) > 1:
        raise click.UsageError("--etag is for one file")
    if not is_confirmed(lambda: f"Delete {', '.join(paths)}?", yes=yes):
        note("nothing was deleted")
        return ExitCode.NO
    done = []
    try:
        for path in paths:
            answer = session.client.directories.delete_file(
                directory=directory, path=path, etag=etag
            )
            done.append((path, answer))
    finally:
        if done:
            show_list(session, done, _DELETED, form=_deleted_form)
    return None


@files.command("scaffold")
@click.argument("filename", required=False)
@with_directory
def scaffold_files(session: Session, directory: dict[str, Any], filename: str | None) -> int:
    """Make the starter files that are missing, or one of them. What is there stays as it is.

    Exit code 1: one could not be made.
    """
    answer = session.client.directories.scaffold_files(directory=directory, filename=filename)
    show_list(session, answer.files, _SCAFFOLDED)
    from accredit.v1.directory_pb2 import SCAFFOLD_OUTCOME_FAILED

    failed = any(file.outcome == SCAFFOLD_OUTCOME_FAILED for file in answer.files)
    return ExitCode.NO if failed else ExitCode.OK


@files.command("where")
@with_directory
def where_files(session: Session, directory: dict[str, Any]) -> None:
    """Say which directory is meant, where it is, and whether there is anything in it.

    The other commands mean the same one by the same options.
    """
    answer = session.client.directories.resolve_directory(**directory)
    show(session, answer, _PLACE)


def _read(session: Session, directory: dict[str, Any], path: str) -> Iterator[Any]:
    found: Iterator[Any] = session.client.directories.read_file(
        directory=directory, path=path, timeout=session.stream_timeout
    )
    return found


def _content(session: Session, directory: dict[str, Any], path: str) -> tuple[bytes, str | None]:
    """A file's content and etag; nothing and None where there is no such file."""
    from accredit import NotFound

    try:
        answers = list(_read(session, directory, path))
    except NotFound as error:
        if error.reason != "FILE_NOT_FOUND":
            raise
        return b"", None
    return b"".join(answer.content for answer in answers), answers[0].file.etag


def _deleted_form(done: tuple[str, Any]) -> dict[str, Any]:
    path, answer = done
    return {"path": path, **json_form(answer)}
