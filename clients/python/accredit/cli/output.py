"""How answers look: a table for people, CSV, or the JSON form of the messages as JSON or YAML.

A list is an array of items however many pages it came in; one answer is the message that the
server sent. Lists go out as they come in, but for tables, whose widths depend on every row.
"""

import csv
import io
import json
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from accredit.cli.session import Session

if TYPE_CHECKING:
    from google.protobuf.message import Message

_FIRST_INEXACT = 2**53


def json_form(message: "Message") -> Any:
    """The message with all its fields, so that a script finds `created` even where it is false."""
    from google.protobuf.json_format import MessageToDict

    return _whole(MessageToDict(message, always_print_fields_with_no_presence=True))


def _whole(value: Any) -> Any:
    """The same with 1 for 1.0: a Struct has doubles only, and its author meant the integer."""
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < _FIRST_INEXACT
    return int(value) if is_whole else value


# Control characters, formatting marks, lone surrogates, line and paragraph separators.
_UNSAFE_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_CANDIDATE = re.compile(r"[^ -~]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def is_unsafe(character: str) -> bool:
    """Whether a terminal may do something else with it than show it."""
    return unicodedata.category(character) in _UNSAFE_CATEGORIES


def printable(text: str) -> str:
    """The text with everything unsafe spelt out, for eyes; on one line."""
    return _CANDIDATE.sub(lambda match: _unless_safe(match[0], _for_eyes), text)


def printable_lines(text: str) -> str:
    """The same of a whole text, with its line ends and tabs as they are."""
    return _CANDIDATE.sub(lambda match: _unless_safe(match[0], _for_eyes, keep="\n\t"), text)


def safe_json(document: str) -> str:
    """The same JSON document with everything unsafe escaped but its own line ends."""
    return _CANDIDATE.sub(lambda match: _unless_safe(match[0], _in_json, keep="\n"), document)


def safe_yaml(document: str) -> str:
    """The same of a YAML document, where what is unsafe stands in double quotes only."""
    return _CANDIDATE.sub(lambda match: _unless_safe(match[0], _in_yaml, keep="\n"), document)


def _unless_safe(character: str, spelt: Callable[[str], str], keep: str = "") -> str:
    return spelt(character) if is_unsafe(character) and character not in keep else character


def _for_eyes(character: str) -> str:
    return _SHORT.get(character) or (
        f"\\x{ord(character):02x}" if ord(character) < 0x100 else _in_yaml(character)
    )


def _in_yaml(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _in_json(character: str) -> str:
    raw = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{raw[at : at + 2].hex()}" for at in range(0, len(raw), 2))


if TYPE_CHECKING:
    from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
# The contract's way to say "nobody": ids begin at 1.
_ABSENT_IF_ZERO = ("_id", "_by")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its header, and the cell that a message has in it."""

    name: str
    cell: Callable[[Any], str]


def column(path: str, name: str | None = None) -> Column:
    """The column of a field, such as "agent.agent_slug", under its own name or another."""
    return Column(name or path.rpartition(".")[2], lambda message: cell_at(message, path))


def columns(*paths: str, within: str = "") -> tuple[Column, ...]:
    """The columns of several fields, each within the field of that name if one is given."""
    return tuple(column(f"{within}.{path}" if within else path) for path in paths)


def cell_at(message: Any, path: str) -> str:
    """The text of one field. Empty where it, or what it stands in, is not set."""
    *outer, last = path.split(".")
    for part in outer:
        if not message.HasField(part):
            return ""
        message = getattr(message, part)
    field = message.DESCRIPTOR.fields_by_name[last]
    if field.has_presence and not message.HasField(last):
        return ""
    value = getattr(message, last)
    if field.enum_type is not None:
        return enum_text(field.enum_type, value)
    return _text(field, value)


def _text(field: "FieldDescriptor", value: Any) -> str:
    if field.message_type is not None:
        return _message_text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int):
        return "" if value == 0 and field.name.endswith(_ABSENT_IF_ZERO) else str(value)
    return value if isinstance(value, str) else " ".join(str(each) for each in value)


def enum_text(enum: "EnumDescriptor", number: int) -> str:
    """A member as people write it: "operator" for ROLE_OPERATOR. Empty for UNSPECIFIED."""
    if number == 0:
        return ""
    value = enum.values_by_number.get(number)
    if value is None:
        # Of a newer server.
        return str(number)
    prefix = _CAPITAL.sub("_", enum.name).upper() + "_"
    return value.name.removeprefix(prefix).lower()


def _message_text(value: Any) -> str:
    if value.DESCRIPTOR.full_name == "google.protobuf.Timestamp":
        return moment_text(value)
    return json.dumps(json_form(value), ensure_ascii=False, separators=(",", ":"))


def moment_text(value: Any) -> str:
    """A Timestamp, to the second."""
    moment = value.ToDatetime(tzinfo=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


@contextmanager
def progress(
    title: str, total: int | None = None, *, shown: bool = True
) -> Generator[Callable[[int, int | None], None]]:
    """A bar on stderr while the block runs, if that is a terminal, and gone after it.

    The block says how many are done, and how many there are if that has become known. Where the
    output comes bit by bit it shows that itself; then no bar is ``shown``.
    """
    if not (shown and sys.stderr.isatty()):
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done, known: bar.update(task, completed=done, total=known)


if TYPE_CHECKING:
    from google.protobuf.message import Message

FORMATS = ("table", "json", "csv", "yaml")


def show(session: Session, answer: "Message", columns: Sequence[Column]) -> None:
    """Print one answer."""
    match session.format:
        case "json":
            write(safe_json(json.dumps(json_form(answer), indent=2, ensure_ascii=False)) + "\n")
        case "yaml":
            write(yaml_text(json_form(answer)))
        case "csv":
            _write_csv(session, [answer], columns)
        case _:
            rows = [[column.name, printable(column.cell(answer))] for column in columns]
            _write_table(session, None, rows)


def show_list(
    session: Session,
    items: Iterable[Any],
    columns: Sequence[Column],
    *,
    form: Callable[[Any], Any] = json_form,
) -> None:
    """Print the items of a list: messages, or what ``form`` makes a JSON form of."""
    match session.format:
        case "json":
            _write_array(map(form, items))
        case "yaml":
            _write_yaml_list(map(form, items))
        case "csv":
            _write_csv(session, items, columns)
        case _:
            rows = [[printable(column.cell(item)) for column in columns] for item in items]
            _write_table(session, [column.name.upper() for column in columns], rows)


def write(text: str) -> None:
    """Print a text as it is."""
    # Not by click, which takes escape sequences out of what goes into a file.
    sys.stdout.write(text)


def discard() -> None:
    """Give up what could not be written; Python would complain of it again at its end."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _write_array(documents: Iterable[Any]) -> None:
    before = "[\n"
    for document in documents:
        text = safe_json(json.dumps(document, indent=2, ensure_ascii=False))
        write(before + "  " + text.replace("\n", "\n  "))
        before = ",\n"
    write("[]\n" if before == "[\n" else "\n]\n")


def _write_yaml_list(documents: Iterable[Any]) -> None:
    is_empty = True
    for document in documents:
        write(yaml_text([document]))
        is_empty = False
    if is_empty:
        write("[]\n")


def yaml_text(document: Any) -> str:
    """The document as YAML, with nothing in it that a terminal would obey."""
    from ruamel.yaml import YAML
    from ruamel.yaml.representer import RoundTripRepresenter

    class Representer(RoundTripRepresenter):
        """Double quotes around whatever has to be escaped, because only there it can be."""

    def scalar(representer: RoundTripRepresenter, text: str) -> Any:
        style = '"' if any(is_unsafe(character) for character in text) else None
        return representer.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Representer.add_representer(str, scalar)
    yaml = YAML()
    yaml.Representer = Representer
    # Folding would put line ends where safe_yaml expects none but the document's own.
    yaml.width = sys.maxsize
    written = io.StringIO()
    yaml.dump(document, written)
    return safe_yaml(written.getvalue())


def _write_csv(session: Session, items: Iterable[Any], columns: Sequence[Column]) -> None:
    shown: Callable[[str], str] = printable if session.is_watched else str
    for row in _csv_rows(items, columns):
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow([shown(cell) for cell in row])
        write(line.getvalue())


def _csv_rows(items: Iterable[Any], columns: Sequence[Column]) -> Iterator[list[str]]:
    yield [column.name for column in columns]
    for item in items:
        yield [column.cell(item) for column in columns]


def _write_table(session: Session, header: list[str] | None, rows: list[list[str]]) -> None:
    """Rows under a header, or without one the names and values of a single thing."""
    if session.is_watched:
        _write_rich(header, rows)
        return
    lines = rows if header is None else [header, *rows]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        write("  ".join(padded).rstrip() + "\n")


def _write_rich(header: list[str] | None, rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=header is not None)
    for name in header or ["", ""]:
        # Text, because rich would take brackets in a name for its markup.
        table.add_column(Text(name), overflow="fold", header_style="bold")
    if header is None:
        table.columns[0].style = "bold"
        table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(file=sys.stdout, emoji=False, markup=False, highlight=False).print(table)
