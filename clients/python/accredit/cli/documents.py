"""The JSON documents that agents are configured with, as people give them."""

import json
import math
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from accredit.cli.failures import note

if TYPE_CHECKING:
    from google.protobuf.struct_pb2 import Struct

# A Struct holds doubles: from here on they skip integers, and the server could not tell.
_FIRST_INEXACT = 2**53


class _Document(click.ParamType):
    """A JSON object, or @ and the file that it is in; @- is standard input."""

    name = "json|@file"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, Any]:
        """See ParamType."""
        if isinstance(value, dict):
            return value
        try:
            return _parsed(_text(value))
        except OSError as error:
            self.fail(f"{error.filename}: {error.strerror}", param, ctx)
        except (ValueError, RecursionError) as error:
            self.fail(_complaint(error), param, ctx)


DOCUMENT = _Document()


def struct(document: dict[str, Any] | None) -> "Struct | None":
    """The document as the API takes it."""
    if document is None:
        return None
    from google.protobuf.struct_pb2 import Struct

    made = Struct()
    made.update(document)
    return made


def _text(value: str) -> str:
    if value == "@-":
        return sys.stdin.read()
    if value.startswith("@"):
        return Path(value[1:]).read_text(encoding="utf-8")
    return value


def _parsed(text: str) -> dict[str, Any]:
    document = json.loads(
        text,
        object_pairs_hook=_object,
        parse_int=_integer,
        parse_float=_number,
        parse_constant=_number,
    )
    if not isinstance(document, dict):
        raise ValueError("the config is a JSON object")
    # A lone surrogate, which JSON can spell and protobuf cannot hold.
    json.dumps(document, ensure_ascii=False).encode()
    return document


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise ValueError(f"the key {key!r} stands there twice")
        made[key] = value
    return made


def _integer(digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) >= _FIRST_INEXACT:
        raise ValueError("no integer of 2^53 or more: write it as a text")
    return int(digits)


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a number that JSON has")
    return number


def _complaint(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg.lower()} at line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeError):
        return "not UTF-8"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


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
