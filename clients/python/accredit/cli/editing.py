"""A file in the user's editor."""

import os
import re
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import click

from accredit.cli.failures import note

# What no editor and no shell between takes for anything but a name.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


@contextmanager
def edited(path: str, content: bytes) -> Generator[bytes]:
    """The content as $VISUAL or $EDITOR leaves it, edited in a private file.

    The file goes when the block ends. If the block raises, a text that was changed stays in it,
    and whoever is told of the error is told where.
    """
    folder = Path(tempfile.mkdtemp(prefix="accredit-"))
    name = path.rpartition("/")[2]
    draft = folder / (name if _PLAIN.fullmatch(name) else "draft")
    try:
        with open(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(content)
        click.edit(filename=str(draft))
        yield draft.read_bytes()
    except BaseException as error:
        if _holds_another(draft, content):
            _tell(error, f"the edited text is in {draft}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _holds_another(draft: Path, content: bytes) -> bool:
    try:
        return draft.read_bytes() != content
    except OSError:
        return False


def _tell(error: BaseException, where: str) -> None:
    if isinstance(error, Exception):
        error.add_note(where)
    else:
        # An interruption is quiet, but for this.
        note(where)
